"""Where the bytes of a recording are read from: a file, or a partial and its tail while somebody writes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from ..errors import SourceError
from ..names import is_partial
from ..system import hold_shared, let_go_shared
from ..writer.header import HEADER_BYTES, TailHeader, boot_id, read_header

_TRIES = 8
"""A slot that is flushed while it is read is in the file afterwards: that cannot go on for ever."""


class Grows(Protocol):
    """Something that may grow."""

    @property
    def is_growing(self) -> bool:
        """Whether somebody may still add to it."""


class Store(Grows, Protocol):
    """Bytes with a size that may grow."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def size(self) -> int:
        """How many bytes there are by now."""

    def read(self, begin: int, end: int) -> bytes:
        """The bytes from ``begin`` to ``end``, fewer at the end of all. Raises SourceError."""

    def read_into(self, begin: int, memory: memoryview) -> int:
        """The same into ``memory``; how many bytes. Raises SourceError."""

    def close(self) -> None:
        """Give back what is open. May be called again."""


class FileStore:
    """A file, and, while it is being recorded, the tail that holds its end.

    It writes nothing and locks no partial, so that whoever records notices nothing of it. What is finished is
    locked together with all others that read it: it is not deleted meanwhile (``recordkit.keep``). ``tail`` is
    looked at as long as it lies there. Raises SourceError if the file cannot be opened.
    """

    def __init__(self, path: Path, tail: Path | None = None) -> None:
        self.path = path
        self._file = _open(path)
        if not is_partial(path.name):
            hold_shared(self._file)
        self._tail: int | None = None
        self._boot = boot_id()
        if tail is not None:
            try:
                self._tail = _open(tail)
            except SourceError:
                self._tail = None  # committed, or flushed and left, in this moment

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def status(self) -> os.stat_result:
        """What the system says of the file."""
        return os.fstat(self._file)

    @property
    def is_growing(self) -> bool:
        """Whether a tail may still add to it."""
        return self._tail is not None and self.path.name != "" and self._has_name()

    def _has_name(self) -> bool:
        try:
            return os.stat(self.path).st_ino == os.fstat(self._file).st_ino  # noqa: PTH116 - by name, at once
        except OSError:
            return False

    @property
    def size(self) -> int:
        """Bytes in the file and, behind them, in the tail."""
        size = os.fstat(self._file).st_size
        header = self._header()
        return max(size, *(slot.end for slot in header.slots)) if header is not None and header.slots else size

    def read(self, begin: int, end: int) -> bytes:
        """The bytes from ``begin`` to ``end``, from the tail as far as the file has not got them yet."""
        for _ in range(_TRIES):
            header = self._header()
            in_file = os.fstat(self._file).st_size
            data = self._pread(self._file, begin, min(end, in_file))
            if len(data) == end - begin or header is None or self._tail is None:
                return data
            at = begin + len(data)
            for slot in header.slots:
                if slot.offset <= at < slot.end and at < end:
                    start = slot.start + at - slot.offset
                    data += self._pread(self._tail, start, start + min(end, slot.end) - at)
                    at = begin + len(data)
            # Overtaken: a slot that was flushed and filled anew meanwhile holds other bytes.
            if self._places(self._header()) == self._places(header):
                return data
        raise SourceError(self.name, "is written faster than it can be read here")

    def read_into(self, begin: int, memory: memoryview) -> int:
        """The bytes from ``begin`` on into ``memory``, as many as there are; their count."""
        if self._tail is not None:
            data = self.read(begin, begin + len(memory))
            memory[: len(data)] = data
            return len(data)
        done = 0
        while done < len(memory):
            try:
                count = os.preadv(self._file, [memory[done:]], begin + done)
            except OSError as error:
                raise SourceError(self.name, f"cannot be read: {error.strerror}") from error
            if not count:
                break
            done += count
        return done

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self._file, self._tail):
            if descriptor is not None and descriptor >= 0:
                let_go_shared(descriptor)
                os.close(descriptor)
        self._file, self._tail = -1, None

    def _header(self) -> TailHeader | None:
        if self._tail is None:
            return None
        try:
            header = read_header(os.pread(self._tail, HEADER_BYTES, 0), self._boot)
        except OSError as error:
            raise SourceError(self.name, f"its tail cannot be read: {error.strerror}") from error
        # What is laid early does not stay where it is.
        return None if header is not None and header.is_early else header

    @staticmethod
    def _places(header: TailHeader | None) -> tuple[tuple[int, int], ...]:
        return () if header is None else tuple((slot.offset, slot.start) for slot in header.slots)

    def _pread(self, descriptor: int, begin: int, end: int) -> bytes:
        parts = []
        while begin < end:
            try:
                data = os.pread(descriptor, end - begin, begin)
            except OSError as error:
                raise SourceError(self.name, f"cannot be read: {error.strerror}") from error
            if not data:
                break
            parts.append(data)
            begin += len(data)
        return b"".join(parts)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SourceError(str(path), f"cannot be opened: {error.strerror}") from error
