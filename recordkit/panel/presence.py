"""Whether the kernel is there for the panel's page: a click that waits for it must not look like a lost one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ..playback.script import script

_HERE = Path(__file__).parent


class Presence(anywidget.AnyWidget):
    """Answers the page's question that follows each click; without an answer the page says that it waits.

    ``kept`` is the card of a saved notebook, which the page hides. ``charts`` is what the panel's charts show, in
    words, for who does not see them: ipywidgets' Image has no place for that.
    """

    _esm = script(_HERE / "presence.js")

    kept = traitlets.Unicode("").tag(sync=True)
    charts: traitlets.List[str] = traitlets.List().tag(sync=True)

    def __init__(self, kept: str = "") -> None:
        super().__init__(kept=kept)
        self.on_msg(self._asked)

    def _asked(self, _: object, message: dict[str, Any], buffers: object) -> None:
        if "ask" in message:
            self.send({"answer": message["ask"]})
