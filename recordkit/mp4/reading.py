"""Reads ``moov`` and ``moof``: whole boxes in memory, values out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from .boxes import Box, BoxError, Parsed, boxes, child, parse
from .entries import Described, Entry, parse_entry
from .movie import BREAK_FLAG
from .report import Defaults, MovieEvent, Sample, Table, Track
from .samples import BREAK

_NON_SYNC = 0x1_0000
"""sample_is_non_sync_sample (8.8.3.1)."""
_MOST_SAMPLES = 1 << 27
_PRIORITY = 0xFFFF
_DURATION_IS_EMPTY = 0x1_0000
_NO_COLUMN: NDArray[np.int64] = np.zeros(0, np.int64)


def _full(data: bytes, parent: Box, *path: str) -> Parsed | None:
    found = child(data, parent, *path)
    return None if found is None else parse(found.kind, data, found.start, found.end)


def _needed(data: bytes, parent: Box, *path: str) -> Parsed:
    found = _full(data, parent, *path)
    if found is None:
        raise BoxError(f"{parent.kind} has no {path[-1]}")
    return found


def read_movie(data: bytes, offset: int) -> MovieEvent:
    """Reads a whole ``moov`` (8.2.1), which lies at ``offset`` of its file. Raises BoxError."""
    movie = next(boxes(data))
    head = _needed(data, movie, "mvhd")
    extends = child(data, movie, "mvex")
    defaults: dict[int, Defaults] = {}
    if extends is not None:
        for one in boxes(data, extends.start, extends.end):
            if one.kind == "trex":
                read = parse("trex", data, one.start, one.end)
                defaults[read["track_id"]] = Defaults(
                    read["description"], read["duration"], read["size"], read["sample_flags"]
                )
    tracks = tuple(
        _read_track(data, one, defaults) for one in boxes(data, movie.start, movie.end) if one.kind == "trak"
    )
    samples = sum(len(track.table) for track in tracks if track.table is not None)
    if extends is not None and not samples:
        tracks = _aligned(tracks)
    return MovieEvent(offset, offset + movie.end, head["timescale"], tracks, extends is not None, samples)


def _aligned(tracks: tuple[Track, ...]) -> tuple[Track, ...]:
    """Tracks whose edit lists show one media time first: so times of fragments compare as what is shown does.

    Tracks with other edits than one, from a media time on, are left as they are, and so are all beside them.
    """
    if not all(len(track.edits) < 2 and all(edit[1] >= 0 for edit in track.edits) for track in tracks):
        return tracks
    begins = [track.edits[0][1] if track.edits else 0 for track in tracks]
    latest = max((Fraction(begin, track.rate) for begin, track in zip(begins, tracks, strict=True)), default=0)
    aligned = []
    for begin, track in zip(begins, tracks, strict=True):
        ahead = round(latest * track.rate) - begin
        lasts, _, rate = track.edits[0] if track.edits else (0, 0, 1 << 16)
        edits = ((lasts, begin + ahead, rate),) if ahead else track.edits
        aligned.append(replace(track, edits=edits, ahead=ahead))
    return tuple(aligned)


def _read_track(data: bytes, track: Box, defaults: Mapping[int, Defaults]) -> Track:
    number = _needed(data, track, "tkhd")["track_id"]
    head, handler = _needed(data, track, "mdia", "mdhd"), _needed(data, track, "mdia", "hdlr")["handler"]
    table = child(data, track, "mdia", "minf", "stbl")
    if table is None:
        raise BoxError("trak has no stbl")
    if not head["timescale"]:
        raise BoxError("mdhd has a time scale of 0")
    edits = _full(data, track, "edts", "elst")
    entries = tuple(_read_entries(data, table))
    return Track(
        number,
        handler.to_bytes(4).decode("latin-1"),
        head["timescale"],
        _language(head["language"]),
        tuple(entry for entry, _ in entries),
        tuple(described for _, described in entries),
        () if edits is None else tuple((int(a), int(b), int(c)) for a, b, c in edits.rows.tolist()),
        defaults.get(number),
        head["duration"],
        _read_table(data, table),
    )


def _language(packed: int) -> str | None:
    letters = "".join(chr((packed >> shift & 0x1F) + 0x60) for shift in (10, 5, 0))
    return letters if letters.isalpha() and letters.isascii() and letters != "und" else None


def _read_entries(data: bytes, table: Box) -> Iterator[tuple[Entry, Described]]:
    found = child(data, table, "stsd")
    if found is None:
        raise BoxError("stbl has no stsd")
    head = parse("stsd", data, found.start, found.end)
    for one in boxes(data, head.rest, found.end):
        described = parse_entry(data, one)
        # The header of a sample entry is never the long one: it lies right before its payload.
        yield Entry(data[one.start - 8 : one.end], described.width, described.height), described


def _spread(values: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    if counts.sum() > _MOST_SAMPLES:
        raise BoxError("a table of more samples than can be")
    return np.repeat(values, counts)


def _column(read: Parsed | None, name: str) -> NDArray[np.int64]:
    return _NO_COLUMN if read is None or not len(read.rows) else read.rows[name].astype(np.int64)


def _read_table(data: bytes, table: Box) -> Table | None:
    """The samples that a ``stbl`` lists (8.6, 8.7); None when it lists none."""
    sizes = _needed(data, table, "stsz") if child(data, table, "stsz") else None
    if sizes is None or not sizes["count"]:
        return None
    count = sizes["count"]
    if count > _MOST_SAMPLES:
        raise BoxError("a table of more samples than can be")
    each = np.full(count, sizes["each"], np.int64) if sizes["each"] else _column(sizes, "size")
    times = _needed(data, table, "stts")
    steps = _spread(_column(times, "delta"), _column(times, "count"))
    shifts = _full(data, table, "ctts")
    dts = np.zeros(count, np.int64)
    if len(steps) < count:
        raise BoxError("stts has fewer samples than stsz")
    dts[1:] = np.cumsum(steps[: count - 1])
    pts = dts if shifts is None else dts + _spread(_column(shifts, "offset"), _column(shifts, "count"))[:count]
    keyframes = np.ones(count, np.bool_)
    sync = _full(data, table, "stss")
    if sync is not None:
        numbers = _column(sync, "number")
        keyframes[:] = False
        keyframes[numbers[(numbers > 0) & (numbers <= count)] - 1] = True
    return Table(_offsets(data, table, each), each, dts, pts, keyframes, _breaks(data, table, count))


def _breaks(data: bytes, table: Box, count: int) -> NDArray[np.bool_]:
    """Before which samples media is missing, by recordkit's own sample group."""
    breaks = np.zeros(count, np.bool_)
    for one in boxes(data, table.start, table.end):
        # Of others' groups, and of other versions, nothing is read.
        if one.kind == "sbgp" and data[one.start : one.start + 8] == bytes(4) + BREAK:
            read = parse("sbgp", data, one.start, one.end)
            groups = _spread(_column(read, "group"), _column(read, "samples"))[:count]
            breaks[: len(groups)] = groups == 1
    return breaks


def _offsets(data: bytes, table: Box, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each sample lies, by chunks (8.7.4, 8.7.5)."""
    chunks = _column(_full(data, table, "stco") or _needed(data, table, "co64"), "offset")
    runs = _needed(data, table, "stsc")
    firsts, samples = _column(runs, "first_chunk"), _column(runs, "samples")
    if not len(firsts) or firsts[0] != 1 or (np.diff(firsts) <= 0).any():
        raise BoxError("stsc does not begin with the first chunk, or goes back")
    per_chunk = _spread(samples, np.maximum(np.diff(np.append(firsts, len(chunks) + 1)), 0))[: len(chunks)]
    owners = _spread(np.arange(len(per_chunk)), per_chunk)[: len(sizes)]
    if len(owners) < len(sizes):
        raise BoxError("there are fewer chunks than samples need")
    before = np.cumsum(sizes) - sizes
    first_of_chunk = np.cumsum(per_chunk) - per_chunk
    starts = np.where(first_of_chunk < len(sizes), before[np.minimum(first_of_chunk, len(sizes) - 1)], 0)
    return chunks[owners] + before - starts[owners]


@dataclass(frozen=True, slots=True)
class Fragment:
    """A ``moof``: its number, its samples, and the tracks that it names and no movie does."""

    number: int
    samples: tuple[Sample, ...]
    unknown: tuple[int, ...]


def read_fragment(
    data: bytes, offset: int, tracks: Mapping[int, Track], ends: Mapping[int, int], origin: int = 0
) -> Fragment:
    """Reads a whole ``moof`` (8.8.4) at ``offset``; ``ends`` says where each track stands without a tfdt.

    Places in the file are counted from ``origin``.

    Raises BoxError.
    """
    head = next(boxes(data))
    number = _needed(data, head, "mfhd")["number"]
    samples: list[Sample] = []
    unknown: list[int] = []
    behind = offset  # where the data of the traf before ends: what follows without a base begins there (8.8.7.1)
    for one in boxes(data, head.start, head.end):
        if one.kind != "traf":
            continue
        stated = _needed(data, one, "tfhd")
        track = tracks.get(stated["track_id"])
        if track is None:
            unknown.append(stated["track_id"])
            continue
        usual = track.defaults or Defaults()
        fields = stated.fields
        base = offset if stated.flags & 0x2_0000 or not samples else behind
        base = fields["base_offset"] + origin if "base_offset" in fields else base
        time = _full(data, one, "tfdt")
        at_time = ends.get(track.number, track.ahead) if time is None else time["time"] + track.ahead
        description = fields.get("description", usual.description)
        duration, size = fields.get("duration", usual.duration), fields.get("size", usual.size)
        flags = fields.get("sample_flags", usual.flags)
        at = base
        for run in boxes(data, one.start, one.end):
            if run.kind != "trun":
                continue
            read = parse("trun", data, run.start, run.end)
            at = base + read["data_offset"] if "data_offset" in read.fields else at
            if read["count"] > len(data) and not len(read.rows):
                raise BoxError("trun has more samples than can be")
            names = read.rows.dtype.names or ()
            rows = read.rows.tolist() if len(read.rows) else [()] * read["count"]
            for place, row in enumerate(rows):
                values = dict(zip(names, row, strict=False)) if row else {}
                first = place == 0 and "first_flags" in read.fields
                its_flags = read["first_flags"] if first else values.get("sample_flags", flags)
                its_size, lasts = values.get("size", size), values.get("duration", duration)
                shown = at_time + values.get("offset", 0)
                samples.append(
                    Sample(
                        track.number,
                        at,
                        its_size,
                        at_time,
                        shown,
                        lasts,
                        not its_flags & _NON_SYNC,
                        description,
                        its_flags & _PRIORITY == BREAK_FLAG,
                    )
                )
                at += its_size
                at_time += lasts
        behind = at
    return Fragment(number, tuple(samples), tuple(unknown))
