"""The first moments of a recording, in which units wait until every stream is known."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..intake import Intake
from ..system import Clock

LONGEST_HOLD_S = 0.5
LONGEST_BUSY_HOLD_S = 5.0
"""What is waited for may be in the queue."""


class Opening:
    """Says how long the first units wait for one of each ``expected`` stream, so that the first PMT names them all.

    Half a second at the most from the first look on; or five, while the queue, not half full, may hold what is
    waited for. ``is_over`` once nothing waits any more.
    """

    def __init__(self, expected: set[int], intake: Intake[Any], clock: Clock) -> None:
        self.is_over = False
        self._expected = self._every = frozenset(expected)
        self._intake = intake
        self._clock = clock
        self._first_s: float | None = None
        self._longest_busy_s = LONGEST_BUSY_HOLD_S

    @property
    def left_s(self) -> float:
        """Seconds that it lasts yet, at the most."""
        now_s = self._clock.monotonic()
        if self._first_s is None:
            self._first_s = now_s
        longest_s = self._longest_busy_s if self._intake.holds_more else LONGEST_HOLD_S
        return self._first_s + longest_s - now_s

    def lets_go(self, known: Collection[int]) -> bool:
        """Whether what is there may be laid now, the streams of ``known`` having come; ends it if so."""
        self.is_over = self._expected.issubset(known) or self.left_s <= 0
        return self.is_over

    def has_all(self, known: Collection[int]) -> bool:
        """Whether the streams of ``known`` are all that are expected."""
        return self._every.issubset(known)

    def hurry(self) -> None:
        """What is waited for is not in the queue: half a second it is."""
        self._longest_busy_s = LONGEST_HOLD_S

    def cut_short(self) -> None:
        """Wait for no stream any longer."""
        self._expected = frozenset()
