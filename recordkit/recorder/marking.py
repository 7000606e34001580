"""Marks: named places of a recording, true ones even for those that are made before its first media is known."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple, Protocol

from ..intake import Newest
from ..model import EventKind
from ..telemetry.instruments import Instruments

_MOST_WAITING = 1_000


class Places(Protocol):
    """What knows where a recording's media is, see ``Ledger``."""

    @property
    def newest(self) -> Newest | None:
        """What was given last; None before the first."""

    @property
    def newest_s(self) -> float:
        """Where that is, in seconds of media."""

    @property
    def has_begun(self) -> bool:
        """Whether it is known with what the recording begins."""

    def given_s(self, newest: Newest) -> float:
        """Where that is which was given last at an earlier time, once it ``has_begun``."""


class _Waiting(NamedTuple):
    """A mark whose place is not known yet: when it was made, and what had been given last."""

    time_ns: int
    elapsed_s: float
    name: str
    newest: Newest | None


class Marks:
    """Notes marks as events, each at the frame that was given last.

    A recording may begin before its first frame, with the priming of its audio, and live media may have to wait
    before any of it can be placed; ``is_live`` says that it goes by the clock. A mark that is made meanwhile waits,
    too, and is noted by ``settle`` as of when it was made.
    """

    def __init__(
        self, instruments: Callable[[], Instruments], places: Callable[[], Places], is_live: Callable[[], bool]
    ) -> None:
        self._instruments = instruments
        self._places = places
        self._is_live = is_live
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []

    def add(self, name: str) -> None:
        """Make a mark now."""
        instruments, places = self._instruments(), self._places()
        with self._lock:
            newest = places.newest
            is_known = places.has_begun if newest is not None else not self._is_live()
            waits = not is_known and len(self._waiting) < _MOST_WAITING
            if waits:
                self._waiting.append(_Waiting(*instruments.now, name, newest))
        if not waits:
            instruments.event(EventKind.MARK, name=name, media_s=places.newest_s)

    def settle(self) -> None:
        """Note the marks that wait: by now it is known where they are."""
        if not self._waiting:
            return
        with self._lock:
            waiting, self._waiting = self._waiting, []
        instruments, places = self._instruments(), self._places()
        latest_s, (_, now_s) = places.newest_s, instruments.now
        for time_ns, elapsed_s, name, newest in waiting:
            at_s = latest_s - (now_s - elapsed_s) if newest is None else places.given_s(newest)
            instruments.event_at(time_ns, elapsed_s, EventKind.MARK, name=name, media_s=max(0.0, at_s))
