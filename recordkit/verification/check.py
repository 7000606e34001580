"""Holds a transport stream against the standard while it is read, whatever it is read from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..mpegts.pes import AUDIO, VIDEO
from ..mpegts.report import Event, PesColumns, PesEvent, ProblemKind, ScanReport, TablesEvent
from ..mpegts.scanner import Scanner
from ..telemetry.words import codec_text, count_text
from ..ticks import TICKS_PER_SECOND
from .facts import StreamFacts

CHUNK_BYTES = 108 * 153_408
"""So much is best fed at once: some 17 MB of whole packets of each of the sizes 188, 192 and 204.

What is cut has to be copied, and each piece costs a millisecond before its first byte is looked at.
"""
_FEW_SQUEEZED = 3
_SQUEEZED_SHARE = 0.05
"""A frame that came late is laid right behind the one before; many are a fault of the times."""
_LATE_S = 1
_NOTES = frozenset({ProblemKind.DTS_BEHIND_PCR.value})


@dataclass(frozen=True, slots=True)
class Problem:
    """All faults of one kind: how many, the first one's byte offset (None: no one place) and words."""

    kind: str
    count: int
    offset: int | None
    detail: str


class Check:
    """Takes a transport stream in pieces; after ``close`` it says what is in it, and what is wrong.

    ``facts`` are the streams by PID, ``problems`` what is wrong, ``notes`` what only a strict reader minds. The
    first byte is that at ``offset`` of the file.
    """

    demuxer = "mpegts"
    stream_name = "PID 0x{:04X}"

    def __init__(self, offset: int = 0) -> None:
        self.facts: dict[int, StreamFacts] = {}
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self._scanner = Scanner(columns=True, offset=offset)

    def feed(self, data: bytes | memoryview) -> None:
        """Takes the next bytes."""
        self._take(self._scanner.feed(data))

    def close(self, read_at: Callable[[int, int], bytes] | None = None) -> None:
        """The stream is at its end; nothing has to be read again."""
        self._take(self._scanner.close())
        found = _problems(self.report, self.facts)
        self.problems = [one for one in found if one.kind not in _NOTES]
        self.notes = [one for one in found if one.kind in _NOTES]
        for its in self.programs.values():
            self.notes += _late(its)

    @property
    def packet_bytes(self) -> int:
        """The size of a packet, 0 where there is none."""
        return self.report.packet_bytes

    @property
    def size(self) -> int:
        """How many bytes were read."""
        return self.report.bytes

    @property
    def report(self) -> ScanReport:
        """What the scanner counted."""
        return self._scanner.report

    @property
    def programs(self) -> dict[int, list[StreamFacts]]:
        """The streams by program number: each program has a clock of its own (ISO/IEC 13818-1, 2.4.2.1)."""
        return {
            program.program: [self.facts[mapped.pid] for mapped in program.streams if mapped.pid in self.facts]
            for program in self.report.programs
        }

    @property
    def duration_s(self) -> float:
        """The length of the longest program."""
        return max(map(duration, self.programs.values()), default=0.0)

    def _take(self, events: list[Event]) -> None:
        facts = self.facts
        for event in events:
            if isinstance(event, PesEvent):
                facts[event.pid].add(event)
            elif isinstance(event, PesColumns):
                facts[event.pid].add_many(event)
            elif isinstance(event, TablesEvent):
                for mapped in event.program.streams:
                    known = facts.get(mapped.pid)
                    if known is None:
                        facts[mapped.pid] = StreamFacts(mapped)
                    else:
                        known.describe(mapped)


def _problems(report: ScanReport, facts: dict[int, StreamFacts]) -> list[Problem]:
    if ProblemKind.NOT_TRANSPORT_STREAM in report.problem_counts:
        detail = "the file is not an MPEG transport stream" if report.bytes else "the file is empty"
        return [Problem(ProblemKind.NOT_TRANSPORT_STREAM.value, 1, None, detail)]
    problems = []
    for kind, count in report.problem_counts.items():
        first = next(problem for problem in report.problems if problem.kind is kind)
        where = "" if first.pid is None else f" (PID 0x{first.pid:04X})"
        problems.append(Problem(kind.value, count, first.offset, first.detail + where))
    return problems + problems_of(facts, Check.stream_name)


def problems_of(facts: dict[int, StreamFacts], name: str) -> list[Problem]:
    """What is wrong with the streams themselves, whatever holds them; ``name`` is how one is called."""
    problems = []
    for pid, one in facts.items():
        where = f"({name.format(pid)})"
        if one.lost_bytes:
            detail = f"{count_text(one.lost_bytes, 'byte')} of {codec_text(one.codec)} outside any frame {where}"
            problems.append(Problem("malformed audio", one.lost_places, one.lost_at, detail))
        if one.frames and not one.keyframes:
            detail = f"no frame of {codec_text(one.codec)} that a decoder can start from {where}"
            problems.append(Problem("no keyframe", 1, one.first_offset, detail))
        if one.squeezed >= max(_FEW_SQUEEZED, one.frames * _SQUEEZED_SHARE):
            detail = (
                f"{one.squeezed} of {one.frames} frames stand a tick behind the one before, and so are shown at "
                f"a wrong time: were their times those of another order (B-frames)? {where}"
            )
            problems.append(Problem("squeezed times", one.squeezed, one.first_offset, detail))
        if one.frames and not one.sizes:
            detail = f"no sequence parameter set of {codec_text(one.codec)} {where}"
            problems.append(Problem("no parameter sets", 1, one.first_offset, detail))
    if not any(one.access_units for one in facts.values()):
        problems.append(Problem("no media", 1, None, "not one access unit was found"))
    return problems


def duration(facts: list[StreamFacts]) -> float:
    """How long the streams of one program last together, in seconds."""
    spans = [(one.first_pts, one.end_pts) for one in facts if one.first_pts is not None]
    if not spans or any(one.time_bases > 1 for one in facts):
        return max((one.duration for one in facts), default=0) / TICKS_PER_SECOND
    ticks = max(end for _, end in spans) - min(first for first, _ in spans if first is not None)
    return ticks / TICKS_PER_SECOND


def _late(facts: list[StreamFacts]) -> list[Problem]:
    """Audio and video of one program that begin long after its first stream."""
    begun = [(one.first_pts, one) for one in facts if one.first_pts is not None and one.codec in AUDIO | VIDEO]
    if not begun or any(one.time_bases > 1 for _, one in begun):
        return []
    first = min(pts for pts, _ in begun)
    return [
        Problem(
            "late stream",
            1,
            one.first_offset,
            f"{codec_text(one.codec)} begins {(pts - first) / TICKS_PER_SECOND:.1f} s after the others: programs "
            "that look at the beginning only do not find it; give FFmpeg -analyzeduration and -probesize "
            f"(PID 0x{one.pid:04X})",
        )
        for pts, one in begun
        if pts - first > _LATE_S * TICKS_PER_SECOND
    ]
