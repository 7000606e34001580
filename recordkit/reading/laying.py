"""Coded units into a file of another container, and the comparison of what is written with what was given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ..container import Container
from ..containers import TRANSPORT_STREAM
from ..encode.coded import Coded
from ..errors import MediaError
from ..model import StreamFormat
from ..ticks import TICKS_PER_SECOND
from ..writer.whole import WholeFile
from .essence import Essence, of_movie, of_sound, of_transport_stream, of_unit

_BUFFER_BYTES = 4 * 1024 * 1024
_EVER = 1 << 62
_START = 2 * TICKS_PER_SECOND
"""The time of the first unit of a transport stream: its clock runs before it."""


class Laying:
    """Lays units into a file, and keeps what it is compared by."""

    def __init__(self, container: Container, file: WholeFile) -> None:
        self.packager = container.packager(False)
        self.essences: dict[int, Essence] = {}
        self.begins, self.ends = _EVER, -_EVER
        self.shift = 0
        self._formats: dict[int, StreamFormat] = {}
        self._container, self._file = container, file
        self._is_ts = container.name == TRANSPORT_STREAM
        self._rows = _BUFFER_BYTES // container.packet_bytes

    def declare(self, beginning: Iterable[Coded]) -> None:
        """Name the streams of the first units, in the order of their numbers."""
        firsts: dict[int, Coded] = {}
        for coded in beginning:
            firsts.setdefault(coded.unit.stream, coded)
        for index, coded in sorted(firsts.items()):
            self._declare(index, coded.format)
        if self._is_ts and firsts:
            self.shift = max(0, _START - min(coded.unit.dts for coded in firsts.values()))

    def _declare(self, index: int, stream_format: StreamFormat) -> None:
        if self._formats.get(index) != stream_format:
            self.packager.declare(index, stream_format)
            self.essences.setdefault(index, Essence(stream_format.codec))
        self._formats[index] = stream_format

    def lay(self, units: Iterable[Coded]) -> None:
        """Lay them all."""
        packager, formats = self.packager, self._formats
        size = self._container.packet_bytes
        memory = packager.lend(np.empty((self._rows, size), np.uint8))
        for coded in units:
            stream_format, unit = coded.format, coded.unit
            index = unit.stream
            if self.shift:
                unit = replace(unit, pts=unit.pts + self.shift, dts=unit.dts + self.shift)
            if formats.get(index) is not stream_format:
                self._declare(index, stream_format)
            needed = packager.packets_for(unit)
            if memory.used + needed > memory.capacity:
                self._flush(memory)
                if needed > memory.capacity:
                    memory = packager.lend(np.empty((needed, size), np.uint8))
            packager.lay(unit, memory)
            essence = self.essences[index]
            lasts = unit.duration or (unit.dts - essence.dts[-1] if essence.dts else 0)
            essence.add(of_unit(unit, stream_format.codec), unit.dts, unit.pts)
            begins, ends = unit.pts - self.shift, unit.pts + lasts - self.shift
            self.begins, self.ends = min(self.begins, begins), max(self.ends, ends)
        self._flush(memory)

    def _flush(self, memory: Any) -> None:  # noqa: ANN401 - each container lends its own kind
        self._file.write(memory.bytes[: memory.used_bytes])
        memory.used = 0

    def finish(self) -> None:
        """Write what makes the file whole."""
        made = self.packager.finish(self._file.size)
        self._file.finish(made.append, made.patches)

    def verify(self) -> None:
        """Read the file back, and compare. Raises MediaError for a unit that is not the source's."""
        codecs = {index: essence.codec for index, essence in self.essences.items()}
        read = of_sound if self._container.holds else of_transport_stream if self._is_ts else of_movie
        found = read(self._file, codecs)
        for index, mine in self.essences.items():
            its = found[index]
            shift = its.dts[0] - mine.dts[0] if its.dts and mine.dts else 0
            place = mine.first_difference(its, shift)
            if place is not None:
                raise MediaError(f"unit {place:,} of the copy is not the source's: nothing was kept", index)
