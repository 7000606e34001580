"""Result types of a scan: events as it goes, and a report of constant size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from .payload import Payload, Positions
from .tables import ProgramMap

PROBLEMS_KEPT = 20
"""Problems of each kind that are kept in the report; all are counted."""


class ProblemKind(StrEnum):
    """What can be wrong with a transport stream."""

    NOT_TRANSPORT_STREAM = "not a transport stream"
    SYNC_LOST = "lost sync"
    CUT_PACKET = "cut packet"
    MALFORMED_PACKET = "malformed packet"
    TRANSPORT_ERROR = "transport error"
    SCRAMBLED = "scrambled"
    CONTINUITY = "continuity"
    WRONG_CRC = "wrong CRC"
    MALFORMED_TABLE = "malformed table"
    MISSING_TABLES = "missing tables"
    MALFORMED_PES = "malformed PES header"
    PES_TOO_SHORT = "PES shorter than its length"
    PES_TOO_LONG = "PES longer than its length"
    OVERSIZE_PES = "oversize PES"
    DTS_NOT_INCREASING = "DTS not increasing"
    DTS_AFTER_PTS = "DTS after PTS"
    TIMESTAMP_JUMP = "timestamp jump"
    PCR_GAP = "PCR gap"
    PCR_BACK = "PCR goes back"
    DTS_BEHIND_PCR = "DTS behind PCR"
    DTS_FAR_BEHIND_PCR = "DTS far behind PCR"


@dataclass(frozen=True, slots=True)
class ProblemEvent:
    """One fault, at byte ``offset`` of the stream; ``pid`` is None if it concerns no PID."""

    kind: ProblemKind
    offset: int
    pid: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class TablesEvent:
    """A PMT that is new or says something new, complete with the packet at ``offset``."""

    offset: int
    pid: int
    program: ProgramMap


@dataclass(frozen=True, slots=True)
class PesEvent:
    """One PES packet of a stream that a PMT lists.

    ``offset`` is where its first transport packet begins (bytes); ``pts`` and ``dts`` are
    unwrapped ticks or None, and ``dts`` is ``pts`` if none was sent. ``discontinuity``: the
    PID's discontinuity_indicator was set since the PES before. ``data`` is elementary stream
    (empty if the scanner was asked to leave it out), ``payload_bytes`` its length even then.
    ``complete`` is False if packets are missing, or it ended before its stated length.
    """

    pid: int
    offset: int
    pts: int | None
    dts: int | None
    random_access: bool
    discontinuity: bool
    data: bytes
    payload_bytes: int
    complete: bool


@dataclass(frozen=True, slots=True, eq=False)
class PesColumns:
    """PES packets of one stream, one behind the other, all complete and with timestamps, none flagged.

    The columns say of each what ``PesEvent`` says of one; its data are the bytes from ``begin``
    to ``end`` of ``payload``, which can be read until the scanner is given more.
    """

    pid: int
    offset: Positions
    pts: Positions
    dts: Positions
    random_access: npt.NDArray[np.bool_]
    begin: Positions
    end: Positions
    payload: Payload

    def __len__(self) -> int:
        return len(self.offset)

    def events(self, payload: bool = True) -> Iterator[PesEvent]:
        """The same, one by one; without ``payload`` with no data."""
        columns = (self.offset, self.pts, self.dts, self.random_access, self.begin, self.end)
        for offset, pts, dts, random_access, begin, end in zip(*(one.tolist() for one in columns), strict=True):
            data = self.payload.bytes(begin, end) if payload else b""
            yield PesEvent(self.pid, offset, pts, dts, random_access, False, data, end - begin, True)


Event = TablesEvent | PesEvent | PesColumns | ProblemEvent


@dataclass(frozen=True, slots=True)
class PidReport:
    """Counts of one PID. Timestamps are unwrapped ticks, first and last in the order of the file.

    ``payload_bytes`` counts what transport packets carry behind their headers; ``scrambled``
    counts packets, ``random_access`` PES packets with random_access_indicator.
    """

    pid: int
    packets: int
    payload_bytes: int
    pes_packets: int
    random_access: int
    scrambled: int
    first_pts: int | None
    last_pts: int | None
    first_dts: int | None
    last_dts: int | None


@dataclass(frozen=True, slots=True)
class ScanReport:
    """A snapshot of everything scanned until now.

    ``bytes`` were fed, ``packets`` were in sync; ``packet_bytes`` is 188, 192, 204, or 0 while
    unknown. PCRs are unwrapped ticks of the first program's clock; the intervals are the largest
    seen, in seconds of that clock. ``problem_counts`` has all, ``problems`` the first
    ``PROBLEMS_KEPT`` of each kind in the order of the file.
    """

    bytes: int
    packets: int
    null_packets: int
    packet_bytes: int
    first_pcr: int | None
    last_pcr: int | None
    pcr_interval_s: float
    pat_interval_s: float
    pmt_interval_s: float
    programs: tuple[ProgramMap, ...]
    pids: tuple[PidReport, ...]
    problem_counts: dict[ProblemKind, int]
    problems: tuple[ProblemEvent, ...]


class ProblemLog:
    """Counts problems and keeps the first few of each kind."""

    __slots__ = ("_kept", "counts")

    def __init__(self) -> None:
        self.counts: dict[ProblemKind, int] = {}
        self._kept: list[ProblemEvent] = []

    def add(self, problem: ProblemEvent) -> None:
        """Notes one more."""
        count = self.counts.get(problem.kind, 0)
        self.counts[problem.kind] = count + 1
        if count < PROBLEMS_KEPT:
            self._kept.append(problem)

    @property
    def kept(self) -> tuple[ProblemEvent, ...]:
        """The problems that were kept."""
        return tuple(self._kept)
