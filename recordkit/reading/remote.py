"""Recordings at a URL that fsspec knows (s3, gs, http and others), read by ranges: only what is asked for comes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TypeVar
from urllib.parse import urlsplit

from ..errors import SourceError
from ..names import stem_of
from ..printable import discreet
from ..telemetry.table import HEADER_BYTES, SUFFIX, Rows, is_table, rows_in

T = TypeVar("T")
_BLOCK_BYTES = 1024 * 1024
_MOST_BLOCKS = 16
_LIVE = ("udp", "rtp", "rtsp", "rtmp", "rtmps", "srt", "tcp", "rist")
_PLAYLISTS = (".m3u8", ".mpd", ".sdp")
_HEAD_BYTES = 1024
_FIRST_WORDS = (b"#EXTM3U", b"v=0", b"ffconcat version", b"[playlist]")


def remote(url: str) -> RangeStore | None:
    """What reads ``url`` by ranges; None for what is left to libavformat: unknown to fsspec, live, a playlist.

    Raises SourceError if it cannot be reached, or no ranges of it can be had.
    """
    parts = urlsplit(url)
    if "://" not in url or parts.scheme in _LIVE or parts.path.endswith(_PLAYLISTS) or not find_spec("fsspec"):
        return None
    if parts.scheme not in import_module("fsspec").available_protocols():
        return None
    store = RangeStore(url)
    if _is_playlist(store.head):
        return None
    store.ensure_ranges()
    return store


def _is_playlist(head: bytes) -> bool:
    """Whether a file that begins so names others (RFC 8216, ISO/IEC 23009-1, RFC 8866)."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(_FIRST_WORDS) or b"<MPD" in head


class RangeStore:
    """A URL that does not grow. The last 16 MB that were read are kept. Raises SourceError.

    ``head`` is its first kilobyte, which comes of any.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._files, self._path = self._asked(lambda: import_module("fsspec").core.url_to_fs(url))
        self._size: int = self._asked(lambda: self._files.info(self._path).get("size")) or 0
        self.head = self._asked(lambda: self._piece(0, _HEAD_BYTES))

    def ensure_ranges(self) -> None:
        """Ask for the last byte: of a server that knows no ranges all would come, whatever is asked for.

        Raises SourceError.
        """
        if not self._size:
            raise SourceError(self._url, "its server does not say how long it is: download it, and open that")
        try:
            is_there = len(self._asked(lambda: self._piece(self._size - 1, self._size))) == 1
        except SourceError as error:
            is_there = not isinstance(error.__cause__, ValueError)
        if not is_there:
            raise SourceError(self._url, "its server sends no part of it, only all: download it, and open that")

    def _piece(self, begin: int, end: int) -> bytes:
        """Those bytes, without more than them being waited for."""
        with self._files.open(self._path, "rb", cache_type="none") as file:
            file.seek(begin)
            data: bytes = file.read(end - begin)
            return data

    @property
    def name(self) -> str:
        """The URL without its secrets."""
        return discreet(self._url)

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
        path = _table_beside(self._path)
        try:
            if not is_table(self._asked(lambda: self._files.cat_file(path, start=0, end=HEADER_BYTES))):
                return None
            return rows_in(self._asked(lambda: self._files.cat_file(path)))
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
        return asked(self._url, ask)


def asked(url: str, ask: Callable[[], T]) -> T:
    """What ``ask`` returns, which asks something of where ``url`` lies. Raises SourceError if that fails."""
    try:
        return ask()
    except Exception as error:  # each file system has errors of its own, and they have no base in common
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(url, f"cannot be read: {text}") from error


def _table_beside(path: str) -> str:
    """Where the table of the recording at ``path`` lies; of a URL what stands behind its path stays."""
    parts = urlsplit(path) if "://" in path else None
    folder, slash, name = (path if parts is None else parts.path).rpartition("/")
    beside = f"{folder}{slash}{stem_of(name)}{SUFFIX}"
    return beside if parts is None else parts._replace(path=beside).geturl()
