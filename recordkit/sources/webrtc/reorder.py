"""Packets in the order of their sequence numbers, with a limit to how long one is waited for."""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappop, heappush
from typing import Generic, NamedTuple, TypeVar

from ...ticks import signed_difference

VIDEO_WINDOW_S = 0.5
AUDIO_WINDOW_S = 0.2
"""How long a missing packet is waited for: a frame is retransmitted, audio is not."""
_MOST_WAITING = 8192
_SEQUENCE_BITS = 16
_LAST_SEQUENCE = (1 << _SEQUENCE_BITS) - 1
_LONGEST_DROPOUT = 3000
_MOST_MISORDERED = 1000
"""A step of more, forward or back, is believed when the packet after it confirms it (RFC 3550, A.1)."""

T = TypeVar("T")


class InOrder(NamedTuple, Generic[T]):
    """A packet in its place, and how many before it were given up."""

    packet: T
    lost_before: int


class Reorder(Generic[T]):
    """Orders the packets of one source; sequence numbers have 16 bits and wrap (RFC 3550, 5.1).

    A packet behind a gap waits ``window_s`` seconds for what is missing, which then is given up.
    ``packets`` counts the different ones that came in time, ``recovered`` those of them that filled
    a gap (retransmitted, or only late), ``duplicates`` those that came again, ``lost`` the ones given
    up, and ``late`` those of the lost that came after all, too late.
    """

    def __init__(self, window_s: float) -> None:
        self.packets = 0
        self.recovered = 0
        self.duplicates = 0
        self.lost = 0
        self.late = 0
        self._window_s = window_s
        self._next: int | None = None
        self._highest = 0
        self._waiting: dict[int, tuple[T, float]] = {}
        self._numbers: list[int] = []  # of those that wait, a heap
        self._given_up: OrderedDict[int, None] = OrderedDict()
        self._suspect: tuple[int, T, float] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a packet waits for one before it."""
        return bool(self._waiting)

    @property
    def reached(self) -> int:
        """The highest number that has come, unwrapped; 0 before the first."""
        return self._highest

    def misses_for(self, now_s: float) -> float:
        """Seconds for which packets have waited for one before them, 0 if none do."""
        return now_s - next(iter(self._waiting.values()))[1] if self._waiting else 0.0

    def follows(self, sequence: int) -> bool:
        """Whether nothing is missing between the newest packet and this one."""
        return self._next is not None and signed_difference(sequence, self._highest, _SEQUENCE_BITS) <= 1

    def takes(self, sequences: list[int]) -> bool:
        """Take the packets of these numbers if all are in order, as they mostly are; else ``put`` has to."""
        first = self._next
        if first is None or self._waiting:
            return False
        end = first + len(sequences)
        if sequences != [number & _LAST_SEQUENCE for number in range(first, end)]:
            return False
        self._suspect, self._next, self._highest = None, end, end - 1
        self.packets += len(sequences)
        return True

    def put(self, sequence: int, packet: T, now_s: float) -> list[InOrder[T]]:
        """Take a packet that came at ``now_s``; gives what is in order now."""
        if self.takes([sequence]):
            return [InOrder(packet, 0)]
        if self._next is None:
            self._next = self._highest = sequence
        step = signed_difference(sequence, self._highest, _SEQUENCE_BITS)
        if not -_MOST_MISORDERED <= step <= _LONGEST_DROPOUT:
            return self._far_off(sequence, step, packet, now_s)
        self._suspect = None
        return self._take(self._highest + step, packet, now_s)

    def poll(self, now_s: float) -> list[InOrder[T]]:
        """What is in order, or has waited long enough, at ``now_s``."""
        ready: list[InOrder[T]] = []
        while self._waiting:
            oldest_s = next(iter(self._waiting.values()))[1]
            if now_s - oldest_s < self._window_s and len(self._waiting) <= _MOST_WAITING:
                break
            ready += self._give_up()
        return ready

    def flush(self) -> list[InOrder[T]]:
        """All that waits: nothing more will come."""
        ready: list[InOrder[T]] = []
        while self._waiting:
            ready += self._give_up()
        return ready

    def _take(self, number: int, packet: T, now_s: float) -> list[InOrder[T]]:
        expected = self._next if self._next is not None else number
        if number < expected:
            if number in self._given_up:
                del self._given_up[number]
                self.late += 1
            else:
                self.duplicates += 1
            return []
        if number in self._waiting:
            self.duplicates += 1
            return []
        self.packets += 1
        self.recovered += number < self._highest
        self._highest = max(self._highest, number)
        if number == expected and not self._waiting:
            self._next = number + 1
            return [InOrder(packet, 0)]
        self._waiting[number] = (packet, now_s)
        heappush(self._numbers, number)
        return self._run(0) + self.poll(now_s)

    def _run(self, lost_before: int) -> list[InOrder[T]]:
        ready: list[InOrder[T]] = []
        while self._numbers and self._numbers[0] == self._next:
            packet, _ = self._waiting.pop(heappop(self._numbers))
            ready.append(InOrder(packet, lost_before))
            lost_before = 0
            self._next += 1
        return ready

    def _give_up(self) -> list[InOrder[T]]:
        """Wait no longer for what is missing before the first that waits."""
        first = self._numbers[0]
        begin = self._next if self._next is not None else first
        missing = first - begin
        self.lost += missing
        # What comes after still more others is far off: nobody looks for it here.
        for number in range(max(begin, self._highest - _MOST_MISORDERED), first):
            self._given_up[number] = None
        while len(self._given_up) > _MOST_MISORDERED:
            self._given_up.popitem(last=False)
        self._next = first
        return self._run(missing)

    def _far_off(self, sequence: int, step: int, packet: T, now_s: float) -> list[InOrder[T]]:
        suspect, self._suspect = self._suspect, (sequence, packet, now_s)
        if suspect is None or signed_difference(sequence, suspect[0], _SEQUENCE_BITS) != 1:
            return []
        # Two in a row: the source has gone on there. Back is a new beginning, of which nothing is known.
        self._suspect = None
        ready = self.flush()
        number = self._highest + step
        missing = number - 1 - (self._next or 0) if step > 0 else 0
        self.lost += missing
        self._next = number + 1
        self._highest = number
        self.packets += 2
        self._given_up.clear()
        return [*ready, InOrder(suspect[1], max(1, missing)), InOrder(packet, 0)]
