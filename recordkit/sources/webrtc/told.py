"""What the newest sender reports of one stream have told, as it is asked for with each unit."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from statistics import median_low

_REPORTS = 9


class ToldOffsets:
    """How far NTP times are ahead of the stream's, in ticks, by each of the newest reports.

    ``median`` and ``earliest``, that of the report that came soonest behind what it tells of, mean nothing before
    the first.
    """

    def __init__(self) -> None:
        self.median = self.earliest = 0
        self._newest: deque[int] = deque(maxlen=_REPORTS)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._newest)

    def add(self, offset: int) -> None:
        """One more report."""
        self._newest.append(offset)
        self.median, self.earliest = median_low(self._newest), min(self._newest)

    def begin_anew(self, offsets: Iterable[int] = ()) -> None:
        """Know these alone."""
        self._newest.clear()
        for one in offsets:
            self.add(one)
