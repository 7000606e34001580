"""What a scan counts, and the faults that it finds: of constant size, whatever the file."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from zlib import crc32

import numpy as np

from .report import PROBLEMS_KEPT, Event, MovieEvent, ProblemEvent, ProblemKind, Sample, Track, TrackReport

_PLACE = Struct(">QQ")
PLACE_BYTES = _PLACE.size
_RANGES_KEPT = 1000


@dataclass(slots=True)
class Counts:
    """Of one track; ``places`` is a checksum over where its samples lie."""

    rate: int
    samples: int = 0
    keyframes: int = 0
    bytes: int = 0
    first_dts: int = 0
    last_dts: int = 0
    end: int = 0
    places: int = 0


class Ledger:
    """Tracks, counts, faults, and the events that are not yet given away."""

    def __init__(self) -> None:
        self.tracks: dict[int, Track] = {}
        self.events: list[Event] = []
        self.problem_counts: dict[ProblemKind, int] = {}
        self.problems: list[ProblemEvent] = []
        self._counts: dict[int, Counts] = {}
        self.ranges: list[tuple[int, int]] = []
        """Where there is media without a fragment, or that of all fragments."""

    @property
    def reports(self) -> tuple[TrackReport, ...]:
        """Of each track that has samples."""
        return tuple(
            TrackReport(number, one.rate, one.samples, one.keyframes, one.bytes, one.first_dts, one.last_dts)
            for number, one in sorted(self._counts.items())
            if one.samples
        )

    @property
    def ends(self) -> dict[int, int]:
        """Where the last sample of each track ends in time."""
        return {number: one.end for number, one in self._counts.items()}

    def problem(self, kind: ProblemKind, offset: int, detail: str, track: int | None = None) -> None:
        """Note a fault."""
        count = self.problem_counts.get(kind, 0)
        self.problem_counts[kind] = count + 1
        found = ProblemEvent(kind, offset, track, detail)
        if count < PROBLEMS_KEPT:
            self.problems.append(found)
        self.events.append(found)

    def range(self, begin: int, end: int) -> None:
        """Media without a fragment lies between."""
        if len(self.ranges) < _RANGES_KEPT:
            self.ranges.append((begin, end))

    def movie(self, movie: MovieEvent) -> None:
        """From here on its tracks hold."""
        self.tracks |= {track.number: track for track in movie.tracks}
        for track in movie.tracks:
            counts = self._counts.setdefault(track.number, Counts(track.rate))
            table = track.table
            if table is not None and not counts.samples:
                counts.samples, counts.keyframes = len(table), int(table.keyframes.sum())
                counts.bytes, counts.last_dts = int(table.sizes.sum()), int(table.dts[-1])
                counts.end = track.duration

    def sample(self, sample: Sample) -> None:
        """One sample of a chunk."""
        counts = self._counts[sample.track]
        if not counts.samples:
            counts.first_dts = sample.dts
        elif sample.dts <= counts.last_dts:
            detail = f"DTS {sample.dts:,} comes behind {counts.last_dts:,}"
            self.problem(ProblemKind.DTS_NOT_INCREASING, sample.offset, detail, sample.track)
        counts.samples += 1
        counts.keyframes += sample.keyframe
        counts.bytes += sample.size
        counts.last_dts, counts.end = sample.dts, sample.dts + sample.duration
        counts.places = crc32(_PLACE.pack(sample.offset, sample.size), counts.places)

    def agrees(self, movie: MovieEvent) -> bool:
        """Whether the tables of a finished recording say what its chunks say."""
        tables = {track.number: track.table for track in movie.tracks}
        agreed = True
        for number, counts in self._counts.items():
            table, listed, places = tables.get(number), 0, 0
            if table is not None:
                listed = len(table)
                places = crc32(np.stack([table.offsets, table.sizes], axis=1).astype(">u8").tobytes())
            if (counts.samples, counts.places) != (listed, places):
                agreed = False
                detail = f"the chunks have {counts.samples:,} samples, the tables {listed:,}"
                self.problem(ProblemKind.TABLES_DIFFER, movie.offset, detail, number)
        return agreed

    def check_places(self, end: int) -> None:
        """The samples of a plain file of ``end`` bytes lie inside its ``mdat`` boxes."""
        if not self.ranges or len(self.ranges) >= _RANGES_KEPT:
            return
        ranges = np.array(sorted(self.ranges), np.int64)
        for number, track in self.tracks.items():
            table = track.table
            if table is None:
                continue
            which = np.searchsorted(ranges[:, 0], table.offsets, "right") - 1
            inside = (which >= 0) & (table.offsets + table.sizes <= np.minimum(ranges[which, 1], end))
            outside = int((~inside).sum())
            if outside:
                detail = f"{outside:,} of {len(table):,} samples lie where the file has no media"
                self.problem(ProblemKind.SAMPLE_OUTSIDE, 0, detail, number)
