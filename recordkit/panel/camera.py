"""The camera, microphone or screen of the browser that shows the notebook, as a source."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ..background.account import SessionState
from ..background.session import Session
from ..endpoint.camera import CameraFeed, IceServer
from ..errors import SettingsError, StateError
from ..playback.script import script
from ..telemetry.words import size_text, time_text
from ..values import WholeLike

NO_AUDIO = "none"
_HERE = Path(__file__).parent

log = logging.getLogger("recordkit")


class Camera(anywidget.AnyWidget):
    """The browser's own camera and microphone, or a screen, for ``recordkit.start``.

    Show it in a cell: its page side asks for permission, shows the video, and sends it by WebRTC
    straight to the process that records; only the few messages that set this up pass through the
    kernel. ``width``, ``height`` and ``fps`` are what the device is asked for (a choice in
    the page changes them); ``ice_servers`` are
    STUN and TURN servers (URLs, or mappings as in WebRTC), which are needed where the kernel is not
    on this machine's network.

    ``state`` is off, on, sending or failed; ``message`` says in words why it failed. When the
    widget closes its tracks stop.

    Raises SettingsError if neither video nor audio is wanted.
    """

    _esm = script(_HERE / "camera.js")
    _css = _HERE / "camera.css"

    width = traitlets.Int(1280).tag(sync=True)
    height = traitlets.Int(720).tag(sync=True)
    fps = traitlets.Int(30).tag(sync=True)
    video = traitlets.Bool(True).tag(sync=True)
    audio = traitlets.Bool(True).tag(sync=True)
    device = traitlets.Unicode("").tag(sync=True)
    microphone = traitlets.Unicode("").tag(sync=True)
    devices: traitlets.List[dict[str, str]] = traitlets.List().tag(sync=True)
    state = traitlets.Unicode("off").tag(sync=True)
    message = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        *,
        width: WholeLike = 1280,
        height: WholeLike = 720,
        fps: WholeLike = 30,
        video: bool = True,
        audio: bool = True,
        ice_servers: Sequence[IceServer] = (),
    ) -> None:
        if not (video or audio):
            raise SettingsError("video", video, "neither video nor audio is on; switch on at least one")
        # Made first, so that what cannot be used is told before a widget stands there.
        self._ice_servers = tuple(ice_servers)
        feed = CameraFeed(
            video=video, audio=audio, width=width, height=height, fps=fps, ice_servers=self._ice_servers
        )
        self._session: Session | None = None
        self._count = 0
        super().__init__(width=feed.width, height=feed.height, fps=feed.fps, video=video, audio=audio)
        self.on_msg(self._from_page)

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return "camera"

    def in_worker(self) -> CameraFeed:
        """What the recording process opens. Raises StateError while this one is being recorded."""
        if self._session is not None and not self._session.wait(0):
            raise StateError(
                "recording", "free", "this camera is being recorded: stop that, or make another Camera()"
            )
        return CameraFeed(
            video=self.video,
            audio=self.audio and self.microphone != NO_AUDIO,
            width=self.width,
            height=self.height,
            fps=self.fps,
            ice_servers=self._ice_servers,
        )

    def connect(self, session: Session) -> None:
        """Let the page send to ``session``."""
        self._session = session
        self._count += 1
        self.message = ""
        session.on_signal = self._from_worker
        session.on_change(self._changed)
        self.send(
            {
                "type": "begin",
                "id": self._count,
                "ice_servers": [{"urls": one} if isinstance(one, str) else dict(one) for one in self._ice_servers],
            }
        )

    def turn_off(self) -> None:
        """Let go of the device."""
        self.send({"type": "off"})

    def _from_page(self, _: object, message: object, buffers: object) -> None:
        session = self._session
        if not isinstance(message, dict):
            log.warning("a message of the page is no object, and was left out: %s", str(message)[:80])
            return
        if session is None or message.get("id") != self._count or session.state is SessionState.STOPPED:
            return
        if message.get("type") in ("offer", "failed"):
            with suppress(StateError):  # it has just ended
                session.signal(message)

    def _from_worker(self, message: dict[str, Any]) -> None:
        if message.get("type") == "answer":
            self.send({**message, "id": self._count})

    def _changed(self, session: Session) -> None:
        if session is self._session and session.state in (SessionState.STOPPED, SessionState.FAILED):
            self._session = None
            self._say_how_it_ended(session)
            self.send({"type": "end", "message": self.message})

    def _say_how_it_ended(self, session: Session) -> None:
        """In traits, which a page that was loaded anew finds here."""
        # What the page itself has said of its end stands first: it knows why.
        said = self.message if self.state in ("off", "failed") else ""
        if session.error is not None:
            self.state, self.message = "failed", said or str(session.error)
            return
        recording = session.recording
        if recording is None or recording.path is None:
            what = "Nothing came, and no file was made."
        else:
            size = size_text(recording.bytes)
            what = f"Committed: {recording.path.name}, {time_text(recording.duration_s)}, {size}."
        self.state, self.message = "off", f"{said} {what}".strip()
