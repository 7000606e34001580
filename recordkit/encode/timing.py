"""What the timeline knows of a stream, and of an item of it that waits for its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from ..ticks import TICKS_PER_SECOND

JUMP = 10 * TICKS_PER_SECOND
"""A step forward of more may be a gap, or one damaged timestamp."""
AHEAD = TICKS_PER_SECOND
"""Live media cannot be further ahead of its arrival than any before it, but for so much."""
DISORDERED = 3
"""So many items in a row behind the newest one, in order among themselves, are no disorder any more."""

T = TypeVar("T")


class Placed(NamedTuple, Generic[T]):
    """An item of a stream and its time in ticks; ``shift`` is what was added to its source time."""

    stream: int
    item: T
    place: int
    shift: int


@dataclass(slots=True, eq=False)
class Item(Generic[T]):
    """What waits for its place: ``ticks`` by its source, and when it came (``arrival``, None if it is not live)."""

    item: T
    ticks: int
    duration: int
    arrival: int | None
    size: int
    keep_late: bool

    def continues(self, before: Item[T], stride: int = 0) -> bool:
        """Whether it follows ``before`` as media does, or in a step like the last one, ``stride``."""
        return 0 < self.ticks - before.ticks <= max(JUMP, 2 * stride)


@dataclass(slots=True, eq=False)
class StreamTimes(Generic[T]):
    """A stream: what is added to its times, and how far it has come."""

    index: int
    offset: int = 0
    epoch: int = 0
    last: int | None = None
    step: int = TICKS_PER_SECOND // 30  # if neither times nor durations tell
    stride: int = 0  # the last step forward that was believed
    arrival: int | None = None  # that of the item placed last
    lead: int | None = None  # how far the times have ever been ahead of the arrivals
    least_lead: int = 0  # and at the beginning
    is_faster: bool = False  # than live media can be
    stuck: int | None = None  # the one time that item after item claims
    held: list[Item[T]] = field(default_factory=list)
    since: int = 0  # how far the others were when the first one was held

    def passed(self, item: Item[T]) -> int:
        """The time from the item before to ``item``: by their arrivals, or one step if those are not known."""
        if item.arrival is None or self.arrival is None:
            return self.step
        return max(1, item.arrival - self.arrival)

    @property
    def is_stuck(self) -> bool:
        """Whether the items that are held, which all have one time, are enough to say that it stands still."""
        return self.held[-1].arrival is not None or len(self.held) >= DISORDERED

    def is_ahead(self, item: Item[T]) -> bool:
        """Whether ``item`` leaps further than the time that has passed allows."""
        if item.arrival is None or self.lead is None or self.last is None:
            return False
        place = item.ticks + self.offset
        return place - self.last > AHEAD and place - item.arrival - self.lead > AHEAD
