"""PES packets out of the transport packets of one PID (ISO/IEC 13818-1, 2.4.3.6)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np

from ..telemetry.words import count_text
from ..ticks import TICKS_PER_SECOND, WRAP_BITS, signed_difference
from .batch import RANK_PES, Batch, Index
from .pcr import ProgramClock, nearest
from .pes_header import PesHeader, parse_pes_header, pes_header_length
from .pes_parts import OpenPes, Run
from .report import PesEvent, ProblemEvent, ProblemKind
from .tables import MappedStream

FAR_BEHIND_S = 61
"""Audio that fills a gap of up to a minute may come this late; beyond, the streams have come apart."""
LONGEST_STEP = 10 * TICKS_PER_SECOND
_SECTION_TYPES = frozenset({0x05, 0x0A, 0x0B, 0x0C, 0x0D, 0x86})
"""stream_type values whose packets carry sections instead of PES packets (table 2-34)."""
VIDEO = frozenset({"h264", "hevc", "vvc", "mpeg1video", "mpeg2video", "mpeg4"})
AUDIO = frozenset({"aac", "aac_latm", "mp3", "opus", "ac3", "eac3", "dts", "ac4"})


class PesStream:
    """Puts together the PES packets of one PID and looks after its timestamps.

    ``keep`` says whether payload is collected, ``limit_bytes`` how much of one PES packet at most.
    ``pes_packets`` and ``random_access`` (those with random_access_indicator) are counts; ``first_pts``,
    ``last_pts``, ``first_dts`` and ``last_dts`` unwrapped ticks, None before the first timestamp.
    """

    def __init__(self, stream: MappedStream, clock: ProgramClock | None, keep: bool, limit_bytes: int) -> None:
        self.stream = stream
        self.clock = clock
        self.pes_packets = self.random_access = 0
        self.first_pts: int | None = None
        self.last_pts: int | None = None
        self.first_dts: int | None = None
        self.last_dts: int | None = None
        self._keep = keep
        self._limit_bytes = limit_bytes
        self._open: OpenPes | None = None
        self._ended_exactly = False
        self._discontinuity = False
        self._epoch = 0
        self._may_jump = False
        self._scrambled = False

    @property
    def carries_pes(self) -> bool:
        """Whether packets of this stream_type are PES packets."""
        return self.stream.stream_type not in _SECTION_TYPES

    @property
    def open_since(self) -> int:
        """The offset of the PES packet that is open, or -1."""
        return -1 if self._open is None else self._open.offset

    def feed(self, batch: Batch, index: Index, breaks: list[int], discontinuities: list[int]) -> None:
        """Takes the PID's packets with payload.

        ``breaks`` are rows before which packets are missing, ``discontinuities`` those with
        discontinuity_indicator; both ascend and may name rows that are not in ``index``.
        """
        starts = np.flatnonzero(batch.unit_start[index]).tolist()
        run = Run(batch, index)
        seen = 0
        begin = 0
        for place, end in zip([-1, *starts], [*starts, len(run.rows)], strict=True):
            if place >= 0:
                row = run.rows[place]
                flags_until = bisect_right(discontinuities, row)
                flagged = self._discontinuity or flags_until > seen
                self._discontinuity, seen = False, flags_until
                self._note_breaks(breaks, begin, row)
                begin = row + 1
                self._start(batch, row, flagged)
                place += 1
            else:
                place = 0
            while place < end and self._open is not None and self._open.head is not None:
                row = run.rows[place]
                self._note_breaks(breaks, begin, row)
                begin = row + 1
                self._add_head(batch, row, self._open, batch.payload(row))
                place += 1
            if place < end:
                begin = self._continue(batch, run, place, end, breaks, begin)
        self._discontinuity |= len(discontinuities) > seen
        self._note_breaks(breaks, begin, len(batch))

    def finish(self, batch: Batch, row: int) -> None:
        """Emits the PES packet that is open, as ended before ``row``."""
        unit, self._open = self._open, None
        if unit is None:
            return
        if unit.head is not None:
            self._problem(batch, row, ProblemKind.MALFORMED_PES, "the PES header is cut")
            return
        if unit.limit is not None:
            if not unit.broken:
                detail = f"{count_text(unit.size, 'byte')} instead of {unit.limit}"
                self._problem(batch, row, ProblemKind.PES_TOO_SHORT, detail)
            unit.broken = True
        self._emit(batch, row, unit)

    def _problem(self, batch: Batch, row: int, kind: ProblemKind, detail: str) -> None:
        event = ProblemEvent(kind, batch.offset_of(row), self.stream.pid, detail)
        batch.event(row, RANK_PES, event)

    def _note_breaks(self, breaks: list[int], begin: int, end: int) -> bool:
        """Marks the open PES packet as broken if packets are missing before a row in [begin, end]."""
        if not breaks:
            return False
        hit = bisect_right(breaks, end) > bisect_right(breaks, begin - 1)
        if hit:
            self._ended_exactly = False
            if self._open is not None:
                self._open.broken = True
        return hit

    def _start(self, batch: Batch, row: int, discontinuity: bool) -> None:
        self.finish(batch, row)
        self._ended_exactly = False
        self._open = OpenPes(batch.offset_of(row), batch.is_random_access(row), discontinuity)
        self._add_head(batch, row, self._open, batch.payload(row))

    def _add_head(self, batch: Batch, row: int, unit: OpenPes, payload: bytes) -> None:
        head = (unit.head or b"") + payload
        if len(head) < pes_header_length(head):
            unit.head = head
            return
        header = parse_pes_header(head)
        if header is None:
            self._open = None
            detail = "no PES start code" if not head.startswith(b"\0\0\1") else "the PES header is inconsistent"
            self._problem(batch, row, ProblemKind.MALFORMED_PES, detail)
            return
        unit.head = None
        unit.limit = header.payload_length
        if header.payload_length is None and self.stream.codec in AUDIO:
            detail = "PES_packet_length is 0, which only video may have"
            self._problem(batch, row, ProblemKind.MALFORMED_PES, detail)
        if header.scrambled and not self._scrambled:
            self._scrambled = True
            detail = "PES packets are encrypted (PES_scrambling_control)"
            self._problem(batch, row, ProblemKind.SCRAMBLED, detail)
        self._time(batch, row, unit, header)
        rest = head[header.header_length :]
        if unit.limit is not None and len(rest) >= unit.limit:
            self._append(batch, row, unit, [rest[: unit.limit]], unit.limit)
            self._end_exactly(batch, row, unit, len(rest) - unit.limit)
        elif rest:
            self._append(batch, row, unit, [rest], len(rest))

    def _continue(self, batch: Batch, run: Run, place: int, end: int, breaks: list[int], begin: int) -> int:
        """Takes packets that continue; returns from which row on breaks are still to be looked at."""
        unit = self._open
        if unit is not None:
            before = run.sums[place]
            total = run.sums[end] - before
            missing = None if unit.limit is None else unit.limit - unit.size
            if missing is None or total < missing:
                self._extend(batch, unit, run, place, end, total)
                self._note_breaks(breaks, begin, run.rows[end - 1])
                return run.rows[end - 1] + 1
            stop = bisect_left(run.sums, before + missing, place + 1, end)
            row, surplus = run.rows[stop - 1], run.sums[stop] - before - missing
            self._extend(batch, unit, run, place, stop, missing)
            self._note_breaks(breaks, begin, row)
            begin, place = row + 1, stop
            self._end_exactly(batch, row, unit, surplus)
        if self._ended_exactly and place < end:
            row = run.rows[place]
            if not self._note_breaks(breaks, begin, row):
                self._ended_exactly = False
                detail = f"{count_text(run.sums[place + 1] - run.sums[place], 'byte')} or more behind its end"
                self._problem(batch, row, ProblemKind.PES_TOO_LONG, detail)
        return begin

    def _end_exactly(self, batch: Batch, row: int, unit: OpenPes, surplus: int) -> None:
        self._open = None
        self._ended_exactly = not surplus
        if surplus and not unit.broken:
            detail = f"{count_text(surplus, 'byte')} or more behind its end"
            self._problem(batch, row, ProblemKind.PES_TOO_LONG, detail)
        self._emit(batch, row, unit)

    def _extend(self, batch: Batch, unit: OpenPes, run: Run, place: int, end: int, total: int) -> None:
        """Adds ``total`` bytes of the packets; the last one may carry more than belongs to the unit."""
        before = run.sums[place]
        row = run.rows[end - 1]
        if unit.size <= self._limit_bytes < unit.size + total:
            over = bisect_right(run.sums, before + self._limit_bytes - unit.size, place + 1, end)
            row = run.rows[over - 1]
        parts = run.payloads(batch, place, end) if self._keep and unit.size <= self._limit_bytes else []
        surplus = run.sums[end] - before - total
        if surplus and parts:
            parts[-1] = parts[-1][:-surplus]
        self._append(batch, row, unit, parts, total)

    def _append(self, batch: Batch, row: int, unit: OpenPes, parts: list[bytes], total: int) -> None:
        room = self._limit_bytes - unit.size
        unit.size += total
        if room < 0:
            return
        if total > room:
            unit.broken = True
            parts = [b"".join(parts)[:room]]
            detail = f"more than {self._limit_bytes} bytes; the rest is left out"
            self._problem(batch, row, ProblemKind.OVERSIZE_PES, detail)
        if self._keep:
            unit.parts += parts

    def _emit(self, batch: Batch, row: int, unit: OpenPes) -> None:
        self.pes_packets += 1
        self.random_access += unit.random_access
        event = PesEvent(
            pid=self.stream.pid,
            offset=unit.offset,
            pts=unit.pts,
            dts=unit.dts,
            random_access=unit.random_access,
            discontinuity=unit.discontinuity,
            data=b"".join(unit.parts),
            payload_bytes=unit.size,
            complete=not unit.broken,
        )
        batch.event(row, RANK_PES, event)

    def _time(self, batch: Batch, row: int, unit: OpenPes, header: PesHeader) -> None:
        """Unwraps the timestamps and holds them against the ones before and the program's clock."""
        pcr = None
        if self.clock is not None:
            pcr, epoch = self.clock.at(row)
            self._may_jump |= epoch != self._epoch
            self._epoch = epoch
        if header.pts is None or header.dts is None:
            return
        reference = self.last_dts if self.last_dts is not None else pcr
        unit.dts = header.dts if reference is None else nearest(header.dts, reference)
        unit.pts = nearest(header.pts, unit.dts)
        if unit.pts < unit.dts:
            detail = f"DTS is {(unit.dts - unit.pts) / TICKS_PER_SECOND:.3f} s after PTS"
            self._problem(batch, row, ProblemKind.DTS_AFTER_PTS, detail)
        if self.stream.codec in AUDIO or self.stream.codec in VIDEO:
            self._check_step(batch, row, unit.dts, unit.discontinuity)
            late = 0 if pcr is None else signed_difference(pcr, unit.dts, WRAP_BITS)
            if late > 0:
                self._note_late(batch, row, late)
        if self.first_pts is None:
            self.first_pts, self.first_dts = unit.pts, unit.dts
        self.last_pts, self.last_dts = unit.pts, unit.dts

    def _note_late(self, batch: Batch, row: int, late: int) -> None:
        detail = f"arrives {late / TICKS_PER_SECOND:.3f} s after its decoding time"
        far = late > FAR_BEHIND_S * TICKS_PER_SECOND
        kind = ProblemKind.DTS_FAR_BEHIND_PCR if far else ProblemKind.DTS_BEHIND_PCR
        self._problem(batch, row, kind, detail)

    def _check_step(self, batch: Batch, row: int, dts: int, discontinuity: bool) -> None:
        step = 1 if self.last_dts is None else dts - self.last_dts
        if 0 < step <= LONGEST_STEP or discontinuity:
            return
        if self._may_jump:  # its program's clock jumped, and this stream follows once
            self._may_jump = False
            return
        step_s = step / TICKS_PER_SECOND
        if abs(step) > LONGEST_STEP:
            detail = f"DTS jumps by {step_s:+.3f} s without discontinuity_indicator"
            self._problem(batch, row, ProblemKind.TIMESTAMP_JUMP, detail)
        else:
            detail = "DTS stands still" if step == 0 else f"DTS goes back by {-step_s:.3f} s"
            self._problem(batch, row, ProblemKind.DTS_NOT_INCREASING, detail)
