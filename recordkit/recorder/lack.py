"""Frames that are given while none comes out: told when it has lasted, and when it is over."""

from __future__ import annotations

from collections.abc import Callable

from ..encode.routing import VIDEO
from ..model import EventKind
from ..system import Clock

LACK_S = 2.0
"""So long frames are given and none comes out before that is told."""


class Lack:
    """Tells, by ``on_event``, of frames that come to nothing."""

    def __init__(self, clock: Clock, on_event: Callable[..., object]) -> None:
        self._clock = clock
        self._on_event = on_event
        self._since_s: float | None = None
        self._is_told = False

    def look(self, because: str | None) -> None:
        """A frame was given; ``because`` says why nothing has come out of it, None if something has or will."""
        if because is None:
            if self._is_told:
                self._on_event(EventKind.RESTORED, part=f"stream {VIDEO}")
            self._since_s, self._is_told = None, False
            return
        now_s = self._clock.monotonic()
        self._since_s = now_s if self._since_s is None else self._since_s
        if not self._is_told and now_s - self._since_s >= LACK_S:
            self._is_told = True
            self._on_event(EventKind.DEGRADED, part=f"stream {VIDEO}", because=because)
