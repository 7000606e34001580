"""The crash-proof buffer's file, ``talk.recording.tail``: one page of header and two slots.

``header`` says how it is laid out. On a full disk it is itself the room that is left: see ``Tail.give_back``.
"""

from __future__ import annotations

import logging
import mmap
import os
import stat
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DiskSpaceError, OutputAccessError, PartialExistsError
from ..system import FULL, System
from .header import (
    HEADER_BYTES,
    MAGIC,
    PACKET,
    SLOTS,
    WORD_BYTES,
    boot_id,
    give_back,
    lower,
    read_header,
)
from .identity import is_still
from .output import Output
from .slot import Slot, slot_bytes

log = logging.getLogger("recordkit")

RESERVE_BYTES = 64 * 1024
"""Given back first: so much can be written on a full disk before a slot has to make room."""


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
        self._slot_bytes = slot_bytes(packets * packet_bytes)
        self._size = tail_bytes(packets, packet_bytes)
        self._given_bytes = self._inode = 0
        self._descriptor: int | None = None
        self._has_warned = False
        # Before the file: where there is no memory nothing is left behind.
        memory = _in_small_pages(SLOTS * packets * packet_bytes).reshape(SLOTS, packets, packet_bytes)
        self._make(path)
        header = np.zeros(HEADER_BYTES // WORD_BYTES, np.uint64)
        header[1], header[2], header[PACKET] = self._slot_bytes, output.inode, packet_bytes
        header[3:5] = np.frombuffer(boot_id(), np.uint64)
        self._begin(header.tobytes()[len(MAGIC) :], len(MAGIC))
        self.slots = tuple(Slot(number, rows, self._store, self._warn) for number, rows in enumerate(memory))
        # Last, so that a header half made is never taken for one.
        self._begin(MAGIC, 0)

    @property
    def is_kept(self) -> bool:
        """Whether what is laid survives the process; not while a slot has bytes that could not be stored."""
        return self._descriptor is not None and not any(slot.is_lost for slot in self.slots)

    def missing_bytes(self, end: int) -> int:
        """How many bytes that were laid are neither in the recording, which has ``end`` bytes, nor in the file."""
        missing = 0
        for slot in self.slots:
            kept = slot.stored_bytes if self._descriptor is not None else 0
            missing += max(0, slot.offset + slot.buffer.used_bytes - max(end, slot.offset + kept))
        return missing

    def give_back(self) -> int:
        """Give the disk space back of which nothing is needed any more; how many bytes that was.

        Nothing may be laid any more: what is left has no room for it. The reserve goes first, so that
        there is room to begin with, however full the slots are.
        """
        before = self._given_bytes
        for slot in self.slots:
            slot.publish()
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


def _in_small_pages(size: int) -> NDArray[np.uint8]:
    """So many bytes of memory that take what is laid into them, page by page. Raises MemoryError.

    numpy asks for huge pages: of two slots that hold a third of a megabyte each they take two megabytes each.
    """
    try:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(size) from error
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with suppress(OSError):  # a kernel without huge pages
            memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, np.uint8)


def tail_bytes(packets: int, packet_bytes: int) -> int:
    """The size of a tail whose slots hold ``packets`` packets of ``packet_bytes`` each."""
    return HEADER_BYTES + SLOTS * slot_bytes(packets * packet_bytes) + RESERVE_BYTES


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
