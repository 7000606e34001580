"""The sample tables of one track (ISO/IEC 14496-12, 8.6 and 8.7): grown sample by sample, written in pieces.

A sample costs 12 bytes of memory and what its times need: a run of samples that stand equally far
apart costs eight. Ten hours of video and audio are 2.9 million samples, 35 MB.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .boxes import FORMS, HEADER_BYTES, full_head, head_bytes

PIECE_ROWS = 16_384
BREAK = b"lost"
"""grouping_type (8.9) of the samples before which media is missing. Nobody else knows it, and passes over it."""
_LARGEST = 0xFFFF_FFFF
_BOUNDS = {"I": (0, _LARGEST), "i": (-(1 << 31), (1 << 31) - 1)}


@dataclass(frozen=True, slots=True)
class Lazy:
    """A box that is made piece by piece when it is written; ``size`` is known before."""

    size: int
    pieces: Callable[[], Iterator[bytes]]


def lazy_box(kind: str, *content: bytes | Lazy) -> Lazy:
    """A box around others."""
    size = HEADER_BYTES + sum(part.size if isinstance(part, Lazy) else len(part) for part in content)

    def pieces() -> Iterator[bytes]:
        yield size.to_bytes(4) + kind.encode("latin-1")
        for part in content:
            if isinstance(part, Lazy):
                yield from part.pieces()
            else:
                yield part

    return Lazy(size, pieces)


def _table(kind: str, *columns: array[int], version: int = 0, **values: int) -> Lazy:
    """A full box whose rows are the ``columns`` side by side."""
    row_type = FORMS[kind][version].row_type()
    count = len(columns[0])
    size = head_bytes(kind, version) + count * row_type.itemsize

    def pieces() -> Iterator[bytes]:
        yield full_head(kind, size, version, count=count, **values)
        for start in range(0, count, PIECE_ROWS):
            rows = np.empty(min(PIECE_ROWS, count - start), row_type)
            for name, column in zip(row_type.names or (), columns, strict=True):
                rows[name] = column[start : start + PIECE_ROWS]
            yield rows.tobytes()

    return Lazy(size, pieces)


class Runs:
    """A column of numbers as runs of equal ones; each is at most as large as its row in the file holds."""

    __slots__ = ("_last", "_length", "counts", "values")

    def __init__(self, code: str) -> None:
        self.counts = array("I")
        self.values = array(code)
        self._last: int | None = None
        self._length = 0

    def add(self, value: int) -> None:
        """One more number."""
        if value == self._last:
            self._length += 1
            self.counts[-1] = self._length
            return
        self._last, self._length = value, 1
        self.counts.append(1)
        least, most = _BOUNDS[self.values.typecode]
        self.values.append(min(max(value, least), most))

    def copy(self) -> Runs:
        """The same, to be continued in another way."""
        made = Runs(self.values.typecode)
        made.counts, made.values = self.counts[:], self.values[:]
        made._last, made._length = self._last, self._length
        return made


def _expanded(runs: Runs) -> Iterator[int]:
    for count, value in zip(runs.counts, runs.values, strict=True):
        for _ in range(count):
            yield value


class SampleTable:
    """All samples of one track, each a chunk of its own; times in the track's own units.

    ``first_time`` is the decode time of the first sample, ``least_shown`` when the earliest is shown,
    ``end`` when the last shown one ends.
    """

    def __init__(self) -> None:
        self.first_time = self.least_shown = self.end = 0
        self._last_time = 0
        self._last_duration = 1
        self._offsets = array("Q")
        self._sizes = array("I")
        self._keyframes: array[int] | None = None  # while each sample is one, as all of audio are
        self._breaks = array("I")
        self._steps = Runs("I")
        self._shifts = Runs("i")
        self._description = 0
        self._descriptions: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._sizes)

    def add(
        self,
        offset: int,
        size: int,
        time: int,
        shift: int,
        duration: int,
        keyframe: bool,
        description: int,
        *,
        breaks: bool = False,
    ) -> None:
        """One more sample: where it lies, when it is decoded, how much later it is shown.

        ``breaks`` says that media is missing before it.
        """
        shown, sizes = time + shift, self._sizes
        if sizes:
            self._steps.add(time - self._last_time)
            if shown < self.least_shown:
                self.least_shown = shown
        else:
            self.first_time, self.least_shown = time, shown
        self._last_time, self._last_duration = time, duration
        if shown + duration > self.end:
            self.end = shown + duration
        self._offsets.append(offset)
        sizes.append(size)
        self._shifts.add(shift)
        if self._keyframes is None:
            if not keyframe:
                self._keyframes = array("I", range(1, len(sizes)))
        elif keyframe:
            self._keyframes.append(len(sizes))
        if breaks:
            self._breaks.append(len(sizes))
        if description != self._description:
            self._description = description
            self._descriptions.append((len(sizes), description))

    @property
    def duration(self) -> int:
        """From the first sample's decoding to the end of the last one."""
        return self._last_time - self.first_time + self._last_duration if self._sizes else 0

    def keyframes(self) -> Iterator[tuple[int, int]]:
        """When each keyframe is shown, and where its bytes lie."""
        wanted = iter(range(1, len(self) + 1) if self._keyframes is None else self._keyframes)
        number, time = next(wanted, 0), self.first_time
        steps = _expanded(self._steps)
        for at, shift in enumerate(_expanded(self._shifts)):
            if at + 1 == number:
                yield time + shift, self._offsets[at]
                number = next(wanted, 0)
            time += next(steps, 0)

    def boxes(self) -> list[Lazy]:
        """The tables (8.6.1.2 and on) that stand behind ``stsd``."""
        steps = self._steps.copy()
        if self._sizes:
            steps.add(self._last_duration)
        made = [_table("stts", steps.counts, steps.values)]
        if any(self._shifts.values):
            made.append(
                _table("ctts", self._shifts.counts, self._shifts.values, version=int(min(self._shifts.values) < 0))
            )
        if self._keyframes is not None:
            made.append(_table("stss", self._keyframes))
        firsts, descriptions = array("I"), array("I")
        for first, description in self._descriptions:
            firsts.append(first)
            descriptions.append(description)
        made.append(_table("stsc", firsts, array("I", [1]) * len(firsts), descriptions))
        made.append(_table("stsz", self._sizes, each=0))
        is_small = not self._offsets or self._offsets[-1] <= _LARGEST
        made.append(_table("stco" if is_small else "co64", self._offsets))
        return made + self._groups()

    def _groups(self) -> list[Lazy]:
        """Which samples are of the one group that there is (8.9.2, 8.9.3)."""
        counts, groups, before = array("I"), array("I"), 0
        for number in self._breaks:
            if number - before > 1:
                counts.append(number - before - 1)
                groups.append(0)
            counts.append(1)
            groups.append(1)
            before = number
        grouping = int.from_bytes(BREAK)
        if not counts:
            return []
        return [
            _table("sgpd", array("I", [0]), version=1, grouping=grouping, length=4),
            _table("sbgp", counts, groups, grouping=grouping),
        ]
