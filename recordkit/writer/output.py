"""The recording's files: their names, the partial and its lock, and the commit."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..containers import by_suffix
from ..errors import (
    DiskSpaceError,
    OutputAccessError,
    OutputBusyError,
    OutputError,
    OutputExistsError,
    OutputNameError,
    PartialExistsError,
    WriteError,
)
from ..names import TAIL_SUFFIX, is_partial, partial_of, stem_of
from ..system import FULL, System
from ..telemetry.logfile import OLD_SUFFIX
from ..telemetry.logfile import SUFFIX as LOG_SUFFIX
from .identity import is_still, lock
from .writing import write_all

log = logging.getLogger("recordkit")

_LONGEST_COMPANION = LOG_SUFFIX + OLD_SUFFIX


class Output:
    """One recording's files. ``final_path`` is ``talk.ts``, ``partial_path`` ``talk.recording.ts``.

    Raises OutputNameError for a name that cannot be recorded to.
    """

    def __init__(self, path: str | os.PathLike[str], system: System) -> None:
        self.final_path = Path(path).expanduser()
        self.container = by_suffix(self.final_path)
        name = self.final_path.name
        if is_partial(name):
            raise OutputNameError(
                self.final_path,
                f".recording{self.container.suffix} is kept for unfinished recordings: choose another name",
            )
        self.stem = stem_of(name)
        self.partial_path = self.final_path.with_name(partial_of(name))
        self.tail_path = self.final_path.with_name(self.stem + TAIL_SUFFIX)
        self.inode = 0
        self._system = system
        self._descriptor: int | None = None
        self._folder: int | None = None

    def open(self, *, overwrite: bool, needed_bytes: int, syncs: bool = True) -> None:
        """Make the folder and the partial, and lock it; without ``syncs`` nothing is brought to the disk.

        Raises OutputNameError, OutputExistsError, PartialExistsError, OutputBusyError,
        OutputAccessError or DiskSpaceError; nothing is left behind then, but for the folder
        itself where it had to be made.
        """
        folder = self.final_path.parent
        try:
            self._check_length(_nearest(folder))
            if self.final_path.is_dir():
                raise OutputNameError(self.final_path, "is a folder: name a file in it")
            free_bytes = self._system.free_bytes(_nearest(folder))
        except OSError as error:
            raise OutputAccessError(folder, f"cannot be looked at: {error.strerror}") from error
        if not overwrite and os.path.lexists(self.final_path):
            raise OutputExistsError(self.final_path, "exists already: choose another name, or ask to overwrite it")
        if free_bytes is not None and free_bytes < needed_bytes:
            raise DiskSpaceError(self.final_path, needed_bytes, free_bytes)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputAccessError(folder, f"the folder cannot be made: {error.strerror}") from error
        try:
            descriptor = self._system.open(self.partial_path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            raise self._partial_in_the_way() from None
        except OSError as error:
            if error.errno in FULL:
                raise DiskSpaceError(self.final_path, needed_bytes, free_bytes) from error
            raise OutputAccessError(folder, f"cannot be written to: {error.strerror}") from error
        self._descriptor = descriptor
        with suppress(OSError):  # whoever syncs it by its name will say so
            # Kept: the end must not need a descriptor that may not be had then.
            self._folder = self._system.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if syncs:
                # Until then some file systems (s3fs) forget the name once somebody else has looked at it.
                self._system.sync_empty(descriptor)
            self.inode = os.fstat(descriptor).st_ino
            # Ours alone, by O_EXCL; another can hold the lock only for the moment of looking at it.
            if not lock(descriptor, fcntl.LOCK_EX):
                log.warning(
                    "%s: this file system has no locks; nothing keeps another program from taking this recording "
                    "for one that was left behind",
                    self.partial_path,
                )
            elif not self._system.is_locked(self.partial_path):
                log.warning(
                    "%s: this file system gives its locks to everybody; nothing keeps another program from taking "
                    "this recording for one that was left behind",
                    self.partial_path,
                )
        except FileNotFoundError:
            pass
        except OSError as error:
            self.discard()
            self.close()
            raise OutputAccessError(folder, f"files cannot be locked there: {error.strerror}") from error
        try:
            # That other may have been a recovery, which found an empty partial and cleared it away.
            taken_away = not self.is_named()
        except OSError as error:
            self.discard()
            self.close()
            raise OutputAccessError(folder, f"files cannot be locked there: {error.strerror}") from error
        if taken_away:
            self.close()
            raise OutputBusyError(self.final_path, "another program took the partial away: try again")

    def _check_length(self, folder: Path) -> None:
        """Raises OutputNameError for a name that leaves no room for that of its longest companion."""
        try:
            longest = os.pathconf(folder, "PC_NAME_MAX")
        except OSError:
            return
        name = self.final_path.name
        most = longest - len(_LONGEST_COMPANION) + len(self.container.suffix)
        if len(os.fsencode(name)) > most:
            raise OutputNameError(
                self.final_path,
                f"the name is too long: it has {len(os.fsencode(name))} bytes, and {most} at most leave room for "
                f"the recording's other files ({_LONGEST_COMPANION}): choose a shorter one",
            )

    def _partial_in_the_way(self) -> OutputError:
        try:
            # Neither through a link, nor waiting for somebody to write to it, should it be a pipe.
            descriptor = self._system.open(self.partial_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return PartialExistsError(self.final_path, self.partial_path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return OutputBusyError(self.final_path, "is being recorded right now: choose another name")
        except OSError:
            return PartialExistsError(self.final_path, self.partial_path)
        finally:
            self._system.close(descriptor)
        return PartialExistsError(self.final_path, self.partial_path)

    def write(self, data: memoryview, offset: int) -> None:
        """Write all of ``data`` at ``offset``, the end of the file.

        Raises WriteError; the file is cut back to its last whole packet then, which ends at the
        error's ``offset``.
        """
        try:
            write_all(self._system, self._open_descriptor, self.partial_path, data, offset)
        except WriteError as error:
            cause = error.__cause__
            if not isinstance(cause, OSError):
                raise  # the file is closed
            end = error.offset // self.container.packet_bytes * self.container.packet_bytes
            self._cut_back(end)
            raise WriteError(self.partial_path, end, cause, "writing") from cause

    def _cut_back(self, size: int) -> None:
        try:
            if self._descriptor is not None:
                self._system.truncate(self._descriptor, size)
        except OSError as error:
            # The write's error is the one to tell; who recovers the file cuts it.
            log.warning("%s: could not be cut back to a whole packet (%s)", self.partial_path, error.strerror)

    def patch(self, data: bytes, offset: int) -> None:
        """Write ``data`` over what stands at ``offset``; raises WriteError."""
        try:
            if self._system.write_at(self._open_descriptor, memoryview(data), offset) < len(data):
                raise OSError(errno.EIO, "the system takes no more bytes")
        except OSError as error:
            raise WriteError(self.partial_path, offset, error, "finishing") from error

    def truncate(self, size: int) -> None:
        """Cut the file to ``size`` bytes; raises WriteError."""
        try:
            self._system.truncate(self._open_descriptor, size)
        except OSError as error:
            raise WriteError(self.partial_path, size, error, "cutting") from error

    def check_name(self, size: int) -> None:
        """Raises WriteError where the partial's name no longer stands for the open file, of ``size`` bytes."""
        try:
            is_there = self.is_named()
        except OSError:
            return  # nothing can be told; what needs the name will fail by itself
        if not is_there:
            lost = FileNotFoundError(errno.ENOENT, "the file was removed or renamed by somebody else meanwhile")
            raise WriteError(self.partial_path, size, lost, "recording")

    def is_named(self) -> bool:
        """Whether the partial's name stands for the open file; raises OSError where that cannot be looked at."""
        return is_still(self._system, self.partial_path, self._open_descriptor, self.inode)

    def sync_data(self, offset: int) -> None:
        """Bring what was written to the disk; raises WriteError (``offset``: the end of what was written)."""
        try:
            self._system.sync_data(self._open_descriptor)
        except OSError as error:
            raise WriteError(self.partial_path, offset, error, "syncing") from error

    def sync_folder(self) -> None:
        """Bring the folder's names to the disk; raises WriteError."""
        try:
            self._system.sync_folder(self.final_path.parent, self._folder)
        except OSError as error:
            raise WriteError(self.final_path.parent, 0, error, "syncing the folder") from error

    def sync(self, size: int) -> None:
        """Bring all of the file, of ``size`` bytes, to the disk; raises WriteError."""
        try:
            self._system.sync(self._open_descriptor)
        except OSError as error:
            raise WriteError(self.partial_path, size, error, "syncing") from error

    def commit(self, size: int, *, overwrite: bool) -> None:
        """Sync the file, give it its final name, sync the folder: in that order.

        Raises OutputExistsError where the name was taken meanwhile (the partial stays, complete),
        WriteError where a call fails.
        """
        self.sync(size)
        self.check_name(size)
        try:
            self._system.rename(self.partial_path, self.final_path, overwrite=overwrite)
        except FileExistsError:
            raise OutputExistsError(
                self.final_path,
                f"was made by somebody else meanwhile; the recording is complete in {self.partial_path.name}",
            ) from None
        except OSError as error:
            raise WriteError(self.partial_path, size, error, "renaming") from error
        self.sync_folder()

    def discard(self) -> None:
        """Remove a partial to which nothing was written."""
        self.remove(self.partial_path, self.is_named)

    def remove(self, path: Path, is_ours: Callable[[], bool]) -> None:
        """Remove one of the recording's files if it still is the one that was made."""
        try:
            if is_ours():
                self._system.unlink(path)
        except OSError as error:
            log.warning("%s: could not be removed (%s); it holds nothing any more", path, error.strerror)

    def close(self) -> None:
        """Give back the file and its lock. May be called again."""
        descriptor, self._descriptor = self._descriptor, None
        folder, self._folder = self._folder, None
        if folder is not None:
            with suppress(OSError):
                self._system.close(folder)
        if descriptor is None:
            return
        try:
            try:
                # By word, not by closing alone: a forked child may hold the descriptor too.
                lock(descriptor, fcntl.LOCK_UN)
            finally:
                self._system.close(descriptor)
        except OSError as error:
            # All that was promised has been synced before.
            log.warning("%s: closing failed (%s)", self.partial_path, error.strerror)

    @property
    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise WriteError(self.partial_path, 0, OSError(errno.EBADF, "the file is closed"), "writing")
        return self._descriptor


def _nearest(folder: Path) -> Path:
    """``folder``, or the folder that stands where it would be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
