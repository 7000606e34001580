"""The crash-proof buffer: two slots in memory, and in a small file whose pages the kernel keeps.

``header`` says how the file, ``talk.recording.tail``, is laid out: one page of header and two slots.

A slot's count is raised after each access unit that was laid whole. Before a slot is used anew
its count goes to 0, then its offset changes: a process killed between any two stores leaves a
header that is true. Each store is of one aligned word, which a kill cannot cut in two.

On a full disk the tail is itself the room that is left: see ``Tail.give_back``.
"""

from __future__ import annotations

import logging
import mmap
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DiskSpaceError, OutputAccessError, PartialExistsError
from ..model import AccessUnit
from ..system import FULL, System
from .header import (
    EARLY,
    HEADER_BYTES,
    MAGIC,
    MOVED,
    OFFSET,
    PACKET,
    SLOTS,
    VALID,
    WORD_BYTES,
    WORDS_PER_SLOT,
    boot_id,
    give_back,
    lower,
    read_header,
    seam_words,
)
from .identity import is_still
from .output import Output

log = logging.getLogger("recordkit")

RESERVE_BYTES = 64 * 1024
"""Given back first: so much can be written on a full disk before a slot has to make room."""


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
    opened again: what the file says of it stays true.
    """

    __slots__ = (
        "_is_lost",
        "_on_loss",
        "_store_at",
        "_stored_bytes",
        "audio_units",
        "buffer",
        "end_dts",
        "first_dts",
        "is_storing",
        "moved_bytes",
        "number",
        "offset",
        "video_units",
    )

    def __init__(
        self, number: int, rows: NDArray[np.uint8], store: Store, on_loss: Callable[[OSError], None]
    ) -> None:
        self.number = number
        self.is_storing = False
        self._store_at, self._on_loss = store, on_loss
        self.buffer = Filled(rows)
        self.open(0)

    def open(self, offset: int, before: memoryview | None = None) -> None:
        """Empty the slot; what is laid from now on belongs at ``offset`` of the recording, behind ``before``."""
        self._is_lost = False
        self._stored_bytes = 0
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

    @property
    def units(self) -> int:
        """Access units laid since the slot was opened."""
        return self.video_units + self.audio_units

    def count(self, unit: AccessUnit, *, is_video: bool) -> None:
        """Count a unit that was laid whole, and the time that it covers."""
        if not self.units:
            self.first_dts = self.end_dts = unit.dts
        self.end_dts = max(self.end_dts, unit.dts + unit.duration)
        self.first_dts = min(self.first_dts, unit.dts)
        if is_video:
            self.video_units += 1
        else:
            self.audio_units += 1

    def append(self, packets: memoryview) -> None:
        """Copy whole packets behind those laid, and publish them."""
        buffer = self.buffer
        begin, size = buffer.used_bytes, len(packets)
        buffer.bytes[begin : begin + size] = packets
        buffer.used += size // buffer.packet_bytes
        self.publish()

    def publish(self) -> None:
        """Let what has been laid count as valid: from here on a kill cannot lose it."""
        used = self.buffer.used_bytes
        self._put(self.buffer.bytes[self._stored_bytes : used], self.start + self._stored_bytes)
        self._stored_bytes = used
        self._store(VALID, used)

    def begin_early(self) -> None:
        """What is laid from now on is a prelude, see the header: the other slot will take its place."""
        self._put((self.number + 1).to_bytes(WORD_BYTES, sys.byteorder), EARLY * WORD_BYTES)

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
        return HEADER_BYTES + self.number * _slot_bytes(self.buffer.capacity * self.buffer.packet_bytes)

    def _store(self, word: int, value: int) -> None:
        place = (word + self.number * WORDS_PER_SLOT) * WORD_BYTES
        self._put(value.to_bytes(WORD_BYTES, sys.byteorder), place)

    def _put(self, data: memoryview | bytes, at: int) -> None:
        if self._is_lost:
            return
        self.is_storing = True
        try:
            self._store_at(data, at)
        except OSError as error:
            self._is_lost = True
            self._on_loss(error)
        finally:
            self.is_storing = False


class Tail:
    """The file with its two slots; or private memory alone, where the file system cannot keep one.

    ``is_kept`` says which. Raises DiskSpaceError where its space cannot be had,
    PartialExistsError where the tail of an earlier recording lies there that still holds bytes of
    it, OutputAccessError where the file cannot be made; nothing is left behind then.
    """

    def __init__(self, output: Output, packets: int, system: System) -> None:
        path = self.path = output.tail_path
        self._output = output
        self._system = system
        if os.path.lexists(path):
            if not _is_spent(output):
                raise PartialExistsError(output.final_path, path)
            path.unlink(missing_ok=True)
        packet_bytes = output.container.packet_bytes
        self._slot_bytes = slot_bytes = _slot_bytes(packets * packet_bytes)
        self._size = tail_bytes(packets, packet_bytes)
        self._given_bytes = self._inode = 0
        self._descriptor: int | None = None
        self._has_warned = False
        # Before the file: where there is no memory nothing is left behind.
        memory = np.zeros((SLOTS, packets, packet_bytes), np.uint8)
        self._make(path)
        header = np.zeros(HEADER_BYTES // WORD_BYTES, np.uint64)
        header[1], header[2], header[PACKET] = slot_bytes, output.inode, packet_bytes
        header[3:5] = np.frombuffer(boot_id(), np.uint64)
        self._begin(header.tobytes()[len(MAGIC) :], len(MAGIC))
        self.slots = tuple(Slot(number, rows, self._store, self._warn) for number, rows in enumerate(memory))
        # Last, so that a header half made is never taken for one.
        self._begin(MAGIC, 0)

    @property
    def is_kept(self) -> bool:
        """Whether what is laid survives the process."""
        return self._descriptor is not None

    def give_back(self) -> int:
        """Give the disk space back of which nothing is needed any more; how many bytes that was.

        Nothing may be laid any more: what is left has no room for it. The reserve goes first, so that
        there is room to begin with, however full the slots are.
        """
        before = self._given_bytes
        if self._descriptor is not None:
            try:
                self._given_bytes = give_back(self._descriptor, self._size, self._system)
                if self._given_bytes == before and lower(self._descriptor, self._system):
                    first, second = self.slots
                    first.number, second.number = second.number, first.number
                    self._given_bytes = give_back(self._descriptor, self._size, self._system)
            except OSError as error:
                log.warning("%s: gives no room back (%s)", self.path, error.strerror)
        return self._given_bytes - before

    def remove(self) -> None:
        """Remove the file: its bytes have a safe place in the recording."""
        if self._descriptor is not None:
            self._output.remove(self.path, self._is_still_there)

    def close(self) -> None:
        """Give the file back, whether it was removed or not. May be called again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._system.close(descriptor)

    def _is_still_there(self) -> bool:
        return self._descriptor is not None and is_still(self._system, self.path, self._descriptor, self._inode)

    def _make(self, path: Path) -> None:
        try:
            descriptor = self._system.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except OSError as error:
            if error.errno in FULL:
                raise DiskSpaceError(path, self._size, self._system.free_bytes(path.parent)) from error
            raise OutputAccessError(path, f"cannot be made: {error.strerror}") from error
        try:
            self._inode = os.fstat(descriptor).st_ino
            if not self._system.has_holes(descriptor):
                # Its end alone can be given back: that must be enough for a slot, which makes room for the other.
                self._size += self._slot_bytes
            # Really allocated: what is laid must not need room on a disk that is full meanwhile.
            self._system.allocate(descriptor, self._size)
        except OSError as error:
            if error.errno in FULL:
                path.unlink(missing_ok=True)
                self._system.close(descriptor)
                raise DiskSpaceError(path, self._size, self._system.free_bytes(path.parent)) from error
            log.warning(
                "%s: this file system reserves no room for the crash-proof buffer (%s); a full disk would "
                "now cost what was recorded since the last flush",
                path.parent,
                error.strerror,
            )
        self._descriptor = descriptor

    def _begin(self, data: bytes, at: int) -> None:
        """Write a part of the header; a file that cannot be written to is none."""
        try:
            self._store(data, at)
        except OSError as error:
            self.path.unlink(missing_ok=True)
            self.close()
            self._warn(error)

    def _store(self, data: memoryview | bytes, at: int) -> None:
        # Through the descriptor of the moment: of a tail that is closed nothing is kept.
        if self._descriptor is not None:
            self._system.store(self._descriptor, data, at)

    def _warn(self, error: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "%s: the crash-proof buffer cannot be written to (%s); a kill of the process would now cost "
                "what was recorded since the last flush",
                self.path.parent,
                error.strerror,
            )


def tail_bytes(packets: int, packet_bytes: int) -> int:
    """The size of a tail whose slots hold ``packets`` packets of ``packet_bytes`` each."""
    return HEADER_BYTES + SLOTS * _slot_bytes(packets * packet_bytes) + RESERVE_BYTES


def _slot_bytes(needed: int) -> int:
    return -(-needed // mmap.PAGESIZE) * mmap.PAGESIZE


def _is_spent(output: Output) -> bool:
    """Whether nothing is lost with the tail that lies at ``output.tail_path``.

    It is not, where its partial was moved away: then its slots are all that is left of the end.
    """
    try:
        # Not waiting for somebody to write to it, should it be a pipe.
        descriptor = os.open(output.tail_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return False
            header = read_header(file.read(HEADER_BYTES))
        if header is None:
            return True
        if not header.is_sane:
            return False
        end = max((slot.end for slot in header.slots), default=0)
        if not end:
            return True
        committed = output.final_path.stat()
        return committed.st_ino == header.inode and committed.st_size >= end
    except OSError:
        return False
