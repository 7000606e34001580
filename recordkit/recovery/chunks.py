"""An unfinished recording in MP4: how far it can be used, what is in it, and its finish."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..mp4.boxes import HEADER_BYTES
from ..mp4.rebuild import Rebuilder
from ..mp4.report import ChunkEvent, Event, MovieEvent, ProblemKind, ScanReport
from ..mp4.scanner import Scanner
from ..system import System
from ..telemetry.words import times_text
from .ending import Piece
from .files import finish_file
from .measure import Measure
from .view import View, is_zero

_FAULTS = frozenset({ProblemKind.LOST_BOXES, ProblemKind.MALFORMED_BOX})
_ENDINGS = frozenset({ProblemKind.CUT_BOX})
_PAGE_BYTES = 4096
_NEVER = -(1 << 62)


@dataclass
class Chunks:
    """What a scan found: its report, how it is finished, and how long each track is."""

    report: ScanReport
    rebuilder: Rebuilder
    faults: list[int]
    rates: dict[int, int] = field(default_factory=dict)
    spans: dict[int, tuple[int, int]] = field(default_factory=dict)
    later: dict[int, int] = field(default_factory=dict)

    def measure(self) -> Measure:
        """Seconds, how many of them came later, and faults in words."""
        total = max(((end - begin) / self.rates[track] for track, (begin, end) in self.spans.items()), default=0.0)
        later = max(
            ((self.spans[track][1] - at) / self.rates[track] for track, at in self.later.items()), default=0.0
        )
        sentences = []
        for kind, count in self.report.problem_counts.items():
            first = next(one for one in self.report.problems if one.kind is kind)
            sentences.append(f"{kind}, {times_text(count)}, first at byte {first.offset:,}: {first.detail}")
        return Measure(total, later, tuple(sentences))


def is_mp4(view: View) -> bool:
    """Whether it begins as a recording in MP4 does."""
    return view.read(4, HEADER_BYTES) in (b"ftyp", b"styp", b"moov")


def is_finished(view: View) -> bool:
    """Whether it is a plain MP4 with all its tables, as the end of a recording makes it."""
    at = int.from_bytes(view.read(0, 4))
    return view.read(at + 4, at + HEADER_BYTES) == b"mdat" and scan(view, view.size).report.finished


def scan(
    view: View,
    end: int,
    boundary: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    shift: int = 0,
) -> Chunks:
    """Scans the first ``end`` bytes; what begins from ``boundary`` on is what was there later.

    ``shift`` is how much further behind the bytes will lie in the file that is finished.
    """
    scanner, rebuilder = Scanner(), Rebuilder(shift)
    found = Chunks(scanner.report, rebuilder, [])
    shown: dict[int, int] = {}

    def take(events: list[Event]) -> None:
        for event in events:
            rebuilder.take(event)
            if isinstance(event, MovieEvent):
                found.rates |= {track.number: track.rate for track in event.tracks}
                for track in event.tracks:
                    # What the edit list leaves out, the priming of audio, is not heard (ISO/IEC 14496-12, 8.6.6).
                    shown[track.number] = max((media_time for _, media_time, _ in track.edits), default=_NEVER)
            elif isinstance(event, ChunkEvent):
                for one in event.samples:
                    pts = max(one.pts, shown.get(one.track, _NEVER))
                    begin, last = found.spans.get(one.track, (pts, 0))
                    found.spans[one.track] = min(begin, pts), max(last, one.pts + one.duration)
                    if boundary is not None and event.offset >= boundary:
                        found.later.setdefault(one.track, one.dts)
            elif event.kind in _FAULTS:
                found.faults.append(event.offset)

    for at, data in view.chunks(0, end):
        take(scanner.feed(data))
        if on_progress is not None:
            on_progress(at + len(data), end)
    take(scanner.close())
    found.report = scanner.report
    return found


def usable_end(view: View, stop: int | None = None) -> tuple[int, list[Piece]]:
    """The end of the last whole chunk before ``stop``, and what stands behind it.

    0 where there is none. What is there of a finish is cut too, and is no loss: it is made anew.
    A file that is finished already ends where it ends.
    """
    size = view.size if stop is None else min(stop, view.size)
    found = scan(view, size)
    if found.report.finished and size == view.size:
        return size, []
    end = found.report.usable_end if found.report.chunks else 0
    if end and view.read(end + 4, end + HEADER_BYTES) == b"moov":
        return end, []
    rest = view.read(end, min(view.size, end + _PAGE_BYTES))
    reason = "zeros" if is_zero(rest) else "part of a chunk" if end else "no MP4 chunks"
    return end, [Piece(end, view.size, reason)] if end < view.size else []


def doubtful_end(view: View, begin: int) -> int:
    """How far what stands from ``begin`` on can be believed: up to the first fault, or page of zeros."""
    faults = [at for at in scan(view, view.size).faults if at >= begin]
    end = min(faults, default=view.size)
    for at, data in view.chunks(begin, end):
        for place in range(0, len(data) - _PAGE_BYTES + 1, _PAGE_BYTES):
            if is_zero(data[place : place + _PAGE_BYTES]):
                return at + place
    return end


def complete(found: Chunks, descriptor: int, path: Path, end: int, system: System) -> int:
    """Make chunks of ``end`` bytes a plain MP4; its size. Raises WriteError."""
    front = found.report.front
    if found.report.finished or front is None:
        return os.fstat(descriptor).st_size
    return finish_file(system, descriptor, path, found.rebuilder.finish(end, front), end)
