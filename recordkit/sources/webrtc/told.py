"""What the newest sender reports of one stream have told, as it is asked for with each unit."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from statistics import median_low

from ...ticks import TICKS_PER_SECOND

_REPORTS = 9
_FAR = TICKS_PER_SECOND // 5
_OFTEN = 4
"""One report that was held up is two steps, there and back; a clock that was set is one."""


class ToldOffsets:
    """How far NTP times are ahead of the stream's, in ticks, by each of the newest reports.

    ``median`` and ``earliest``, that of the report that came soonest behind what it tells of, mean nothing before
    the first. ``is_contradictory`` says that they go to and fro: whatever they tell, it is not a clock's time.
    """

    def __init__(self) -> None:
        self.median = self.earliest = 0
        self.is_contradictory = False
        self._newest: deque[int] = deque(maxlen=_REPORTS)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._newest)

    def add(self, offset: int) -> None:
        """One more report."""
        self._newest.append(offset)
        self.median, self.earliest = median_low(self._newest), min(self._newest)
        steps = [after - before for before, after in pairwise(self._newest) if abs(after - before) > _FAR]
        self.is_contradictory = len(steps) >= _OFTEN and min(steps) < 0 < max(steps)

    def begin_anew(self, offsets: Iterable[int] = ()) -> None:
        """Know these alone."""
        self._newest.clear()
        self.is_contradictory = False
        for one in offsets:
            self.add(one)
