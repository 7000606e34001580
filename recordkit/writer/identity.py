"""Whether a name still stands for the file that was opened under it, and what a file's seam is known by.

Inode numbers answer that on local disks. Network and FUSE file systems may give a file another number at
each look, and a copy has another one for good: there the bytes answer.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from ..system import NO_LOCKS, System

_LOOK_BYTES = 4096


def seam_digest(data: bytes | memoryview) -> bytes:
    """16 bytes by which the bytes on one side of a seam are known again."""
    return hashlib.blake2b(data, digest_size=16).digest()


def is_still(system: System, path: Path, descriptor: int, inode: int | None = None) -> bool:
    """Whether ``path`` is the file open as ``descriptor``, which had the number ``inode`` when it was opened.

    Raises OSError where that cannot be looked at.
    """
    found = system.inode_at(path)
    status = os.fstat(descriptor)
    if found is None or found == (status.st_ino if inode is None else inode):
        return found is not None
    if not status.st_nlink:
        return False  # it has no name any more
    if not status.st_size:
        return _is_locked_empty(system, path)
    return holds(system, path, status.st_size, lambda at, count: os.pread(descriptor, count, at))


def holds(system: System, path: Path, size: int, read: Callable[[int, int], bytes]) -> bool:
    """Whether ``path`` is a file of ``size`` bytes that begins and ends with what ``read(offset, count)`` returns.

    Raises OSError where it cannot be opened or read.
    """
    try:
        other = system.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    try:
        status = os.fstat(other)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            return False
        return all(
            os.pread(other, _LOOK_BYTES, at) == read(at, _LOOK_BYTES)[:_LOOK_BYTES]
            for at in (0, max(0, size - _LOOK_BYTES))
        )
    finally:
        system.close(other)


def _is_locked_empty(system: System, path: Path) -> bool:
    """Whether an empty file is there that somebody has the lock of: we, since nobody else began one meanwhile."""
    try:
        return path.lstat().st_size == 0 and system.is_locked(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return False
        raise


def lock(descriptor: int, operation: int) -> bool:
    """Lock, or unlock, an open file; False where its file system has no locks.

    Raises BlockingIOError where somebody else has the lock, OSError where locking fails.
    """
    try:
        fcntl.flock(descriptor, operation)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return False
        raise
    return True
