"""The crash-proof buffer: two slots in a small file that is mapped, so that the kernel keeps its pages.

``header`` says how the file, ``talk.recording.tail``, is laid out: one page of header and two slots.

A slot's count is raised after each access unit that was laid whole. Before a slot is used anew
its count goes to 0, then its offset changes: a process killed between any two stores leaves a
header that is true. Each store is of one aligned word, which a kill cannot cut in two.

On a full disk the tail is itself the room that is left: see ``Tail.give_back``.
"""

from __future__ import annotations

import ctypes
import logging
import mmap
import os
import stat
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DiskSpaceError, OutputAccessError, PartialExistsError
from ..model import AccessUnit
from ..system import FULL, System
from .header import (
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
    punch_unused,
    read_header,
    seam_words,
)
from .identity import holds
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


class Slot:
    """One of the two buffers: packets are laid into ``buffer`` and published by ``publish``.

    ``offset`` is where its first byte belongs in the recording. The counts are those of the units
    laid since the slot was opened, ``first_dts`` and ``end_dts`` the time they cover (ticks).
    ``is_storing`` is true for the moment in which its pages are written to, which hangs with their disk.
    """

    __slots__ = (
        "_rows",
        "_words",
        "audio_units",
        "buffer",
        "end_dts",
        "first_dts",
        "is_storing",
        "moved_bytes",
        "offset",
        "video_units",
    )

    def __init__(self, words: int, number: int, rows: NDArray[np.uint8]) -> None:
        self._words = words + number * WORDS_PER_SLOT * WORD_BYTES
        self._rows = address(rows)
        self.buffer = Filled(rows)
        self.open(0)

    def open(self, offset: int, before: memoryview | None = None) -> None:
        """Empty the slot; what is laid from now on belongs at ``offset`` of the recording, behind ``before``."""
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

    def append(self, packets: int, count: int) -> None:
        """Copy ``count`` packets from the address ``packets`` behind those laid, and publish them."""
        self._copy(self._rows + self.buffer.used_bytes, packets, count * self.buffer.packet_bytes)
        self.buffer.used += count
        self.publish()

    def publish(self) -> None:
        """Let what has been laid count as valid: from here on a kill cannot lose it."""
        self._store(VALID, self.buffer.used_bytes)

    def note_moved(self, count: int) -> None:
        """The recording has the first ``count`` bytes: the slot need not hold them any more."""
        self._store(MOVED, count)
        self.moved_bytes = count

    def _store(self, word: int, value: int) -> None:
        self._copy(self._words + word * WORD_BYTES, value.to_bytes(WORD_BYTES, sys.byteorder), WORD_BYTES)

    def _copy(self, target: int, source: int | bytes, count: int) -> None:
        # By a call that lets the interpreter go: the pages are a file's, and where its disk hangs
        # the store into one of them does.
        self.is_storing = True
        ctypes.memmove(target, source, count)
        self.is_storing = False


def address(rows: NDArray[np.uint8]) -> int:
    """Where the array's bytes lie in memory; it must be kept alive as long as that is used."""
    return int(rows.__array_interface__["data"][0])


class Tail:
    """The mapped file with its two slots; or private memory, where the file system cannot map one.

    ``is_mapped`` says which. Raises DiskSpaceError where its space cannot be had,
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
        size = tail_bytes(packets, packet_bytes)
        self._map, self._inode = _mapped_file(path, size, system)
        self.is_mapped = self._map is not None
        memory = np.frombuffer(self._map if self._map is not None else bytearray(size), np.uint8)
        words = memory[:HEADER_BYTES].view(np.uint64)
        words[1], words[2], words[PACKET] = slot_bytes, output.inode, packet_bytes
        memory[24:40] = np.frombuffer(boot_id(), np.uint8)
        self.slots = tuple(
            Slot(
                address(memory),
                number,
                memory[start : start + packets * packet_bytes].reshape(packets, packet_bytes),
            )
            for number, start in enumerate(range(HEADER_BYTES, size - RESERVE_BYTES, slot_bytes))
        )
        self._given_bytes = 0
        # Last, so that a header half made is never taken for one.
        memory[:8] = np.frombuffer(MAGIC, np.uint8)

    def give_back(self) -> int:
        """Give the disk space of the pages back of which nothing is needed any more; how many bytes that was.

        Nothing may be laid any more: without their disk space those pages cannot be touched. The
        reserve goes first, so that there is room to begin with, however full the slots are.
        """
        before = self._given_bytes
        if self._map is not None:
            try:
                self._given_bytes = punch_unused(self._map, self._system)
            except OSError as error:
                log.warning("%s: gives no room back (%s)", self.path, error.strerror)
        return self._given_bytes - before

    def remove(self) -> None:
        """Remove the file: its bytes have a safe place in the recording."""
        if self.is_mapped:
            self._output.remove(self.path, self._is_still_there)

    def _is_still_there(self) -> bool:
        found, mapping = self._system.inode_at(self.path), self._map
        if found is None or found == self._inode or mapping is None:
            return found is not None
        return holds(self._system, self.path, len(mapping), lambda at, count: mapping[at : at + count])


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


def _mapped_file(path: Path, size: int, system: System) -> tuple[mmap.mmap | None, int]:
    """The mapping, or None where the file system has none, and the file's inode."""
    try:
        descriptor = system.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    except OSError as error:
        if error.errno in FULL:
            raise DiskSpaceError(path, size, system.free_bytes(path.parent)) from error
        raise OutputAccessError(path, f"cannot be made: {error.strerror}") from error
    try:
        # Really allocated: touching a page of a sparse file on a full disk is a SIGBUS.
        system.allocate(descriptor, size)
        mapping = mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        return mapping, os.fstat(descriptor).st_ino
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno in FULL:
            raise DiskSpaceError(path, size, system.free_bytes(path.parent)) from error
        log.warning(
            "%s: this file system cannot keep a mapped buffer (%s); a kill of the process would now cost "
            "what was recorded since the last flush",
            path.parent,
            error.strerror,
        )
        return None, 0
    finally:
        system.close(descriptor)
