"""What crashed recordings left in the panel's folder, each with a button that brings it back."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets

from ..errors import RecordkitError
from ..recovery.listing import partials
from ..recovery.outcome import Outcome, Partial, Recovery
from ..recovery.recover import recover
from ..telemetry.words import size_text, time_text
from . import page
from .parts import button, close_all, row

MOST_LISTED = 5


class Leftovers:
    """The unfinished recordings of ``folder``. ``in_background`` runs what a click asks for."""

    def __init__(self, folder: Path, in_background: Callable[[Callable[[], None]], None]) -> None:
        self._folder = folder
        self._in_background = in_background
        self.box = widgets.VBox([])
        self._told = widgets.HTML()
        self._listing = threading.Lock()
        self._is_closed = False

    def close(self) -> None:
        """List nothing any more."""
        with self._listing:
            self._is_closed = True

    def look(self) -> None:
        """List what lies there now; nothing that is alive, and nothing if the folder does not exist yet."""
        with self._listing:
            if not self._is_closed:
                self._list()

    def _list(self) -> None:
        found: list[Partial] = []
        try:
            if os.path.isdir(self._folder):  # noqa: PTH112 - which raises if access is denied
                found = [one for one in partials(self._folder) if not one.is_recording]
        except RecordkitError as error:
            self._told.value = page.notes([str(error)])
        for old in self.box.children[:-1]:
            close_all(old)
        more = [widgets.HTML(f"and {len(found) - MOST_LISTED} more")] if len(found) > MOST_LISTED else []
        self.box.children = (*(self._row(one) for one in found[:MOST_LISTED]), *more, self._told)

    def _row(self, one: Partial) -> widgets.HBox:
        bring = button("Recover", "", "medkit", f"Bring {one.final_path.name} to its final name")
        bring.disabled = one.recoverable_bytes == 0
        words = f"{size_text(one.recoverable_bytes)} can be brought back, last written {time_text(one.age_s)} ago"
        line = row(widgets.HTML(page.leftover(one.path.name, one.problem or words)), bring)

        def clicked(_: widgets.Button) -> None:
            bring.disabled = True
            self._in_background(lambda: self.recover(one.path))

        bring.on_click(clicked)
        return line

    def recover(self, path: Path) -> None:
        """Recover one, and tell how that went."""
        try:
            result = recover(path)
        except RecordkitError as error:
            self._told.value = page.notes([str(error)])
        else:
            if isinstance(result, Recovery):
                good = result.outcome in (Outcome.RECOVERED, Outcome.CLEANED)
                self._told.value = page.notes([_words(result)], good=good)
        self.look()


def _words(result: Recovery) -> str:
    if result.final_path is None:
        return result.message
    name = result.final_path.name
    return (
        f"Recovered {name}: {time_text(result.duration_s)}, {size_text(result.bytes)}, of which "
        f"{size_text(result.tail_bytes)} came out of the tail; {size_text(result.cut_bytes)} cut."
    )


def recording_now(folder: Path) -> list[Path]:
    """The final names of the recordings of ``folder`` that are being made at this moment, by whomever."""
    try:
        if not os.path.isdir(folder):  # noqa: PTH112 - which raises if access is denied
            return []
        return [one.final_path for one in partials(folder) if one.is_recording]
    except RecordkitError:
        return []
