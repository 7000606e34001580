"""Items of several streams put in the order of their times, if the streams come at different paces."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..ticks import TICKS_PER_SECOND

LAG = TICKS_PER_SECOND * 4 // 5
"""So far behind the others a stream may lie in a file: what comes later is too late for a player."""
_MOST_BYTES = 16 * 1024 * 1024

T = TypeVar("T")


@dataclass(slots=True, order=True)
class _Waiting(Generic[T]):
    place: int
    number: int
    stream: int = field(compare=False)
    item: T = field(compare=False)
    size: int = field(compare=False)


class Merger(Generic[T]):
    """Lets items wait while another stream is more than ``LAG`` behind them, 16 MiB of them at the most.

    A stream that is behind when the bound is reached, or at ``release``, is waited for again once it goes on.
    """

    def __init__(self) -> None:
        self._waiting: list[_Waiting[T]] = []
        self._newest: dict[int, int] = {}
        self._number = 0
        self._bytes = 0
        self._released = 0

    @property
    def holds(self) -> bool:
        """Whether items wait."""
        return bool(self._waiting)

    @property
    def _reached(self) -> int:
        """Up to where nothing has to wait any more."""
        return max(min(self._newest.values(), default=0) + LAG, self._released)

    def passes(self, stream: int, place: int) -> bool:
        """Whether an item that belongs at ``place`` (ticks) need not wait, as mostly none does; else ``put`` it."""
        self._newest[stream] = max(place, self._newest.get(stream, place))
        return not self._waiting and place <= self._reached

    def put(self, stream: int, place: int, item: T, size: int) -> None:
        """Take an item of ``size`` bytes that belongs at ``place`` (ticks)."""
        self._number += 1
        insort(self._waiting, _Waiting(place, self._number, stream, item, size))
        self._bytes += size
        self._newest[stream] = max(place, self._newest.get(stream, place))
        if self._bytes > _MOST_BYTES:
            self.release()

    def take(self) -> T | None:
        """The first item if it need not wait any more: all streams have come near to it, or it was released."""
        if not self._waiting or self._waiting[0].place > self._reached:
            return None
        first = self._waiting.pop(0)
        self._bytes -= first.size
        return first.item

    def release(self) -> None:
        """Let all that waits be taken; nobody waits for the streams that are behind."""
        if self._waiting:
            self._released = self._waiting[-1].place
            self._newest = {one: at for one, at in self._newest.items() if at >= self._released - LAG}

    def forget(self, stream: int) -> None:
        """Wait for ``stream`` no more: nothing comes of it."""
        self._newest.pop(stream, None)

    def next_place(self, stream: int) -> int | None:
        """When the next item of ``stream`` is, if one waits."""
        return next((one.place for one in self._waiting if one.stream == stream), None)
