"""What is in a recording, told from one scan: seconds, and faults in words."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from ..mpegts.report import Event, PesColumns, PesEvent, ProblemKind, ScanReport
from ..mpegts.scanner import Scanner
from ..telemetry.words import times_text
from ..ticks import TICKS_PER_SECOND
from .view import CHUNK_BYTES, View

Progress = Callable[[int, int], None]
"""Is told how many bytes are done, and of how many."""

_LONGEST_STEP = 10 * TICKS_PER_SECOND
_SCAN_BYTES = 5 * CHUNK_BYTES
"""What the scanner does for each piece, however large, is shared by more packets."""


@dataclass(frozen=True, slots=True)
class Measure:
    """``duration_s`` seconds, ``later_s`` of them from the given offset on; faults in words."""

    duration_s: float
    later_s: float
    problems: tuple[str, ...]


class _Length:
    """How long one stream is, in ticks; jumps that the stream does not flag do not count."""

    __slots__ = ("before", "last_dts", "step", "total")

    def __init__(self) -> None:
        self.total = self.step = 0
        self.before: int | None = None
        self.last_dts: int | None = None

    def add(self, event: PesEvent, boundary: int) -> None:
        if self.before is None and event.offset >= boundary:
            self.before = self.total + self.step
        if event.dts is None:
            return
        step = 0 if self.last_dts is None else event.dts - self.last_dts
        if step > 0 and (step <= _LONGEST_STEP or event.discontinuity):
            self.total += step
            self.step = self.step if event.discontinuity else step
        self.last_dts = event.dts

    def add_many(self, columns: PesColumns, boundary: int) -> None:
        """The same for PES packets of which none is flagged and none has no DTS."""
        if self.last_dts is None or (self.before is None and int(columns.offset.max()) >= boundary):
            for event in columns.events(payload=False):
                self.add(event, boundary)
            return
        steps = np.diff(columns.dts, prepend=self.last_dts)
        steps = steps[(steps > 0) & (steps <= _LONGEST_STEP)]
        if len(steps):
            self.total += int(steps.sum())
            self.step = int(steps[-1])
        self.last_dts = int(columns.dts[-1])


def measure(view: View, end: int, boundary: int, on_progress: Progress | None) -> Measure:
    """Scans the first ``end`` bytes; what begins from ``boundary`` on is what was there later."""
    scanner = Scanner(payload=False, columns=True)
    lengths: dict[int, _Length] = {}

    def take(events: list[Event]) -> None:
        for event in events:
            if isinstance(event, PesColumns):
                lengths.setdefault(event.pid, _Length()).add_many(event, boundary)
            elif isinstance(event, PesEvent):
                lengths.setdefault(event.pid, _Length()).add(event, boundary)

    for at, data in view.chunks(0, end, _SCAN_BYTES):
        take(scanner.feed(data))
        if on_progress is not None:
            on_progress(at + len(data), end)
    take(scanner.close())
    totals = {pid: length.total + length.step for pid, length in lengths.items()}
    later = max((totals[pid] - one.before for pid, one in lengths.items() if one.before is not None), default=0)
    total = max(totals.values(), default=0)
    return Measure(total / TICKS_PER_SECOND, later / TICKS_PER_SECOND, problems_in_words(scanner.report))


def problems_in_words(report: ScanReport, kinds: Collection[ProblemKind] | None = None) -> tuple[str, ...]:
    """One sentence for each kind of fault, or of ``kinds`` only; units that come late are none."""
    sentences = []
    for kind, count in report.problem_counts.items():
        if kind is ProblemKind.DTS_BEHIND_PCR or (kinds is not None and kind not in kinds):
            continue
        first = next(problem for problem in report.problems if problem.kind is kind)
        where = "" if first.pid is None else f" (PID 0x{first.pid:04X})"
        sentences.append(f"{kind}, {times_text(count)}, first at byte {first.offset:,}: {first.detail}{where}")
    return tuple(sentences)
