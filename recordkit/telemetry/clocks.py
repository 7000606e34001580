"""The machine's clocks against each other: whether the wall clock was set, or the machine was suspended."""

from __future__ import annotations

from typing import NamedTuple

from ..system import Clock

_LEAST_S = 0.5
"""A clock that is only made to run faster or slower is not so far off from one look to the next."""
_LONGEST_LOOK_S = 0.1


class _Reading(NamedTuple):
    monotonic_s: float
    boottime_s: float
    wall_s: float


class Clocks:
    """Compares the clocks at each look with the look before; not thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._before = self._read()

    def changes(self) -> list[tuple[str, float]]:
        """What has happened to the clocks since the last call: in words, and the seconds."""
        now, before = self._read(), self._before
        if now is None:
            return []
        self._before = now
        if before is None:
            return []
        passed_s = now.boottime_s - before.boottime_s
        slept_s = passed_s - (now.monotonic_s - before.monotonic_s)
        set_s = now.wall_s - before.wall_s - passed_s
        found = [("the machine was suspended", slept_s), ("the wall clock was set", set_s)]
        return [(because, seconds) for because, seconds in found if abs(seconds) >= _LEAST_S]

    def _read(self) -> _Reading | None:
        """All clocks at one moment; None if the thread had to wait between them."""
        started_s = self._clock.monotonic()
        reading = _Reading(started_s, self._clock.boottime(), self._clock.time_ns() / 1e9)
        return reading if self._clock.monotonic() - started_s < _LONGEST_LOOK_S else None
