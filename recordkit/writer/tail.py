"""The crash-proof buffer: two slots in a small file that is mapped, so that the kernel keeps its pages.

The file, ``talk.recording.tail``, is one page of header and two slots. All numbers are 64 bits in
the machine's own byte order (recovery happens on the machine that recorded)::

    0    magic, with the version of this layout
    8    bytes of a slot
    16   inode of the recording it belongs to
    24   the boot that it was written in (16 bytes)
    64   slot 0: offset in the recording that its bytes belong at; count of bytes valid; of these, how
         many from the first on have been moved to the recording, durably (their space is given back)
    128  slot 1: likewise
    4096 the slots' bytes, then the reserve

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
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DiskSpaceError, OutputAccessError, PartialExistsError
from ..mpegts.laying import PACKET_BYTES, PacketBuffer
from ..system import FULL, System
from .output import Output

log = logging.getLogger("recordkit")

MAGIC = b"RKTAIL\0\1"
HEADER_BYTES = 4096
SLOTS = 2
RESERVE_BYTES = 64 * 1024
"""Given back first: so much can be written on a full disk before a slot has to make room."""
_OFFSET, _VALID, _MOVED = 8, 9, 10
_WORD_BYTES = 8
_WORDS_PER_SLOT = 8
_LARGEST = 1 << 60


class Slot:
    """One of the two buffers: packets are laid into ``buffer`` and published by ``publish``.

    ``offset`` is where its first byte belongs in the recording. The counts are those of the units
    laid since the slot was opened, ``first_dts`` and ``end_dts`` the time they cover (ticks).
    """

    __slots__ = (
        "_rows",
        "_words",
        "audio_units",
        "buffer",
        "end_dts",
        "first_dts",
        "moved_bytes",
        "offset",
        "video_units",
    )

    def __init__(self, words: int, number: int, rows: NDArray[np.uint8]) -> None:
        self._words = words + number * _WORDS_PER_SLOT * _WORD_BYTES
        self._rows = address(rows)
        self.buffer = PacketBuffer(rows)
        self.open(0)

    def open(self, offset: int) -> None:
        """Empty the slot; what is laid from now on belongs at ``offset`` of the recording."""
        self._store(_VALID, 0)
        self._store(_MOVED, 0)
        self._store(_OFFSET, offset)
        self.offset = offset
        self.buffer.used = 0
        self.moved_bytes = 0
        self.video_units = self.audio_units = 0
        self.first_dts = self.end_dts = 0

    def append(self, packets: int, count: int) -> None:
        """Copy ``count`` packets from the address ``packets`` behind those laid, and publish them."""
        # By a call that lets the interpreter go: the pages are a file's, and where its disk hangs
        # the store into one of them does.
        ctypes.memmove(self._rows + self.buffer.used_bytes, packets, count * PACKET_BYTES)
        self.buffer.used += count
        self.publish()

    def publish(self) -> None:
        """Let what has been laid count as valid: from here on a kill cannot lose it."""
        self._store(_VALID, self.buffer.used * PACKET_BYTES)

    def note_moved(self, count: int) -> None:
        """The recording has the first ``count`` bytes: the slot need not hold them any more."""
        self._store(_MOVED, count)
        self.moved_bytes = count

    def _store(self, word: int, value: int) -> None:
        ctypes.memmove(self._words + word * _WORD_BYTES, value.to_bytes(_WORD_BYTES, sys.byteorder), _WORD_BYTES)


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
        self._slot_bytes = slot_bytes = _slot_bytes(packets)
        size = tail_bytes(packets)
        self._map, self._inode = _mapped_file(path, size, system)
        self.is_mapped = self._map is not None
        memory = np.frombuffer(self._map if self._map is not None else bytearray(size), np.uint8)
        words = memory[:HEADER_BYTES].view(np.uint64)
        words[1], words[2] = slot_bytes, output.inode
        memory[24:40] = np.frombuffer(_boot_id(), np.uint8)
        self.slots = tuple(
            Slot(
                address(memory),
                number,
                memory[start : start + packets * PACKET_BYTES].reshape(packets, PACKET_BYTES),
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
            self._output.remove(self.path, self._inode)


def tail_bytes(packets: int) -> int:
    """The size of a tail whose slots hold ``packets`` packets each."""
    return HEADER_BYTES + SLOTS * _slot_bytes(packets) + RESERVE_BYTES


def _slot_bytes(packets: int) -> int:
    return -(-packets * PACKET_BYTES // mmap.PAGESIZE) * mmap.PAGESIZE


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


@dataclass(frozen=True, slots=True)
class TailSlot:
    """A slot as read: ``bytes`` are valid from ``start`` of the tail on, and belong at ``offset``.

    Before them ``moved_bytes`` of slot ``number`` have been moved to the recording already.
    ``ends_a_unit`` says that the last of them ends an access unit: only a unit that is larger
    than a slot is published in pieces, and each but the last fills its slot.
    """

    offset: int
    start: int
    bytes: int
    ends_a_unit: bool
    number: int
    moved_bytes: int

    @property
    def end(self) -> int:
        """Where in the recording its bytes end."""
        return self.offset + self.bytes


@dataclass(frozen=True, slots=True)
class TailHeader:
    """A tail's header as read; ``slots`` are those with valid bytes, in the order of their offsets.

    ``is_sane`` is False where it says what no writer ever said; a slot that cannot be has been
    left out then.
    """

    inode: int
    is_same_boot: bool
    is_sane: bool
    slots: tuple[TailSlot, ...]

    def unused(self, size: int) -> list[tuple[int, int]]:
        """Where in a tail of ``size`` bytes nothing valid lies: from where to where, in order."""
        found, at = [], HEADER_BYTES
        for slot in sorted(self.slots, key=lambda slot: slot.start):
            found.append((at, slot.start))
            at = slot.start + slot.bytes
        return [(begin, end) for begin, end in [*found, (at, size)] if begin < end]


def read_header(data: bytes | bytearray) -> TailHeader | None:
    """Reads the first ``HEADER_BYTES`` of a tail; None where they are no header."""
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
        return None
    words: list[int] = np.frombuffer(data[:HEADER_BYTES], np.uint64).tolist()
    slot_bytes, inode = words[1], words[2]
    is_sane = 0 < slot_bytes <= _LARGEST
    slots = []
    for number in range(SLOTS):
        at = number * _WORDS_PER_SLOT
        offset, valid, moved = words[at + _OFFSET], words[at + _VALID], words[at + _MOVED]
        if not valid:
            continue
        fits = moved <= valid <= slot_bytes and offset <= _LARGEST
        if not is_sane or not fits or any(count % PACKET_BYTES for count in (offset, valid, moved)):
            is_sane = False
            continue
        start = HEADER_BYTES + number * slot_bytes + moved
        ends_a_unit = valid <= slot_bytes - mmap.PAGESIZE
        slots.append(TailSlot(offset + moved, start, valid - moved, ends_a_unit, number, moved))
    slots.sort(key=lambda slot: slot.offset)
    is_sane &= all(one.end == other.offset for one, other in pairwise(slots))
    boot = _boot_id()
    is_same_boot = data[24:40] == boot and any(boot)  # one that the system does not tell is all zeros
    return TailHeader(inode, is_same_boot, is_sane, tuple(slots))


def punch_unused(mapping: mmap.mmap, system: System) -> int:
    """Give the disk space of a mapped tail's whole pages back that hold nothing valid; how many bytes they are.

    Those that were given back before count, too. Raises OSError.
    """
    header = read_header(mapping[:HEADER_BYTES])
    given = 0
    for begin, end in () if header is None else header.unused(len(mapping)):
        begin, end = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
        if begin < end:
            system.punch(mapping, begin, end - begin)
            given += end - begin
    return given


def moved_word(slot: TailSlot, upto: int) -> tuple[bytes, int]:
    """The word of the header, and its place, that says that what ``slot`` holds before ``upto`` was moved."""
    moved = slot.moved_bytes + max(0, min(upto, slot.end) - slot.offset) // PACKET_BYTES * PACKET_BYTES
    return np.uint64(moved).tobytes(), 8 * (slot.number * _WORDS_PER_SLOT + _MOVED)


def _boot_id() -> bytes:
    """The boot that runs: pages mapped in an earlier one did not survive as they were."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
        return bytes.fromhex(text.strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


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
