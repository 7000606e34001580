"""What one elementary stream adds up to, from its PES packets one after the other."""

from __future__ import annotations

import numpy as np

from ..bitstream.counter import AudioFrameCounter, PictureCounter
from ..bitstream.whole import FlacCounter, WholeCounter
from ..model import Codec
from ..mpegts.report import PesColumns, PesEvent
from ..mpegts.tables import MappedStream
from ..ticks import TICKS_PER_SECOND

_SIZES_KEPT = 100
_SQUEEZED = 2
STEPS_KEPT = 4096


class _TimeBase:
    """The time that one time base covers, in ticks."""

    __slots__ = ("end", "first")

    def __init__(self, first: int) -> None:
        self.first = first
        self.end = first


class StreamFacts:
    """Counts of one stream; constant memory. Times are ticks unless their names say otherwise.

    ``bytes`` are of elementary stream. ``gaps`` counts flagged discontinuities, ``gap_duration`` is their
    sum. ``sizes`` are (width, height, seconds into the stream). ``lost_bytes`` of audio lay outside any
    frame, at ``lost_places`` places, the first at byte ``lost_at`` of the file; ``first_offset`` is the
    byte offset of the first PES packet. ``time_bases`` counts the timelines begun.
    """

    def __init__(self, stream: MappedStream, sample_rate: int = 0) -> None:
        self.pid = stream.pid
        self._codec = stream.codec
        self.language = stream.language
        self._units = self._packets = self.frames = self.keyframes = self.bytes = 0
        self.gaps = self.gap_duration = 0  # flagged discontinuities, and how long they last
        self.sizes: list[tuple[int, int, float]] = []
        self.lost_bytes = self.lost_places = 0
        self.lost_at: int | None = None
        self.first_offset: int | None = None
        self.first_pts: int | None = None
        self.time_bases = 0
        self._stream_channels = stream.channels
        known = stream.codec if stream.codec in tuple(Codec) else None
        codec = None if known is None else Codec(known)
        self._pictures: PictureCounter | WholeCounter | None = None
        self._audio: AudioFrameCounter | FlacCounter | None = None
        if codec is not None and codec.is_video:
            self._pictures = PictureCounter(codec) if codec.has_nal_units else WholeCounter(codec)
        elif codec is not None:
            self._audio = FlacCounter(sample_rate) if codec is Codec.FLAC else AudioFrameCounter(codec)
        self._base: _TimeBase | None = None
        self._earlier = 0
        self._last_dts: int | None = None
        self._last_duration = 0
        self._steps: dict[int, int] = {}
        self._has_asked = False  # for what the steps are like by now

    def describe(self, stream: MappedStream) -> None:
        """A newer PMT says something else about the stream; its coding is taken to stay."""
        self.language = stream.language or self.language
        self._stream_channels = stream.channels or self._stream_channels

    @property
    def codec(self) -> str:
        """The coding's name; MP2 and MP3 are told apart by their frames alone."""
        return Codec.MP2 if self._audio is not None and self._audio.layer == 2 else self._codec

    @property
    def access_units(self) -> int:
        """Of DTS without a core (Express, UHD), whose frames are not read here, PES packets."""
        return self._units or (self._packets if self._codec == Codec.DTS else 0)

    @property
    def sample_rate(self) -> int:
        """Hz, or 0."""
        return 0 if self._audio is None else self._audio.sample_rate

    @property
    def channels(self) -> int:
        """Channels, or 0."""
        return self._stream_channels or (0 if self._audio is None else self._audio.channels)

    @property
    def end_pts(self) -> int:
        """The end of the last unit, in the newest time base."""
        if self._base is None:
            return 0
        return self._base.end + (self._picture_duration if self._audio is None else 0)

    @property
    def duration(self) -> int:
        """From the first PTS to the end of the last unit, time base by time base."""
        if self._base is None:
            return 0
        return self._earlier + self.end_pts - self._base.first

    @property
    def _picture_duration(self) -> int:
        """The median distance of two frames, in ticks."""
        self._has_asked = True
        rank = sum(self._steps.values()) // 2
        for step in sorted(self._steps):
            rank -= self._steps[step]
            if rank < 0:
                return step
        return 0

    @property
    def squeezed(self) -> int:
        """Frames that stand a tick or two behind the one before: times that went back, laid as if they did not."""
        ticks = sum(step * count for step, count in self._steps.items())
        if self._audio is not None or ticks <= 10 * _SQUEEZED * sum(self._steps.values()):
            return 0  # so many frames a second
        return sum(count for step, count in self._steps.items() if step <= _SQUEEZED)

    def add(self, event: PesEvent) -> None:
        """Takes the stream's next PES packet."""
        self.bytes += event.payload_bytes
        self._packets += 1
        if self.first_offset is None:
            self.first_offset = event.offset
        units = self._count(event)
        if event.pts is None or event.dts is None:
            return
        self._step(event, event.dts, event.pts, units)
        self._last_dts = event.dts
        if self._base is None:
            self._base = _TimeBase(event.pts)
            self.time_bases += 1
            if self.first_pts is None:
                self.first_pts = event.pts
        self._base.first = min(self._base.first, event.pts)
        if self.time_bases == 1:
            self.first_pts = self._base.first
        if self._audio is None:
            between = self._picture_duration * (units - 1) if units > 1 else 0
            self._base.end = max(self._base.end, event.pts + between)
        else:
            self._base.end = max(self._base.end, event.pts + self._last_duration)

    def add_many(self, columns: PesColumns) -> None:
        """Takes the stream's next PES packets, one by one only if they are not what they usually are."""
        if not self._add_at_once(columns):
            for event in columns.events():
                self.add(event)

    def _add_at_once(self, columns: PesColumns) -> bool:
        base, last_dts = self._base, self._last_dts
        if base is None or last_dts is None or not self._size_is_noted:
            return False
        steps, counts = np.unique(np.diff(columns.dts, prepend=last_dts), return_counts=True)
        if self._audio is None and len(self._steps) + len(steps) > STEPS_KEPT:
            return False
        ends = columns.pts
        if self._audio is not None:
            frames = self._audio.feed_many(columns.payload, columns.begin, columns.end)
            if frames is None:
                return False
            units = frames.frames
            durations = frames.samples * TICKS_PER_SECOND // np.maximum(frames.sample_rate, 1)
            self._last_duration = int(durations[-1])
            ends = ends + durations
        elif self._pictures is not None:
            pictures = self._pictures.feed_many(columns.payload, columns.begin, columns.end)
            if pictures is None or (pictures.pictures > 1).any():
                return False
            units = np.maximum(pictures.pictures, pictures.second_fields)
            self.frames += int(pictures.pictures.sum())
            begins = pictures.is_begin(columns.random_access) & (units > 0)
            self.keyframes += int(np.maximum(pictures.random_access, begins).sum())
        else:
            units = np.ones(len(columns), np.int64)
        if self._audio is None:
            for step, count in zip(steps.tolist(), counts.tolist(), strict=True):
                self._note_step(step, count)
        self._units += int(units.sum())
        self._packets += len(columns)
        self.bytes += int((columns.end - columns.begin).sum())
        self._last_dts = int(columns.dts[-1])
        base.first = min(base.first, int(columns.pts.min()))
        if self.time_bases == 1:
            self.first_pts = base.first
        base.end = max(base.end, int(ends.max()))
        return True

    @property
    def _size_is_noted(self) -> bool:
        counter = self._pictures
        if counter is None or not counter.width or len(self.sizes) >= _SIZES_KEPT:
            return True
        return bool(self.sizes) and self.sizes[-1][:2] == (counter.width, counter.height)

    def _step(self, event: PesEvent, dts: int, pts: int, units: int) -> None:
        if self._last_dts is None:
            return
        step = dts - self._last_dts
        if not event.discontinuity:
            if self._audio is None and 0 < step <= 10 * TICKS_PER_SECOND:
                self._note_step(step // max(units, 1), max(units, 1))
            return
        self.gaps += 1
        usual = self._last_duration if self._audio is not None else self._picture_duration
        if step > 0:
            self.gap_duration += max(step - usual, 0)
        elif self._base is not None:  # a time base of its own begins: the old one is done
            self._earlier += self.end_pts - self._base.first
            self._base = _TimeBase(pts)
            self.time_bases += 1

    def _note_step(self, step: int, count: int) -> None:
        if step in self._steps or len(self._steps) < STEPS_KEPT:
            self._steps[step] = self._steps.get(step, 0) + count

    def _count(self, event: PesEvent) -> int:
        """Counts what is in a PES packet; how many access units that are."""
        if self._pictures is not None:
            found = self._pictures.feed(event.data)
            self.frames += found.pictures
            self.keyframes += found.random_access or (found.is_begin(event.random_access) and found.pictures > 0)
            self._note_size(event)
            # A field that has a time of its own is a unit; one that comes with its first is none.
            units = max(found.pictures, found.second_fields)
        elif self._audio is not None:
            if event.discontinuity:
                self._audio.forget()
            frames = self._audio.feed(event.data)
            rate = self._audio.sample_rate
            self._last_duration = frames.samples * TICKS_PER_SECOND // rate if rate else 0
            if frames.lost_bytes:
                self.lost_bytes += frames.lost_bytes
                self.lost_places += 1
                self.lost_at = event.offset if self.lost_at is None else self.lost_at
            units = frames.frames
            if not event.complete:
                self._audio.forget()
        else:
            units = 1
        self._units += units
        return units

    def _note_size(self, event: PesEvent) -> None:
        counter = self._pictures
        if counter is None or self._size_is_noted:
            return
        first = event.pts if self.first_pts is None else self.first_pts
        from_s = 0.0 if event.pts is None or first is None else (event.pts - first) / TICKS_PER_SECOND
        self.sizes.append((counter.width, counter.height, max(from_s, 0.0)))
