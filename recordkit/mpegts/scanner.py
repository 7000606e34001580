"""Reads a transport stream of any origin and says what is in it, and what is wrong with it.

Sans-I/O: bytes in, events out, in the order of the file, the same however the bytes were cut. It
never raises on bad data and holds no more at 100 GB than at 1 MB. The work on each transport
packet is done on columns of many packets at once; Python loops run per PES packet only, and with
``columns`` only over those about which there is something to say.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..telemetry.words import count_text
from .batch import NULL_PID, RANK_CONTINUITY, RANK_PACKET, RANK_PES, Batch, Index
from .pcr import PCR_UNITS_PER_SECOND, ProgramClock
from .pes import PesStream
from .pes_columns import ColumnPesStream
from .report import Event, PidReport, ProblemEvent, ProblemKind, ProblemLog, ScanReport
from .sections import TableReader
from .side_tables import SideTables
from .sync import PACKET_BYTES, PacketFramer, Packets, headers_of
from .tables import PAT_PID

PES_LIMIT_BYTES = 32 * 1024 * 1024
"""No more than this is collected of one PES packet."""
_FEW_CHANGES = 8
_ROWS_BEHIND_CHANGE = 64
"""Behind more changes of tables than a few so many packets are looked at for the next; then twice as many."""


class _Pid:
    """Counts and continuity of one PID."""

    __slots__ = ("counter", "packets", "payload_bytes", "previous", "repeated", "scrambled", "table_time")

    def __init__(self) -> None:
        self.packets = self.payload_bytes = self.scrambled = 0
        self.counter: int | None = None
        self.previous = b""
        self.repeated = False
        self.table_time: int | None = None


class Scanner:
    """Takes a transport stream in pieces of any size and returns its events.

    ``payload=False`` leaves ``PesEvent.data`` empty, which spares the copying. No more than
    ``pes_limit_bytes`` are collected of one PES packet. With ``columns`` it returns ``PesColumns``
    for PES packets that nothing is to be said about: many times faster, and the same in all but
    that events of different PIDs change their order. The first byte is that at ``offset`` of the file.
    """

    def __init__(
        self,
        payload: bool = True,
        pes_limit_bytes: int = PES_LIMIT_BYTES,
        columns: bool = False,
        offset: int = 0,
    ) -> None:
        self._payload = payload
        self._stream_type = ColumnPesStream if columns else PesStream
        self._pes_limit_bytes = pes_limit_bytes
        self._framer = PacketFramer(offset)
        self._tables, self._side_tables = TableReader(), SideTables()
        self._log = ProblemLog()
        self._pids: dict[int, _Pid] = {}
        self._streams: dict[int, PesStream] = {}
        self._listed: set[int] = set()
        self._table_pids = self._tables.pids
        self._clocks: dict[int, ProgramClock] = {}
        self._packets = self._null_packets = self._changes = 0
        self._pat_interval = self._pmt_interval = 0
        self._media_before_tables = False
        self._closed = False

    def feed(self, data: bytes | memoryview) -> list[Event]:
        """The events that ``data`` completes; of these only ``PesColumns`` still look into ``data``."""
        return self._take(self._framer.feed(data))

    def close(self) -> list[Event]:
        """The events that the end of the stream completes. Calling it again returns nothing."""
        if self._closed:
            return []
        self._closed = True
        events = self._take(self._framer.close())
        none = np.empty((0, PACKET_BYTES), np.uint8)
        end = Batch(self._framer.bytes_fed, none, headers_of(none), PACKET_BYTES)
        for stream in sorted(self._streams.values(), key=lambda stream: stream.open_since):
            stream.finish(end, 0)
        at_end = end.take_events(1)
        if self._packets:
            at_end += self._missing_tables(end.offset)
        return events + self._logged(at_end)

    def _missing_tables(self, offset: int) -> list[ProblemEvent]:
        kind = ProblemKind.MISSING_TABLES
        if not self._tables.has_pat:
            return [ProblemEvent(kind, offset, PAT_PID, "there is no PAT")]
        return [
            ProblemEvent(kind, offset, None, f"there is no PMT of program {number}")
            for number in self._tables.missing_programs
        ]

    def _logged(self, events: list[Event]) -> list[Event]:
        for event in events:
            if isinstance(event, ProblemEvent):
                self._log.add(event)
        return events

    def _take(self, items: Iterable[Packets | ProblemEvent]) -> list[Event]:
        events: list[Event] = []
        for item in items:
            if isinstance(item, ProblemEvent):
                events.append(item)
            else:
                self._take_rows(Batch(*item, self._framer.stride), events)
        return self._logged(events)

    def _take_rows(self, batch: Batch, events: list[Event]) -> None:
        """Goes through a batch in stretches over which the tables stay the same."""
        self._packets += len(batch)
        self._null_packets += int(np.count_nonzero(batch.pid == NULL_PID))
        begin = 0
        ahead, changes = len(batch), 0
        while begin < len(batch):
            end, changed = self._read_tables(batch, begin, min(begin + ahead, len(batch)))
            changes += changed
            # In a flood of changes the rest would be looked at for each.
            ahead = _ROWS_BEHIND_CHANGE if changed and changes > _FEW_CHANGES else 2 * ahead
            self._take_stretch(batch, begin, end)
            if changed:
                self._changes += 1
                self._apply_tables(batch, end - 1)
            events += batch.take_events(end)
            begin = end

    def _read_tables(self, batch: Batch, begin: int, end: int) -> tuple[int, bool]:
        """Reads the tables up to row ``end``, or up to a change of them; where that was, and whether it was one."""
        pids = batch.pid[begin:end]
        is_table = np.zeros(len(pids), np.bool_)
        for pid in self._tables.pids:
            is_table |= pids == pid
        rows = np.flatnonzero(is_table) + begin
        rows = rows[batch.usable[rows] & ~batch.scrambled[rows] & (batch.has_payload[rows] != 0)]
        if not self._tables.are_repeats(batch, rows):
            for row in rows.tolist():
                if self._tables.feed(batch, row):
                    return row + 1, True
        return end, False

    def _apply_tables(self, batch: Batch, row: int) -> None:
        """Follows a change of the tables: which PIDs are listed, and on which clock."""
        programs = self._tables.programs
        clocks: dict[int, ProgramClock] = {}
        listed: set[int] = set()
        for number, program in programs.items():
            clock = next((clock for clock in clocks.values() if clock.pid == program.pcr_pid), None)
            if clock is None:
                clock = self._clocks.get(number)
                if clock is None or clock in clocks.values():
                    clock = ProgramClock(program.pcr_pid)
                clock.pid = program.pcr_pid
            clocks[number] = clock
            for mapped in program.streams:
                known = self._streams.get(mapped.pid)
                if known is None:
                    new = self._stream_type(mapped, clock, self._payload, self._pes_limit_bytes)
                    self._streams[mapped.pid] = new
                else:
                    known.stream, known.clock = mapped, clock
                listed.add(mapped.pid)
        self._clocks = clocks
        self._table_pids = self._tables.pids
        for pid in sorted(self._listed - listed):
            self._streams[pid].finish(batch, row)
        self._listed = {pid for pid in listed - set(self._tables.pids) if self._streams[pid].carries_pes}

    def _take_stretch(self, batch: Batch, begin: int, end: int) -> None:
        usable, pids = batch.usable[begin:end], batch.pid[begin:end]
        if not batch.are_all_usable:
            pids = np.where(usable, pids, NULL_PID)
        is_there = np.zeros(NULL_PID + 1, np.bool_)
        is_there[pids] = True
        groups: dict[int, tuple[Index, list[int]]] = {}
        for pid in is_there[:NULL_PID].nonzero()[0].tolist():
            index = (pids == pid).nonzero()[0]
            groups[pid] = self._take_pid(batch, index + begin if begin else index)
        for clock in dict.fromkeys(self._clocks.values()):
            clock.forget()
            if clock.pid in groups:
                clock.feed(batch, groups[clock.pid][0])
        for pid, (index, breaks) in groups.items():
            if pid in self._listed:
                self._take_pes(batch, pid, index, breaks)
            elif pid in self._table_pids:
                self._take_table_times(batch, pid, index)
            elif pid in self._side_tables.pids:
                self._side_tables.take(batch, pid, index)
        if not self._clocks and not self._media_before_tables:
            self._look_for_media(batch, np.flatnonzero(usable) + begin)

    def _take_pid(self, batch: Batch, index: Index) -> tuple[Index, list[int]]:
        """Counts a PID's packets and follows its counter; the packets without repeated ones, and breaks."""
        number = int(batch.pid[index[0]])
        pid = self._pids.get(number)
        if pid is None:
            pid = self._pids[number] = _Pid()
        pid.packets += len(index)
        pid.payload_bytes += batch.payload_bytes(index)
        breaks, repeated = self._check_continuity(batch, index, pid)
        scrambled = index[batch.scrambled[index]] if batch.is_any_scrambled else index[:0]
        if len(scrambled):
            if not pid.scrambled:
                detail = "packets are encrypted (transport_scrambling_control)"
                batch.problem(int(scrambled[0]), RANK_PACKET, ProblemKind.SCRAMBLED, detail)
            pid.scrambled += len(scrambled)
            breaks = sorted({*breaks, *scrambled.tolist()})
        return (np.setdiff1d(index, repeated, assume_unique=True) if repeated else index), breaks

    def _check_continuity(self, batch: Batch, index: Index, pid: _Pid) -> tuple[list[int], list[int]]:
        """Rows before which packets are missing, and rows that repeat the packet before (2.4.3.3)."""
        control = batch.control[index]
        counters, expected_steps = control & 15, control >> 4 & 1
        previous = np.empty_like(counters)
        previous[1:] = counters[:-1]
        first = (int(counters[0]) - int(expected_steps[0])) & 15
        previous[0] = first if pid.counter is None else pid.counter
        steps = (counters - previous) & 15
        breaks: list[int] = []
        repeated: list[int] = []
        for place in (steps != expected_steps).nonzero()[0].tolist():
            row = int(index[place])
            if steps[place] == 0 and self._repeats(batch, index, place, pid, repeated):
                repeated.append(row)
                continue
            breaks.append(row)
            if not batch.is_discontinuity(row):
                lost = count_text((int(steps[place]) - int(expected_steps[place])) & 15, "packet")
                detail = f"counter {counters[place]} after {previous[place]}: {lost} lost, or more"
                batch.problem(row, RANK_CONTINUITY, ProblemKind.CONTINUITY, detail)
        pid.counter = int(counters[-1])
        pid.previous = batch.rows[index[-1]].tobytes()
        pid.repeated = bool(repeated) and repeated[-1] == int(index[-1])
        return breaks, repeated

    def _repeats(self, batch: Batch, index: Index, place: int, pid: _Pid, repeated: list[int]) -> bool:
        """Whether a packet repeats the one before it, which was not itself a repetition."""
        if place == 0:
            return not pid.repeated and batch.same(int(index[0]), pid.previous)
        before = int(index[place - 1])
        if repeated and repeated[-1] == before:
            return False
        return batch.same(int(index[place]), batch.rows[before].tobytes())

    def _take_pes(self, batch: Batch, pid: int, index: Index, breaks: list[int]) -> None:
        discontinuities = batch.discontinuities(index)
        if not batch.do_all_carry:
            index = index[(batch.size[index] > 0) & ~batch.scrambled[index]]
        self._streams[pid].feed(batch, index, breaks, discontinuities)

    def _take_table_times(self, batch: Batch, pid: int, index: Index) -> None:
        clock = next(iter(self._clocks.values()), None)
        if clock is None:
            return
        state, rows = self._pids[pid], index[batch.unit_start[index]]
        times = clock.columns_at(rows)[1]
        if len(times) < len(rows):
            state.table_time = None
        if len(times):
            before = times[0] if state.table_time is None else state.table_time
            largest = int(np.diff(times, prepend=before).max())
            state.table_time = int(times[-1])
            if pid == PAT_PID:
                self._pat_interval = max(self._pat_interval, largest)
            else:
                self._pmt_interval = max(self._pmt_interval, largest)

    def _look_for_media(self, batch: Batch, index: Index) -> None:
        for row in index[batch.unit_start[index] & (batch.size[index] > 0)].tolist():
            if batch.payload(row).startswith(b"\0\0\1"):
                self._media_before_tables = True
                detail = "media before the first PAT and PMT; it is left out"
                batch.problem(row, RANK_PES, ProblemKind.MISSING_TABLES, detail)
                return

    @property
    def packet_bytes(self) -> int:
        """The distance of two packets, 188, 192 or 204; 0 as long as none was found."""
        return self._framer.stride

    @property
    def report(self) -> ScanReport:
        """A snapshot of everything scanned until now."""
        clock = next(iter(self._clocks.values()), None)
        return ScanReport(
            bytes=self._framer.bytes_fed,
            packets=self._packets,
            null_packets=self._null_packets,
            packet_bytes=self.packet_bytes,
            first_pcr=None if clock is None else clock.first_ticks,
            last_pcr=None if clock is None else clock.last_ticks,
            pcr_interval_s=0.0 if clock is None else clock.largest_interval / PCR_UNITS_PER_SECOND,
            pat_interval_s=self._pat_interval / PCR_UNITS_PER_SECOND,
            pmt_interval_s=self._pmt_interval / PCR_UNITS_PER_SECOND,
            programs=tuple(self._tables.programs.values()),
            pids=tuple(self._pid_report(pid, state) for pid, state in sorted(self._pids.items())),
            problem_counts=dict(self._log.counts),
            problems=self._log.kept,
        )

    def _pid_report(self, pid: int, state: _Pid) -> PidReport:
        stream = self._streams.get(pid)
        return PidReport(
            pid=pid,
            packets=state.packets,
            payload_bytes=state.payload_bytes,
            pes_packets=0 if stream is None else stream.pes_packets,
            random_access=0 if stream is None else stream.random_access,
            scrambled=state.scrambled,
            first_pts=None if stream is None else stream.first_pts,
            last_pts=None if stream is None else stream.last_pts,
            first_dts=None if stream is None else stream.first_dts,
            last_dts=None if stream is None else stream.last_dts,
        )
