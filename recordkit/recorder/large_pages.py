"""Memory that is full anyway, put into large pages of the system: it takes no more, and is found again sooner.

Who wakes up ten times a second finds nothing in the processor's tables of addresses, and what Python touches in
each wake-up lies on some hundred pages of 4 KB: to find these took an eighth of a recording's processor time.
"""

from __future__ import annotations

import ctypes
import mmap
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

_COLLAPSE = 25
"""MADV_COLLAPSE of Linux 6.1, which Python does not name: make one large page of many small ones, now."""
_SETTINGS = "sys/kernel/mm/transparent_hugepage"
_OWN = 1 << 63 | 1 << 56
"""Bits of /proc/self/pagemap: the page is in memory, and nobody else's as well."""
_ENTRY_BYTES = 8
_FULL = 15 / 16
"""The rest of a large page is memory that was not taken before."""
_STEP_BYTES = 8 << 20
"""So much more the process holds before it is looked at again,"""
_STILL_BYTES = 1 << 20
"""and so little between two measurements, since what is only just being filled is not full."""
_LARGEST_AREA = 128 << 20
"""A larger one is some other data of the program's, and so is what is behind the first of so many bytes."""
_MOST_BYTES = 128 << 20
_AREA = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) rw-p [0-9a-f]+ 00:00 0\s*(\[heap\])?$", re.MULTILINE)
"""Memory of a process's own that is behind no file, nor a stack."""


class LargePages:
    """Looks after the memory of this process; nothing where the system has no large pages, or is told to use none.

    ``root`` is where /proc and /sys are looked for, ``collapse`` puts so many bytes at an address into one large
    page, if it can. For one thread at a time. Nothing happens until it ``is_wanted``: an encoder of frames gains
    nothing by it, and has much memory that would be looked after.
    """

    def __init__(self, root: Path = Path("/"), collapse: Callable[[int, int], object] | None = None) -> None:
        self.is_wanted = False
        self._root = root
        self._collapse = collapse or _collapse
        self._large_bytes = self._size()
        self._looked_bytes = self._before_bytes = 0
        self._done: set[int] = set()

    def look(self, resident_bytes: int | None) -> None:
        """The process holds so many bytes now, None if that is not known. Takes some 2 ms for each large page."""
        if resident_bytes is None or not (self.is_wanted and self._large_bytes):
            return
        before_bytes, self._before_bytes = self._before_bytes, resident_bytes
        stands_still = abs(resident_bytes - before_bytes) < _STILL_BYTES
        if not stands_still or resident_bytes < self._looked_bytes + _STEP_BYTES:
            return
        self._looked_bytes = resident_bytes
        for begin in self._full():
            if len(self._done) * self._large_bytes >= _MOST_BYTES:
                self._large_bytes = 0
                return
            self._done.add(begin)
            self._collapse(begin, self._large_bytes)

    def _size(self) -> int:
        """Bytes of a large page, 0 if there are to be none."""
        folder = self._root / _SETTINGS
        try:
            if b"[never]" in (folder / "enabled").read_bytes():
                return 0
            return int((folder / "hpage_pmd_size").read_bytes())
        except (OSError, ValueError):
            return 0

    def _full(self) -> Iterator[int]:
        """Where large pages could begin whose small ones are in memory, and nobody else's."""
        large, small = self._large_bytes, mmap.PAGESIZE
        try:
            areas = (self._root / "proc/self/maps").read_bytes()
            with (self._root / "proc/self/pagemap").open("rb", buffering=0) as entries:
                for found in _AREA.finditer(areas):
                    first, end = int(found[1], 16), int(found[2], 16)
                    if end - first > _LARGEST_AREA:
                        continue
                    for begin in range(-(-first // large) * large, end - large + 1, large):
                        if begin in self._done:
                            continue
                        entries.seek(begin // small * _ENTRY_BYTES)
                        told = np.frombuffer(entries.read(large // small * _ENTRY_BYTES), np.uint64)
                        if np.count_nonzero(told & _OWN == _OWN) >= _FULL * (large // small):
                            yield begin
        except OSError:
            return


def _collapse(begin: int, size: int) -> None:
    """As the system can at the moment: what it refuses stays as it was."""
    advise = getattr(ctypes.CDLL(None), "madvise", None)
    if advise is not None:
        advise(ctypes.c_void_p(begin), ctypes.c_size_t(size), _COLLAPSE)
