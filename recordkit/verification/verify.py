"""Says whether a transport stream file is whole, and what is in it."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import SourceError
from ..mpegts.clock import TICKS_PER_SECOND
from ..mpegts.report import Event, PesColumns, PesEvent, ProblemKind, ScanReport, TablesEvent
from ..mpegts.scanner import Scanner
from ..telemetry.words import count_text, size_text, time_text
from ..values import PathLike, named
from ..values import path as read_path
from .facts import StreamFacts

_CHUNK_BYTES = 54 * 153_408
"""Some 8 MB of whole packets of each of the sizes 188, 192 and 204: what is cut has to be copied."""

Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much."""

_FEW_SQUEEZED = 3
_SQUEEZED_SHARE = 0.05
"""A frame that came late is laid right behind the one before; many are a fault of the times."""
_NOTES = frozenset({ProblemKind.DTS_BEHIND_PCR.value})


@dataclass(frozen=True, slots=True)
class Problem:
    """All faults of one kind: how many, the first one's byte offset (None: no one place) and words."""

    kind: str
    count: int
    offset: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class PictureSize:
    """The size of the frames in pixels, from ``from_s`` seconds into the stream on."""

    width: int
    height: int
    from_s: float


@dataclass(frozen=True, slots=True)
class StreamVerification:
    """One elementary stream.

    ``access_units`` are counted in the elementary stream itself (in PES packets if its coding
    is not known here), ``pictures`` and ``keyframes`` for video only. ``duration_s`` reaches from
    the first PTS to the end of the last unit; ``bit_rate`` is bit/s of elementary stream over it,
    ``frame_rate`` frames a second without the gaps. ``gaps`` are discontinuities that the file
    itself flags, ``gaps_s`` how long they last together. ``decoded`` counts decoded frames or
    samples a channel, and is None if nothing was decoded.
    """

    pid: int
    codec: str
    language: str | None
    access_units: int
    pictures: int
    keyframes: int
    duration_s: float
    bytes: int
    bit_rate: float
    frame_rate: float | None
    sizes: tuple[PictureSize, ...]
    sample_rate: int | None
    channels: int | None
    gaps: int
    gaps_s: float
    decoded: int | None = None

    @property
    def is_video(self) -> bool:
        """Whether it has frames."""
        return self.pictures > 0 or bool(self.sizes)


@dataclass(frozen=True, slots=True)
class Verification:
    """What is in a file, and what is wrong with it. ``ok`` is True if nothing is.

    ``notes`` are what a strict reader of the standard minds and no player does: units that stand
    in the file after their decoding time, as audio does that came late or filled a gap.
    """

    path: str
    ok: bool
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    streams: tuple[StreamVerification, ...]
    duration_s: float
    bytes: int
    bit_rate: float
    packet_bytes: int
    decoded: bool

    def __repr__(self) -> str:
        streams = " and ".join(one.codec for one in self.streams) or "no streams"
        kinds = ", ".join(one.kind for one in self.problems[:3]) + (", …" if len(self.problems) > 3 else "")
        verdict = "ok" if self.ok else f"{count_text(len(self.problems), 'kind')} of problems: {kinds}"
        figures = f"{time_text(self.duration_s)}, {size_text(self.bytes)}"
        return f"<Verification {self.path}, {streams}, {figures}, {verdict}>"

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values that JSON can carry."""
        return asdict(self)


@named
def verify(path: PathLike, *, decode: bool = False, on_progress: Progress | None = None) -> Verification:
    """Reads a whole file and says whether it is a valid transport stream.

    ``decode`` decodes every frame as well, which takes much longer and finds damage
    inside coded units. ``on_progress`` is called with (done, total) in bytes, decoding included. Memory
    stays the same at any size. A file that is damaged, empty or something else entirely has a
    result that is not ``ok``.

    Raises SourceError if the file cannot be opened or read.
    """
    path = read_path("path", path)
    scanner = Scanner(columns=True)
    facts: dict[int, StreamFacts] = {}
    total = _scan(path, scanner, facts, on_progress, passes=2 if decode else 1)
    report = scanner.report
    problems = _problems(report, facts)
    decoded: dict[int, int] = {}
    if decode and report.packets and facts:
        from .decoding import decode_all

        def advance(done: int) -> None:
            if on_progress is not None:
                on_progress(total + min(done, total), 2 * total)

        outcome = decode_all(path, advance)
        decoded = outcome.decoded
        problems += [Problem(*found) for found in outcome.problems]
        problems += _undecoded(facts, decoded, outcome.interlaced)
        if on_progress is not None:
            on_progress(2 * total, 2 * total)
    streams = tuple(_stream(one, decoded.get(pid, 0) if decode else None) for pid, one in facts.items())
    # Each program has a clock of its own (ISO/IEC 13818-1, 2.4.2.1).
    programs = [{mapped.pid for mapped in program.streams} for program in report.programs] or [set(facts)]
    duration_s = max(_duration([one for pid, one in facts.items() if pid in pids]) for pids in programs)
    notes = tuple(problem for problem in problems if problem.kind in _NOTES)
    problems = [problem for problem in problems if problem.kind not in _NOTES]
    return Verification(
        path=str(path),
        ok=not problems,
        problems=tuple(problems),
        notes=notes,
        streams=streams,
        duration_s=duration_s,
        bytes=report.bytes,
        bit_rate=report.bytes * 8 / duration_s if duration_s else 0.0,
        packet_bytes=report.packet_bytes,
        decoded=decode,
    )


def _scan(
    path: Path, scanner: Scanner, facts: dict[int, StreamFacts], on_progress: Progress | None, passes: int
) -> int:
    buffer = bytearray(_CHUNK_BYTES)
    view = memoryview(buffer)
    done = 0
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a FIFO would wait, and a device may have no end
            raise SourceError(str(path), "is not a regular file")
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                _take(scanner.feed(view[:count]), facts)
                done += count
                if on_progress is not None:
                    on_progress(done, max(status.st_size, done) * passes)
    except OSError as error:
        raise SourceError(str(path), f"cannot be read: {error.strerror or error}") from error
    _take(scanner.close(), facts)
    return done


def _take(events: list[Event], facts: dict[int, StreamFacts]) -> None:
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
    for pid, one in facts.items():
        where = f"(PID 0x{pid:04X})"
        if one.lost_bytes:
            detail = f"{count_text(one.lost_bytes, 'byte')} of {one.codec} outside any frame {where}"
            problems.append(Problem("malformed audio", one.lost_places, one.lost_at, detail))
        if one.pictures and not one.keyframes:
            detail = f"no frame of {one.codec} that a decoder can start from {where}"
            problems.append(Problem("no keyframe", 1, one.first_offset, detail))
        if one.squeezed >= max(_FEW_SQUEEZED, one.pictures * _SQUEEZED_SHARE):
            detail = (
                f"{one.squeezed} of {one.pictures} frames stand a tick behind the one before, and so are shown at "
                f"a wrong time: were their times those of another order (B-frames)? {where}"
            )
            problems.append(Problem("squeezed times", one.squeezed, one.first_offset, detail))
        if one.pictures and not one.sizes:
            detail = f"no sequence parameter set of {one.codec} {where}"
            problems.append(Problem("no parameter sets", 1, one.first_offset, detail))
    if not any(one.access_units for one in facts.values()):
        problems.append(Problem("no media", 1, None, "not one access unit was found"))
    return problems


def _undecoded(facts: dict[int, StreamFacts], decoded: dict[int, int], interlaced: frozenset[int]) -> list[Problem]:
    """Frames in the file that were not decoded; two fields of one interlaced frame do not count."""
    problems = []
    for pid, one in facts.items():
        missing = one.pictures - decoded.get(pid, 0)
        if missing > 0 and pid not in interlaced:
            detail = f"{missing} of {one.pictures} frames did not come out of the decoder (PID 0x{pid:04X})"
            problems.append(Problem("frames not decoded", missing, None, detail))
    return problems


def _duration(facts: list[StreamFacts]) -> float:
    spans = [(one.first_pts, one.end_pts) for one in facts if one.first_pts is not None]
    if not spans or any(one.time_bases > 1 for one in facts):
        return max((one.duration for one in facts), default=0) / TICKS_PER_SECOND
    ticks = max(end for _, end in spans) - min(first for first, _ in spans if first is not None)
    return ticks / TICKS_PER_SECOND


def _stream(one: StreamFacts, decoded: int | None) -> StreamVerification:
    duration_s = one.duration / TICKS_PER_SECOND
    moving = one.duration - one.gap_duration
    return StreamVerification(
        pid=one.pid,
        codec=one.codec,
        language=one.language,
        access_units=one.access_units,
        pictures=one.pictures,
        keyframes=one.keyframes,
        duration_s=duration_s,
        bytes=one.bytes,
        bit_rate=one.bytes * 8 / duration_s if duration_s else 0.0,
        frame_rate=one.pictures * TICKS_PER_SECOND / moving if one.pictures and moving > 0 else None,
        sizes=tuple(PictureSize(width, height, from_s) for width, height, from_s in one.sizes),
        sample_rate=one.sample_rate or None,
        channels=one.channels or None,
        gaps=one.gaps,
        gaps_s=one.gap_duration / TICKS_PER_SECOND,
        decoded=decoded,
    )
