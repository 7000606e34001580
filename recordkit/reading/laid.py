"""The units of a file that recordkit has laid itself, by the numbers of its own streams, finished or growing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..containers import TRANSPORT_STREAM, by_suffix
from ..model import AccessUnit
from ..mpegts.tables import FIRST_STREAM_PID
from .transport_units import NotSimpleError
from .units import Source

_FIRST_TRACK_ID = 1


def units_laid(
    path: Path, size: int, begins: Mapping[int, int], ends: Mapping[int, int]
) -> Iterator[tuple[int, AccessUnit]]:
    """The units of each stream from number ``begins`` on and before ``ends``, with their numbers.

    They count from 0 in each stream; one that is not in ``ends`` is left out. ``size`` are the bytes of the file in
    which they are. Their times are those of the file, and they come about in the order in which they lie there.
    Raises SourceError or MediaError for what cannot be read.
    """
    first = FIRST_STREAM_PID if by_suffix(path).name == TRANSPORT_STREAM else _FIRST_TRACK_ID
    source = Source(path, size=size)
    due = dict(begins)
    try:
        while True:
            try:
                yield from _once(source, first, due, ends)
                return
            except NotSimpleError as error:
                source.fall_back(error)
    finally:
        source.close()


def _once(
    source: Source, first: int, due: dict[int, int], ends: Mapping[int, int]
) -> Iterator[tuple[int, AccessUnit]]:
    """Read it from the beginning, and go on with the units that are ``due``."""
    units, counts = source.units(), dict.fromkeys(ends, 0)
    for coded in units:
        stream = units.ids[coded.unit.stream] - first
        if stream not in counts:
            continue
        number = counts[stream]
        counts[stream] = number + 1
        if due.get(stream, 0) <= number < ends[stream]:
            due[stream] = number + 1
            yield (
                number,
                AccessUnit(
                    stream,
                    coded.unit.pts,
                    coded.unit.dts,
                    coded.unit.data,
                    coded.unit.prefix,
                    random_access=coded.unit.random_access,
                    duration=coded.unit.duration,
                    header=coded.unit.header,
                    nal_starts=coded.unit.nal_starts,
                ),
            )
        elif all(counts[one] >= end for one, end in ends.items()):
            return
