"""The writer's buffer: units are packetised into two slots that are filled in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np

from ..container import Packager
from ..errors import StateError
from ..model import AccessUnit, FlushReason
from ..system import Clock
from .slot import Slot


@dataclass(frozen=True, slots=True)
class Job:
    """A slot that is to be flushed; nothing is laid into it meanwhile."""

    slot: Slot
    reason: FlushReason
    interval_s: float


class Laid(NamedTuple):
    """The unit is in the buffer. ``offset`` is the byte of the recording at which it begins.

    The tables and clock packets that were laid just before the unit belong to it: a reader can start there.
    ``lead_bytes`` is how many bytes they take, ``unit_bytes`` how many the unit has in the file.
    """

    offset: int
    lead_bytes: int = 0
    unit_bytes: int = 0


class NotLaid(Enum):
    """Why a unit is not in the buffer: it has no room at the moment, or the recording has ended."""

    FULL = "full"
    ENDED = "ended"


class Buffer:
    """What was packetised and no flush has taken yet; the caller holds the writer's lock.

    ``wait`` is called in the middle of a unit that is larger than a slot, until a slot is free; it
    returns False if there will be none. ``on_change`` is called when the thread that flushes has
    something new to look at. ``jobs`` are the slots that it is to flush, in order, ``laid_bytes``
    all that was packetised so far, and ``whole_bytes`` what of this is whole units: in the middle of
    a unit that is larger than a slot this is less, and a recording that ends there ends before it.
    ``is_full`` is set when a unit is refused, until a slot comes back, ``is_early`` while a prelude stands.

    What is laid is safe from a kill at once; while ``defers`` is set not before ``publish``. Each writes to the
    tail, which lets other threads run: of a hundred units that have come late each would wait for its turn twice.
    """

    def __init__(
        self,
        packager: Packager,
        threshold: int,
        clock: Clock,
        *,
        wait: Callable[[], bool],
        on_change: Callable[[], None],
    ) -> None:
        self.jobs: deque[Job] = deque()
        self.is_full = False
        self.is_early = False
        self.defers = False
        self.laid_bytes = 0
        self.whole_bytes = 0
        self.flush_wanted: FlushReason | None = None
        self._packager = packager
        self._packet_bytes = packager.packet_bytes
        self._threshold = threshold
        self._clock = clock
        self._wait = wait
        self._on_change = on_change
        self._filling: Slot | None = None
        self._free: Slot | None = None
        self._last_flush_s = 0.0

    def open(self, slots: tuple[Slot, ...], now_s: float) -> None:
        """Fill these two slots; the first interval counts from ``now_s``."""
        self._filling, self._free = slots
        for slot in slots:
            slot.lend(self._packager)
        self._last_flush_s = now_s

    def begin(self) -> None:
        """The first interval counts from now."""
        self._last_flush_s = self._clock.monotonic()

    def let_go(self) -> None:
        """Drop the slots, which keep their memory."""
        self.publish()
        self.jobs.clear()
        self.is_full = False
        self._filling = self._free = None
        self.is_early = False

    def lay_early(self, packager: Packager, unit: AccessUnit) -> bool:
        """Packetise ``unit`` by ``packager`` behind the prelude in the free slot; False if it cannot take it.

        It begins before the first unit of the recording itself is laid, and stands until ``end_early``, or until
        the slot is needed. Raises MediaError if the unit cannot be carried.
        """
        slot = self._free
        packets = packager.packets_for(unit)
        if slot is None or (self.laid_bytes and not self.is_early):
            return False
        if slot.buffer.used + packets > slot.buffer.capacity:
            if self.is_early:
                slot.begin_early(has_all=False)
            return False
        rows = np.empty((packets, self._packet_bytes), np.uint8)
        scratch = packager.lend(rows)
        packager.lay(unit, scratch)
        if not self.is_early:
            self.is_early = True
            slot.begin_early(has_all=True)
        slot.append(scratch.bytes[: scratch.used_bytes])
        if not self.defers:
            slot.publish()
        return True

    def publish(self) -> None:
        """Let all that was laid be safe from a kill."""
        for slot in (self._filling, self._free):
            if slot is not None:
                slot.publish()

    def end_early(self) -> None:
        """What the prelude has is in the other slot as well: give it up."""
        if self.is_early and self._free is not None:
            self.is_early = False
            self._free.end_early()
            self._on_change()

    @property
    def doing(self) -> str | None:
        """What is being laid at this moment, in words, or None; may be read without the lock."""
        is_storing = any(slot is not None and slot.is_storing for slot in (self._filling, self._free))
        return f"laying packets at byte {self.laid_bytes:,}" if is_storing else None

    @property
    def used_bytes(self) -> int:
        """Bytes that no flush has taken yet; may be read without the lock."""
        slot = self._filling
        return slot.buffer.used_bytes if slot is not None else 0

    @property
    def last_flush_s(self) -> float:
        """When a slot was last handed on."""
        return self._last_flush_s

    def give_back(self, slot: Slot) -> bool:
        """A slot has been flushed and can be filled anew; returns whether a unit was refused for want of it."""
        self._free = slot
        was_full, self.is_full = self.is_full, False
        return was_full

    def lay(self, unit: AccessUnit) -> Laid | NotLaid:
        """Packetise ``unit``; FULL if both slots are full, ENDED if ``wait`` returned False in its middle.

        Raises MediaError if the unit cannot be carried.
        """
        packets = self._packager.packets_for(unit)
        slot = self._slot_with_room(packets)
        if slot is None:
            self.is_full = True
            return NotLaid.FULL
        offset = self.laid_bytes
        if slot.buffer.used + packets <= slot.buffer.capacity:
            self._lay_into(slot, unit)
        elif not self._lay_in_parts(slot, unit, packets):
            return NotLaid.ENDED
        self.whole_bytes = self.laid_bytes
        if self._filling is not None and self._filling.buffer.used_bytes >= self._threshold:
            self.swap(FlushReason.THRESHOLD)
        elif self._filling is not None and not self.flush_wanted and self._filling.units == 1:
            # The thread sleeps without a limit while nothing is buffered.
            self._on_change()
        return Laid(offset, self._packager.lead_bytes, self._packager.unit_bytes)

    def swap(self, reason: FlushReason) -> bool:
        """Hand the filled slot to the thread and fill the free one; False while there is none.

        Nor is there while that has a prelude in it, unless there is no room without.
        """
        if reason is FlushReason.THRESHOLD:
            self.end_early()
        if self._free is None or self._filling is None or self.is_early:
            self.flush_wanted = self.flush_wanted or reason
            return False
        self._filling.publish()
        now = self._clock.monotonic()
        self.jobs.append(Job(self._filling, reason, now - self._last_flush_s))
        full = self._filling.buffer
        self._free.open(self._filling.offset + full.used_bytes, full.bytes[: full.used_bytes])
        self._filling, self._free = self._free, None
        self._last_flush_s = now
        self.flush_wanted = None
        self._on_change()
        return True

    def swap_if_free(self, reason: FlushReason) -> None:
        """Hand what is buffered to the thread now, where anything is and a slot is free."""
        if self.used_bytes and self._free is not None:
            self.swap(reason)

    def _slot_with_room(self, packets: int) -> Slot | None:
        slot = self._filling
        if slot is None:
            raise StateError("new", "started", "call start() first")
        if slot.buffer.used + packets <= slot.buffer.capacity:
            return slot
        if slot.buffer.used and not self.swap(FlushReason.THRESHOLD):
            return None
        return self._filling

    def _lay_into(self, slot: Slot, unit: AccessUnit) -> None:
        """Packetise a unit that ``slot`` has room for."""
        memory = slot.buffer
        before = memory.used
        try:
            self._packager.lay(unit, memory)
        except BaseException:
            memory.used = before  # nothing of a unit that is not whole
            raise
        self.laid_bytes += (memory.used - before) * self._packet_bytes
        if not self.defers:
            slot.publish()
        slot.count(unit, is_video=self._packager.is_video(unit.stream))

    def _lay_in_parts(self, slot: Slot, unit: AccessUnit, packets: int) -> bool:
        """Packetise a unit larger than a slot into memory of its own, and copy it through the slots in turn.

        Then the caller waits, since a unit half laid cannot be refused; False if the recording
        ended meanwhile, so that the unit will not be in the file.
        """
        whole = self._packager.lend(np.empty((packets, self._packet_bytes), np.uint8))
        self._packager.lay(unit, whole)
        done = 0
        room: Slot | None = slot
        while True:
            if room is not None:
                count = min(whole.used - done, room.buffer.capacity - room.buffer.used)
                end = done + count
                room.append(whole.bytes[done * self._packet_bytes : end * self._packet_bytes])
                self.laid_bytes += count * self._packet_bytes
                done = end
                if not self.defers:
                    room.publish()
                if done == whole.used:
                    room.count(unit, is_video=self._packager.is_video(unit.stream))
                    return True
            elif not self._wait():
                return False
            room = self._slot_with_room(1)
