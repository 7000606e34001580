"""Recordings at a URL that fsspec knows (s3, gs, http and others), read by ranges: only what is asked for comes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..errors import SourceError
from ..names import stem_of
from ..telemetry.table import SUFFIX, Rows, rows_in

T = TypeVar("T")
_BLOCK_BYTES = 1024 * 1024
_MOST_BLOCKS = 16
_LIVE = ("udp", "rtp", "rtsp", "rtmp", "rtmps", "srt", "tcp", "rist")
_PLAYLISTS = (".m3u8", ".mpd", ".sdp")


def remote(url: str) -> RangeStore | None:
    """What reads ``url`` by ranges; None for what is left to libavformat: unknown to fsspec, live, a playlist.

    Raises SourceError if it cannot be reached.
    """
    parts = urlsplit(url)
    if "://" not in url or parts.scheme in _LIVE or parts.path.endswith(_PLAYLISTS) or not find_spec("fsspec"):
        return None
    if parts.scheme not in import_module("fsspec").available_protocols():
        return None
    store = RangeStore(url)
    return store if store.is_ranged else None


class RangeStore:
    """A URL that does not grow. The last 16 MB that were read are kept. Raises SourceError.

    ``is_ranged`` is False if no ranges can be had of it: its size is not known, or all of it comes.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._files, self._path = self._asked(lambda: import_module("fsspec").core.url_to_fs(url))
        size = self._asked(lambda: self._files.info(self._path)["size"])
        self._size: int = size or 0
        self.is_ranged = bool(size) and len(self._fetched(0, min(2, self._size))) <= 2

    @property
    def name(self) -> str:
        """The URL."""
        return self._url

    @property
    def size(self) -> int:
        """How many bytes it had when it was opened."""
        return self._size

    @property
    def is_growing(self) -> bool:
        """It is not."""
        return False

    def read(self, begin: int, end: int) -> bytes:
        """The bytes from ``begin`` to ``end``, fewer at the end of all."""
        end = min(end, self._size)
        if begin >= end:
            return b""
        first, last = begin // _BLOCK_BYTES, (end - 1) // _BLOCK_BYTES
        data = b"".join(self._block(number) for number in range(first, last + 1))
        return data[begin - first * _BLOCK_BYTES : end - first * _BLOCK_BYTES]

    def read_into(self, begin: int, memory: memoryview) -> int:
        """The same into ``memory``; how many bytes."""
        data = self.read(begin, begin + len(memory))
        memory[: len(data)] = data
        return len(data)

    def rows(self) -> Rows | None:
        """The rows of the frame table that lies beside it; None without one."""
        place = self._path.rsplit("/", 1)
        place[-1] = stem_of(place[-1]) + SUFFIX
        try:
            return rows_in(self._asked(lambda: self._files.cat_file("/".join(place))))
        except SourceError:
            return None

    def close(self) -> None:
        """Forget what was read."""
        self._blocks.clear()

    def _block(self, number: int) -> bytes:
        found = self._blocks.get(number)
        if found is None:
            begin = number * _BLOCK_BYTES
            end = min(begin + _BLOCK_BYTES, self._size)
            found = self._fetched(begin, end)
            if len(found) != end - begin:
                raise SourceError(self._url, f"has changed: {len(found):,} of {end - begin:,} bytes came")
            self._blocks[number] = found
            if len(self._blocks) > _MOST_BLOCKS:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(number)
        return found

    def _fetched(self, begin: int, end: int) -> bytes:
        data: bytes = self._asked(lambda: self._files.cat_file(self._path, start=begin, end=end))
        return data

    def _asked(self, ask: Callable[[], T]) -> T:
        failures: tuple[Any, ...] = (OSError, ImportError, ValueError, import_module("aiohttp").ClientError)
        try:
            return ask()
        except failures as error:
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SourceError(self._url, f"cannot be read: {text}") from error
