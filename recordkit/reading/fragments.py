"""The video of an MP4 in fragments, while it grows or broken off: by its chunks, each of which is whole."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
from av.video.codeccontext import VideoCodecContext

from ..bitstream.av1 import av1_sequence
from ..bitstream.captured import HEAD_BYTES, captured_in
from ..bitstream.counter import PictureCounter
from ..bitstream.lengths import with_start_codes
from ..errors import MediaError, SourceError
from ..model import Codec, StreamFormat
from ..mp4.entries import Described
from ..mp4.nal import cuts, parameter_sets
from ..mp4.report import ChunkEvent, Event, MovieEvent, Sample, Track
from ..mp4.scanner import Scanner
from ..telemetry.table import KEYFRAME, read_rows
from ..ticks import TICK, TICKS_PER_SECOND, to_ticks
from .growing import Growing
from .index import Index, Unit
from .packets import decoder_of, packet_of
from .samples import take_over
from .sound import Heard
from .store import Store

if TYPE_CHECKING:
    Packet = av.Packet[Any]

_PIECE_BYTES = 4 * 1024 * 1024
_LEAD_S = Fraction(1, 2)


class FragmentTrack:
    """The first video of a fragmented MP4 whose coding we record; ``has_video`` is False if it has none.

    ``table`` is where its frame table lies, which grows behind it, and tells what the file has no place for.
    """

    def __init__(self, store: Store, table: Path | None = None) -> None:
        self._store = store
        self._table, self._told = table, 0
        self._scanner = Scanner(payload=True)
        self._scanned = 0
        self._video: Track | None = None
        self._audio: Track | None = None
        self._units: Growing | None = None
        self._entries: list[Described] = []
        self._counter = PictureCounter(Codec.H264)
        self._sounds: list[Sample] = []
        self._starts: dict[int, Fraction] = {}
        self.refresh()

    @property
    def name(self) -> str:
        """The file's path."""
        return self._store.name

    @property
    def has_video(self) -> bool:
        """Whether there is any video that this can read."""
        return self._units is not None

    @property
    def index(self) -> Index:
        """Its frames so far."""
        return (self._units or Growing(Fraction(1))).index

    @property
    def start_s(self) -> Fraction:
        """The first time of any stream, in seconds of the file's clock."""
        return min(self._starts.values(), default=Fraction(0))

    def refresh(self) -> bool:
        """Scan what was written meanwhile."""
        known, size = self._count, self._store.size
        while self._scanned < size:
            data = self._store.read(self._scanned, min(self._scanned + _PIECE_BYTES, size))
            if not data:
                break
            self._scanned += len(data)
            for event in self._scanner.feed(data):
                self._take(event)
        self._take_table()
        return self._count != known

    def _take_table(self) -> None:
        rows = None if self._table is None else read_rows(self._table)
        if rows is not None and self._told < min(len(rows), self._count):
            units = self.index.units
            new = slice(self._told, min(len(rows), len(units)))
            if take_over(units[new], rows[new]):
                self._told = new.stop
            else:
                self._table = None  # that of another recording

    @property
    def _count(self) -> int:
        return 0 if self._units is None else len(self._units)

    def finish(self) -> bool:
        """The file grows no more."""
        return self.refresh()

    def rescan(self) -> None:
        """It was learnt from the file."""

    def _take(self, event: Event) -> None:
        if isinstance(event, MovieEvent):
            # What is appended at the end lists the chunks that are known already.
            if event.fragmented:
                for track in event.tracks:
                    if track.is_video and track.described and track.described[0].codec is not None:
                        self._video = track if self._video in (None, track) else self._followed(track)
                    elif track.handler == "soun" and self._audio is None:
                        self._audio = track
        elif isinstance(event, ChunkEvent):
            for sample in event.samples:
                self._take_sample(event, sample)

    def _followed(self, track: Track) -> Track | None:
        """A new ``moov``: the parameter sets may be others from here on."""
        return track if self._video is None or track.number == self._video.number else self._video

    def _take_sample(self, chunk: ChunkEvent, sample: Sample) -> None:
        for track in (self._video, self._audio):
            if track is not None and sample.track == track.number:
                # What the edit list leaves out, the priming of audio, is not shown in the finished file either.
                time_s = Fraction(max([sample.pts, *(one[1] for one in track.edits)]), track.rate)
                self._starts[track.number] = min(time_s, self._starts.get(track.number, time_s))
                if track is self._audio:
                    self._sounds.append(sample)
        video = self._video
        if video is None or sample.track != video.number:
            return
        entry = video.described[min(sample.description, len(video.described)) - 1]
        head = _head(chunk.data(sample)[:HEAD_BYTES], entry) if self._codec.has_nal_units else b""
        captured = captured_in(head, self._codec) if head else None
        hidden = self._is_second_field(head, entry)
        if self._units is None:
            self._units = Growing(Fraction(1, video.rate))
        self._units.extend(
            [
                Unit(
                    sample.pts,
                    sample.dts,
                    sample.offset,
                    sample.size,
                    sample.keyframe,
                    breaks=sample.breaks,
                    hidden=hidden,
                    captured=captured,
                )
            ]
        )
        self._entries.append(entry)

    def _is_second_field(self, head: bytes, entry: Described) -> bool:
        if self._codec is not Codec.H264:
            return False
        if not self._entries or entry is not self._entries[-1]:
            self._counter.feed(entry.sets)
        return self._counter.are_fields_possible and self._counter.feed(head).is_second_field

    @property
    def _codec(self) -> Codec:
        codec = None if self._video is None else self._video.described[0].codec
        return codec or Codec.H264

    def decoder(self) -> VideoCodecContext:
        """A decoder that takes its parameter sets from the keyframes."""
        return decoder_of(self._codec, self.name)

    def packets(self, first: int) -> Iterator[Packet]:
        """The coded frames from unit ``first`` on, with what a decoder must know before each keyframe.

        Those that are made of NAL units are byte streams.
        """
        units = self.index.units
        for unit in range(first, len(units)):
            entry, row = self._entries[unit], units[unit]
            offset, count = int(row["offset"]), int(row["bytes"])
            data = self._store.read(offset, offset + count)
            if len(data) < count:
                raise SourceError(self.name, f"is shorter than when it was opened: byte {offset:,} is missing")
            is_key = bool(row["flags"] & KEYFRAME)
            if self._codec.has_nal_units:
                data, _ = with_start_codes(data, entry.length_bytes)
                if is_key and not parameter_sets(cuts(data, self._codec), self._codec):
                    data = entry.sets + data
            elif is_key and self._codec is Codec.AV1 and not av1_sequence(data):
                data = entry.config + data
            yield packet_of(data)

    def audio(self, begin: Fraction, end: Fraction) -> Iterator[av.AudioFrame]:
        """Decoded audio around the times from ``begin`` to ``end``, in seconds of the file's clock."""
        decoder: av.AudioCodecContext | None = None
        for one in self._heard(begin - _LEAD_S, end + _LEAD_S):
            if decoder is None:
                decoder = cast("av.AudioCodecContext", av.CodecContext.create(str(one.format.codec), "r"))
                decoder.extradata = one.format.config or None
                decoder.sample_rate = one.format.sample_rate
            packet = packet_of(one.data)
            packet.pts = packet.dts = one.pts
            packet.time_base = TICK
            try:
                for frame in decoder.decode(packet):
                    frame.pts, frame.time_base = one.pts, TICK
                    yield frame
            except av.FFmpegError:
                continue

    def coded_audio(self, begin: int, end: int) -> Iterator[Heard]:
        """Coded audio that is heard from ``begin`` on and before ``end``."""
        for one in self._heard(Fraction(begin, TICKS_PER_SECOND), Fraction(end, TICKS_PER_SECOND)):
            if begin <= one.pts < end:
                yield one

    def _heard(self, begin: Fraction, end: Fraction) -> Iterator[Heard]:
        track = self._audio
        entry = None if track is None or not track.described else track.described[0]
        if track is None or entry is None or entry.codec is None or not self._sounds:
            return
        carried = StreamFormat(
            entry.codec, sample_rate=entry.sample_rate, channels=entry.channels, config=entry.config
        )
        first = bisect_left(self._sounds, int(begin * track.rate), key=_time_of)
        for sample in self._sounds[first:]:
            if sample.pts >= end * track.rate:
                return
            data = self._store.read(sample.offset, sample.offset + sample.size)
            base = Fraction(1, track.rate)
            yield Heard(carried, to_ticks(sample.pts, base), to_ticks(sample.duration, base), data)

    def close(self) -> None:
        """Close the file."""
        self._store.close()


def _head(data: bytes, entry: Described) -> bytes:
    """``data``, with which a frame begins, with start codes; none if it cannot be."""
    if entry.codec is None:
        return b""
    try:
        return with_start_codes(_whole(data, entry.length_bytes), entry.length_bytes)[0]
    except MediaError:
        return b""


def _whole(head: bytes, length_bytes: int) -> bytes:
    """The NAL units that are whole in the beginning of a sample, and the last one as if it ended there."""
    at, whole = 0, bytearray()
    while at + length_bytes < len(head):
        size = int.from_bytes(head[at : at + length_bytes])
        part = head[at + length_bytes : at + length_bytes + size]
        whole += len(part).to_bytes(length_bytes) + part
        at += length_bytes + size
    return bytes(whole)


def _time_of(sample: Sample) -> int:
    return sample.pts
