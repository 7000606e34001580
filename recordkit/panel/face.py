"""What the panel shows: its widgets, and what stands in them."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import ipywidgets as widgets
from IPython.display import HTML

from ..background.account import SessionState
from ..background.session import Session
from ..errors import RecordkitError
from ..names import shown_name
from ..playback.film import Film
from ..recorder.result import Recording
from ..telemetry.words import time_text
from . import page
from .kept import Kept
from .parts import button, put, row
from .presence import Presence
from .watched import Watched

log = logging.getLogger("recordkit")

RUNNING = (SessionState.STARTING, SessionState.RECORDING, SessionState.DEGRADED, SessionState.STOPPING)
_WORDS: Mapping[str, str] = {"ready": "choose a source and press Start", "failed": "see below"}


class Face:
    """The widgets of a panel, with ``form`` above its buttons and ``leftovers`` at its foot."""

    def __init__(self, form: widgets.Widget, leftovers: widgets.Widget) -> None:
        self.start = button("Start", "success", "circle", "Begin to record")
        self.pause = button("Pause", "", "pause", "Leave out what comes, until you go on")
        self.stop = button("Stop", "danger", "stop", "End the recording and commit its file")
        self.mark = button("Mark", "", "bookmark", "Note this moment in the recording's log")
        self.mark_name = widgets.Text(
            value="mark", placeholder="what happened", description="as", style={"description_width": "initial"},
            layout=widgets.Layout(width="170px"),
        )  # fmt: skip
        self.mark_name.add_class("recordkit-mark-name")
        self.mark.add_class("recordkit-mark")
        self.stage = widgets.VBox([])
        self.kept = Kept()
        self.head, self.tiles, self.alerts = (widgets.HTML() for _ in range(3))
        self.address, self.message, self.files = (widgets.HTML() for _ in range(3))
        # Not an HTML widget: only in an output does the front end resolve a link to a file.
        self.finished = widgets.Output()
        self.images = [widgets.Image(format="png", layout=widgets.Layout(display="none")) for _ in range(2)]
        self.presence = Presence(self.kept.identity)
        charts = row(*self.images)
        charts.add_class("recordkit-charts")
        self.widget = widgets.VBox(
            [
                widgets.HTML(page.style()),
                self.stage,
                form,
                row(self.start, self.pause, self.stop, self.mark, self.mark_name),
                self.presence,
                self.head,
                self.message,
                self.address,
                self.alerts,
                self.tiles,
                charts,
                self.files,
                self.finished,
                leftovers,
            ]
        )
        self.widget.add_class("recordkit-panel")

    def show(self, session: Session | None, *, is_paused: bool, is_closed: bool) -> None:
        """Where the recording of ``session`` stands, and which buttons can be pressed."""
        state = "ready" if session is None else str(session.state)
        words = _WORDS.get(state, "")
        if session is not None:
            words = words or time_text(session.figures.elapsed_s)
        path = shown_name(session.path.name) if session is not None else None
        shown = "paused" if is_paused and state == "recording" else state
        put(self.head, page.head(shown, f"{words}, paused" if is_paused and shown != "paused" else words, path))
        self._allow(state, is_closed=is_closed)
        self.pause.description, self.pause.icon = ("Resume", "play") if is_paused else ("Pause", "pause")

    def show_start(self) -> None:
        """That a recording is on its way; nothing of the last one stands there any more."""
        self.message.value = self.address.value = self.files.value = self.tiles.value = ""
        self.finished.outputs = ()
        self._hide_charts()
        put(self.head, page.head(SessionState.STARTING.value, "the recording's process starts", None))
        self._allow(SessionState.STARTING.value, is_closed=False)

    def _allow(self, state: str, *, is_closed: bool) -> None:
        running = state in RUNNING
        self.start.disabled = running or is_closed
        cannot_stop = not running or state in (SessionState.STARTING, SessionState.STOPPING)
        for one in (self.stop, self.pause, self.mark, self.mark_name):
            one.disabled = cannot_stop

    def redraw(self, watched: Watched) -> None:
        """What has come since."""
        charts = watched.update()
        for image, drawn in zip(self.images, charts, strict=True):
            image.value = drawn.png
            image.layout.display = ""
        self.presence.charts = [drawn.words for drawn in charts]
        put(self.tiles, page.tiles(watched.tiles))
        put(self.alerts, page.notes(watched.alerts))
        put(self.address, "" if watched.address is None else page.listening(watched.address))
        files = page.files(watched.files, watched.committed, watched.number) if watched.is_several else ""
        put(self.files, files)

    def _hide_charts(self) -> None:
        for image in self.images:
            image.layout.display = "none"

    def say(self, words: str, *, good: bool = False) -> None:
        """A line below the head."""
        self.message.value = page.notes([words], good=good)

    def calm(self) -> None:
        """Nothing is going on any more."""
        for one in (self.alerts, self.address, self.files):
            put(one, "")

    def show_recording(self, recording: Recording) -> None:
        """What was recorded: it is what a saved notebook shows of this panel, too."""
        self.presence.offered = page.linked(recording)
        if recording.path is not None:
            self._hide_charts()  # they stand in its card
        self.finished.append_display_data(_html(page.finished(recording)))
        try:
            film = Film(recording)
        except RecordkitError as error:
            log.debug("%s: no card: %s", recording.path, error)
            return
        self.kept.update([film])
        film.close()


def _html(text: str) -> HTML:
    return HTML(text)  # type: ignore[no-untyped-call] # as IPython has it
