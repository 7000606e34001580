"""Marks: named places of a recording, true ones even for those that are made before its first media is known."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..model import EventKind
from ..telemetry.instruments import Instruments

_MOST_WAITING = 1_000


class Marks:
    """Notes marks as events, at the place that ``media_s`` returns.

    Live media may have to wait before any of it can be placed. A mark that is made meanwhile waits, too, and
    is noted by ``settle`` as of when it was made. ``is_known`` says whether there is media, ``is_live`` whether
    it goes by the clock.
    """

    def __init__(
        self,
        instruments: Callable[[], Instruments],
        media_s: Callable[[], float],
        is_known: Callable[[], bool],
        is_live: Callable[[], bool],
    ) -> None:
        self._instruments = instruments
        self._media_s = media_s
        self._is_known = is_known
        self._is_live = is_live
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, float, str]] = []

    def add(self, name: str) -> None:
        """Make a mark now."""
        instruments = self._instruments()
        with self._lock:
            waits = self._is_live() and not self._is_known() and len(self._waiting) < _MOST_WAITING
            if waits:
                self._waiting.append((*instruments.now, name))
        if not waits:
            instruments.event(EventKind.MARK, name=name, media_s=self._media_s())

    def settle(self) -> None:
        """Note the marks that wait: by now it is known where they are."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        instruments, media_s = self._instruments(), self._media_s()
        _, now_s = instruments.now
        for time_ns, elapsed_s, name in waiting:
            at_s = max(0.0, media_s - (now_s - elapsed_s))
            instruments.event_at(time_ns, elapsed_s, EventKind.MARK, name=name, media_s=at_s)
