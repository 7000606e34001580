"""The clock and the system calls that the writer stands on, as objects, so that tests can steer them."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import time
from pathlib import Path
from threading import Condition, Event

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_M_MMAP_THRESHOLD = -3
_LARGE_BLOCK_BYTES = 1024 * 1024
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The errno values of a full disk or quota."""
NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP})
"""The errno values of a file system without locks (Lustre, NFS, some FUSE mounts)."""


def give_back_freed_memory() -> bool:
    """Let the C library give large blocks back to the system once they are freed; False if it cannot.

    Else it keeps those of raw frames for the next ones, scattered over the arenas of several
    threads: 40 MB more at 1080p. It holds for the whole process and makes large blocks dearer to
    allocate, so it is for processes that only record.
    """
    call = getattr(ctypes.CDLL(None), "mallopt", None)
    return call is not None and call(_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES) == 1


class Clock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back and knows nothing of the calendar."""
        return time.monotonic()

    def time_ns(self) -> int:
        """Nanoseconds since the epoch, UTC; may jump."""
        return time.time_ns()

    def boottime(self) -> float:
        """Seconds like those of ``monotonic``, but with the time of suspension, if the system counts it."""
        boottime = getattr(time, "CLOCK_BOOTTIME", None)
        suspended_s = 0.0 if boottime is None else time.clock_gettime(boottime) - time.monotonic()
        return self.monotonic() + suspended_s

    def wait(self, condition: Condition, timeout_s: float | None) -> None:
        """Wait on ``condition``, which the caller holds, until it is notified or ``timeout_s`` is over."""
        condition.wait(timeout_s)

    def sleep(self, seconds: float, interrupt: Event) -> None:
        """Wait ``seconds``, or until ``interrupt`` is set."""
        interrupt.wait(seconds)


class System:
    """System calls on files. Each raises the system's OSError."""

    def open(self, path: Path, flags: int) -> int:
        """Open ``path``; never inherited by child processes."""
        return os.open(path, flags | os.O_CLOEXEC, 0o666)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def write_at(self, descriptor: int, data: memoryview, offset: int) -> int:
        """Write at ``offset``; returns the count of bytes written, which may be short."""
        return os.pwrite(descriptor, data, offset)

    def sync_data(self, descriptor: int) -> None:
        """Bring a file's data, and what is needed to read it back, to the disk."""
        os.fdatasync(descriptor) if hasattr(os, "fdatasync") else os.fsync(descriptor)

    def sync(self, descriptor: int) -> None:
        """Bring a file's data and metadata to the disk."""
        os.fsync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Bring a folder's names to the disk, if the file system supports that."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            # Some network and FUSE file systems do not support syncs of folders.
            if error.errno not in (errno.EINVAL, errno.EBADF):
                raise
        finally:
            os.close(descriptor)

    def allocate(self, descriptor: int, size: int) -> None:
        """Give the file ``size`` bytes of disk space; raises OSError (EOPNOTSUPP) if that is not supported."""
        if not hasattr(os, "posix_fallocate"):
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        os.posix_fallocate(descriptor, 0, size)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file, or let it grow with zeros, to ``size`` bytes."""
        os.ftruncate(descriptor, size)

    def punch(self, mapping: mmap.mmap, start: int, size: int) -> None:
        """Give the disk space of whole pages of a mapped file back: they are zeros then, not to be written to.

        Its first page must not be one of them. Raises OSError (EOPNOTSUPP) if that is not supported.
        """
        # What it says of the pages must be on the disk before they are zeros.
        mapping.flush(0, mmap.PAGESIZE)
        mapping.madvise(mmap.MADV_REMOVE, start, size)
        # Others can have it only once the file system's journal is committed (ext4).
        mapping.flush(0, mmap.PAGESIZE)

    def inode_at(self, path: Path) -> int | None:
        """The inode that the name stands for, a link's being its own; None if there is none."""
        try:
            return os.lstat(path).st_ino
        except (FileNotFoundError, NotADirectoryError):
            return None

    def unlink(self, path: Path) -> None:
        """Remove the name ``path``."""
        os.unlink(path)  # noqa: PTH108

    def link(self, source: Path, target: Path) -> None:
        """Give the file a second name, which must be free; a link is not followed."""
        os.link(source, target, follow_symlinks=False)

    def is_locked(self, path: Path) -> bool:
        """Whether somebody, in this process or another, holds the lock of ``path``; OSError for a link."""
        # Neither out of the folder through a link, nor waiting for who writes into a FIFO.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def free_bytes(self, folder: Path) -> int:
        """Bytes that this user may still write on the folder's disk."""
        status = os.statvfs(folder)
        return status.f_bavail * status.f_frsize

    def rename(self, source: Path, target: Path, *, overwrite: bool) -> None:
        """Rename atomically; without ``overwrite`` FileExistsError if the target's name is taken."""
        if overwrite:
            source.replace(target)
        elif not self._rename_exclusively(source, target):
            # No such call here, or not on this file system. A hard link is only made if the
            # name is free; a crash between the two steps leaves both names on one complete file.
            try:
                target.hardlink_to(source)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
                    raise
                # Neither is supported (exFAT and the like): look first, and hope for that moment.
                if os.path.lexists(target):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
                source.replace(target)
            else:
                source.unlink()

    def _rename_exclusively(self, source: Path, target: Path) -> bool:
        """renameat2 with RENAME_NOREPLACE; False if the system does not support it."""
        call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if call is None:
            return False
        if call(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE) == 0:
            return True
        number = ctypes.get_errno()
        if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
            return False
        raise OSError(number, os.strerror(number), str(source), None, str(target))
