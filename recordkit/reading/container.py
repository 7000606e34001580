"""The video of any file that libavformat reads, by an index made from its packets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import av
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from ..bitstream.captured import HEAD_BYTES, captured_in
from ..bitstream.counter import PictureCounter
from ..bitstream.lengths import parse_configuration
from ..demux import bounded, demux, is_decodable, open_media, reference_time_ns
from ..errors import SourceError
from ..model import Captured, CapturedBy, Codec
from ..telemetry.table import Rows
from ..ticks import TICKS_PER_SECOND, fraction
from .cache import CONTAINER, Found
from .growing import Growing, build
from .index import Index, Integers, Unit, times_of
from .located import StoredFile
from .samples import sample_rows, take_over
from .sound import Heard, format_of, heard
from .store import Store

if TYPE_CHECKING:
    from av.audio.stream import AudioStream

    Packet = av.Packet[Any]

_LOOKS = 8
_MICROSECONDS = Fraction(1, av.time_base)
_AUDIO_LEAD_S = Fraction(1, 2)
_USUAL_RATE = Fraction(25)
"""Where nothing is said, as libavformat has it."""
_WITHOUT_TIMES = {"h264", "hevc"}
_WITHOUT_DISPLAY_TIMES = {"avi", *_WITHOUT_TIMES}
"""Here libavformat takes the time of decoding for that of showing."""


class ContainerTrack:
    """The best video of a file in MP4, Matroska, AVI or whatever else, by way of ``reads`` if that is given.

    Raises SourceError if it cannot be opened, or holds no video that can be decoded.
    """

    def __init__(
        self,
        path: str,
        store: Store | None = None,
        rows: Rows | None = None,
        found: Found | None = None,
        reads: Store | None = None,
    ) -> None:
        self._path = path
        self._reads = reads
        self._container, self._stream = self._open()
        start = self._container.start_time
        self.start_s = Fraction(0) if start is None else start * _MICROSECONDS
        self._places: dict[int, int] = {}
        self._keys: Integers | None = None  # by what its packets are known again, if that is not their PTS
        self._sound: tuple[InputContainer, Iterator[Heard], int] | None = None
        known = self._found(found) if store is None or found is not None else self._listed(store, rows)
        self.is_from_table = known is not None
        self.index = self._scan() if known is None else known

    @property
    def name(self) -> str:
        """The path or URL."""
        return self._path

    def _media(self) -> InputContainer:
        if self._reads is None:
            return open_media(self._path)
        return open_media(cast("BinaryIO", StoredFile(self._reads)))

    def _open(self) -> tuple[av.container.InputContainer, VideoStream]:
        container = self._media()
        streams = [one for one in container.streams.video if is_decodable(one)]
        if not streams:
            container.close()
            raise SourceError(self._path, "holds no video that can be decoded")
        self._is_at_start = True
        best = container.streams.best("video")
        return container, best if isinstance(best, VideoStream) and best in streams else streams[0]

    @property
    def found(self) -> Found:
        """What was found, to be kept for the next time."""
        return Found(CONTAINER, self.index.time_base, self.index.units, self.start_s, self._keys)

    def _found(self, found: Found | None) -> Index | None:
        """The index of an earlier scan, if there is one."""
        if found is None or found.time_base != fraction(self._stream.time_base):
            return None
        self._keys = found.keys
        growing = Growing(found.time_base, found.units)
        return growing.index

    def _listed(self, store: Store, rows: Rows | None) -> Index | None:
        """The index by the sample tables of an MP4; None if all packets have to be looked at."""
        base = fraction(self._stream.time_base)
        if base is None or "mp4" not in self._container.format.name.split(","):
            return None
        units = sample_rows(store, self._stream.id)
        if units is None:
            return None
        if not take_over(units, rows) and (_Fields(self._stream).are_possible or not self._says_nothing()):
            return None
        growing = Growing(base, units)
        return growing.index

    def _says_nothing(self) -> bool:
        """Whether the first frames do not say when they were taken."""
        taken = _Taken(self._stream)
        packets = (packet for packet in self._demuxed() if packet.size)
        return not any(taken.of(packet) for packet in islice(packets, _LOOKS))

    def _scan(self) -> Index:
        self._rewind()
        units: list[Unit] = []
        taken, fields = _Taken(self._stream), _Fields(self._stream)
        for packet in self._demuxed():
            if packet.size:
                units.append(
                    Unit(
                        packet.pts,
                        packet.dts,
                        -1 if packet.pos is None else packet.pos,
                        packet.size,
                        bool(packet.is_keyframe),
                        damaged=bool(packet.is_corrupt),
                        hidden=bool(packet.is_discard) or fields.is_second(packet),
                        captured=taken.of(packet),
                    )
                )
        base = fraction(self._stream.time_base) or Fraction(1)
        if all(unit.dts is None for unit in units):
            rate = fraction(self._stream.average_rate) or fraction(self._stream.guessed_rate) or _USUAL_RATE
            units = [replace(unit, dts=round(place / rate / base)) for place, unit in enumerate(units)]
        has_times = all(unit.pts is not None for unit in units)
        if self._container.format.name in _WITHOUT_DISPLAY_TIMES and self._stream.codec_context.has_b_frames:
            has_times = False
        if has_times:
            return build(units, base)
        index = build(units, base, self._learn_order(len(units)))
        self._keys, _ = times_of(units)
        return index

    def _learn_order(self, count: int) -> list[int]:
        """The order in which frames come out of the decoder, for files without presentation times."""
        decoder, found = self.decoder(), list[int]()
        packets: list[Packet | None] = [*self.packets(0), None]
        for place, packet in enumerate(packets):
            if packet is not None:
                packet.pts, packet.dts = place, None
            try:
                found += [frame.pts for frame in decoder.decode(packet) if frame.pts is not None]
            except av.FFmpegError:
                continue
        return [place for place in found if 0 <= place < count]

    def decoder(self) -> VideoCodecContext:
        """A decoder with the file's own parameters."""
        source = self._stream.codec_context
        context = av.CodecContext.create(source.codec, "r")
        if not isinstance(context, VideoCodecContext):
            raise SourceError(self._path, f"there is no decoder for {source.name}")
        context.extradata = source.extradata
        if source.width:
            context.width, context.height = source.width, source.height
        return bounded(context)

    def packets(self, first: int) -> Iterator[Packet]:
        """The coded frames from unit ``first`` on."""
        index = getattr(self, "index", None)
        if first and index is not None:
            yield from self._from(index, first)
            return
        self._rewind()
        for packet in self._demuxed():
            if packet.size:
                yield packet

    def _from(self, index: Index, first: int) -> Iterator[Packet]:
        """Seek to unit ``first``; if that leads beyond it, to earlier ones, and at last to the start."""
        can_seek = self._container.format.name not in _WITHOUT_TIMES
        keys = list(islice(filter(index.is_keyframe, range(first, -1, -1)), 4)) if can_seek else []
        for key in [*keys, None]:
            found = None
            if key is None:
                self._rewind()
                found = 0
            else:
                try:
                    self._container.seek(min(index.dts_of(key), int(index.pts[key])), stream=self._stream)
                except av.FFmpegError:
                    continue
            for packet in self._demuxed():
                if not packet.size:
                    continue
                if found is None:
                    found = self._place(packet)
                    if found is None or found > first:
                        found = None
                        break
                if found >= first:
                    yield packet
                found += 1
            if found is not None:
                return
        raise SourceError(self._path, f"its unit {first} is not found again")

    def _place(self, packet: Packet) -> int | None:
        """Which unit ``packet`` is; by its PTS, since some demuxers make other DTS up after a seek."""
        if not self._places:
            keys = self.index.pts if self._keys is None else self._keys
            self._places = {key: place for place, key in enumerate(keys.tolist())}
        stated = packet.dts if packet.pts is None else packet.pts
        return None if stated is None else self._places.get(stated)

    def _demuxed(self) -> Iterator[Packet]:
        self._is_at_start = False
        return demux(self._container, [self._stream])

    def _rewind(self) -> None:
        """Open it anew: not all that can be read can be sought in."""
        if not self._is_at_start:
            self._container.close()
            self._container, self._stream = self._open()

    def audio(self, begin: Fraction, end: Fraction) -> Iterator[av.AudioFrame]:
        """Decoded audio around the times from ``begin`` to ``end``, in seconds of the file's clock."""
        with self._media() as container:
            streams: list[AudioStream] = [one for one in container.streams.audio if is_decodable(one)][:1]
            if not streams:
                return
            base = fraction(streams[0].time_base) or Fraction(1)
            if begin - _AUDIO_LEAD_S > self.start_s:
                container.seek(int((begin - _AUDIO_LEAD_S) / base), stream=streams[0])
            for packet in demux(container, streams):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    continue
                for frame in cast("list[av.AudioFrame]", frames):
                    yield frame
                    if frame.pts is not None and frame.pts * base > end + _AUDIO_LEAD_S:
                        return

    def coded_audio(self, begin: int, end: int) -> Iterator[Heard]:
        """Coded audio that is heard from ``begin`` on and before ``end``; reads on if that follows."""
        if self._sound is None or not self._sound[2] <= begin <= self._sound[2] + TICKS_PER_SECOND:
            self._close_sound()
            container = self._media()
            self._sound = container, self._from_time(container, begin), begin
        container, following, _ = self._sound
        for one in following:
            self._sound = container, following, one.pts
            if one.pts >= end:
                # It is the first of what follows.
                self._sound = container, chain([one], following), end
                return
            if one.pts >= begin:
                yield one

    @staticmethod
    def _from_time(container: InputContainer, begin: int) -> Iterator[Heard]:
        streams: list[AudioStream] = [one for one in container.streams.audio if is_decodable(one)][:1]
        carried = format_of(streams[0]) if streams else None
        if carried is None:
            return
        base = fraction(streams[0].time_base) or Fraction(1)
        place = Fraction(begin, TICKS_PER_SECOND) - _AUDIO_LEAD_S
        if container.start_time is not None and place > container.start_time * _MICROSECONDS:
            container.seek(int(place / base), stream=streams[0])
        for packet in demux(container, streams):
            one = heard(packet, carried)
            if one is not None:
                yield one

    def _close_sound(self) -> None:
        if self._sound is not None:
            self._sound[0].close()
            self._sound = None

    def refresh(self) -> bool:
        """A container of this kind is complete when it can be read."""
        return False

    def rescan(self) -> None:
        """It was learnt from the file."""

    def finish(self) -> bool:
        """Likewise."""
        return False

    def close(self) -> None:
        """Close the file."""
        self._close_sound()
        self._container.close()
        if self._reads is not None:
            self._reads.close()


class _Taken:
    """When the frames of a stream were taken, as their SEI messages or the container's ``prft`` boxes say."""

    def __init__(self, stream: VideoStream) -> None:
        name = stream.codec_context.name
        self._codec = Codec(name) if name in (Codec.H264, Codec.H265) else None
        configuration = None
        if self._codec is not None:
            configuration = parse_configuration(stream.codec_context.extradata or b"", self._codec)
        self._length_bytes = 0 if configuration is None else configuration.length_bytes
        self._looked = 0
        self._says_when = False

    def of(self, packet: Packet) -> Captured | None:
        """When ``packet`` was taken; where the first frames say nothing, none is searched."""
        if not self._says_when and self._looked >= _LOOKS:
            return None
        self._looked += 1
        found = None
        if self._codec is not None:
            head = bytes(memoryview(packet)[:HEAD_BYTES])
            found = captured_in(_with_start_codes(head, self._length_bytes), self._codec)
        if found is None and (produced_ns := reference_time_ns(packet)) is not None:
            found = Captured(produced_ns, CapturedBy.SOURCE)
        self._says_when |= found is not None
        return found


class _Fields:
    """Which packets of interlaced H.264 are fields that complete the frame before."""

    def __init__(self, stream: VideoStream) -> None:
        self._counter = PictureCounter(Codec.H264)
        self._length_bytes = 0
        extradata = stream.codec_context.extradata or b""
        if stream.codec_context.name == Codec.H264:
            configuration = parse_configuration(extradata, Codec.H264)
            self._length_bytes = 0 if configuration is None else configuration.length_bytes
            self._counter.feed(extradata if configuration is None else configuration.parameter_sets)

    @property
    def are_possible(self) -> bool:
        """Whether there may be any."""
        return self._counter.are_fields_possible

    def is_second(self, packet: Packet) -> bool:
        """Whether ``packet`` is one."""
        if not self.are_possible:
            return False
        head = _with_start_codes(bytes(memoryview(packet)[:HEAD_BYTES]), self._length_bytes)
        return self._counter.feed(head).is_second_field


def _with_start_codes(head: bytes, length_bytes: int) -> bytes:
    """The beginning of an access unit with start codes in place of lengths; the last NAL unit may be cut."""
    if not length_bytes:
        return head
    parts, at = [], 0
    while at + length_bytes < len(head):
        size = int.from_bytes(head[at : at + length_bytes])
        parts.append(b"\0\0\0\1" + head[at + length_bytes : at + length_bytes + size])
        at += length_bytes + size
    return b"".join(parts)
