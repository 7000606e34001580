"""Which frames a file holds: where each one's coded unit lies, when it is shown, where decoding can begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ..model import Captured
from ..telemetry.table import DISCONTINUITY, KEYFRAME, Rows, packed, unpacked

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NOT_SHOWN = -1


@dataclass(frozen=True, slots=True)
class Unit:
    """A coded frame as it lies in the file; times in units of the index's time base, None where unknown.

    ``breaks`` says that media is missing before it (a discontinuity), ``damaged`` that bytes of its own, or
    right before it, are.
    """

    pts: int | None
    dts: int | None
    offset: int
    bytes: int
    keyframe: bool
    breaks: bool = False
    damaged: bool = False
    hidden: bool = False
    captured: Captured | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Units in decoding order, column by column; ``taken`` is when they were taken, as the frame table has it."""

    pts: Integers
    dts: Integers
    offset: Integers
    bytes: Integers
    keyframe: Flags
    breaks: Flags
    damaged: Flags
    hidden: Flags
    taken_ns: Integers
    taken_by: npt.NDArray[np.uint8]
    taken_error_us: npt.NDArray[np.uint32]

    @classmethod
    def of(cls, rows: Sequence[Unit]) -> Columns:
        """The columns of units; a missing time stands right behind the one before, or before the first."""
        taken = [packed(unit.captured) for unit in rows]
        return cls(
            _filled([unit.pts if unit.pts is not None else unit.dts for unit in rows]),
            _filled([unit.dts for unit in rows]),
            np.array([unit.offset for unit in rows], np.int64),
            np.array([unit.bytes for unit in rows], np.int64),
            np.array([unit.keyframe for unit in rows], np.bool_),
            np.array([unit.breaks for unit in rows], np.bool_),
            np.array([unit.damaged for unit in rows], np.bool_),
            np.array([unit.hidden for unit in rows], np.bool_),
            np.array([time_ns for time_ns, _, _ in taken], np.int64),
            np.array([by for _, by, _ in taken], np.uint8),
            np.array([error_us for _, _, error_us in taken], np.uint32),
        )

    @classmethod
    def of_table(cls, rows: Rows) -> Columns:
        """The columns of a frame table."""
        pts = rows["pts"].astype(np.int64)
        none = np.zeros(len(rows), np.bool_)
        return cls(
            pts,
            pts - rows["delay"],
            rows["offset"].astype(np.int64),
            rows["bytes"].astype(np.int64),
            rows["flags"] & KEYFRAME != 0,
            rows["flags"] & DISCONTINUITY != 0,
            none,
            none,
            rows["captured_ns"].astype(np.int64),
            rows["captured_by"].astype(np.uint8),
            rows["error_us"].astype(np.uint32),
        )

    def __len__(self) -> int:
        return len(self.pts)

    def __add__(self, other: Columns) -> Columns:
        """These, and ``other`` behind them."""
        if not len(other) or not len(self):
            return self if len(self) else other
        pairs = ((getattr(self, one.name), getattr(other, one.name)) for one in fields(Columns))
        return Columns(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """All coded frames of a file in decoding order, and the order in which they are shown.

    ``number`` says of each unit which frame it is, counted from 0 as a player shows them, or -1: units
    before the first keyframe, leading frames that refer to one which is not there, and what an edit list
    leaves out. ``order`` says of each frame which unit it is. ``entry`` says of each unit at which
    unit a decoder has to begin to have it right.
    """

    time_base: Fraction
    pts: Integers
    dts: Integers
    offset: Integers
    bytes: Integers
    keyframe: Flags
    breaks: Flags
    damaged: Flags
    number: Integers
    order: Integers
    entry: Integers
    taken_ns: Integers
    taken_by: npt.NDArray[np.uint8]
    taken_error_us: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.order)

    @property
    def shown_pts(self) -> Integers:
        """PTS of each frame, in the order in which they are shown."""
        return self.pts[self.order]

    def captured(self, unit: int) -> Captured | None:
        """When ``unit`` was taken; None if nothing says so."""
        return unpacked(int(self.taken_ns[unit]), int(self.taken_by[unit]), int(self.taken_error_us[unit]))

    def key_before(self, unit: int) -> int | None:
        """The last keyframe before ``unit``, as a unit; None if there is none."""
        keys = np.flatnonzero(self.keyframe[:unit])
        return int(keys[-1]) if len(keys) else None

    def is_affected(self, number: int) -> bool:
        """Whether bytes of frame ``number``, or of one that it may refer to, are missing."""
        unit = int(self.order[number])
        return bool(self.damaged[int(self.entry[unit]) : unit + 1].any())


def build(units: Sequence[Unit], time_base: Fraction, shown: Sequence[int] | None = None) -> Index:
    """The index of ``units``, which come in decoding order.

    ``shown`` are the units' places in the order of presentation, where that was learnt by decoding
    because times are missing; else it follows from the times.
    """
    return indexed(Columns.of(units), time_base, shown)


def indexed(columns: Columns, time_base: Fraction, shown: Sequence[int] | None = None) -> Index:
    """The same of units that are columns already."""
    count, keyframe, pts, dts = len(columns), columns.keyframe, columns.pts, columns.dts
    if not keyframe.any() and count:
        keyframe[0] = True
    if shown is not None:
        order = np.array(shown, np.int64)
        pts[order] = np.sort(dts[order])
    elif count and keyframe[0] and not columns.hidden.any() and bool((pts[1:] > pts[:-1]).all()):
        order = np.arange(count)
    else:
        visible = ~columns.hidden & ~_before_first(keyframe, pts)
        places = np.flatnonzero(visible)
        # A clock that begins anew begins a stretch of its own, whose frames all come later.
        stretch = np.cumsum(np.diff(dts, prepend=dts[:1]) < 0)
        order = places[np.lexsort((pts[places], stretch[places]))]
    number = np.full(count, NOT_SHOWN, np.int64)
    number[order] = np.arange(len(order))
    return Index(
        time_base=time_base,
        pts=pts,
        dts=dts,
        offset=columns.offset,
        bytes=columns.bytes,
        keyframe=keyframe,
        breaks=columns.breaks,
        damaged=columns.damaged,
        number=number,
        order=order,
        entry=_entries(keyframe, pts),
        taken_ns=columns.taken_ns,
        taken_by=columns.taken_by,
        taken_error_us=columns.taken_error_us,
    )


def _filled(times: list[int | None]) -> Integers:
    """Times as integers; a missing one stands right behind the one before, or before the first."""
    first = next((place for place, time in enumerate(times) if time is not None), len(times))
    last = (times[first] or 0) - first - 1 if first < len(times) else -1
    found = []
    for time in times:
        last = last + 1 if time is None else time
        found.append(last)
    return np.array(found, np.int64)


def _before_first(keyframe: Flags, pts: Integers) -> Flags:
    """Units that cannot be decoded: before the first keyframe, or leading frames that refer beyond it."""
    keys = np.flatnonzero(keyframe)
    at = np.arange(len(keyframe))
    if not len(keys):
        return np.zeros(len(keyframe), np.bool_)
    first = int(keys[0])
    second = int(keys[1]) if len(keys) > 1 else len(keyframe)
    leading = (at > first) & (at < second) & (pts < pts[first])
    found: Flags = (at < first) | leading
    return found


def _entries(keyframe: Flags, pts: Integers) -> Integers:
    """For each unit the newest keyframe from which it can be decoded: a leading frame needs the one before."""
    keys = np.flatnonzero(keyframe)
    if not len(keys):
        return np.zeros(len(pts), np.int64)
    newest: Integers = np.maximum.accumulate(np.where(keyframe, np.arange(len(pts)), keys[0]))
    leading = np.flatnonzero(pts < pts[newest])
    if len(leading):
        rank = np.searchsorted(keys, leading, "right") - 1
        newest[leading] = np.where(rank > 0, keys[np.maximum(rank - 1, 0)], newest[leading])
    return newest
