"""Whether the kernel is there for the panel's page: a click that waits for it must not look like a lost one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ..playback.script import LINE, script

_HERE = Path(__file__).parent
_PIECE_BYTES = 1 << 20


class Presence(anywidget.AnyWidget):
    """Answers the page's question that follows each click; without an answer the page says that it waits.

    ``kept`` is the card of a saved notebook, which the page hides. ``charts`` is what the panel's charts show, in
    words, for who does not see them: ipywidgets' Image has no place for that. ``offered`` are the files that the
    page may have, by their numbers: those that it has links to.
    """

    _esm = script(LINE, _HERE / "download.js", _HERE / "presence.js")

    kept = traitlets.Unicode("").tag(sync=True)
    charts: traitlets.List[str] = traitlets.List().tag(sync=True)

    def __init__(self, kept: str = "") -> None:
        super().__init__(kept=kept)
        self.offered: Sequence[Path] = ()
        self.on_msg(self._asked)

    def _asked(self, _: object, message: dict[str, Any], buffers: object) -> None:
        if message.get("ask") == "piece":
            told, payload = self._piece(message)
            self.send({"answer": message.get("id"), "view": message.get("view"), **told}, payload)
        elif "ask" in message:
            self.send({"answer": message["ask"]})

    def _piece(self, asked: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        """What stands in an offered file from ``at`` on, and how large that is."""
        number, at = asked.get("file"), asked.get("at")
        if not (isinstance(number, int) and isinstance(at, int) and 0 <= number < len(self.offered) and at >= 0):
            return {"fault": "there is no such file"}, []
        try:
            with self.offered[number].open("rb") as file:
                file.seek(at)
                return {"size": os.fstat(file.fileno()).st_size}, [file.read(_PIECE_BYTES)]
        except OSError as error:
            return {"fault": error.strerror or str(error)}, []
