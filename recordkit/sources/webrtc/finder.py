"""Finds the receiver of a track, which the track does not know."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from aiortc import MediaStreamTrack, RTCRtpReceiver

from .internals import changed

_HANDLERS = ("_handle_rtp_packet", "_handle_rtcp_packet")


class Finder:
    """Finds the receivers of tracks, which do not know them.

    It shadows what handles packets and reports in ``RTCRtpReceiver`` as long as a track is sought, and sees each
    receiver as they are about to be handled: before the first packet is, where it is early enough, and by a
    report where no packet comes.
    """

    def __init__(self, handlers: dict[str, Any]) -> None:
        self._handlers = handlers
        self._lock = threading.Lock()
        self._sought: list[tuple[MediaStreamTrack, Callable[[RTCRtpReceiver], None]]] = []

    @classmethod
    def installed(cls) -> Finder:
        """The one that is at work, or a new one."""
        handlers = {}
        for name in _HANDLERS:
            handler = vars(RTCRtpReceiver).get(name)
            if isinstance(handler, _Shadow):
                return handler.finder
            if not callable(handler):
                raise changed(f"RTCRtpReceiver.{name}")
            handlers[name] = handler
        return cls(handlers)

    def seek(self, track: MediaStreamTrack, found: Callable[[RTCRtpReceiver], None]) -> None:
        """Call ``found`` with the receiver of ``track`` once it shows itself."""
        with self._lock:
            self._sought.append((track, found))
            for name, handler in self._handlers.items():
                setattr(RTCRtpReceiver, name, _Shadow(self, handler))

    def give_up(self, track: MediaStreamTrack, found: Callable[[RTCRtpReceiver], None]) -> None:
        """Seek it no longer."""
        with self._lock:
            self._sought = [one for one in self._sought if one != (track, found)]
            if not self._sought:
                for name, handler in self._handlers.items():
                    setattr(RTCRtpReceiver, name, handler)

    def seen(self, receiver: RTCRtpReceiver) -> None:
        """A receiver has something to handle."""
        with self._lock:
            here = [one for one in self._sought if one[0] is receiver.track]
        for track, found in here:
            self.give_up(track, found)
        # Whoever is found looks at the receiver, too; by then nobody is found a second time by that.
        for _, found in here:
            found(receiver)


class _Shadow:
    """In the place of a method of the class: tells ``finder`` of each receiver that it is got for."""

    def __init__(self, finder: Finder, handler: Any) -> None:  # noqa: ANN401 - a function of aiortc's
        self.finder = finder
        self._handler = handler

    def __get__(self, receiver: RTCRtpReceiver | None, owner: type[RTCRtpReceiver]) -> Any:  # noqa: ANN401
        if receiver is not None:
            self.finder.seen(receiver)
        return self._handler.__get__(receiver, owner)
