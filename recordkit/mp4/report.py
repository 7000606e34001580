"""Result types of a scan: events as it goes, and a report of constant size."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .entries import Described, Entry

PROBLEMS_KEPT = 20
"""Problems of each kind that are kept in the report; all are counted."""


class ProblemKind(StrEnum):
    """What can be wrong with an MP4 file."""

    NOT_MP4 = "not an MP4 file"
    LOST_BOXES = "lost boxes"
    CUT_BOX = "cut box"
    MALFORMED_BOX = "malformed box"
    MISSING_MOVIE = "missing moov"
    UNKNOWN_TRACK = "unknown track"
    MISSING_CHUNKS = "missing chunks"
    SAMPLE_OUTSIDE = "sample outside its mdat"
    DTS_NOT_INCREASING = "DTS not increasing"
    TABLES_DIFFER = "sample tables differ from the chunks"


@dataclass(frozen=True, slots=True)
class ProblemEvent:
    """One fault, at byte ``offset`` of the file; ``track`` is None if it concerns no track."""

    kind: ProblemKind
    offset: int
    track: int | None
    detail: str


class Sample(NamedTuple):
    """One sample of a chunk: where its bytes lie, and its times in the track's own units.

    ``description`` is the number of its sample entry in the movie that holds, from 1. ``breaks`` says that media is
    missing before it.
    """

    track: int
    offset: int
    size: int
    dts: int
    pts: int
    duration: int
    keyframe: bool
    description: int
    breaks: bool = False


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a ``trex`` says of a track's samples."""

    description: int = 1
    duration: int = 0
    size: int = 0
    flags: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The samples of a track as its ``moov`` lists them, column by column; ``breaks`` as in Sample."""

    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    dts: NDArray[np.int64]
    pts: NDArray[np.int64]
    keyframes: NDArray[np.bool_]
    breaks: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.offsets)


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One ``trak``: ``edits`` are (duration in the movie's units, media time, rate).

    ``entries`` are its sample entries as they are, ``described`` what they say. Times of its fragments are
    told ``ahead`` later than they are written, and so are its edits: as those of the other tracks.
    """

    number: int
    handler: str
    rate: int
    language: str | None
    entries: tuple[Entry, ...]
    described: tuple[Described, ...]
    edits: tuple[tuple[int, int, int], ...] = ()
    defaults: Defaults | None = None
    duration: int = 0
    table: Table | None = None
    ahead: int = 0

    @property
    def is_video(self) -> bool:
        """Whether it carries video."""
        return self.handler == "vide"


@dataclass(frozen=True, slots=True, eq=False)
class MovieEvent:
    """A ``moov`` between ``offset`` and ``end``; ``rate`` is the movie's time scale.

    ``fragmented`` says that fragments follow, and ``samples`` how many it lists itself.
    """

    offset: int
    end: int
    rate: int
    tracks: tuple[Track, ...]
    fragmented: bool
    samples: int


@dataclass(frozen=True, slots=True)
class ChunkEvent:
    """A whole ``moof`` with its ``mdat``, between ``offset`` and ``end``, and the samples in it.

    ``payload`` are the bytes from ``payload_offset`` on, when the scanner was asked for them.
    """

    offset: int
    end: int
    samples: tuple[Sample, ...]
    payload_offset: int
    payload: bytes

    def data(self, sample: Sample) -> bytes:
        """A sample's bytes."""
        at = sample.offset - self.payload_offset
        return self.payload[at : at + sample.size]


Event = MovieEvent | ChunkEvent | ProblemEvent


@dataclass(frozen=True, slots=True)
class TrackReport:
    """Counts of one track; times in units of 1/``rate`` s, first and last in the order of the file."""

    track: int
    rate: int
    samples: int
    keyframes: int
    bytes: int
    first_dts: int
    last_dts: int


@dataclass(frozen=True, slots=True)
class ScanReport:
    """A snapshot of everything scanned until now.

    ``usable_end`` is where the last whole chunk ends (or the last ``moov`` before any): what stands
    behind it is no media. ``front`` is where the box lies that the finish turns (None when there is
    none), ``finished`` says that the file is a plain MP4 with a whole ``moov`` of its samples.
    """

    bytes: int
    chunks: int
    usable_end: int
    front: int | None
    finished: bool
    tracks: tuple[TrackReport, ...]
    problem_counts: dict[ProblemKind, int]
    problems: tuple[ProblemEvent, ...]
