"""The frame table beside a recording, ``talk.frames``: one row a frame, in the order in which they lie in the file.

The file is the truth and the table is its index. A row counts as long as the file has the frame's bytes; what
the table lacks is found by a scan of the file from the last row on, and nothing is lost with the table, but for
times of capture that were not to stand in the frames.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from struct import Struct

import numpy as np
import numpy.typing as npt

from ..model import AccessUnit, Captured, CapturedBy
from ..names import TABLE_SUFFIX, stem_of
from ..system import System

log = logging.getLogger("recordkit")

SUFFIX = TABLE_SUFFIX
_HEADER = Struct("<8sII24x")
HEADER_BYTES = _HEADER.size
_MAGIC, _VERSION = b"RKFRAMES", 1
ROW = np.dtype(
    [
        ("pts", "<i8"),
        ("offset", "<i8"),
        ("captured_ns", "<i8"),
        ("delay", "<u4"),
        ("bytes", "<u4"),
        ("error_us", "<u4"),
        ("captured_by", "u1"),
        ("flags", "u1"),
        ("spare", "<u2"),
    ]
)
"""``pts`` in ticks; ``delay`` is by how much the DTS is before it. ``captured_by`` counts from 1, 0 is nobody."""
_ROW = Struct("<qqqIIIBBxx")
KEYFRAME, DISCONTINUITY, HIDDEN = 1, 2, 8
"""``HIDDEN`` is a unit that shows no frame of its own: a field that completes the frame before."""
NO_ERROR = 0xFFFF_FFFF
"""As ``error_us``: nobody knows by how much the time of capture may be off."""
_ORIGINS = tuple(CapturedBy)

Rows = npt.NDArray[np.void]


def table_path(recording: Path) -> Path:
    """Where the table of ``recording`` (``talk.ts``, or its partial ``talk.recording.ts``) lies."""
    return recording.with_name(stem_of(recording.name) + SUFFIX)


def packed(captured: Captured | None) -> tuple[int, int, int]:
    """A time of capture as ``captured_ns``, ``captured_by`` and ``error_us``."""
    if captured is None:
        return 0, 0, NO_ERROR
    error_us = NO_ERROR if captured.error_s is None else min(round(captured.error_s * 1e6), NO_ERROR - 1)
    return captured.time_ns, _ORIGINS.index(captured.by) + 1, error_us


def taken_of(row: np.void) -> Captured | None:
    """The time of capture in a row."""
    by, error_us = int(row["captured_by"]), int(row["error_us"])
    if not 1 <= by <= len(_ORIGINS):
        return None
    return Captured(int(row["captured_ns"]), _ORIGINS[by - 1], None if error_us == NO_ERROR else error_us / 1e6)


class FrameTable:
    """Writes the table. One that cannot be written is given up with a warning: it harms no recording.

    The file is made with the first rows. ``durable`` syncs it with each flush. Rows may be added by one thread
    while another writes them.
    """

    def __init__(self, path: Path, system: System, *, durable: bool) -> None:
        self.path = path
        self._system = system
        self._durable = durable
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, bytes]] = []
        self._descriptor: int | None = None
        self._end = 0
        self._is_open = True

    def add(self, unit: AccessUnit, offset: int, size: int) -> None:
        """A frame was laid at byte ``offset`` of the recording, and has ``size`` bytes there."""
        if not self._is_open:
            return
        time_ns, by, error_us = packed(unit.captured)
        flags = KEYFRAME * unit.random_access | DISCONTINUITY * unit.discontinuity | HIDDEN * unit.is_second_field
        row = _ROW.pack(unit.pts, offset, time_ns, unit.pts - unit.dts, size, error_us, by, flags)
        with self._lock:
            self._waiting.append((offset, row))

    def flushed(self, file_bytes: int) -> None:
        """The recording has ``file_bytes``: write the rows of what is in there."""
        with self._lock:
            ready = sum(offset < file_bytes for offset, _ in self._waiting)
            rows = b"".join(row for _, row in self._waiting[:ready])
            del self._waiting[:ready]
        if not rows or not self._is_open:
            return
        try:
            if self._descriptor is None:
                self._descriptor = self._made()
                rows = _HEADER.pack(_MAGIC, _VERSION, ROW.itemsize) + rows
            while rows:
                count = self._system.write_at(self._descriptor, memoryview(rows), self._end)
                self._end += count
                rows = rows[count:]
            if self._durable:
                self._system.sync_data(self._descriptor)
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the file. May be called again."""
        descriptor, self._descriptor = self._descriptor, None
        self._is_open = False
        if descriptor is not None:
            try:
                self._system.close(descriptor)
            except OSError as error:
                log.warning("%s: closing failed: %s", self.path, error.strerror)

    def _made(self) -> int:
        """The file, empty: the table of an earlier recording of the name is replaced, a strange file is not."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = self._system.open(self.path, flags)
        head = os.pread(descriptor, _HEADER.size, 0)
        if head and not head.startswith(_MAGIC):
            self._system.close(descriptor)
            raise FileExistsError(17, "a file of this name is there that is none of recordkit's")
        os.ftruncate(descriptor, 0)
        return descriptor

    def _give_up(self, error: OSError) -> None:
        log.warning("%s: no table of the frames is kept: %s", self.path, error.strerror)
        had_begun = self._descriptor is not None
        self.close()
        if had_begun:
            try:
                self._system.unlink(self.path)
            except OSError:
                log.warning("%s: could not be removed; it ends before the recording does", self.path)


def is_table(head: bytes) -> bool:
    """Whether a file whose first ``HEADER_BYTES`` these are is a table that is known."""
    return len(head) == HEADER_BYTES and _HEADER.unpack(head) == (_MAGIC, _VERSION, ROW.itemsize)


def _count(head: bytes, size_bytes: int) -> int:
    """How many whole rows a table of that size has; 0 if it is none that is known."""
    return (size_bytes - HEADER_BYTES) // ROW.itemsize if is_table(head) else 0


def rows_in(data: bytes) -> Rows | None:
    """The rows of a table that was read already; None if it is none that is known."""
    count = _count(data[:HEADER_BYTES], len(data))
    return np.frombuffer(data, ROW, count, HEADER_BYTES) if count else None


def read_rows(path: Path) -> Rows | None:
    """The rows of a table, mapped, however long it is; None if there is none, or it is none that is known."""
    try:
        with path.open("rb") as file:
            count = _count(file.read(HEADER_BYTES), os.fstat(file.fileno()).st_size)
        return np.memmap(path, ROW, "r", HEADER_BYTES, (count,)) if count else None
    except (OSError, ValueError):
        return None
