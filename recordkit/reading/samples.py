"""The frames of a finished MP4 by the sample tables of its ``moov``: nothing else of the file is read to find them.

Only of files of which libavformat makes the same of their tables: whole, not in fragments, one edit at most, that
leaves nothing out.
"""

from __future__ import annotations

from itertools import islice

import numpy as np
import numpy.typing as npt

from ..mp4.boxes import BoxError, top_level
from ..mp4.reading import read_movie
from ..mp4.report import MovieEvent, Track
from ..telemetry.table import DISCONTINUITY, HIDDEN, KEYFRAME, NO_ERROR, Rows
from .index import UNIT
from .store import Store

LARGEST_MOVIE_BYTES = 1 << 28
_MOST_BOXES = 1000
_USUAL_SPEED = 0x1_0000
_MOST_DELAY = (1 << 31) - 1


def sample_rows(store: Store, number: int) -> npt.NDArray[np.void] | None:
    """The units of track ``number``, in units of its time scale; None if a scan has to find them.

    Nothing in them says when they were taken. Raises SourceError if the file cannot be read.
    """
    try:
        movie = _movie(store)
    except BoxError:
        return None
    track = None if movie is None else next((one for one in movie.tracks if one.number == number), None)
    if movie is None or movie.fragmented or track is None or track.table is None:
        return None
    table, shift = track.table, _shift(movie, track)
    delay = table.pts - table.dts
    if shift is None or len({one.kind for one in track.described}) != 1 or not _is_plain(delay):
        return None
    if not (table.sizes > 0).all() or int((table.offsets + table.sizes).max()) > store.size:
        return None
    rows = np.zeros(len(table), UNIT)
    rows["pts"], rows["delay"] = table.pts + shift, delay
    rows["offset"], rows["bytes"], rows["error_us"] = table.offsets, table.sizes, NO_ERROR
    rows["flags"][table.keyframes] = KEYFRAME
    rows["flags"][table.breaks] |= DISCONTINUITY
    return rows


def take_over(units: npt.NDArray[np.void], rows: Rows | None) -> bool:
    """Say of ``units`` what their frame table does: when each was taken, what is missing before, which are fields.

    Of a recording that was killed the table ends before its units do. False if it does not tell of all of them.
    """
    if rows is None or len(rows) > len(units) or not (rows["bytes"] == units["bytes"][: len(rows)]).all():
        return False
    told = units[: len(rows)]
    dated = rows["captured_by"] > 0
    for name in ("captured_ns", "captured_by", "error_us"):
        told[name][dated] = rows[name][dated]
    told["flags"] |= rows["flags"] & (HIDDEN | DISCONTINUITY)
    return len(told) == len(units)


def _is_plain(delay: npt.NDArray[np.int64]) -> bool:
    return int(delay.min()) >= 0 and int(delay.max()) <= _MOST_DELAY


def _movie(store: Store) -> MovieEvent | None:
    """The first ``moov`` that stands in the file itself, not in another box. Raises BoxError."""
    for kind, at, count in islice(top_level(store.read, store.size), _MOST_BOXES):
        if kind == "moof":
            return None
        if kind == "moov":
            if count > LARGEST_MOVIE_BYTES or at + count > store.size:
                return None
            return read_movie(store.read(at, at + count), at)
    return None


def _shift(movie: MovieEvent, track: Track) -> int | None:
    """What its edit list adds to all times; None if it does anything else (ISO/IEC 14496-12, 8.6.6)."""
    table, empty = track.table, 0
    edits = list(track.edits)
    if table is None or (edits and not movie.rate):
        return None
    if edits and edits[0][1] < 0:
        empty = round(edits.pop(0)[0] * track.rate / movie.rate)
    if not edits:
        return empty
    if len(edits) > 1:
        return None
    duration, begin, speed = edits[0]
    # What begins at the end is not shown, as libavformat has it.
    end = begin + round(duration * track.rate / movie.rate) if duration else table.pts.max() + 1
    if speed != _USUAL_SPEED or begin < 0 or int(table.pts.min()) < begin or int(table.pts.max()) >= end:
        return None
    return empty - begin
