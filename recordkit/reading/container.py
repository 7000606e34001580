"""The video of any file that libavformat reads, by an index made from its packets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, cast

import av
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext

from ..demux import bounded, demux
from ..errors import SourceError
from ..printable import discreet
from ..programs import main_program, playable, programs_of
from ..telemetry.table import Rows
from ..ticks import TICKS_PER_SECOND, fraction
from .cache import CONTAINER, Found
from .growing import Growing, build
from .index import Index, Integers, Unit, times_of
from .samples import sample_rows, take_over
from .sound import Heard, format_of, heard
from .store import Store
from .video_file import LOOKS, OpenVideo, SecondFields, StatedTimes, VideoFile

if TYPE_CHECKING:
    from av.audio.stream import AudioStream

    Packet = av.Packet[Any]

log = logging.getLogger("recordkit")

_AUDIO_LEAD_S = Fraction(1, 2)
_USUAL_RATE = Fraction(25)
"""Where nothing is said, as libavformat has it."""
_WITHOUT_TIMES = {"h264", "hevc"}
_WITHOUT_DISPLAY_TIMES = {"avi", *_WITHOUT_TIMES}
"""Here libavformat takes the time of decoding for that of showing."""


class ContainerTrack:
    """The largest video of a file in MP4, Matroska, AVI or whatever else, by way of ``reads`` if that is given.

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
        self._file = VideoFile(path, reads)
        with self._file.lent() as opened:
            container, stream = opened.container, opened.stream
            self.start_s = opened.start_s
            for other in opened.left_out:
                log.warning("%s: stream %d (%s) is not shown: another video is", self.name, other.index, other.name)
            self._format = container.format.name
            self._base = fraction(stream.time_base)
            source = stream.codec_context
            self._codec, self._extradata, self._size = source.codec, source.extradata, (source.width, source.height)
        self._places: dict[int, int] = {}
        self._keys: Integers | None = None  # by what its packets are known again, if that is not their PTS
        self._sound: tuple[InputContainer, Iterator[Heard], int] | None = None
        known = self._found(found) if store is None or found is not None else self._listed(store, rows)
        self.is_from_table = known is not None
        self.index = self._scan() if known is None else known
        if known is None:
            take_over(self.index.units, rows)

    @property
    def name(self) -> str:
        """The path, or the URL without its secrets."""
        return discreet(self._file.path)

    @property
    def found(self) -> Found:
        """What was found, to be kept for the next time."""
        return Found(CONTAINER, self.index.time_base, self.index.units, self.start_s, self._keys)

    def _found(self, found: Found | None) -> Index | None:
        """The index of an earlier scan, if there is one."""
        if found is None or found.time_base != self._base:
            return None
        self._keys = found.keys
        growing = Growing(found.time_base, found.units)
        return growing.index

    def _listed(self, store: Store, rows: Rows | None) -> Index | None:
        """The index by the sample tables of an MP4; None if all packets have to be looked at."""
        if self._base is None or "mp4" not in self._format.split(","):
            return None
        with self._file.lent() as opened:
            units = sample_rows(store, opened.stream.id)
            if units is None:
                return None
            if not take_over(units, rows) and (
                SecondFields(opened.stream).are_possible or not _says_nothing(opened)
            ):
                return None
        growing = Growing(self._base, units)
        return growing.index

    def _scan(self) -> Index:
        with self._file.lent() as opened:
            opened.rewind()
            stream = opened.stream
            units = _units(opened)
            base = fraction(stream.time_base) or Fraction(1)
            if all(unit.dts is None for unit in units):
                rate = fraction(stream.average_rate) or fraction(stream.guessed_rate) or _USUAL_RATE
                units = [replace(unit, dts=round(place / rate / base)) for place, unit in enumerate(units)]
            has_times = all(unit.pts is not None for unit in units)
            if self._format in _WITHOUT_DISPLAY_TIMES and stream.codec_context.has_b_frames:
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
        context = av.CodecContext.create(self._codec, "r")
        if not isinstance(context, VideoCodecContext):
            raise SourceError(self.name, f"there is no decoder for {self._codec.name}")
        context.extradata = self._extradata
        if self._size[0]:
            context.width, context.height = self._size
        return bounded(context)

    def packets(self, first: int) -> Iterator[Packet]:
        """The coded frames from unit ``first`` on."""
        index = getattr(self, "index", None)
        with self._file.lent() as opened:
            if first and index is not None:
                yield from self._from(opened, index, first)
                return
            opened.rewind()
            for packet in opened.packets():
                if packet.size:
                    yield packet

    def _from(self, opened: OpenVideo, index: Index, first: int) -> Iterator[Packet]:
        """Seek to unit ``first``; if that leads beyond it, to earlier ones, and at last to the start."""
        can_seek = self._format not in _WITHOUT_TIMES
        keys = list(islice(filter(index.is_keyframe, range(first, -1, -1)), 4)) if can_seek else []
        for key in [*keys, None]:
            found = None
            if key is None:
                opened.rewind()
                found = 0
            else:
                try:
                    opened.container.seek(min(index.dts_of(key), int(index.pts[key])), stream=opened.stream)
                except av.FFmpegError:
                    continue
            for packet in opened.packets():
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
        raise SourceError(self.name, f"its unit {first} is not found again")

    def _place(self, packet: Packet) -> int | None:
        """Which unit ``packet`` is; by its PTS, since some demuxers make other DTS up after a seek."""
        if not self._places:
            keys = self.index.pts if self._keys is None else self._keys
            self._places = {key: place for place, key in enumerate(keys.tolist())}
        stated = packet.dts if packet.pts is None else packet.pts
        return None if stated is None else self._places.get(stated)

    def audio(self, begin: Fraction, end: Fraction) -> Iterator[av.AudioFrame]:
        """Decoded audio around the times from ``begin`` to ``end``, in seconds of the file's clock."""
        with self._sound_at(begin) as container:
            streams = _first_audio(container)
            if not streams:
                return
            base = fraction(streams[0].time_base) or Fraction(1)
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
            container = self._sound_at(Fraction(begin, TICKS_PER_SECOND))
            self._sound = container, self._packets_of_sound(container), begin
        container, following, _ = self._sound
        for one in following:
            self._sound = container, following, one.pts
            if one.pts >= end:
                # It is the first of what follows.
                self._sound = container, chain([one], following), end
                return
            if one.pts >= begin:
                yield one

    def _sound_at(self, begin: Fraction) -> InputContainer:
        """The file, opened once more, a little before ``begin``, or at its beginning if it cannot be sought."""
        container, place = self._file.media(), begin - _AUDIO_LEAD_S
        streams = _first_audio(container)
        if streams and place > self.start_s:
            try:
                container.seek(int(place / (fraction(streams[0].time_base) or 1)), stream=streams[0])
            except av.FFmpegError:
                container.close()
                return self._file.media()
        return container

    @staticmethod
    def _packets_of_sound(container: InputContainer) -> Iterator[Heard]:
        streams = _first_audio(container)
        carried = format_of(streams[0]) if streams else None
        if carried is None:
            return
        follows: int | None = None
        for packet in demux(container, streams):
            one = heard(packet, carried, follows)
            if one is not None:
                yield one
                follows = one.pts + one.duration

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
        self._file.close()


def _first_audio(container: InputContainer) -> list[AudioStream]:
    """The first stream of audio that can be decoded and belongs to the video, if there is one."""
    within = main_program(programs_of(container, playable(container)))
    return [one for one in within if isinstance(one, av.AudioStream)][:1]


def _says_nothing(opened: OpenVideo) -> bool:
    """Whether the first frames do not say when they were taken."""
    taken = StatedTimes(opened.stream)
    packets = (packet for packet in opened.packets() if packet.size)
    return not any(taken.of(packet) for packet in islice(packets, LOOKS))


def _units(opened: OpenVideo) -> list[Unit]:
    taken, fields = StatedTimes(opened.stream), SecondFields(opened.stream)
    return [
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
        for packet in opened.packets()
        if packet.size
    ]
