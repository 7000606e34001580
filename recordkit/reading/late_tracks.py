"""An MP4 in fragments, as if all its streams had been there from the beginning."""

from __future__ import annotations

from collections.abc import Iterator

from ..mp4.boxes import BoxError, parse_header
from ..mp4.reading import read_movie
from .store import Store

_MOOV = b"moov"
_HEADER_BYTES = 8
_PIECE_BYTES = 4 << 20
_LARGEST_BYTES = 1 << 20
"""Of a ``moov`` whose samples are in fragments."""


def front_of_all(store: Store, size: int) -> tuple[bytes, int]:
    """What to read for the beginning of the first ``size`` bytes, and where it ends in them.

    In the place of the ``moov`` in front stands the one that first has all streams: libavformat reads the first
    alone, and leaves out the streams that begin later. Nothing, and 0, where there is no other. Raises SourceError.
    """
    front: tuple[int, int] | None = None
    whole, most = (0, 0), 0
    for at, count, tracks in _movies(store, size):
        if front is None:
            front = at, count
        if tracks > most:
            whole, most = (at, count), tracks
    if front is None or whole == front:
        return b"", 0
    return store.read(0, front[0]) + store.read(whole[0], sum(whole)), sum(front)


def _movies(store: Store, size: int) -> Iterator[tuple[int, int, int]]:
    """Begin, bytes and number of tracks of each ``moov``, found by its name: of boxes there is one a frame."""
    for begin in range(0, size, _PIECE_BYTES):
        end = min(begin + _PIECE_BYTES + len(_MOOV) - 1, size)
        data = store.read(begin, end)
        found = data.find(_MOOV)
        while found >= 0:
            at = begin + found - len(_MOOV)
            tracks = _tracks(store, at, size) if at >= 0 else None
            if tracks is not None:
                yield at, *tracks
            found = data.find(_MOOV, found + 1)


def _tracks(store: Store, at: int, size: int) -> tuple[int, int] | None:
    """Bytes and number of tracks of the ``moov`` at ``at``; None if that only looks like one."""
    try:
        head = parse_header(store.read(at, min(at + _HEADER_BYTES, size)))
        if head is None or not _HEADER_BYTES < head[2] <= min(_LARGEST_BYTES, size - at):
            return None
        movie = read_movie(store.read(at, at + head[2]), at)
    except BoxError:
        return None
    return (head[2], len(movie.tracks)) if movie.fragmented else None
