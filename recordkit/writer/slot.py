"""One slot of the crash-proof buffer: packets are laid into memory, and published by a count in the tail's file.

The count is raised after each access unit that was laid whole. Before a slot is used anew its count goes to 0,
then its offset changes: a process killed between any two stores leaves a header that is true. Each store is of
one aligned word, which a kill cannot cut in two.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..container import Lent, Packager
from ..model import AccessUnit
from .header import (
    EARLY,
    HEADER_BYTES,
    MOVED,
    OFFSET,
    SLOTS,
    VALID,
    WORD_BYTES,
    WORDS_PER_SLOT,
    seam_words,
)


class Filled:
    """The bytes of a slot, ``rows`` of one packet each, and how many packets of them are laid."""

    __slots__ = ("bytes", "capacity", "packet_bytes", "used")

    def __init__(self, rows: NDArray[np.uint8]) -> None:
        self.capacity, self.packet_bytes = len(rows), int(rows.shape[1])
        self.bytes = rows.data.cast("B")
        self.used = 0

    @property
    def used_bytes(self) -> int:
        """Bytes laid so far."""
        return self.used * self.packet_bytes


Store = Callable[[memoryview | bytes, int], None]
"""Writes bytes to a place of the tail's file. Raises OSError."""


class Slot:
    """One of the two buffers: packets are laid into ``buffer`` and published by ``publish``.

    ``offset`` is where its first byte belongs in the recording, ``number`` its place in the file. The counts
    are those of the units laid since the slot was opened, ``first_dts`` and ``end_dts`` the time they cover
    (ticks). ``is_storing`` is true for the moment in which the file is written to, which hangs with its disk.

    Where it cannot be written to, ``on_loss`` is told, and the slot is kept in memory only until it is
    opened again: what the file says of it stays true. ``is_lost`` says so, ``stored_bytes`` is what
    the file has of it.
    """

    __slots__ = (
        "_on_loss",
        "_packet_bytes",
        "_rows",
        "_store_at",
        "audio_units",
        "buffer",
        "end_dts",
        "first_dts",
        "is_lost",
        "is_storing",
        "moved_bytes",
        "number",
        "offset",
        "stored_bytes",
        "video_units",
    )

    def __init__(
        self, number: int, rows: NDArray[np.uint8], store: Store, on_loss: Callable[[OSError], None]
    ) -> None:
        self.number = number
        self.is_storing = False
        self._store_at, self._on_loss = store, on_loss
        self._rows, self._packet_bytes = rows, int(rows.shape[1])
        self.buffer: Lent = Filled(rows)
        self.open(0)

    def open(self, offset: int, before: memoryview | None = None) -> None:
        """Empty the slot; what is laid from now on belongs at ``offset`` of the recording, behind ``before``."""
        self.is_lost = False
        self.stored_bytes = 0
        self._store(VALID, 0)
        self._store(MOVED, 0)
        for word, value in seam_words(before):
            self._store(word, value)
        self._store(OFFSET, offset)
        self.offset = offset
        self.buffer.used = 0
        self.moved_bytes = 0
        self.video_units = self.audio_units = 0
        self.first_dts = self.end_dts = 0

    def lend(self, packager: Packager) -> None:
        """Let ``packager`` lay straight into it, from its beginning."""
        self.buffer = packager.lend(self._rows)

    @property
    def units(self) -> int:
        """Access units laid since the slot was opened."""
        return self.video_units + self.audio_units

    def count(self, unit: AccessUnit, *, is_video: bool) -> None:
        """Count a unit that was laid whole, and the time that it covers."""
        dts, end = unit.dts, unit.dts + unit.duration
        if not (self.video_units or self.audio_units):
            self.first_dts = self.end_dts = dts
        if end > self.end_dts:
            self.end_dts = end
        if dts < self.first_dts:
            self.first_dts = dts
        if is_video:
            self.video_units += 1
        else:
            self.audio_units += 1

    def append(self, packets: memoryview) -> None:
        """Copy whole packets behind those laid; they count once they are published."""
        buffer = self.buffer
        begin, size = buffer.used_bytes, len(packets)
        buffer.bytes[begin : begin + size] = packets
        buffer.used += size // self._packet_bytes

    def publish(self) -> None:
        """Let what has been laid count as valid: from here on a kill cannot lose it."""
        used = self.buffer.used_bytes
        if used == self.stored_bytes or self.is_lost:
            return
        self._put(self.buffer.bytes[self.stored_bytes : used], self.start + self.stored_bytes)
        self._store(VALID, used)
        if not self.is_lost:
            self.stored_bytes = used

    def begin_early(self, *, has_all: bool) -> None:
        """What is laid is a prelude, see the header: the other slot will take its place."""
        word = self.number + 1 + (SLOTS if has_all else 0)
        self._put(word.to_bytes(WORD_BYTES, sys.byteorder), EARLY * WORD_BYTES)

    def end_early(self) -> None:
        """The other slot has all of it: empty this one."""
        self.open(0)
        self._put(bytes(WORD_BYTES), EARLY * WORD_BYTES)

    def note_moved(self, count: int) -> None:
        """The recording has the first ``count`` bytes: the slot need not hold them any more."""
        self._store(MOVED, count)
        self.moved_bytes = count

    @property
    def start(self) -> int:
        """Where in the tail's file its first byte lies."""
        return HEADER_BYTES + self.number * slot_bytes(self.buffer.capacity * self._packet_bytes)

    def _store(self, word: int, value: int) -> None:
        place = (word + self.number * WORDS_PER_SLOT) * WORD_BYTES
        self._put(value.to_bytes(WORD_BYTES, sys.byteorder), place)

    def _put(self, data: memoryview | bytes, at: int) -> None:
        if self.is_lost:
            return
        self.is_storing = True
        try:
            self._store_at(data, at)
        except OSError as error:
            self.is_lost = True
            self._on_loss(error)
        finally:
            self.is_storing = False


def slot_bytes(needed: int) -> int:
    """The bytes that a slot for ``needed`` bytes takes: whole pages."""
    return -(-needed // mmap.PAGESIZE) * mmap.PAGESIZE
