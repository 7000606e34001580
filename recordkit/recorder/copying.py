"""The units of a span of the ring, read back from its files and laid into another one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

from ..encode.routing import VIDEO
from ..errors import MediaError
from ..model import AccessUnit, FlushRecord, StreamFormat
from ..telemetry.table import read_rows, table_path, taken_of
from ..ticks import TICKS_PER_SECOND
from ..writer.buffer import NotLaid
from .piece import Piece, Span
from .segment import Segment, SegmentObserver

_LOOK_S = 1.0
_LONGEST_FLUSH_S = 60.0


class Watcher(SegmentObserver):
    """Puts flushes into the log of the file that is copied into, and tells when there is room in it."""

    def __init__(self) -> None:
        self.has_room = threading.Event()

    def segment_flushed(self, segment: Segment, record: FlushRecord) -> None:
        """Put it into the log."""
        if segment.log is not None:
            segment.log.add(record)
            segment.log.write()

    def room(self) -> None:
        """There is room again."""
        self.has_room.set()


def copy(span: Span, file: Segment, has_room: threading.Event) -> None:
    """Copy all of a span into a file. Raises RecordkitError if that is not possible."""
    for number, (unit, stream_format) in enumerate(_keyframe_first(_units(span))):
        if not number:
            _begin(span, file)
        if not file.knows(unit.stream, stream_format):
            file.declare(unit.stream, stream_format)
        while True:
            has_room.clear()
            laid = file.writer.lay(unit)
            if laid is NotLaid.ENDED:
                raise MediaError(f"{file.writer.ended_because}: not all could be kept")
            if laid is not NotLaid.FULL:
                file.laid(unit, laid)
                break
            has_room.wait(_LOOK_S)


def _begin(span: Span, file: Segment) -> None:
    """Make the streams known that are there by then."""
    piece, counts = span.pieces[0], span.first.counts
    known = {stream: piece.format_of(stream, counts.get(stream, 0)) for stream in piece.formats}
    if piece.segment.number > 1 or any(counts.values()):
        file.go_on(piece.segment.packager.order, known, span.first.heard)
        return
    file.packager.order = piece.segment.packager.order
    for stream in sorted(known):
        file.declare(stream, known[stream])


def _units(span: Span) -> Iterator[tuple[AccessUnit, StreamFormat]]:
    from ..reading.laid import units_laid  # which who only records needs not

    for place, piece in enumerate(span.pieces):
        is_last = place + 1 == len(span.pieces)
        ends = span.ends if is_last else piece.counts
        begins = {} if place else span.first.counts
        writer = piece.segment.writer
        writer.flush(_LONGEST_FLUSH_S)
        taken = _Taken(piece)
        missing = {stream: count - begins.get(stream, 0) for stream, count in ends.items()}
        shifts: dict[int, int] = {}
        for number, unit in units_laid(writer.final_output_path, writer.file_bytes, {}, ends):
            stream = unit.stream
            shift = shifts.setdefault(stream, piece.firsts[stream] - unit.pts)
            if number < begins.get(stream, 0):
                continue
            missing[stream] -= 1
            yield taken.completed(unit, number, shift), piece.format_of(stream, number)
        if any(missing.values()):
            raise MediaError(
                f"{sum(missing.values()):,} units of {writer.temp_output_path.name} cannot be read back"
            )


class _Taken:
    """What is known of a file's units beside what stands in it: gaps before them, when they were taken."""

    def __init__(self, piece: Piece) -> None:
        self._marked = piece.marked
        self._rows = read_rows(table_path(piece.segment.writer.final_output_path))

    def completed(self, unit: AccessUnit, number: int, shift: int) -> AccessUnit:
        """The unit as it was laid, with the time that it had."""
        marked, captured = self._marked.get((unit.stream, number)), None
        if unit.stream == VIDEO and self._rows is not None and number < len(self._rows):
            captured = taken_of(self._rows[number])
        unit = replace(unit, pts=unit.pts + shift, dts=unit.dts + shift, captured=captured)
        if marked is None:
            return unit
        return replace(
            unit,
            discontinuity=marked.discontinuity,
            is_second_field=marked.is_second_field,
            start_trim=marked.start_trim,
            end_trim=marked.end_trim,
        )


def _keyframe_first(
    units: Iterator[tuple[AccessUnit, StreamFormat]],
) -> Iterator[tuple[AccessUnit, StreamFormat]]:
    """The units, of which audio that lies before the first keyframe in the file comes behind it."""
    held: list[tuple[AccessUnit, StreamFormat]] = []
    for one in units:
        if one[0].stream == VIDEO:
            yield one
            break
        held.append(one)
        if one[0].pts - held[0][0].pts > TICKS_PER_SECOND:
            break
    yield from held
    yield from units
