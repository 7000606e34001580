"""A recording as MP4 chunks in memory, from any frame on: what a page's MediaSource is fed with.

The coded frames are those of the file, laid anew by the packager that also writes recordings: no
decoder and no second encoder has a part in it. What is shown first in the file is shown at 0.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bitstream.audio import OPUS_RATE
from ..bitstream.lengths import parse_configuration, with_start_codes
from ..container import Memory
from ..errors import MediaError
from ..model import AccessUnit, Codec, StreamFormat
from ..mp4.codecs import codec_string
from ..mp4.nal import cuts, parameter_sets
from ..mp4.packager import Packager
from ..telemetry.table import HIDDEN
from ..telemetry.words import codec_text
from ..ticks import TICKS_PER_SECOND, to_ticks
from .sound import Heard
from .track import TableMisfitError
from .video import Video

if TYPE_CHECKING:
    import av

    Packet = av.Packet[Any]

KEYFRAME, DAMAGED = 1, 2
_VIDEO, _AUDIO = 0, 1
_MOST_UNITS = 4096
"""After so many the packager begins anew at a keyframe: it keeps tables of all that it has laid."""
_SOUND_LEAD = TICKS_PER_SECOND // 4
"""So far ahead of the video audio is laid, where it is there already."""
_LATE = TICKS_PER_SECOND
"""After so long without audio, while video goes on, there is none: silence takes its place."""
_GAP = TICKS_PER_SECOND // 50
_OPUS_SILENCE = {1: b"\xf8\xff\xfe", 2: b"\xfc\xff\xfe"}
_HEAD_S = 10


@dataclass(slots=True)
class Piece:
    """Some chunks: ``data`` is MP4, with its ``moov`` in front if it ``is_fresh``.

    ``numbers``, ``times`` (seconds of media), ``captured`` (milliseconds since the epoch, or NaN) and ``flags``
    (KEYFRAME and DAMAGED) are of its frames, in decoding order. ``first`` and ``next`` are units; ``is_over``
    says that the file ends here.
    """

    first: int
    next: int
    data: bytes = b""
    is_fresh: bool = False
    is_over: bool = False
    numbers: array[int] = field(default_factory=lambda: array("i"))
    times: array[float] = field(default_factory=lambda: array("d"))
    captured: array[float] = field(default_factory=lambda: array("d"))
    flags: bytearray = field(default_factory=bytearray)

    @property
    def tables(self) -> list[bytes]:
        """The columns, as a page reads them."""
        return [self.numbers.tobytes(), self.times.tobytes(), self.captured.tobytes(), bytes(self.flags)]


class ChunkReader:
    """Chunks of ``video`` and of its first audio. One thread at a time; shares the video's file, not its decoder.

    Raises MediaError if the video cannot be carried: another codec than H.264 or H.265, no frame at all, or a
    clock that begins anew in its midst.
    """

    def __init__(self, video: Video) -> None:
        self._video = video
        self._track = video._track
        decoder = self._track.decoder()
        name = decoder.codec.canonical_name
        if name not in (Codec.H264, Codec.H265):
            raise MediaError(f"the video is in {codec_text(name)}, which is not carried to pages")
        if not len(video):
            raise MediaError("there is no frame yet")
        codec = Codec(name)
        self._lengths, self._sets = 0, b""
        configuration = parse_configuration(decoder.extradata or b"", codec)
        if configuration is not None:
            self._lengths, self._sets = configuration
        if np.any(np.diff(self._track.index.dts) <= 0):
            raise MediaError("its clock begins anew in its midst")
        self._zero = to_ticks(1, self._track.start_s) if self._track.start_s else 0
        self._format = StreamFormat(codec, config=self._sets)
        self._sound = self._first_sound()
        self.video_codec = codec_string(self._format, self._first_sets())
        self.audio_codec = "" if self._sound is None else codec_string(self._sound)
        self.audio_name = "" if self._sound is None else codec_text(self._sound.codec)
        self._next = 0
        self._is_fresh = True
        self._with_audio = True
        self._packager = Packager(origin=self._zero)
        self._packets: Iterator[Packet] | None = None
        self._heard = 0
        self._laid_units = 0

    def begin(self, number: int, *, audio: bool = True, after: bool = False) -> None:
        """Go on at the keyframe that frame ``number`` needs, without audio if that cannot be played.

        With ``after``, at the first keyframe from there on: what lies before cannot be decoded.
        """
        index = self._track.index
        unit = int(index.order[min(max(number, 0), len(index) - 1)])
        entry = int(index.entry[unit])
        if after:
            count = len(index.units)
            entry = next((one for one in range(unit, count) if index.is_keyframe(one)), count)
        self._with_audio = audio and self._sound is not None
        self._start(entry)
        self._heard = self._dts(self._next)

    def more(self, limit_bytes: int, unit: int | None = None) -> Piece:
        """What follows: whole frames, at least one if there is one, up to about ``limit_bytes``.

        With ``unit``, from that one on, if it is another than was expected (an answer was lost).
        Raises SourceError if the file cannot be read.
        """
        if unit is not None and unit != self._next:
            entry = self._track.index.entry
            self._start(int(entry[unit]) if unit < len(entry) else unit)
            self._heard = self._dts(self._next)
        index = self._track.index
        first, last = self._next, len(index.units)
        piece = Piece(first, first)
        if first >= last:
            piece.is_over = not self._video.is_growing
            return piece
        units: list[AccessUnit] = []
        size = 0
        while self._next < last and size < limit_bytes:
            if units and self._laid_units + len(units) > _MOST_UNITS and index.is_keyframe(self._next):
                break
            if not units and self._laid_units > _MOST_UNITS and index.is_keyframe(self._next):
                self._start(self._next)
            packet = self._packet()
            if packet is None:
                break
            units.append(self._unit(packet, self._next))
            size += len(units[-1].data)
            self._note(piece, self._next)
            self._next += 1
        piece.next = self._next
        piece.is_over = self._next >= last and not self._video.is_growing
        if self._with_audio and units:
            units += self._audible(units[-1].dts, is_over=piece.is_over)
            units.sort(key=lambda one: one.dts)
        piece.is_fresh, self._is_fresh = self._is_fresh and bool(units), self._is_fresh and not units
        piece.data = self._laid(units)
        return piece

    def _start(self, unit: int) -> None:
        self._next = unit
        self._packets = None
        self._is_fresh = True
        self._laid_units = 0
        self._packager = Packager(origin=self._zero)
        self._packager.declare(_VIDEO, self._format)
        if self._with_audio and self._sound is not None:
            self._packager.declare(_AUDIO, self._sound)

    def _packet(self) -> Packet | None:
        """The next coded frame; of a file that has grown meanwhile, too."""
        try:
            packet = None if self._packets is None else next(self._packets, None)
            if packet is None:
                self._packets = self._track.packets(self._next)
                packet = next(self._packets, None)
        except TableMisfitError:
            self._track.rescan()
            self._packets = self._track.packets(min(self._next, len(self._track.index.units)))
            packet = next(self._packets, None)
        return packet

    def _pts(self, unit: int) -> int:
        index = self._track.index
        return to_ticks(int(index.units["pts"][unit]), index.time_base)

    def _dts(self, unit: int) -> int:
        """When ``unit``, or the last one, is decoded, in ticks."""
        index = self._track.index
        return to_ticks(index.dts_of(min(unit, len(index.units) - 1)), index.time_base)

    def _unit(self, packet: Packet, unit: int) -> AccessUnit:
        index, data = self._track.index, bytes(packet)
        starts: tuple[int, ...] = ()
        if self._lengths:
            data, starts = with_start_codes(data, self._lengths)
        is_key, codec, prefix = index.is_keyframe(unit), self._format.codec, b""
        if is_key and self._sets and not parameter_sets(cuts(data, codec, starts), codec):
            prefix = self._sets
        dts, pts = self._dts(unit), self._pts(unit)
        # Shown until the next one, however long that takes: a page stops at a hole.
        number = int(index.number[unit])
        following = int(index.order[number + 1]) if 0 <= number < len(index) - 1 else None
        if (index.units["flags"][unit : unit + 2] & HIDDEN).any():
            following = unit + 1 if unit + 1 < len(index.units) else None  # one of two fields
        lasts = 0 if following is None else self._pts(following) - pts
        shown = max(pts, dts)
        return AccessUnit(
            _VIDEO, shown, dts, data, prefix, random_access=is_key, duration=max(lasts, 0), nal_starts=starts
        )

    def _note(self, piece: Piece, unit: int) -> None:
        index = self._track.index
        number = int(index.number[unit])
        if number < 0:
            return
        taken = index.captured(unit)
        piece.numbers.append(number)
        piece.times.append(self._video.time_of(number))
        piece.captured.append(float("nan") if taken is None else taken.time_ns / 1e6)
        piece.flags.append(KEYFRAME * index.is_keyframe(unit) | DAMAGED * index.is_affected(number))

    def _audible(self, until: int, *, is_over: bool) -> list[AccessUnit]:
        """Audio up to a little ahead of ``until``, holes filled with silence."""
        found: list[AccessUnit] = []
        sound = self._sound
        if sound is None:
            return found
        for one in self._track.coded_audio(self._heard, until + _SOUND_LEAD):
            if (one.format.codec, one.format.sample_rate) != (sound.codec, sound.sample_rate):
                continue
            if one.pts - self._heard > _GAP:
                self._fill(found, one.pts)
            found.append(_audio_unit(one))
            self._heard = one.pts + max(one.duration, 1)
        if until - self._heard > _LATE and not is_over:
            self._fill(found, until - _LATE // 2)
        return found

    def _fill(self, found: list[AccessUnit], until: int) -> None:
        sound = self._sound
        silence = None if sound is None else silent_frame(sound.codec, sound.sample_rate, sound.channels)
        if silence is None:
            return
        data, duration = silence
        while self._heard + duration <= until:
            found.append(_audio_unit(Heard(self._format, self._heard, duration, data)))
            self._heard += duration

    def _laid(self, units: list[AccessUnit]) -> bytes:
        parts: list[bytes] = []
        for unit in units:
            try:
                memory = Memory(memoryview(bytearray(self._packager.packets_for(unit))))
                self._packager.lay(unit, memory)
            except MediaError:
                continue  # one that has no bytes in its form, or comes twice: it is not shown
            parts.append(bytes(memory.bytes[: memory.used]))
            self._laid_units += 1
        return b"".join(parts)

    def _first_sets(self) -> bytes:
        """The parameter sets of the first keyframe."""
        index = self._track.index
        unit = int(index.entry[index.order[0]])
        packet = next(self._track.packets(unit), None)
        data = b"" if packet is None else bytes(packet)
        if self._lengths:
            data, _ = with_start_codes(data, self._lengths)
        return parameter_sets(cuts(data, self._format.codec), self._format.codec) or self._sets

    def _first_sound(self) -> StreamFormat | None:
        zero = self._zero
        for one in self._track.coded_audio(zero, zero + _HEAD_S * TICKS_PER_SECOND):
            return one.format
        return None


def _audio_unit(one: Heard) -> AccessUnit:
    return AccessUnit(_AUDIO, one.pts, one.pts, one.data, random_access=True, duration=one.duration)


@lru_cache(maxsize=16)
def silent_frame(codec: Codec, sample_rate: int, channels: int) -> tuple[bytes, int] | None:
    """A coded frame of silence and how long it lasts in ticks; None if there is no encoder for it."""
    if codec is Codec.OPUS:
        data = _OPUS_SILENCE.get(channels)
        return None if data is None else (data, 960 * TICKS_PER_SECOND // OPUS_RATE)
    if codec is not Codec.AAC or channels > 2:
        return None
    import av

    encoder = av.AudioCodecContext.create("aac", "w")
    encoder.sample_rate, encoder.format = sample_rate, "fltp"
    encoder.layout = "mono" if channels == 1 else "stereo"
    frame = av.AudioFrame.from_ndarray(np.zeros((channels, 1024), np.float32), "fltp", encoder.layout.name)
    packets = []
    for number in range(4):
        frame.sample_rate, frame.pts = sample_rate, 1024 * number
        packets += encoder.encode(frame)
    return bytes(packets[-1]), 1024 * TICKS_PER_SECOND // sample_rate
