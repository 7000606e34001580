"""What lies in a folder of recordings, by its names: one look at the folder, and at each file once.

A file is one of recordkit's recordings if a log or a table lies beside it, or its name says that it was
recovered. Links are no recordings, and what lies in folders below is somebody else's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from ..names import (
    DELETED_SUFFIX,
    LOG_SUFFIX,
    OLD_LOG_SUFFIX,
    PIN_SUFFIX,
    REJECTED_SUFFIX,
    SUFFIXES,
    TABLE_SUFFIX,
    TAIL_SUFFIX,
    stem_of,
)

RECOVERED = " (recovered"
"""Stands in the stem of what recovery gave another name than the recording's own, which has no log then."""
_UNFINISHED = ".recording"
_COARSEST_CLOCK_NS = 100_000_000
"""A folder that changed so lately may change again without its time telling."""


class _Kind(Enum):
    MAIN = auto()
    TAIL = auto()
    OWN = auto()
    PIN = auto()
    BESIDE = auto()
    DELETED = auto()


_BY_SUFFIX = {
    **dict.fromkeys(SUFFIXES, _Kind.MAIN),
    TAIL_SUFFIX: _Kind.TAIL,
    LOG_SUFFIX: _Kind.OWN,
    OLD_LOG_SUFFIX: _Kind.BESIDE,
    TABLE_SUFFIX: _Kind.OWN,
    REJECTED_SUFFIX: _Kind.BESIDE,
    PIN_SUFFIX: _Kind.PIN,
    DELETED_SUFFIX: _Kind.DELETED,
}
_BY_LAST = {suffix.rpartition(".")[2]: (suffix, kind) for suffix, kind in _BY_SUFFIX.items()}
"""By what is behind the last dot, which is quick to have of a million names."""


class Known(NamedTuple):
    """A finished recording: the inode of its file, when that was last written, its bytes with all beside it."""

    inode: int
    ended_ns: int
    bytes: int


@dataclass(slots=True)
class Listing:
    """What one look found. ``finished`` are recordings by the names of their files; the rest are stems and names.

    ``live_paths`` are the files of ``unfinished`` recordings, which grow; ``deleted`` are names of
    recordings whose deletion was cut short.
    """

    finished: dict[str, Known] = field(default_factory=dict)
    unfinished: set[str] = field(default_factory=set)
    pinned: set[str] = field(default_factory=set)
    live_paths: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    changed_ns: int = 0
    """When the folder last changed, by its own time; 0 if that does not tell the next change."""

    @property
    def finished_bytes(self) -> int:
        """Bytes of all that is finished."""
        return sum(one.bytes for one in self.finished.values())

    @property
    def live_bytes(self) -> int:
        """Bytes of what is unfinished, as it is now."""
        return sum(_size(path) for path in self.live_paths)

    @property
    def count(self) -> int:
        """How many recordings there are, those that are unfinished too."""
        return len(self.finished) + len(self.unfinished - {stem_of(name) for name in self.finished})


class Folder:
    """A folder that is looked at again and again: of a file that was there before only the name is looked at.

    With ``sizes`` the bytes of what lies beside recordings are counted, too. Not for several threads at once.
    """

    def __init__(self, path: Path, *, sizes: bool) -> None:
        self.path = path
        self._sizes = sizes
        self._known: dict[str, Known] = {}

    def look(self, now_ns: int) -> Listing:
        """What lies there. Raises OSError."""
        found = Listing()
        changed_ns = os.stat(self.path).st_mtime_ns  # noqa: PTH116 - a Path is slower, and this is often
        if not 0 <= now_ns - changed_ns < _COARSEST_CLOCK_NS:
            found.changed_ns = changed_ns
        mains: list[tuple[str, os.DirEntry[str]]] = []
        beside: list[tuple[str, os.DirEntry[str]]] = []
        own: set[str] = set()
        with os.scandir(self.path) as entries:
            for entry in entries:
                name = entry.name
                suffix, kind = _BY_LAST.get(name.rpartition(".")[2], ("", None))
                if kind is None or not name.endswith(suffix) or not entry.is_file(follow_symlinks=False):
                    continue
                stem = name[: -len(suffix)]
                if kind is _Kind.MAIN:
                    if not stem.endswith(_UNFINISHED):
                        mains.append((stem, entry))
                    else:
                        found.unfinished.add(stem.removesuffix(_UNFINISHED))
                        found.live_paths.append(entry.path)
                elif kind is _Kind.TAIL:
                    found.unfinished.add(stem)
                    found.live_paths.append(entry.path)
                elif kind is _Kind.DELETED:
                    found.deleted.append(name)
                elif kind is _Kind.PIN:
                    found.pinned.add(stem)
                else:
                    beside.append((stem, entry))
                    if kind is _Kind.OWN:
                        own.add(stem)
        found.live_paths += [entry.path for stem, entry in beside if stem in found.unfinished]
        extra = self._beside(beside, found.unfinished) if self._sizes else {}
        for stem, entry in mains:
            if stem and (stem in own or RECOVERED in stem):
                known = self._looked_at(entry, extra.pop(stem, 0))
                if known is not None:
                    found.finished[entry.name] = known
        self._known = found.finished
        return found

    def forget(self) -> None:
        """Look at each file anew the next time."""
        self._known = {}

    def _beside(self, beside: list[tuple[str, os.DirEntry[str]]], unfinished: set[str]) -> dict[str, int]:
        """The bytes beside recordings that are not known yet, by stem."""
        known = {name.rpartition(".")[0] for name in self._known}
        extra: dict[str, int] = {}
        for stem, entry in beside:
            if stem not in known and stem not in unfinished:
                try:
                    extra[stem] = extra.get(stem, 0) + entry.stat(follow_symlinks=False).st_size
                except OSError:
                    continue  # gone meanwhile
        return extra

    def _looked_at(self, entry: os.DirEntry[str], extra_bytes: int) -> Known | None:
        known = self._known.get(entry.name)
        if known is not None and known.inode == entry.inode():
            return known
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return None  # gone meanwhile
        return Known(status.st_ino, status.st_mtime_ns, status.st_size + extra_bytes)


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0  # finished meanwhile, which changes the folder
