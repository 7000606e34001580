"""The files of an unfinished recording: opened without following links, locked, and what is rejected of them."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..container import Finish
from ..errors import OutputAccessError, RecordkitError, RecoveryError, StillRecordingError, WriteError
from ..system import FULL, System
from ..writer.identity import is_still, lock
from ..writer.writing import write_all
from .view import View, is_zero

WITHOUT_LOCKS = (
    "this file system has no locks, so that it cannot be told whether the recording still runs: once it does not, "
    "copy it and its tail to another disk, and recover them there"
)
_MARK = "\n=== recordkit: "
"""The line before each piece begins so; less of it may just as well end another piece."""


def open_regular(path: Path, flags: int, system: System) -> int:
    """Open ``path``, which must be a regular file and no link; FileNotFoundError where it is not there.

    Raises RecoveryError for a link or something else, OutputAccessError where it may not be opened.
    """
    try:
        descriptor = system.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)  # a FIFO must not make us wait
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise OutputAccessError(path, f"cannot be opened: {error.strerror}") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RecoveryError(path, "is a link, and links are not followed") from error
        if error.errno in FULL:
            raise WriteError(path, 0, error, "making it") from error
        raise RecoveryError(path, f"cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        system.close(descriptor)
        raise RecoveryError(path, "is not a regular file")
    return descriptor


@contextmanager
def locked(path: Path, system: System, *, writes: bool) -> Iterator[int]:
    """The open file ``path``, locked: for us alone if it is to be written to.

    Raises StillRecordingError where somebody holds the lock, FileNotFoundError where it is gone,
    and the errors of ``open_regular``.
    """
    descriptor = open_regular(path, os.O_RDWR if writes else os.O_RDONLY, system)
    try:
        try:
            has_locks = _lock(descriptor, writes)
        except BlockingIOError:
            raise StillRecordingError(path, "is being recorded, or recovered, right now") from None
        except OSError as error:
            raise RecoveryError(path, f"cannot be locked: {error.strerror}") from error
        if writes and not has_locks:
            raise RecoveryError(path, WITHOUT_LOCKS)
        # It may have been committed before the lock was ours.
        if not is_still(system, path, descriptor):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        yield descriptor
    finally:
        _unlock(descriptor, system)


@contextmanager
def reserved(path: Path, system: System) -> Iterator[None]:
    """The partial's name in hand, so that no recording begins beside a tail that lies there alone.

    Raises StillRecordingError where somebody has it.
    """
    busy = StillRecordingError(path, "a recording begins, or is recovered, right now")
    try:
        descriptor = system.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        raise busy from None
    try:
        try:
            # For whoever finds an unlocked partial takes it for a dead one, and moves it away.
            has_locks = lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        if not has_locks:
            raise RecoveryError(path, WITHOUT_LOCKS)
        if not is_still(system, path, descriptor):
            raise busy
        yield
    finally:
        # Before the lock is given up.
        remove(path, descriptor, system)
        _unlock(descriptor, system)


def _lock(descriptor: int, writes: bool) -> bool:
    try:
        return lock(descriptor, (fcntl.LOCK_EX if writes else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        if not writes:
            raise
        # Nobody writes who shares it: somebody only looks at it, and will be gone soon.
        lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return lock(descriptor, fcntl.LOCK_EX)


def _unlock(descriptor: int, system: System) -> None:
    try:
        lock(descriptor, fcntl.LOCK_UN)
    finally:
        system.close(descriptor)


def inode_at(path: Path) -> int | None:
    """The inode that the name stands for, or None; a link's is its own."""
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


@contextmanager
def told(path: Path, offset: int, doing: str) -> Iterator[None]:
    """Turns an OSError into a WriteError that says where."""
    try:
        yield
    except RecordkitError:
        raise  # some are OSErrors, too
    except OSError as error:
        raise WriteError(path, offset, error, doing) from error


def finish_file(system: System, descriptor: int, path: Path, finish: Finish, end: int) -> int:
    """Make a file of ``end`` whole bytes the final one; its size. Raises WriteError, with the file as it was.

    In the order of a commit: what comes at the end is on the disk before the front is turned.
    """
    at = end
    try:
        for piece in finish.append:
            write_all(system, descriptor, path, piece, at)
            at += len(piece)
    except WriteError:
        with told(path, end, "cutting"):
            system.truncate(descriptor, end)
        raise
    with told(path, at, "syncing"):
        system.sync(descriptor)
    for offset, patch in finish.patches:
        write_all(system, descriptor, path, patch, offset)
    return at


class Rejected:
    """The file ``talk.rejected``, to which everything is added that is left out of a recovered recording.

    Each piece stands behind a line that says where it was. A piece that is there already, from a
    recovery that was cut short, is not added again; one that was half written is completed.
    Zeros take no space. Raises RecoveryError where the name belongs to something else.
    """

    def __init__(self, path: Path, system: System) -> None:
        self.path = path
        self._system = system
        try:
            self._descriptor = open_regular(path, os.O_RDWR | os.O_CREAT, system)
        except FileNotFoundError as error:
            raise RecoveryError(path, f"cannot be made: {error.strerror}") from error
        if os.fstat(self._descriptor).st_nlink > 1:
            system.close(self._descriptor)
            raise RecoveryError(path, "has another name as well (a hard link), and is not added to: move it away")

    def add(self, title: str, source: View, begin: int, end: int) -> None:
        """Add the bytes of ``source`` from ``begin`` to ``end``; raises WriteError."""
        with told(self.path, begin, "reading"):
            checksum = 0
            for _, data in source.chunks(begin, end):
                checksum = zlib.crc32(data, checksum)
            text = f"{_MARK}{end - begin} bytes, {title}, CRC-32 {checksum:08x} ===\n"
            head = text.encode("utf-8", "surrogateescape")
            at = self._place(head)
        write_all(self._system, self._descriptor, self.path, head, at)
        at += len(head)
        with told(self.path, at, "writing"):
            # Before the bytes, which zeros may be left out of.
            if os.fstat(self._descriptor).st_size < at + end - begin:
                os.ftruncate(self._descriptor, at + end - begin)
        for offset, data in source.chunks(begin, end):
            if not is_zero(data):
                write_all(self._system, self._descriptor, self.path, data, at + offset - begin)

    def _place(self, head: bytes) -> int:
        """Where a piece with this head stands already, if only the beginning of its head; or the end."""
        mine = View(self._descriptor, os.fstat(self._descriptor).st_size)
        for at, data in mine.chunks(0, mine.size):
            found = (data + mine.read(at + len(data), at + len(data) + len(head) - 1)).find(head)
            if found >= 0:
                return at + found
        last = mine.read(max(0, mine.size - len(head)), mine.size)
        written = next((count for count in range(len(last), len(_MARK) - 1, -1) if last.endswith(head[:count])), 0)
        return mine.size - written

    def finish(self) -> None:
        """Bring it to the disk, with its name. Raises WriteError."""
        with told(self.path, 0, "syncing"):
            self._system.sync(self._descriptor)
        with told(self.path.parent, 0, "syncing the folder"):
            self._system.sync_folder(self.path.parent)

    def close(self) -> None:
        """Give the file back."""
        self._system.close(self._descriptor)


def remove(path: Path, descriptor: int, system: System) -> None:
    """Remove ``path`` if it still is that open file. Raises WriteError."""
    with told(path, 0, "removing"):
        if is_still(system, path, descriptor):
            path.unlink(missing_ok=True)
