"""A program's clock, from its PCRs (ISO/IEC 13818-1, 2.4.2, 2.7.2)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..ticks import TICKS_PER_SECOND, WRAP, WRAP_BITS, signed_difference
from .batch import RANK_PCR, Batch, Index
from .report import ProblemKind

_EXTENSION = 300
"""Units of the PCR (27 MHz) in one tick."""
PCR_UNITS_PER_SECOND = TICKS_PER_SECOND * _EXTENSION
_PCR_WRAP = WRAP * _EXTENSION
_LONGEST_INTERVAL = PCR_UNITS_PER_SECOND // 10


def nearest(wire: int, reference: int) -> int:
    """The unwrapped timestamp that is ``wire`` on the wire and nearest to ``reference`` (ticks)."""
    return reference + signed_difference(wire, reference, WRAP_BITS)


class ProgramClock:
    """Follows one program's PCRs, which travel on ``pid``.

    ``first``, ``last`` (None before the first PCR) and ``largest_interval`` are unwrapped, in units of
    27 MHz. An epoch is a time base; each discontinuity_indicator begins the next.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.first: int | None = None
        self.last: int | None = None
        self.largest_interval = 0
        self._elapsed = 0
        self._epoch = 0
        self._pending = False
        self._rows: Index = np.empty(0, np.intp)
        self._columns: npt.NDArray[np.int64] = np.empty((3, 0), np.int64)
        self._before: tuple[int, int, int] | None = None

    def forget(self) -> None:
        """Drops the rows of the finished batch; keeps the newest values."""
        if len(self._rows):
            values, elapsed, epochs = self._columns[:, -1].tolist()
            self._before = values, elapsed, epochs
            self._rows, self._columns = self._rows[:0], self._columns[:, :0]

    def feed(self, batch: Batch, index: Index) -> None:
        """Takes the packets of the clock's PID."""
        rows, wire = batch.pcrs(index)
        breaks = batch.discontinuities(index)
        if not len(rows):
            self._pending |= bool(breaks)
            return
        if self.last is None:
            self.first = self.last = int(wire[0])
        previous = np.concatenate(([self.last % _PCR_WRAP], wire[:-1]))
        steps = (wire - previous + _PCR_WRAP // 2) % _PCR_WRAP - _PCR_WRAP // 2
        values = self.last + np.cumsum(steps)
        flagged = np.zeros(len(rows), np.bool_)
        if breaks or self._pending:
            self._flag(rows, breaks, flagged)
        self._check(batch, rows, steps, flagged)
        elapsed = self._elapsed + np.cumsum(np.where(flagged | (steps < 0), 0, steps))
        epochs = self._epoch + np.cumsum(flagged)
        self._rows, self._columns = rows, np.stack((values, elapsed, epochs))
        self.last, self._elapsed, self._epoch = self._columns[:, -1].tolist()

    def _flag(self, rows: Index, breaks: list[int], flagged: npt.NDArray[np.bool_]) -> None:
        """Marks the first PCR at or behind each discontinuity_indicator."""
        flagged[0] = self._pending
        places = np.searchsorted(rows, breaks)
        flagged[places[places < len(rows)]] = True
        self._pending = bool((places >= len(rows)).any())

    def _check(self, batch: Batch, rows: Index, steps: Index, flagged: npt.NDArray[np.bool_]) -> None:
        allowed = steps[~flagged]
        if len(allowed):
            self.largest_interval = max(self.largest_interval, int(allowed.max()))
        for place in np.flatnonzero(~flagged & ((steps < 0) | (steps > _LONGEST_INTERVAL))).tolist():
            step_s = int(steps[place]) / PCR_UNITS_PER_SECOND
            if step_s < 0:
                detail = f"PCR goes back by {-step_s:.6f} s without discontinuity_indicator"
                batch.problem(int(rows[place]), RANK_PCR, ProblemKind.PCR_BACK, detail)
            else:
                detail = f"{step_s:.3f} s without a PCR, 0.1 s at most are allowed"
                batch.problem(int(rows[place]), RANK_PCR, ProblemKind.PCR_GAP, detail)

    def columns_at(self, rows: Index) -> npt.NDArray[np.int64]:
        """At each row the newest PCR (ticks), the time passed (27 MHz, jumps left out), and the epoch.

        Rows before the first PCR of all have no column: all others come behind them.
        """
        columns, place = self._columns, np.searchsorted(self._rows, rows, "right")
        if self._before is None:
            place = place[place > 0] - 1
        elif len(place) and place[0] == 0:
            columns = np.column_stack((self._before, columns))
        else:
            place -= 1
        found = columns[:, place]
        found[0] //= _EXTENSION
        return found

    def at(self, row: int) -> tuple[int | None, int]:
        """The newest PCR (ticks) at or before a row of the batch, and the epoch there."""
        place = int(np.searchsorted(self._rows, row, "right")) - 1
        if place < 0:
            return (None, 0) if self._before is None else (self._before[0] // _EXTENSION, self._before[2])
        return int(self._columns[0, place]) // _EXTENSION, int(self._columns[2, place])

    @property
    def first_ticks(self) -> int | None:
        """The first PCR in ticks."""
        return None if self.first is None else self.first // _EXTENSION

    @property
    def last_ticks(self) -> int | None:
        """The newest PCR in ticks."""
        return None if self.last is None else self.last // _EXTENSION
