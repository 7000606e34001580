"""The clock and the system calls that the writer stands on, as objects, so that tests can steer them."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import logging
import os
import struct
import time
from contextlib import suppress
from pathlib import Path
from threading import Condition, Event

log = logging.getLogger("recordkit")

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_M_MMAP_THRESHOLD = -3
_LARGE_BLOCK_BYTES = 1024 * 1024
_MOST_BYTES = 1 << 60
"""What some file systems say of themselves (s3fs: 16 EB) fits into no column."""
_ALLOCATED_BYTES = 64 * 1024
"""Room is reserved in pieces of this size: btrfs frees a piece once all of it is unused."""
_PUNCH_HOLE_KEEP_SIZE = 3
_GET_FLAGS, _SET_FLAGS, _NO_COPY_ON_WRITE = 0x80086601, 0x40086602, 0x00800000
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The errno values of a full disk or quota."""
NO_HOLES = frozenset(
    {errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV, errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOTTY}
)
"""The errno values of a file system that frees no space in the middle of a file."""
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

    def thread_s(self) -> float:
        """Seconds of processor time that the calling thread has taken."""
        return time.thread_time()

    def wait(self, condition: Condition, timeout_s: float | None) -> None:
        """Wait on ``condition``, which the caller holds, until it is notified or ``timeout_s`` is over."""
        condition.wait(timeout_s)

    def sleep(self, seconds: float, interrupt: Event) -> None:
        """Wait ``seconds``, or until ``interrupt`` is set."""
        interrupt.wait(seconds)


_NO_MORE_DESCRIPTORS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def _sync_folder(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and FUSE file systems do not support syncs of folders.
        if error.errno not in (errno.EINVAL, errno.EBADF):
            raise


class System:
    """System calls on files. Each raises the system's OSError."""

    def open(self, path: Path, flags: int) -> int:
        """Open ``path``; never inherited by child processes."""
        return os.open(path, flags | os.O_CLOEXEC, 0o666)

    def close(self, descriptor: int) -> None:
        """Close a descriptor. An error is only warned of: all that was promised has been synced before."""
        try:
            os.close(descriptor)
        except OSError as error:
            log.warning("a file could not be closed: %s", error.strerror)

    def write_at(self, descriptor: int, data: memoryview, offset: int) -> int:
        """Write at ``offset``; returns the count of bytes written, which may be short."""
        return os.pwrite(descriptor, data, offset)

    def store(self, descriptor: int, data: bytes | memoryview, offset: int) -> None:
        """Write all of ``data`` at ``offset`` of a tail, into room that was allocated before.

        Not through a mapping: where its file system finds no room for a page after all (btrfs), where
        the disk fails or somebody cuts the file, touching a mapped page ends the process (SIGBUS).
        """
        done = os.pwrite(descriptor, data, offset)
        while done < len(data):
            count = os.pwrite(descriptor, memoryview(data)[done:], offset + done)
            if not count:
                raise OSError(errno.EIO, "the system takes no more bytes")
            done += count

    def sync_data(self, descriptor: int) -> None:
        """Bring a file's data, and what is needed to read it back, to the disk."""
        os.fdatasync(descriptor) if hasattr(os, "fdatasync") else os.fsync(descriptor)

    def sync(self, descriptor: int) -> None:
        """Bring a file's data and metadata to the disk."""
        os.fsync(descriptor)

    def sync_empty(self, descriptor: int) -> None:
        """Bring a file of no bytes yet to the disk, if the file system can."""
        with suppress(OSError):
            os.fsync(descriptor)

    def sync_tail(self, descriptor: int) -> None:
        """Bring a tail, and the space that it gave back, to the disk."""
        os.fsync(descriptor)

    def sync_folder(self, folder: Path, opened: int | None = None) -> None:
        """Bring a folder's names to the disk, if the file system supports that.

        ``opened`` is a descriptor of it that is there already, for when no further one is to be had. Else the
        folder is opened anew: XFS that has shut down refuses that, while a sync through an old descriptor succeeds
        with nothing brought to the disk.
        """
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if opened is None or error.errno not in _NO_MORE_DESCRIPTORS:
                raise
            _sync_folder(opened)
            return
        try:
            _sync_folder(descriptor)
        finally:
            os.close(descriptor)

    def allocate(self, descriptor: int, size: int) -> None:
        """Give the empty file ``size`` bytes of disk space of its own, however often it is written to.

        Raises OSError (EOPNOTSUPP) if that is not supported.
        """
        if not hasattr(os, "posix_fallocate"):
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        with suppress(OSError):
            # What btrfs allocates is for the first write to each byte only, unless it writes in place.
            flags = bytearray(struct.calcsize("l"))
            fcntl.ioctl(descriptor, _GET_FLAGS, flags)
            word = struct.unpack_from("i", flags)[0] | _NO_COPY_ON_WRITE
            fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("l", word))
        for at in range(0, size, _ALLOCATED_BYTES):
            os.posix_fallocate(descriptor, at, min(_ALLOCATED_BYTES, size - at))

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file, or let it grow with zeros, to ``size`` bytes."""
        os.ftruncate(descriptor, size)

    def punch(self, descriptor: int, start: int, size: int) -> None:
        """Give the disk space of whole pages of a file back: they are zeros then.

        Raises OSError (EOPNOTSUPP) if that is not supported.
        """
        call = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
        if call is None:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        if call(descriptor, _PUNCH_HOLE_KEEP_SIZE, ctypes.c_longlong(start), ctypes.c_longlong(size)):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def has_holes(self, descriptor: int) -> bool:
        """Whether ``punch`` frees space in this file, which is empty."""
        try:
            self.punch(descriptor, 0, os.sysconf("SC_PAGE_SIZE"))
        except OSError:
            return False
        return True

    def inode_at(self, path: Path) -> int | None:
        """The inode that the name stands for, a link's being its own; None if there is none."""
        try:
            return os.lstat(path).st_ino
        except (FileNotFoundError, NotADirectoryError):
            return None

    def unlink(self, path: Path) -> None:
        """Remove the name ``path``."""
        os.unlink(path)  # noqa: PTH108

    def link(self, source: Path, target: Path) -> bool:
        """Give the file a second name, which must be free; a link is not followed. False where there are no links.

        A file system without them says so by any errno (EPERM, EIO, ERANGE, ENOENT): both names are as they
        were then. Raises FileExistsError where the name is taken.
        """
        try:
            os.link(source, target, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError as error:
            if not os.path.lexists(source):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(source)) from error
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
            return False
        return True

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

    def free_bytes(self, folder: Path) -> int | None:
        """Bytes that this user may still write on the folder's disk; None if not told (ramfs, some FUSE).

        Of one that is read-only neither: to be full is not what is wrong with it.
        """
        status = os.statvfs(folder)
        is_told = status.f_blocks and not status.f_flag & os.ST_RDONLY
        return min(status.f_bavail * status.f_frsize, _MOST_BYTES) if is_told else None

    def rename(self, source: Path, target: Path, *, overwrite: bool) -> None:
        """Rename atomically; without ``overwrite`` FileExistsError if the target's name is taken."""
        if overwrite:
            source.replace(target)
        elif not self._rename_exclusively(source, target):
            # No such call here, or not on this file system. A hard link is only made if the
            # name is free; a crash between the two steps leaves both names on one complete file.
            if self.link(source, target):
                source.unlink()
            else:
                # Neither is supported: it has looked, and who records or recovers has the partial's lock.
                source.replace(target)

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


def hold_shared(descriptor: int) -> None:
    """Show that an open file is being read, until it is closed: a shared lock, if there is one to be had at once.

    It holds up nobody who writes; who deletes recordings leaves one alone that is being read.
    """
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


def let_go_shared(descriptor: int) -> None:
    """Give up what ``hold_shared`` took: by word, since a forked child may hold the descriptor, too."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
