"""A file that is made at once from something else: it gets its name when it is whole, or leaves nothing."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from ..errors import (
    DiskSpaceError,
    OutputAccessError,
    OutputBusyError,
    OutputExistsError,
    OutputNameError,
    WriteError,
)
from ..system import FULL, System
from .identity import is_still, lock
from .writing import write_all

SUFFIX = ".exporting"


class WholeFile:
    """``talk.mp4`` on its way, as ``talk.mp4.exporting`` beside it, which is locked.

    As a context it removes what was not committed. What a killed program left is written anew.

    Raises OutputNameError, OutputExistsError, OutputBusyError, OutputAccessError or DiskSpaceError when it
    cannot be made, with nothing left behind; WriteError or DiskSpaceError when a write fails.
    """

    def __init__(self, path: Path, system: System) -> None:
        self.path = path
        self.temp_path = path.with_name(path.name + SUFFIX)
        self.size = 0
        self._system = system
        self._descriptor = -1

    def __enter__(self) -> WholeFile:
        folder = self.path.parent
        try:
            if self.path.is_dir():
                raise OutputNameError(self.path, "is a folder: name a file in it")
            if os.path.lexists(self.path):
                raise OutputExistsError(self.path, "exists already: choose another name")
            folder.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            if isinstance(error, OutputExistsError | OutputAccessError):
                raise
            if error.errno in FULL:
                raise DiskSpaceError(self.path, 1, 0) from error
            raise OutputAccessError(folder, f"cannot be written to: {error.strerror}") from error
        return self

    def _open(self) -> None:
        for _ in range(2):
            descriptor = self._system.open(self.temp_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Who held the lock before may have given the file its name, or taken it away.
                if is_still(self._system, self.temp_path, descriptor):
                    self._system.truncate(descriptor, 0)
                    self._descriptor = descriptor
                    return
            except BlockingIOError:
                pass
            except BaseException:
                self._system.close(descriptor)
                raise
            self._system.close(descriptor)
        raise OutputBusyError(self.path, "is being exported right now: choose another name")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        try:
            if is_still(self._system, self.temp_path, descriptor):
                self._system.unlink(self.temp_path)
        except OSError:
            pass  # the next export to this name takes it over
        finally:
            self._system.close(descriptor)

    def write(self, data: bytes | memoryview) -> None:
        """Write behind the end."""
        view = memoryview(data).cast("B")
        write_all(self._system, self._descriptor, self.path, view, self.size, "exporting")
        self.size += len(view)

    def finish(self, append: Iterable[bytes], patches: Iterable[tuple[int, bytes]]) -> None:
        """Write what makes it whole."""
        for piece in append:
            self.write(piece)
        for offset, data in patches:
            write_all(self._system, self._descriptor, self.path, data, offset, "exporting")

    def read(self, begin: int, end: int) -> bytes:
        """Bytes of it. Raises WriteError."""
        made = bytearray(end - begin)
        return bytes(memoryview(made)[: self.read_into(begin, memoryview(made))])

    def read_into(self, begin: int, memory: memoryview) -> int:
        """Bytes from ``begin`` on, as many as go into ``memory``; how many. Raises WriteError."""
        try:
            return os.preadv(self._descriptor, [memory], begin)
        except OSError as error:
            raise WriteError(self.path, begin, error, "reading back") from error

    def commit(self) -> None:
        """Sync it, give it its name without overwriting, sync the folder. Raises OutputExistsError, WriteError."""
        try:
            self._system.sync(self._descriptor)
            self._system.rename(self.temp_path, self.path, overwrite=False)
            self._system.sync_folder(self.path.parent)
        except FileExistsError:
            raise OutputExistsError(self.path, "was made by somebody else meanwhile: choose another name") from None
        except OSError as error:
            raise WriteError(self.path, self.size, error, "committing") from error
        descriptor, self._descriptor = self._descriptor, -1
        self._system.close(descriptor)
