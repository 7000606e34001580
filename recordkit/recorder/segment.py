"""One file of a recording: what lays units into it, writes it, and keeps its table and its log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from ..bitstream.audio import opus_head_without_skip
from ..container import Packager
from ..encode.routing import VIDEO
from ..model import AccessUnit, Codec, Field, FlushRecord, StreamFormat
from ..settings import RecordingSettings
from ..system import System
from ..telemetry.logfile import LogFile
from ..telemetry.table import FrameTable, table_path
from ..ticks import TICKS_PER_SECOND
from ..writer.buffer import Laid
from ..writer.observer import Closed, Observer, QueueStatus
from ..writer.writer import Writer

_LONGEST_LAG = TICKS_PER_SECOND
_UNTOLD = frozenset({"config", "priming"})


class SegmentObserver(Observer):
    """Is told what the files of one recording do; each method does nothing here, or what an Observer does."""

    def segment_flushed(self, segment: Segment, record: FlushRecord) -> None:
        """A flush of one of the files is done."""
        self.flushed(record)

    def segment_over(self, segment: Segment, closed: Closed) -> None:
        """One of the files is closed. The last call for it."""
        self.over(closed)


class Segment(Observer):
    """A recording has one of these, or several one after the other: the next one begins with a unit of its own.

    It opens nothing before ``writer.start``. ``number`` counts from 1, ``log`` is where its flushes and events go.
    ``first_pts`` and ``end_pts`` span what was laid, in ticks, ``ends`` is where each stream has come to;
    ``begins_s`` is where the first lies in the recording, ``planned_ns`` the time of day when it was to begin.
    Without ``commits`` it is of a ring, and stays a partial.

    Raises OutputNameError for a name that cannot be used.
    """

    def __init__(
        self,
        settings: RecordingSettings,
        packager: Packager,
        observer: SegmentObserver,
        *,
        number: int = 1,
        commits: bool = True,
    ) -> None:
        self.number = number
        self.packager = packager
        self.writer = Writer(settings, packager, self)
        self.log: LogFile | None = None
        self.first_pts: int | None = None
        self.end_pts = 0
        self.ends: dict[int, int] = {}
        self.video_units = self.audio_units = 0
        self.is_told = False
        self.commits = commits
        self.begins_s = 0.0
        self.planned_ns = 0
        self._observer = observer
        self._given: dict[int, StreamFormat] = {}
        self._goes_on: frozenset[int] = frozenset()
        self._table: FrameTable | None = None
        if settings.frame_table and settings.video is not None:
            path = table_path(self.writer.final_output_path)
            self._table = FrameTable(path, System(), durable=settings.durability == "flush")

    @property
    def path(self) -> Path | None:
        """Where its file is now; None if nothing was written."""
        writer = self.writer
        if writer.committed:
            return writer.final_output_path
        return writer.temp_output_path if writer.file_bytes else None

    @property
    def duration_s(self) -> float:
        """Seconds of media in it."""
        return 0.0 if self.first_pts is None else (self.end_pts - self.first_pts) / TICKS_PER_SECOND

    @property
    def formats(self) -> Mapping[int, StreamFormat]:
        """The streams declared so far, as they were given."""
        return self._given

    def knows(self, index: int, stream_format: StreamFormat) -> bool:
        """Whether stream ``index`` is declared just so."""
        known = self._given.get(index)
        if known is None:
            return False
        return known is stream_format or (known == stream_format and known.config == stream_format.config)

    def declare(self, index: int, stream_format: StreamFormat) -> None:
        """As ``Packager.declare``; raises MediaError as that does."""
        going_on = index in self._goes_on
        self.packager.declare(index, _going_on(stream_format) if going_on else stream_format)
        self._given[index] = stream_format

    def go_on_from(self, before: Segment, first: AccessUnit) -> None:
        """All streams of the file before go on in this one, which ``first`` is about to be laid into."""
        # What goes on earlier than that, since it comes later, is to be heard as well.
        ends = [end for end in before.ends.values() if first.pts - _LONGEST_LAG < end]
        begins = min([first.pts, *ends])
        self.packager.decode_from(min(first.dts, begins))
        self.go_on(before.packager.order, before.formats, begins)

    def go_on(self, order: tuple[int, ...], formats: Mapping[int, StreamFormat], begins: int) -> None:
        """Streams that began in another file go on in this one, none of them before the tick ``begins``."""
        self.packager.order = order
        self.packager.begin_at(begins)
        self._goes_on = frozenset(formats)
        for index in sorted(formats):
            self.declare(index, formats[index])

    def laid(self, unit: AccessUnit, laid: Laid) -> None:
        """A unit was laid into it."""
        if self.first_pts is None or unit.pts < self.first_pts:
            begins = self.packager.heard(unit)
            self.first_pts = begins if self.first_pts is None else min(begins, self.first_pts)
        end = self.ends[unit.stream] = self.packager.until(unit)
        if end > self.end_pts:
            self.end_pts = end
        if unit.stream == VIDEO:
            self.video_units += 1
            if self._table is not None:
                self._table.add(unit, laid.offset + laid.lead_bytes, laid.unit_bytes)
        else:
            self.audio_units += 1

    def close(self, *, commit: bool) -> None:
        """Begin its end, see ``Writer.close``."""
        self.writer.close(commit=commit and self.commits)

    def drop(self) -> None:
        """It is not needed after all: nothing is left of it."""
        self.writer.close(commit=False)

    # The writer's observer.

    def flushed(self, record: FlushRecord) -> None:
        """Put the frames of a flush into their table."""
        if self._table is not None:
            self._table.flushed(record.file_bytes)
        self._observer.segment_flushed(self, record)

    def room(self) -> None:
        """There is room again."""
        self._observer.room()

    def waiting(self, because: str | None) -> None:
        """The disk is in trouble, or is well again."""
        self._observer.waiting(because)

    def full(self) -> bool:
        """The disk is full."""
        return self._observer.full()

    def over(self, closed: Closed) -> None:
        """All is done."""
        if self._table is not None:
            self._table.close()
        self._observer.segment_over(self, closed)

    def queue(self) -> QueueStatus:
        """What waits before the writer."""
        return self._observer.queue()


def told(stream_format: StreamFormat) -> dict[str, Field]:
    """What events say of a stream's format."""
    return {name: value for name, value in asdict(stream_format).items() if value and name not in _UNTOLD}


def _going_on(stream_format: StreamFormat) -> StreamFormat:
    """The format of a stream that began in another file: all samples are heard from the first unit on."""
    config = stream_format.config
    if stream_format.codec is Codec.OPUS:
        config = opus_head_without_skip(config, stream_format.channels)
    return replace(stream_format, priming=0, config=config)
