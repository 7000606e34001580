"""Many PES packets at once, as long as nothing about them is out of the ordinary."""

from __future__ import annotations

import numpy as np

from ..ticks import WRAP
from .batch import RANK_PES, Batch, Index
from .payload import Positions
from .pcr import ProgramClock
from .pes import AUDIO, LONGEST_STEP, VIDEO, PesStream
from .pes_header import parse_pes_headers
from .report import PesColumns

_WORTH_IT = 8
"""Fewer PES packets than this are sooner done one by one."""


class ColumnPesStream(PesStream):
    """Emits ``PesColumns`` if it can, and takes the packets one by one if not.

    Of the packets of a batch, those of the PES packet that began before it and of the one that
    reaches beyond it go the long way; the others do only if a packet is missing or anything in
    their headers is not as it should be. So all that is said of faults is said in one place.
    """

    def feed(self, batch: Batch, index: Index, breaks: list[int], discontinuities: list[int]) -> None:
        """Takes the PID's packets with payload, as ``PesStream.feed`` does."""
        if not breaks and not discontinuities and self.stream.codec in AUDIO | VIDEO:
            index = self._take_columns(batch, index)
        super().feed(batch, index, breaks, discontinuities)

    def _take_columns(self, batch: Batch, index: Index) -> Index:
        """Takes what can be taken at once; the packets that are left."""
        starts = batch.starts(index)
        apart = int(self.last_dts is None or self._discontinuity)
        if len(starts) <= _WORTH_IT + apart:
            return index
        first, last = int(starts[apart]), int(starts[-1])
        super().feed(batch, index[:first], [], [])
        if self.last_dts is not None:
            self.finish(batch, int(index[first]))
            columns = self._columns(batch, index[first : last + 1], starts[apart:] - first, self.last_dts)
            if columns is not None:
                self._note(columns)
                batch.event(int(index[last]), RANK_PES, columns)
                return index[last:]
        return index[first:]

    def _columns(self, batch: Batch, index: Index, starts: Index, last_dts: int) -> PesColumns | None:
        """The PES packets that begin at ``starts``, but for the last one; None if anything is odd."""
        payload = batch.payloads(index)
        rows, edges = index[starts[:-1]], payload.begin(starts)
        headers = parse_pes_headers(payload, starts[:-1])
        if headers is None or (headers.header_length > batch.size[rows]).any():
            return None
        begin, end = edges[:-1] + headers.header_length, edges[1:]
        size, stated = end - begin, headers.payload_length
        open_ended = (stated < 0) & (self.stream.codec in VIDEO)
        if not ((size == stated) | open_ended).all() or int(size.max()) > self._limit_bytes:
            return None
        dts = last_dts + np.cumsum(_signed(np.diff(headers.dts, prepend=last_dts)))
        pts = dts + _signed(headers.pts - dts)
        steps = np.diff(dts, prepend=last_dts)
        if not ((steps > 0) & (steps <= LONGEST_STEP) & (pts >= dts)).all():
            return None
        if self.clock is not None and not self._look_at_clock(self.clock, batch, rows, dts):
            return None
        random_access = batch.flags[rows] & 0x40 != 0
        offset = batch.offset + rows * batch.stride
        return PesColumns(self.stream.pid, offset, pts, dts, random_access, begin, end, payload)

    def _look_at_clock(self, clock: ProgramClock, batch: Batch, rows: Index, dts: Positions) -> bool:
        """Notes what comes late; False if the clock restarted on the way or has not yet begun."""
        times = clock.columns_at(rows)
        if times.shape[1] < len(rows) or times[2, -1] != self._epoch:
            return False
        late = _signed(times[0] - dts)
        for place in np.flatnonzero(late > 0).tolist():
            self._note_late(batch, int(rows[place]), int(late[place]))
        return True

    def _note(self, columns: PesColumns) -> None:
        self.pes_packets += len(columns)
        self.random_access += int(columns.random_access.sum())
        self.last_pts, self.last_dts = int(columns.pts[-1]), int(columns.dts[-1])


def _signed(differences: Positions) -> Positions:
    """Differences of timestamps by the shorter way round."""
    return (differences + WRAP // 2 & WRAP - 1) - WRAP // 2
