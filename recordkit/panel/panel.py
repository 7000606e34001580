"""The panel: start, stop and mark a recording, and watch it, in a notebook."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import ipywidgets as widgets

from ..background.protocol import OnParentExit
from ..background.session import Session
from ..background.sessions import StandIn, start, take_up
from ..errors import RecordkitError, StateError
from ..plots.fonts import drawing
from ..recorder.result import Recording
from ..signatures import named
from ..sources.protocols import protocols as read_protocols
from ..system import Clock
from ..values import PathLike
from ..values import path as read_path
from .cells import predecessor
from .choices import Sources
from .face import RUNNING, Face
from .file_choice import FOLLOWED
from .form import Form
from .leftovers import Leftovers, recording_now
from .parts import close_all
from .player import Player
from .watched import Watched

log = logging.getLogger("recordkit")

REDRAW_INTERVAL_S = 0.8


@named
class RecordingPanel:
    """A panel that starts, stops, marks and watches recordings into ``folder``, each in its own process.

    ``sources`` says what is offered: names among ``"synthetic"``, ``"loopback"``, ``"file"``,
    ``"whip"``, ``"whep"`` and ``"camera"``, sources, or a mapping of labels to sources; None offers all kinds.
    Show it as the last line of a cell, or put ``panel.widget`` into a layout of your own; where
    that cell is run again, the new panel takes over the recording that runs. After a restart of the
    kernel, too: a recording goes on for ten minutes without one, and is committed if no panel of its
    folder has come by then (that of a camera ends with its kernel). The buttons do what
    ``start``, ``pause``, ``resume``, ``stop`` and ``mark`` do; ``session`` is the recording that runs, or the last
    one. The settings are those of ``recordkit.start``: several files, which are listed as they are committed, old
    ones that are deleted, and a source that is asked for again.
    ``close`` ends a recording that runs, and takes the panel down.

    Whoever sees the panel types in addresses: files below ``folder``, and URLs by ``protocols`` alone. With "file"
    among them any file may be read, with None anything, devices as well.

    Raises SettingsError if ``sources`` names something else.
    """

    def __init__(
        self,
        sources: Sources = None,
        folder: PathLike = "recordings",
        *,
        protocols: Sequence[str] | None = FOLLOWED,
        _clock: Clock | None = None,
    ) -> None:
        self.folder = read_path("folder", folder)
        self.session: Session | None = None
        self.recording: Recording | None = None
        self.error: RecordkitError | None = None
        self._clock = _clock or Clock()
        self._closed = threading.Event()
        self._lock = threading.RLock()
        self._is_closing = False
        self._watched: Watched | None = None
        self._follower: threading.Thread | None = None
        self._player: Player | None = None
        # The widgets outlive every name that a notebook gives the panel; they must not keep it.
        own, one_start = weakref.ref(self), threading.Lock()
        self._form = Form(sources, self.folder, read_protocols("protocols", protocols))
        self._leftovers = Leftovers(self.folder, lambda action: _act(own, lambda _: action()))
        self._face = face = Face(self._form.box, self._leftovers.box)
        self.widget = face.widget
        face.start.on_click(lambda _: _act(own, RecordingPanel.start, one_start))
        face.stop.on_click(lambda _: _act(own, RecordingPanel.stop))
        face.pause.on_click(lambda _: _act(own, RecordingPanel._turn))
        face.mark.on_click(lambda _: _act(own, RecordingPanel.mark))
        self._finalizer = weakref.finalize(self, _take_apart, self.widget, self._form)
        self._finalizer.atexit = False
        self._show_state()
        self._leftovers.look()
        if (earlier := predecessor(self)) is not None:
            self._take_over(earlier)
        if not self.is_running:
            self._find_again()

    # What it does, from code or by the buttons.

    @property
    def is_running(self) -> bool:
        """Whether a recording of this panel runs."""
        return self.session is not None and self.session.state in RUNNING

    def start(self) -> Session:
        """Begin a recording as the form stands. Raises StateError, and as ``recordkit.start`` does."""
        if not self.is_running:
            self._until_shown()
        with self._lock:
            self._refuse_closed()
            if self.is_running:
                raise StateError("recording", "stopped", "this panel is recording: stop that first")
            self._form.next_name()  # another panel may have taken the one that was offered
            # As long as the form is wrong, what was recorded last stands there.
            path, source, settings = self._form.path, self._form.source(), self._form.settings()
            self.session = self.recording = self.error = None
            self._form.lock(locked=True)
            self._face.show_start()
            try:
                # A camera's page needs the kernel: without it the page turns the camera off.
                mode: OnParentExit = "finish" if isinstance(source, StandIn) else "wait"
                self.session = start(source, path, on_parent_exit=mode, **settings)
                self._follow(self.session)
            except RecordkitError as error:
                self.error = error
                raise
            finally:
                self._form.lock(locked=self.is_running)
                self._show_state()
            return self.session

    def stop(self, timeout: float | None = None) -> Recording:
        """End the recording and commit it. Raises StateError if none was started, and its own error."""
        session = self._current()
        self._face.stop.disabled = True
        try:
            return session.stop(timeout=timeout)
        finally:
            if session.has_ended:
                self._until_shown(timeout)

    def mark(self, name: str | None = None) -> None:
        """Note this moment in the recording's log, under ``name`` (None: what stands beside the button)."""
        self._current().mark(name or self._face.mark_name.value.strip() or "mark")

    def pause(self) -> None:
        """Leave out what comes from now on, until ``resume``. Raises StateError if nothing is being recorded."""
        session = self._current()
        session.pause(self._form.gap.value)
        self._show_pause(session, is_paused=True)

    def resume(self) -> None:
        """Go on after ``pause``. Raises StateError if nothing is being recorded."""
        session = self._current()
        session.resume()
        self._show_pause(session, is_paused=False)

    @property
    def is_paused(self) -> bool:
        """Whether what comes is left out."""
        return self.is_running and self._watched is not None and self._watched.is_paused

    def _turn(self) -> None:
        if self.is_paused:
            self.resume()
        else:
            self.pause()

    def close(self) -> None:
        """End a recording that runs, and take the panel down. May be called again."""
        with self._lock:  # a start that is on its way comes first
            self._is_closing = True
        if self.is_running:
            try:
                self.stop()
            except RecordkitError as error:
                log.error("%s", error)
        self._until_shown()
        self._take_down()

    def __repr__(self) -> str:
        session = self.session
        stands = "nothing recorded yet" if session is None else repr(session)[1:-1]
        return f"<RecordingPanel {self.folder}, {stands}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:  # noqa: ANN401 - IPython's own
        # What is shown must live as long as it is shown, whether it has a name or not.
        self.widget.recordkit_panel = self
        # Not the widgets' own text, which is a style sheet and more.
        return self.widget._repr_mimebundle_(**kwargs) | {"text/plain": repr(self)}

    def _ipython_display_(self) -> None:
        """Two outputs: the panel, and what a saved notebook keeps of it."""
        self._face.kept.show(self._repr_mimebundle_(), f"<RecordingPanel {self.folder}>", [])

    def _take_over(self, earlier: RecordingPanel) -> None:
        with earlier._lock:
            earlier._is_closing = True
            session = earlier.session if earlier.is_running else None
            if session is not None:
                self._form.take_over(earlier._form)
            earlier._take_down()
        if session is not None:
            self._go_on_with(session)

    def _find_again(self) -> None:
        """Go on with a recording of this folder whose kernel is gone: it waits for somebody to come back."""
        for path in recording_now(self.folder):
            with suppress(RecordkitError):  # it has somebody, or has just ended
                self._go_on_with(take_up(path))
                note = "The kernel that began this recording is gone; nothing of the recording was lost."
                self._face.say(note, good=True)
                return

    def _go_on_with(self, session: Session) -> None:
        self.session = session
        self._form.name.value = session.path.name
        self._form.lock(locked=True)
        self._show_state()
        self._follow(session)

    def _take_down(self) -> None:
        self._closed.set()
        if self._player is not None:
            self._player.close()
        self._leftovers.close()
        self._finalizer()

    def _until_shown(self, timeout: float | None = None) -> None:
        """Wait until the end of the last recording stands there."""
        follower = self._follower
        if follower is not None and follower is not threading.current_thread():
            follower.join(timeout)

    def _refuse_closed(self) -> None:
        if self._is_closing or self._closed.is_set():
            raise StateError("closed", "open", "this panel was closed: make a new one")

    def _current(self) -> Session:
        if self.session is None:
            raise StateError("new", "recording", "nothing is being recorded: start first")
        return self.session

    # What it shows.

    def _follow(self, session: Session) -> None:
        self._watch(session)
        self._follower = threading.Thread(
            target=drawing, args=(self._run, session), name=f"recordkit-panel:{session.path.name}", daemon=True
        )
        self._follower.start()

    def _watch(self, session: Session) -> None:
        self._watched = Watched(session)
        try:
            player = Player(session)
        except RecordkitError as error:
            # It has ended before anything could be seen.
            log.debug("%s: no player: %s", session.path, error)
            return
        earlier, self._player = self._player, player
        self._face.stage.children = [player]
        if earlier is not None:
            earlier.close()

    def _run(self, session: Session) -> None:
        try:
            while session.state in RUNNING and not self._closed.is_set():
                self._redraw(session)
                session.wait(REDRAW_INTERVAL_S)
            self._redraw(session)
        except Exception as error:
            # What cannot be drawn must not end what is recorded.
            log.exception("The panel can draw no more")
            self._show_fault(error)
            while session.state in RUNNING and not self._closed.is_set():
                session.wait(REDRAW_INTERVAL_S)
        finally:
            if self._watched is not None:
                self._watched.close()
        self._show_end(session)

    def _redraw(self, session: Session) -> None:
        with self._lock:
            watched = self._watched
            if watched is None or self._closed.is_set():
                return
            self._face.redraw(watched)
            self._show_state()

    def _show_end(self, session: Session) -> None:
        with self._lock:
            if self._closed.is_set():
                return
            try:
                self.recording = session.stop()
            except RecordkitError as error:
                self.error = error
                self._face.say(str(error))
            self._form.next_name()
            self._face.calm()
            self._form.lock(locked=False)
            self._show_state()
            # Last: a file that somebody has spoiled meanwhile must not keep the panel locked.
            if self.recording is not None:
                self._face.show_recording(self.recording)
        self._leftovers.look()

    def _show_state(self) -> None:
        self._face.show(self.session, is_paused=self.is_paused, is_closed=self._closed.is_set())

    def _show_pause(self, session: Session, *, is_paused: bool) -> None:
        """At once: the event of it comes a moment later."""
        with self._lock:
            if session is self.session and self._watched is not None:
                self._watched.is_paused = is_paused
                self._show_state()

    def _show_fault(self, error: Exception) -> None:
        """An error of a click, which would else vanish in the log console."""
        self._face.say(str(error) or type(error).__name__)
        self._form.lock(locked=self.is_running)
        self._show_state()


def _act(
    panel: weakref.ref[RecordingPanel],
    action: Callable[[RecordingPanel], object],
    gate: threading.Lock | None = None,
) -> None:
    """Do what a click asks for in a thread of its own: the kernel's loop has others to serve.

    With a ``gate`` a second click is passed over while the first is being done.
    """
    own = panel()
    if own is None or (gate is not None and not gate.acquire(blocking=False)):
        return

    def run() -> None:
        try:
            action(own)
        except RecordkitError as error:
            own._show_fault(error)
        except Exception as error:
            log.exception("The panel could not do what was asked of it")
            own._show_fault(error)
        finally:
            if gate is not None:
                gate.release()

    threading.Thread(target=drawing, args=(run,), name="recordkit-panel-click", daemon=True).start()


def _take_apart(widget: widgets.Widget, form: Form) -> None:
    form.close()
    close_all(widget)
