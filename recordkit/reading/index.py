"""Which frames a file holds: where each one's coded unit lies, when it is shown, where decoding can begin."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..model import Captured
from ..telemetry.table import DISCONTINUITY, HIDDEN, KEYFRAME, ROW, packed, taken_of

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NOT_SHOWN = -1
UNIT = np.dtype([(name, "<i4" if name == "delay" else ROW[name]) for name in ROW.names or ()])
"""As a row of the frame table, so that a table is taken over as it is; in files of others a DTS may be behind
the PTS."""
DAMAGED = 4
"""A flag of a unit that no frame table has."""
_MOST_DELAY = (1 << 31) - 1
_MOST_BYTES = (1 << 32) - 1


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


class Order(NamedTuple):
    """Of each frame which unit it is, of each unit which frame it is, and at which unit its decoding begins."""

    order: Integers
    number: Integers
    entry: Integers


@dataclass(frozen=True, eq=False)
class Index:
    """All coded frames of a file in decoding order (``units``), and the order in which they are shown.

    ``number`` says of each unit which frame it is, counted from 0 as a player shows them, or -1: units
    before the first keyframe, leading frames that refer to one which is not there, and what an edit list
    leaves out. ``order`` says of each frame which unit it is. ``entry`` says of each unit at which
    unit a decoder has to begin to have it right.

    A column is made each time that it is asked for.
    """

    time_base: Fraction
    units: npt.NDArray[np.void]
    order: Integers
    number: Integers
    entry: Integers

    def __len__(self) -> int:
        return len(self.order)

    @property
    def pts(self) -> Integers:
        """When each unit is shown."""
        found: Integers = self.units["pts"]
        return found

    @property
    def dts(self) -> Integers:
        """When each unit is decoded."""
        found: Integers = self.units["pts"] - self.units["delay"]
        return found

    @property
    def offset(self) -> Integers:
        """At which byte of the file each unit begins."""
        found: Integers = self.units["offset"]
        return found

    @property
    def bytes(self) -> Integers:
        """How many bytes each unit has."""
        found: Integers = self.units["bytes"].astype(np.int64)
        return found

    @property
    def keyframe(self) -> Flags:
        """Whether decoding can begin at a unit."""
        return self._flagged(KEYFRAME)

    @property
    def breaks(self) -> Flags:
        """Whether media is missing before a unit."""
        return self._flagged(DISCONTINUITY)

    @property
    def damaged(self) -> Flags:
        """Whether bytes of a unit are missing."""
        return self._flagged(DAMAGED)

    def _flagged(self, flag: int) -> Flags:
        found: Flags = self.units["flags"] & flag != 0
        return found

    @property
    def taken_ns(self) -> Integers:
        """When each unit was taken, as the frame table has it."""
        found: Integers = self.units["captured_ns"]
        return found

    @property
    def taken_by(self) -> npt.NDArray[np.uint8]:
        """Who says so, as the frame table has it."""
        found: npt.NDArray[np.uint8] = self.units["captured_by"]
        return found

    @property
    def taken_error_us(self) -> npt.NDArray[np.uint32]:
        """By how much that may be off, as the frame table has it."""
        found: npt.NDArray[np.uint32] = self.units["error_us"]
        return found

    @property
    def shown_pts(self) -> Integers:
        """PTS of each frame, in the order in which they are shown."""
        return self.pts[self.order]

    def shown_before(self, pts: int) -> int:
        """How many frames are shown before ``pts``."""
        times = self.units["pts"]
        return bisect_left(self.order, pts, key=times.__getitem__)

    def dts_of(self, unit: int) -> int:
        """When ``unit`` is decoded."""
        return int(self.units["pts"][unit]) - int(self.units["delay"][unit])

    def is_keyframe(self, unit: int) -> bool:
        """Whether decoding can begin at ``unit``."""
        return bool(self.units["flags"][unit] & KEYFRAME)

    def captured(self, unit: int) -> Captured | None:
        """When ``unit`` was taken; None if nothing says so."""
        return taken_of(self.units[unit])

    @cached_property
    def is_reordered(self) -> bool:
        """Whether frames are decoded in another order than they are shown in."""
        return bool((np.diff(self.order) < 0).any())

    def keys_before(self, unit: int) -> Integers:
        """The keyframes before ``unit``, as units."""
        return np.flatnonzero(self.units["flags"][:unit] & KEYFRAME)

    def is_affected(self, number: int) -> bool:
        """Whether bytes of frame ``number``, or of one that it may refer to, are missing."""
        unit = int(self.order[number])
        return bool((self.units["flags"][int(self.entry[unit]) : unit + 1] & DAMAGED).any())


def times_of(units: Sequence[Unit]) -> tuple[Integers, Integers]:
    """PTS and DTS of units; a missing time stands right behind the one before, or before the first."""
    pts = _filled([unit.dts if unit.pts is None else unit.pts for unit in units])
    return pts, _filled([unit.dts for unit in units])


def rows_of(units: Sequence[Unit], pts: Integers, dts: Integers) -> npt.NDArray[np.void]:
    """Units as rows, with these times."""
    rows = np.zeros(len(units), UNIT)
    rows["pts"] = pts
    rows["delay"] = np.clip(pts - dts, -_MOST_DELAY, _MOST_DELAY)
    rows["offset"] = [unit.offset for unit in units]
    rows["bytes"] = [min(unit.bytes, _MOST_BYTES) for unit in units]
    rows["flags"] = [
        KEYFRAME * unit.keyframe | DISCONTINUITY * unit.breaks | DAMAGED * unit.damaged | HIDDEN * unit.hidden
        for unit in units
    ]
    taken = [packed(unit.captured) for unit in units]
    for column, name in enumerate(("captured_ns", "captured_by", "error_us")):
        rows[name] = [one[column] for one in taken]
    return rows


def _filled(times: list[int | None]) -> Integers:
    first = next((place for place, time in enumerate(times) if time is not None), len(times))
    last = (times[first] or 0) - first - 1 if first < len(times) else -1
    found = []
    for time in times:
        last = last + 1 if time is None else time
        found.append(last)
    return np.array(found, np.int64)
