"""Which file a source is read from: its final one, or its partial and tail while it is written."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from ..errors import SourceError
from ..names import TAIL_SUFFIX, is_partial, partial_of, stem_of
from .store import Store


def named(source: Any) -> Any:  # noqa: ANN401 - whatever has a path
    """What ``source`` is opened by: the path of a Recording or Session, the place of a Video, else itself."""
    return getattr(source, "place", None) or getattr(source, "path", source)


def located(source: Any) -> tuple[Path, Path | None]:  # noqa: ANN401 - whatever has a path
    """The file of ``source`` (a path, a Recording or a Session), and its tail if it is a partial.

    Raises SourceError if it has no file, or none is there.
    """
    given = named(source)
    if given is None:
        raise SourceError(repr(source), "has no file: no media came")
    if not isinstance(given, str | os.PathLike):
        raise SourceError(repr(source), "give a path, a Recording or a Session")
    path = Path(os.fspath(given)).expanduser()
    partial = path.with_name(partial_of(path.name))
    try:
        if not path.exists() and partial.exists():
            path = partial
        if path.is_dir():
            raise SourceError(str(path), "is a folder: name a file in it")
        tail = path.with_name(stem_of(path.name) + TAIL_SUFFIX)
        return path, tail if is_partial(path.name) and tail.exists() else None
    except OSError as error:
        raise SourceError(str(path), f"cannot be opened: {error.strerror}") from error


class StoredFile(io.RawIOBase):
    """What a store holds by now, as a file to read: what is written meanwhile is left out.

    With ``begin`` and ``end`` only the bytes between them, behind ``head``.
    """

    def __init__(self, store: Store, begin: int = 0, end: int | None = None, *, head: bytes = b"") -> None:
        super().__init__()
        self.name = store.name
        self._store, self._head = store, head
        self._shift = begin - len(head)
        self._size = max((store.size if end is None else min(end, store.size)) - self._shift, len(head))
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """The place."""
        return self._at

    def read(self, count: int = -1) -> bytes:
        """The next bytes. Raises SourceError."""
        end = self._size if count < 0 else min(self._size, self._at + count)
        data = self._head[self._at : end]
        begin = self._at + len(data)
        if begin < end:
            data += self._store.read(begin + self._shift, end + self._shift)
        self._at += len(data)
        return data
