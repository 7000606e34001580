"""What lies in a folder of recordings, by its names: a file is looked at once, however often the folder is.

A file is one of recordkit's recordings if a log or a table lies beside it, or its name says that it was
recovered. Links are no recordings, and what lies in folders below is somebody else's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..names import (
    COMPANION_SUFFIXES,
    DELETED_SUFFIX,
    LOG_SUFFIX,
    PARTIAL_SUFFIXES,
    PIN_SUFFIX,
    SUFFIXES,
    TABLE_SUFFIX,
    TAIL_SUFFIX,
    final_of,
    stem_of,
)

RECOVERED = " (recovered"
"""Stands in the stem of what recovery gave another name than the recording's own, which has no log then."""
_UNFINISHED = (*PARTIAL_SUFFIXES, TAIL_SUFFIX)
_COARSEST_CLOCK_NS = 100_000_000
"""A folder that changed so lately may change again without its time telling."""


class Known(NamedTuple):
    """A finished recording: when its file was last written, its bytes with all beside it."""

    ended_ns: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What one look found: ``finished`` recordings by their files' names, stems of ``unfinished`` ones.

    ``finished_bytes`` are those of all that is finished, ``count`` is with those that are not; ``oldest_ns`` is
    when the oldest one ended. ``live_paths`` are the files of unfinished recordings,
    which grow; ``deleted`` are names of recordings whose deletion was cut short. ``changed_ns`` is when the folder
    last changed, by its own time; 0 if that does not tell the next change.
    """

    names: set[str]
    finished: dict[str, Known]
    finished_bytes: int
    unfinished: set[str]
    live_paths: tuple[str, ...]
    deleted: tuple[str, ...]
    changed_ns: int
    count: int
    oldest_ns: int | None

    def is_pinned(self, stem: str) -> bool:
        """Whether the recording of this stem is pinned."""
        return stem + PIN_SUFFIX in self.names

    @property
    def live_bytes(self) -> int:
        """Bytes of what is unfinished, as it is now."""
        return sum(map(_size, self.live_paths))


class Folder:
    """A folder that is looked at again and again: what was there before is known by its name.

    With ``sizes`` the bytes of what lies beside recordings are counted, too. Not for several threads at once.
    """

    def __init__(self, path: Path, *, sizes: bool) -> None:
        self.path = path
        self._sizes = sizes
        self.forget()

    def forget(self) -> None:
        """Look at each file anew the next time."""
        self._names: set[str] = set()
        self._finished: dict[str, Known] = {}
        self._bytes = 0
        self._live: set[str] = set()
        self._deleted: set[str] = set()

    def look(self, now_ns: int) -> Listing:
        """What lies there. Raises OSError."""
        changed_ns = os.stat(self.path).st_mtime_ns  # noqa: PTH116 - as all here, for speed
        names = set(os.listdir(self.path))  # noqa: PTH208 - a million names have no paths
        new = names - self._names
        gone = self._names - names if len(names) < len(self._names) + len(new) else set()
        self._names = names
        again = {final_of(name) for name in gone if name in self._live}
        for known in (self._live, self._deleted):
            known -= gone
        for name in gone | again:
            was = self._finished.pop(name, None)
            self._bytes -= 0 if was is None else was.bytes
        self._live.update(name for name in new if name.endswith(_UNFINISHED))
        self._deleted.update(name for name in new if name.endswith(DELETED_SUFFIX))
        # What was being recorded under the name of an older recording has replaced that.
        self._learn(name for name in (new | (again & names)) if name.endswith(SUFFIXES))
        unfinished = {stem_of(name) for name in self._live}
        begun = sum(not any(stem + suffix in self._finished for suffix in SUFFIXES) for stem in unfinished)
        growing = {stem + suffix for stem in unfinished for suffix in COMPANION_SUFFIXES} & names
        return Listing(
            names,
            self._finished,
            self._bytes,
            unfinished,
            tuple(os.path.join(self.path, name) for name in self._live | growing),  # noqa: PTH118 - as above
            tuple(sorted(self._deleted)),
            changed_ns if now_ns - changed_ns >= _COARSEST_CLOCK_NS else 0,
            len(self._finished) + begun,
            min(self._finished.values()).ended_ns if self._finished else None,
        )

    def _learn(self, mains: Iterable[str]) -> None:
        """Look at those of ``mains`` that are recordings of recordkit's."""
        begin, names = os.path.join(self.path, ""), self._names  # noqa: PTH118 - as above
        for name in mains:
            stem = name.rpartition(".")[0]
            if not stem or name in self._live:
                continue
            if not (stem + LOG_SUFFIX in names or stem + TABLE_SUFFIX in names or RECOVERED in stem):
                continue
            try:
                status = os.lstat(begin + name)
            except OSError:
                continue  # gone meanwhile
            if stat.S_ISREG(status.st_mode):
                size = status.st_size
                if self._sizes:
                    size += sum(_size(begin + stem + one) for one in COMPANION_SUFFIXES if stem + one in names)
                self._finished[name] = Known(status.st_mtime_ns, size)
                self._bytes += size


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0  # finished or deleted meanwhile, which changes the folder
