"""Coded frames as they are found, and the order in which they are shown: what of it is settled is kept."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from ..telemetry.table import HIDDEN, KEYFRAME, Rows
from .index import NOT_SHOWN, UNIT, Flags, Index, Integers, Order, Unit, rows_of, times_of

Scalar = TypeVar("Scalar", bound=np.generic)


def build(units: Sequence[Unit], time_base: Fraction, shown: Sequence[int] | None = None) -> Index:
    """The index of ``units``, which come in decoding order.

    ``shown`` are the units' places in the order of presentation, where that was learnt by decoding
    because times are missing; else it follows from the times.
    """
    if shown is None:
        growing = Growing(time_base)
        growing.extend(units)
        return growing.index
    pts, dts = times_of(units)
    order = np.array(shown, np.int64)
    pts[order] = np.sort(dts[order])
    rows = rows_of(units, pts, dts)
    keyframe = _keyframes(rows, rows["flags"] & KEYFRAME != 0)
    number = np.full(len(rows), NOT_SHOWN, np.int64)
    number[order] = np.arange(len(order))
    return Index(time_base, rows, order, number, _entries(keyframe, pts, None))


class Growing:
    """Coded frames in decoding order as they are found, and the index of them.

    What of the order cannot change any more is kept: a recording that is followed for hours costs what is new in
    it. An index is right until the next one is asked for.
    """

    def __init__(self, time_base: Fraction, known: Rows | None = None) -> None:
        self._time_base = time_base
        # Without the class of a mapping, whose rows take twice as long to ask for.
        rows = np.zeros(0, UNIT) if known is None else known.view(np.ndarray).view(UNIT)
        self._units: npt.NDArray[np.void] = rows
        self._count = len(self._units)
        self._new: list[Unit] = []
        none = np.zeros(0, np.int64)
        self._order, self._number, self._entry = Order(none, none, none)
        self._settled = _Settled()
        self._index: Index | None = None

    def __len__(self) -> int:
        return self._count + len(self._new)

    def found_since(self) -> npt.NDArray[np.void]:
        """Those that no index was made of yet."""
        return rows_of(self._new, *times_of(self._new))

    def extend(self, units: Sequence[Unit]) -> None:
        """These follow."""
        self._new += units

    def extend_rows(self, rows: npt.NDArray[np.void]) -> None:
        """These follow, which are rows already."""
        self._take_new()
        if len(rows):
            self._take(rows)

    @property
    def index(self) -> Index:
        """The index of all until now."""
        self._take_new()
        if self._index is not None:
            return self._index
        units, settled = self._units[: self._count], self._settled
        rest = units[settled.units :]
        found, settling = _ordered(rest, settled)
        self._order = _appended(self._order, settled.frames, found.order)
        self._number = _appended(self._number, settled.units, found.number)
        self._entry = _appended(self._entry, settled.units, found.entry)
        frames = settled.frames + len(found.order)
        self._settled = settling
        self._index = Index(
            self._time_base, units, self._order[:frames], self._number[: self._count], self._entry[: self._count]
        )
        return self._index

    def _take_new(self) -> None:
        if self._new:
            new, self._new = self.found_since(), []
            self._take(new)

    def _take(self, new: npt.NDArray[np.void]) -> None:
        self._index = None
        self._units = _appended(self._units, self._count, new)
        self._count += len(new)
        if not self._settled.allows(new):
            self._settled = _Settled()


class _Settled(NamedTuple):
    """So many units, and as many frames, have found their places; ``key`` is the last keyframe among the units.

    ``pts`` is the latest time among them, and ``dts`` that of the unit that came last.
    """

    units: int = 0
    frames: int = 0
    key: int | None = None
    pts: int = 0
    dts: int = 0

    def allows(self, new: npt.NDArray[np.void]) -> bool:
        """Whether ``new`` units come behind all that is settled, or on a clock that has begun anew."""
        if not self.units or int(new["pts"].min()) > self.pts:
            return True
        dts = new["pts"] - new["delay"]
        anew = int(np.argmax(np.diff(dts, prepend=self.dts) < 0))
        return int(dts[anew]) < (int(dts[anew - 1]) if anew else self.dts) and bool(
            (new["pts"][:anew] > self.pts).all()
        )


def _ordered(units: npt.NDArray[np.void], settled: _Settled) -> tuple[Order, _Settled]:
    """The order of the units behind those that are settled, and what is settled with them."""
    count = len(units)
    pts: Integers = np.ascontiguousarray(units["pts"])
    flags = np.ascontiguousarray(units["flags"])
    keyframe, hidden = flags & KEYFRAME != 0, flags & HIDDEN != 0
    if not settled.units:
        keyframe = _keyframes(units, keyframe)
    stretch: Integers | None = None
    if count and (settled.units or keyframe[0]) and bool((pts[1:] > pts[:-1]).all()) and not hidden.any():
        places = np.arange(count)
    else:
        dts = pts - units["delay"]
        visible = ~hidden if settled.units else ~hidden & ~_before_first(keyframe, pts)
        shown = np.flatnonzero(visible)
        # A clock that begins anew begins a stretch of its own, whose frames all come later.
        stretch = np.cumsum(np.diff(dts, prepend=dts[:1]) < 0)
        places = shown[np.lexsort((pts[shown], stretch[shown]))]
    if stretch is None:
        number = np.arange(settled.frames, settled.frames + count)
    else:
        number = np.full(count, NOT_SHOWN, np.int64)
        number[places] = np.arange(settled.frames, settled.frames + len(places))
    before = None if settled.key is None else settled.key - settled.units
    entries = _entries(keyframe, None if stretch is None else pts, before)
    places += settled.units
    entries += settled.units
    found = Order(places, number, entries)
    return found, _settle(settled, units, pts, np.flatnonzero(keyframe), number, stretch)


def _settle(
    settled: _Settled,
    units: npt.NDArray[np.void],
    pts: Integers,
    keys: Integers,
    number: Integers,
    stretch: Integers | None,
) -> _Settled:
    """All before the last keyframe but one is settled, if nothing from there on is shown before any of it."""
    if not len(pts):
        return settled
    dts = int(pts[-1]) - int(units["delay"][-1])
    cut = int(keys[-2]) if len(keys) > 2 else 0
    if not cut or (stretch is not None and stretch[cut] != stretch[-1]):
        return settled._replace(dts=dts)
    earliest, newest = int(pts[cut]), int(pts[cut - 1])
    if stretch is not None:
        before, earliest = pts[:cut][stretch[:cut] == stretch[-1]], int(pts[cut:].min())
        newest = int(before.max()) if len(before) else earliest - 1
    if newest >= min(earliest, dts):
        return settled._replace(dts=dts)
    frames = cut if stretch is None else int(np.count_nonzero(number[:cut] >= 0))
    return _Settled(settled.units + cut, settled.frames + frames, int(keys[-3]) + settled.units, newest, dts)


def _appended(buffer: npt.NDArray[Scalar], count: int, new: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """``new`` behind the first ``count`` of ``buffer``, in a larger one if it is too small, or only to be read."""
    if not count:
        return new
    needed = count + len(new)
    if needed > len(buffer) or not buffer.flags.writeable:
        larger = np.empty(needed + needed // 4 + 64, buffer.dtype)
        larger[:count] = buffer[:count]
        buffer = larger
    buffer[count:needed] = new
    return buffer


def _keyframes(units: npt.NDArray[np.void], found: Flags) -> Flags:
    """Which are keyframes; if none is one, the first has to do."""
    if not found.any() and len(units):
        found[0] = True
        if units.flags.writeable:
            units["flags"][0] |= KEYFRAME
    return found


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


def _entries(keyframe: Flags, pts: Integers | None, before: int | None) -> Integers:
    """For each unit the newest keyframe from which it can be decoded: a leading frame needs the one before.

    Without ``pts`` there is no leading frame; ``before`` is the last keyframe before all of them.
    """
    keys = np.flatnonzero(keyframe)
    if not len(keys):
        return np.full(len(keyframe), before or 0, np.int64)
    newest: Integers = np.repeat(keys, np.diff(keys[1:], prepend=0, append=len(keyframe)))
    if pts is None:
        return newest
    leading = np.flatnonzero(pts < pts[newest])
    if len(leading):
        rank = np.searchsorted(keys, leading, "right") - 1
        first = newest[leading] if before is None else before
        newest[leading] = np.where(rank > 0, keys[np.maximum(rank - 1, 0)], first)
    return newest
