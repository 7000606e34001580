"""The valid packets of a broken transport stream, in their order, with tables and marks where they lack them."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator

import numpy as np

from ..mpegts.batch import NULL_PID, Batch
from ..mpegts.pes_header import parse_pes_header
from ..mpegts.report import Event, PesEvent, ProblemEvent, ProblemKind
from ..mpegts.scanner import Scanner
from ..mpegts.sync import PACKET_BYTES, PacketFramer, Packets
from .lost_tables import TableFinder, TablePackets
from .outcome import Cut
from .view import View

_CUTS_KEPT = 1000
_PACKETS_BETWEEN_TABLES = 200
_BREAKS = frozenset(
    {ProblemKind.CONTINUITY, ProblemKind.TIMESTAMP_JUMP, ProblemKind.DTS_NOT_INCREASING, ProblemKind.PCR_BACK}
)
"""What discontinuity_indicator says to whoever reads on (ISO/IEC 13818-1, 2.4.3.5)."""
_BAD_TABLES = frozenset({ProblemKind.WRONG_CRC, ProblemKind.MALFORMED_TABLE})
_SCRAMBLED = 0xC0


class Ends:
    """The last PES packet of each PID, if it ends with the file and has not its end: ``open``, PID to offset."""

    def __init__(self) -> None:
        self.open: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._is_stated: dict[int, bool] = {}

    def note(self, batch: Batch) -> None:
        """Remembers how full the last packet of each PID is, and whether its last PES packet states its length."""
        rows = np.flatnonzero(batch.usable & (batch.size > 0))
        for pid, row in _last_rows(batch, rows):
            self._last[pid] = int(batch.size[row])
        for pid, row in _last_rows(batch, rows[batch.unit_start[rows]]):
            header = parse_pes_header(batch.payload(row))
            self._is_stated[pid] = header is not None and header.payload_length is not None

    def finish(self, events: list[PesEvent]) -> None:
        """Takes what the end of the file completed: if no length was stated, a full packet is no end."""
        for event in events:
            is_full = self._last.get(event.pid) == PACKET_BYTES - 4 and not self._is_stated.get(event.pid)
            if not event.complete or is_full:
                self.open[event.pid] = event.offset


def _last_rows(batch: Batch, rows: np.ndarray) -> Iterator[tuple[int, int]]:
    pids, places = np.unique(batch.pid[rows][::-1], return_index=True)
    for pid, place in zip(pids.tolist(), places.tolist(), strict=True):
        yield pid, int(rows[len(rows) - 1 - place])


class Survey:
    """What a first ``look`` at the file finds, and a copy needs to know.

    ``bad_tables`` are the offsets of tables that cannot be used; ``has_early_media`` says that media stands
    before the first tables.
    """

    def __init__(self) -> None:
        self.scanner = Scanner(payload=False, columns=True)
        self.ends, self.finder = Ends(), TableFinder()
        self.bad_tables: set[int] = set()
        self.has_early_media = False

    def look(self, view: View, advance: Callable[[int], None]) -> None:
        """Reads all of the file."""
        framer = PacketFramer()
        for at, data in view.chunks(0, view.size):
            self._take(self.scanner.feed(data))
            self._note(framer, framer.feed(data))
            advance(at + len(data))
        self._note(framer, framer.close())
        # Of tables that never came it tells at the end.
        self.has_early_media = ProblemKind.MISSING_TABLES in self.scanner.report.problem_counts
        events = self.scanner.close()
        self._take(events)
        self.ends.finish([event for event in events if isinstance(event, PesEvent)])

    def _note(self, framer: PacketFramer, items: Iterator[Packets | ProblemEvent]) -> None:
        for batch in batches(framer, items):
            self.ends.note(batch)
            self.finder.note(batch)

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, ProblemEvent) and event.kind in _BAD_TABLES:
                self.bad_tables.add(event.offset)


class Copy:
    """The packets of a file that are valid, as a stream of ``blocks`` that may be asked for again.

    ``cuts`` are what the last stream left out, ``kept`` the bytes that it took, and ``added`` those that it
    had of its own. ``marks`` are places of that stream, as ``find_breaks`` finds them, before each of which a
    packet with discontinuity_indicator goes.
    """

    def __init__(self, view: View, survey: Survey) -> None:
        self._view, self._survey = view, survey
        self._sections: list[tuple[int, bytes]] = []
        self._old: frozenset[int] = frozenset()
        self.marks = array("Q")
        if not survey.scanner.report.programs:
            self._sections, self._old = survey.finder.make()
        self.makes_tables = bool(self._sections)
        self._begin()

    def _begin(self) -> None:
        self.kept = self.added = 0
        self.cuts: list[Cut] = []
        self._at = self._place = 0
        self._since_tables = _PACKETS_BETWEEN_TABLES
        self._tables = TablePackets(self._sections)

    def blocks(self, advance: Callable[[int], None]) -> Iterator[bytes]:
        """The stream, once more from its beginning."""
        self._begin()
        framer = PacketFramer()
        for at, data in self._view.chunks(0, self._view.size):
            for batch in batches(framer, framer.feed(data)):
                yield from self._take(batch)
            advance(at + len(data))
        for batch in batches(framer, framer.close()):
            yield from self._take(batch)
        self._skip_to(self._view.size)

    def find_breaks(self, advance: Callable[[int], None]) -> None:
        """Reads the stream and notes as ``marks`` what it does not say itself: missing packets, times that jump."""
        scanner, found = Scanner(payload=False, columns=True), array("Q")
        for block in self.blocks(advance):
            found.extend(_break_offsets(scanner.feed(block)))
        found.extend(_break_offsets(scanner.close()))
        self.marks = array("Q", sorted(set(found)))

    def _take(self, batch: Batch) -> Iterator[bytes]:
        """The packets of a batch that are valid."""
        self._skip_to(batch.offset)
        wanted = batch.usable | (batch.pid == NULL_PID)
        self._cut(batch, ~wanted, "a damaged packet")
        offsets = batch.offset + np.arange(len(batch)) * batch.stride
        old = np.isin(batch.pid, list(self._old)) & wanted
        self._cut(batch, old, "tables that are replaced")
        bad = np.isin(offsets, list(self._survey.bad_tables)) & wanted & ~old
        self._cut(batch, bad, "a damaged table")
        wanted &= ~old & ~bad
        for pid, since in self._survey.ends.open.items():
            ending = wanted & (batch.pid == pid) & (offsets >= since)
            self._cut(batch, ending, "an access unit without its end")
            wanted &= ~ending
        # Of packets of 192 or 204 bytes the 188 are kept; what surrounds them is no damage.
        self._at = batch.offset + len(batch) * batch.stride
        self.kept += int(wanted.sum()) * PACKET_BYTES
        yield from self._with_tables(batch, np.flatnonzero(wanted))

    def _with_tables(self, batch: Batch, rows: np.ndarray) -> Iterator[bytes]:
        if not self._place and len(rows) and self._survey.has_early_media and not self._sections:
            first = self._survey.finder.first_packets()
            self.added += len(first)
            yield from self._marked(first)
        if not self._sections:
            yield from self._marked(batch.rows[rows].tobytes())
            return
        begin = 0
        starts = np.flatnonzero(batch.unit_start[rows]).tolist()
        for place in starts:
            if self._since_tables + place - begin >= _PACKETS_BETWEEN_TABLES:
                yield from self._marked(batch.rows[rows[begin:place]].tobytes())
                tables = self._tables.next()
                self.added += len(tables)
                yield from self._marked(tables)
                begin, self._since_tables = place, 0
        self._since_tables += len(rows) - begin
        yield from self._marked(batch.rows[rows[begin:]].tobytes())

    def _marked(self, data: bytes) -> Iterator[bytes]:
        """``data`` with a mark before each of its packets that is a break."""
        begin, end = self._place, self._place + len(data)
        at = begin
        for mark in self.marks[bisect_left(self.marks, begin) : bisect_left(self.marks, end)]:
            if mark > at:
                yield data[at - begin : mark - begin]
            packet = data[mark - begin : mark - begin + PACKET_BYTES]
            yield _discontinuity_before(packet)
            self.added += PACKET_BYTES
            at = mark
        self._place = end
        if at < end:
            yield data[at - begin :]

    def _skip_to(self, offset: int) -> None:
        """What lies between is no packet."""
        if offset > self._at:
            self._note(Cut("file", self._at, offset - self._at, "no transport packets"))

    def _cut(self, batch: Batch, rows: np.ndarray, reason: str) -> None:
        for row in np.flatnonzero(rows).tolist():
            self._note(Cut("file", batch.offset_of(row), PACKET_BYTES, reason))

    def _note(self, cut: Cut) -> None:
        last = self.cuts[-1] if self.cuts else None
        if last is not None and last.reason == cut.reason and last.offset + last.bytes == cut.offset:
            self.cuts[-1] = Cut("file", last.offset, last.bytes + cut.bytes, cut.reason)
        elif len(self.cuts) < _CUTS_KEPT:
            self.cuts.append(cut)
        else:
            first = self.cuts[-1].offset
            self.cuts[-1] = Cut("file", first, self.cuts[-1].bytes + cut.bytes, "many places from here on")


def batches(framer: PacketFramer, items: Iterator[Packets | ProblemEvent]) -> Iterator[Batch]:
    """The packets among what a framer found."""
    for item in items:
        if isinstance(item, tuple):
            yield Batch(*item, framer.stride)


def _break_offsets(events: list[Event]) -> Iterator[int]:
    for event in events:
        if isinstance(event, ProblemEvent) and event.kind in _BREAKS:
            yield event.offset


def _discontinuity_before(packet: bytes) -> bytes:
    """A packet without payload that says that ``packet``, which comes next, does not continue what was before.

    Its counter is the one that ``packet`` counts on from, if that has payload (2.4.3.3).
    """
    counter = (packet[3] - (packet[3] >> 4 & 1)) & 15
    head = bytes([packet[0], packet[1] & 0x1F, packet[2], 0x20 | counter])
    return head + bytes([PACKET_BYTES - 5, 0x80]) + b"\xff" * (PACKET_BYTES - 6)
