"""One pass over a folder: which recordings are beyond its bounds, the oldest first, and what becomes of them."""

from __future__ import annotations

import fcntl
import heapq
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..errors import OutputAccessError, OutputBusyError
from ..names import stem_of
from ..settings import Keep
from ..system import System
from ..telemetry.words import count_text, size_text
from ..writer.identity import lock
from .deletion import CHANGED, PINNED, UNFINISHED, Gone, Spared, clear, delete, size_of
from .folder import Folder, Known, Listing

log = logging.getLogger("recordkit")

Sound = Callable[[Path], str | None]
"""What is wrong with a recording, in words; None if nothing is."""


class Fate(StrEnum):
    """What became of a recording that is beyond a bound."""

    DELETED = "deleted"
    DUE = "due"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Judged:
    """A recording that is beyond a bound: ``because`` says which, ``problem`` why it stays all the same.

    ``ended_ns`` is when its file was last written, in nanoseconds since 1970; ``bytes`` count what lies beside it.
    """

    path: Path
    ended_ns: int
    bytes: int
    because: str
    fate: Fate
    problem: str | None = None


@dataclass(slots=True)
class Room:
    """How a folder stands: what is in it, and what is free on its disk (None: not known)."""

    count: int
    bytes: int
    free_bytes: int | None

    def without(self, size: int) -> None:
        """A recording of that size is gone."""
        self.count -= 1
        self.bytes -= size
        if self.free_bytes is not None:
            self.free_bytes += size

    def beyond(self, keep: Keep, ahead_bytes: int = 0) -> str | None:
        """Which bound is passed, or will be when ``ahead_bytes`` more have come, in words; age is not looked at."""
        if keep.max_count is not None and self.count > keep.max_count:
            return f"more than {count_text(keep.max_count, 'recording')}"
        if keep.max_bytes is not None and self.bytes + ahead_bytes > keep.max_bytes:
            return f"more than {size_text(keep.max_bytes)}"
        if self.lacks_room(keep, ahead_bytes) and keep.min_free is not None:
            return f"less than {size_text(keep.min_free)} free"
        return None

    def lacks_room(self, keep: Keep, ahead_bytes: int = 0) -> bool:
        """Whether too little is free on the disk."""
        free = self.free_bytes
        return keep.min_free is not None and free is not None and free - ahead_bytes < keep.min_free


@dataclass(frozen=True, slots=True)
class Passed:
    """What one pass did: what it judged, what it found, and how the folder stands now.

    ``beyond`` is the bound that is passed all the same, since nothing more may be deleted; None if there is none.
    """

    judged: tuple[Judged, ...]
    listing: Listing
    room: Room
    beyond: str | None

    @property
    def deleted(self) -> tuple[Judged, ...]:
        """Those that are gone."""
        return tuple(one for one in self.judged if one.fate is Fate.DELETED)


class Passes:
    """Passes over one folder. ``sound`` says what is wrong with a recording, for ``verified_only``.

    Several threads may share it; they take turns, and so do several processes.
    """

    def __init__(self, folder: Path, keep: Keep, system: System, sound: Sound) -> None:
        self.keep = keep
        self._folder = Folder(folder, sizes=keep.max_bytes is not None)
        self._system = system
        self._sound = sound
        self._unsound: dict[tuple[str, Known], str] = {}
        self._taking_turns = threading.Lock()
        self._last: Passed | None = None

    def run(self, now_ns: int, *, dry_run: bool = False, ahead_bytes: int = 0) -> Passed:
        """Delete what is beyond the bounds, or will be with ``ahead_bytes`` more; ``dry_run`` says what would go.

        Raises OutputAccessError if the folder cannot be read, OutputBusyError while another pass is at work in it.
        """
        path = self._folder.path
        with self._taking_turns, _turn(path, self._system):
            try:
                listing = self._folder.look(now_ns)
                if listing.deleted and not dry_run:
                    for name in listing.deleted:
                        clear(path / name, self._system)
                room = Room(
                    listing.count, listing.finished_bytes + listing.live_bytes, self._system.free_bytes(path)
                )
            except OSError as error:
                raise OutputAccessError(path, f"cannot be looked at: {error.strerror}") from error
            judged = []
            for name, known, because in self._due(listing, room, now_ns, ahead_bytes):
                one = self._judge(path / name, known, because, listing, room, dry_run=dry_run)
                if one is None or one.fate is not Fate.KEPT:
                    room.without(known.bytes if one is None else one.bytes)
                if one is not None:
                    judged.append(one)
            self._last = Passed(tuple(judged), listing, room, room.beyond(self.keep))
            return self._last

    def is_due(self, now_ns: int, ahead_bytes: int = 0) -> bool:
        """Whether a pass may find something to do; that looks at the folder and what grows in it alone."""
        last = self._last
        if last is None or not last.listing.changed_ns:
            return True
        path, listing = self._folder.path, last.listing
        try:
            if os.stat(path).st_mtime_ns != listing.changed_ns:  # noqa: PTH116 - several times a second
                return True
            free_bytes = self._system.free_bytes(path) if self.keep.min_free is not None else None
        except OSError:
            return True  # the pass will say so
        room = Room(listing.count, listing.finished_bytes + listing.live_bytes, free_bytes)
        return self._is_old(listing, now_ns) or room.beyond(self.keep, ahead_bytes) is not None

    def _is_old(self, listing: Listing, now_ns: int) -> bool:
        max_age, oldest_ns = self.keep.max_age, listing.oldest_ns
        return max_age is not None and oldest_ns is not None and now_ns - oldest_ns > max_age * 1e9

    def _due(self, listing: Listing, room: Room, now_ns: int, ahead_bytes: int) -> Iterator[tuple[str, Known, str]]:
        """What is beyond a bound, the oldest first, as long as ``room``, which changes meanwhile, asks for it."""
        max_age = self.keep.max_age
        if not self._is_old(listing, now_ns) and room.beyond(self.keep, ahead_bytes) is None:
            return
        oldest = [(known.ended_ns, name) for name, known in listing.finished.items()]
        heapq.heapify(oldest)
        while oldest:
            ended_ns, name = heapq.heappop(oldest)
            if max_age is not None and now_ns - ended_ns > max_age * 1e9:
                because = f"older than {age_text(max_age)}"
            else:
                because = room.beyond(self.keep, ahead_bytes) or ""
            if not because:
                return
            yield name, listing.finished[name], because

    def _judge(
        self, path: Path, known: Known, because: str, listing: Listing, room: Room, *, dry_run: bool
    ) -> Judged | None:
        """What becomes of one that is due; None if it has gone by itself."""
        size = size_of(path)
        fate, problem = Fate.DUE, None
        try:
            stem = stem_of(path.name)
            if stem in listing.unfinished:
                raise Spared(UNFINISHED)
            if listing.is_pinned(stem):
                raise Spared(PINNED)
            if self.keep.verified_only and (wrong := self._wrong(path, known)):
                raise Spared(f"is not sound: {wrong}")
            if not dry_run:
                delete(path, known, self._system, must_free=room.lacks_room(self.keep))
                fate = Fate.DELETED
        except Gone:
            return None
        except Spared as why:
            fate, problem = Fate.KEPT, str(why)
            if problem == CHANGED:
                self._folder.forget()
        return Judged(path, known.ended_ns, size, because, fate, problem)

    def _wrong(self, path: Path, known: Known) -> str | None:
        """What is wrong with it; that is looked for once."""
        wrong = self._unsound.get((path.name, known))
        if wrong is None and (wrong := self._sound(path)) is not None:
            self._unsound[path.name, known] = wrong
        return wrong


def age_text(seconds: float) -> str:
    """A bound on age as it is given: ``7 d``, ``90 min``."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:,g} s"


@contextmanager
def _turn(folder: Path, system: System) -> Iterator[None]:
    """The folder for one pass alone. Raises OutputAccessError if it is none, OutputBusyError if another has it."""
    try:
        descriptor = system.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise OutputAccessError(folder, f"cannot be looked at: {error.strerror}") from error
    try:
        try:
            lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputBusyError(folder, "another pass is at work in this folder: try again") from None
        except OSError as error:
            log.debug("%s: cannot be locked: %s", folder, error.strerror)
        yield
    finally:
        try:
            lock(descriptor, fcntl.LOCK_UN)
        except OSError as error:
            log.debug("%s: cannot be unlocked: %s", folder, error.strerror)
        system.close(descriptor)
