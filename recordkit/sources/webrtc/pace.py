"""Whether the times of a stream go on as fast as it comes: RTP clocks may stand, or count in another unit."""

from __future__ import annotations

from ...ticks import TICKS_PER_SECOND

DECIDED_S = 3.0
"""So long a stream is looked at."""
_LEAST_UNITS = 20
_LONGEST_STEP_S = 0.5
"""Behind a longer pause what comes may have been held up: it says nothing."""
_SHARE = 8
"""No queue of a network grows for long by seven eighths of all that is sent."""
_ODD = 0.15
_ODD_SPANS = 4
"""What is off by more for so many spans of ``DECIDED_S`` is no queue that fills or empties."""


class Pace:
    """Sets the times of one source against its arrivals; ``is_lost`` says that the times cannot be true.

    ``odd`` is how many times as fast as the arrivals they go, if that is far off and lasts, else None. Either may
    be true then: a clock may be wrong, and a film may be sent faster than it plays.
    """

    def __init__(self) -> None:
        self.is_lost = False
        self.odd: float | None = None
        self._odd_spans = 0
        self._first: tuple[int, float] | None = None
        self._newest_s = 0.0
        self._units = 0

    def put(self, ticks: int, arrival_s: float) -> bool:
        """Take the time of the next unit, in ticks, and when it came; returns whether the times are lost."""
        first = self._first
        if first is None or arrival_s - self._newest_s > _LONGEST_STEP_S:
            self._first, self._units = (ticks, arrival_s), 0
        elif arrival_s - first[1] >= DECIDED_S:
            passed = (arrival_s - first[1]) * TICKS_PER_SECOND
            self.is_lost = self._units >= _LEAST_UNITS and abs(ticks - first[0]) * _SHARE < passed
            self._look_whether_odd((ticks - first[0]) / passed)
            self._first, self._units = (ticks, arrival_s), 0
        self._units += 1
        self._newest_s = arrival_s
        return self.is_lost

    def _look_whether_odd(self, pace: float) -> None:
        """Take the pace of one span; those of a row have to be off to the same side."""
        side = (pace > 1 + _ODD) - (pace < 1 - _ODD)
        goes_on = side != 0 and side * self._odd_spans >= 0
        self._odd_spans = self._odd_spans + side if goes_on else side
        self.odd = pace if abs(self._odd_spans) >= _ODD_SPANS else None
