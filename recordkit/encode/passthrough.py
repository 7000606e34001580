"""Packets that are coded already: framed for a transport stream, and otherwise left as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import av

from ..bitstream.audio import (
    OPUS_RATE,
    adts_header,
    opus_control_header,
    opus_samples,
    parse_adts,
    parse_audio_specific_config,
    parse_mp3,
)
from ..bitstream.h264 import FramedUnit, ParameterSetFramer
from ..bitstream.language import three_letters
from ..bitstream.lengths import parse_configuration, with_start_codes
from ..bitstream.sei import Orientation
from ..errors import MediaError
from ..model import AccessUnit, Codec, StreamFormat
from ..mpegts.clock import TICKS_PER_SECOND, to_ticks
from .coded import Coded, CodedPacket
from .orientation import Turning, orientation_beside

_NAMES = {codec.value: codec for codec in Codec}


def passthrough_codec(stream: av.VideoStream | av.AudioStream) -> Codec | None:
    """The codec of ``stream`` where its packets can go into a recording as they are, else None."""
    context = stream.codec_context
    # Not the coder's own name: libx264 and h264_nvenc make H.264.
    codec = _NAMES.get(context.codec.canonical_name)
    extradata = context.extradata or b""
    if codec is Codec.AAC and extradata and parse_audio_specific_config(extradata) is None:
        return None
    if codec is Codec.OPUS and isinstance(stream, av.AudioStream) and stream.codec_context.layout.nb_channels > 2:
        return None  # its channel mapping would have to go into a descriptor that few players read
    return codec


class PictureFramer:
    """Makes coded pictures fit for a transport stream, and follows their size.

    ``skipped_units`` counts pictures before the first from which a decoder can start, and those behind it that
    refer to what is before it (open groups of pictures). ``on_altered`` is told of these.
    """

    def __init__(
        self, codec: Codec, extradata: bytes = b"", on_altered: Callable[[str], None] | None = None
    ) -> None:
        self.skipped_units = 0
        self._codec = codec
        self._framer = ParameterSetFramer(codec, extradata)
        self._format = StreamFormat(codec)
        self._turning = Turning(codec)
        self._on_altered = on_altered
        self._open_entry: int | None = None  # when the frame that was begun with is shown, if it is no IDR
        self._leading = 0

    @property
    def lacking(self) -> str | None:
        """Why no frame has come out so far, or None."""
        if not self.skipped_units or self._format.width:
            return None
        return (
            f"{self.skipped_units} frames came without parameter sets (SPS and PPS), and no decoder could start; "
            "let the encoder repeat them before each keyframe"
        )

    def learn(self, parameter_sets: bytes) -> None:
        """Take parameter sets (Annex B) that hold from now on."""
        self._framer.learn(parameter_sets)

    def turn(self, orientation: Orientation | None) -> None:
        """Frames are to be shown turned so, unless they say something else themselves."""
        self._turning.turn(orientation)

    def framed(self, unit: AccessUnit, *, is_key_picture: bool) -> Coded | None:
        """The unit with its delimiter and parameter sets; None where no decoder could start yet."""
        has_begun = bool(self._format.width)
        # Where nothing else is there to begin with, any intra frame does.
        framed = self._framer.frame(unit.data, is_key_picture or not has_begun)
        size = (self._framer.width, self._framer.height)
        if framed.random_access and size != (self._format.width, self._format.height):
            self._format = replace(self._format, width=size[0], height=size[1])
        if not self._format.width:
            self.skipped_units += 1
            return None
        if framed.random_access:
            is_broken = not framed.is_idr and (unit.discontinuity or not has_begun)
            self._open_entry = unit.pts if is_broken else None
        elif self._leads(framed, unit):
            self.skipped_units += 1
            self._leading += 1
            return None
        elif self._leading:
            self._tell_leading()
        data = unit.data[framed.skip :] if framed.skip else unit.data
        unit = replace(unit, data=data, prefix=framed.prefix, random_access=framed.random_access)
        return Coded(self._format, self._turning.turned(unit))

    def _leads(self, framed: FramedUnit, unit: AccessUnit) -> bool:
        """Whether a decoder that began with the last entry lacks what the frame refers to."""
        if self._open_entry is None:
            return False
        return framed.is_leading if self._codec is Codec.H265 else unit.pts < self._open_entry

    def _tell_leading(self) -> None:
        count, self._leading = self._leading, 0
        if self._on_altered is not None:
            self._on_altered(
                f"left out: {count} of the frames, shown before the keyframe that was begun with, which refer to "
                "frames before it that are not there"
            )


class SoundFramer:
    """Makes coded sound fit for a transport stream, and follows what its headers say of it."""

    def __init__(
        self, codec: Codec, context: av.AudioCodecContext, language: str | None, index: int | None = None
    ) -> None:
        self._codec = codec
        self._language = language
        self._index = index
        self._config = parse_audio_specific_config(context.extradata or b"") if codec is Codec.AAC else None
        self._header: tuple[int, int] | None = None
        self._format: StreamFormat | None = None
        rate, channels = context.sample_rate, context.layout.nb_channels
        if codec is Codec.OPUS:
            rate, channels = OPUS_RATE, channels or 2
        if rate and channels:
            self._set(rate, channels)

    def framed(self, unit: AccessUnit, new_extradata: bytes = b"") -> Coded:
        """The unit with its header. Raises MediaError for one that cannot be told from garbage."""
        unit = self._with_header(unit, new_extradata)
        if self._format is None:
            raise MediaError(f"the parameters of the {self._codec} were not found", self._index)
        return Coded(self._format, unit)

    def _with_header(self, unit: AccessUnit, new_extradata: bytes) -> AccessUnit:
        data = unit.data
        if self._codec is Codec.OPUS:
            duration = to_ticks(opus_samples(data), Fraction(1, OPUS_RATE))
            return replace(unit, prefix=opus_control_header(len(data)), duration=duration or unit.duration)
        if self._codec is Codec.AAC and new_extradata:
            self._config = parse_audio_specific_config(new_extradata)
            if self._config is not None:
                self._set(self._config.sample_rate, self._config.channels)
        if self._codec is Codec.AAC and self._config is not None:
            return replace(unit, prefix=adts_header(self._config, len(data)))
        header = parse_adts(data) if self._codec is Codec.AAC else parse_mp3(data)
        if header is None:
            raise MediaError(
                f"a packet of {self._codec} without a header, and nothing else says what is in it", self._index
            )
        self._follow(header.sample_rate, header.channels)
        return unit

    def _follow(self, rate: int, channels: int) -> None:
        """Take over what a header says, if it says something else than the one before, or nothing else is known.

        The container may know better than a single header: with SBR the rate is twice the core's.
        """
        header, self._header = self._header, (rate, channels)
        if self._format is None or header not in (None, self._header):
            # AAC of channel configuration 0 has its channels inside (ISO/IEC 14496-3, 1.6.3.5).
            self._set(rate, channels or 2)

    def _set(self, rate: int, channels: int) -> None:
        self._format = StreamFormat(self._codec, sample_rate=rate, channels=channels, language=self._language)


class Passthrough:
    """Turns the packets of one demuxed stream into access units of stream ``index``.

    ``skipped_units`` counts pictures that no decoder could show: they are left out. ``on_altered`` is told
    what will not be as in the source. Raises MediaError where the stream's codec cannot be passed through.
    """

    def __init__(
        self,
        stream: av.VideoStream | av.AudioStream,
        index: int,
        language: str | None = None,
        on_altered: Callable[[str], None] | None = None,
    ) -> None:
        codec = passthrough_codec(stream)
        if codec is None:
            raise MediaError(f"{stream.codec_context.name} cannot be passed through: decode it first", index)
        self._index = index
        self._codec = codec
        self._length_bytes = 0
        self._orientation_lacks = False
        self._framer: PictureFramer | None = None
        self._sound: SoundFramer | None = None
        self._duration = 0
        extradata = stream.codec_context.extradata or b""
        if isinstance(stream, av.VideoStream):
            configuration = parse_configuration(extradata, codec)
            if configuration is not None:
                self._length_bytes, extradata = configuration
                # Containers with lengths in place of start codes are those that may turn their frames.
                self._orientation_lacks = stream.codec_context.is_decoder and not stream.codec_context.is_open
            self._framer = PictureFramer(codec, extradata, on_altered)
            if stream.average_rate:
                self._duration = round(TICKS_PER_SECOND / stream.average_rate)
        else:
            self._sound = SoundFramer(codec, stream.codec_context, three_letters(language), index)

    def step(self, packet: CodedPacket) -> int:
        """How long ``packet`` lasts, in ticks; 0 where that is not known."""
        if packet.duration and packet.time_base:
            return to_ticks(packet.duration, packet.time_base)
        return self._duration

    def look(self, packet: CodedPacket) -> None:
        """See how frames are to be turned; call it with the container still open, before ``packet`` is coded."""
        if self._orientation_lacks and packet.is_keyframe and self._framer is not None:
            self._orientation_lacks = False
            self._framer.turn(orientation_beside(packet))

    def units(self, packet: CodedPacket, dts: int, pts: int | None, *, discontinuity: bool) -> list[Coded]:
        """The access units of ``packet``, placed at ``dts`` and ``pts`` (ticks; None: not known).

        Raises MediaError for a packet that cannot be carried.
        """
        data, new_extradata = bytes(packet), _new_extradata(packet)
        if self._framer is not None and new_extradata:
            configuration = parse_configuration(new_extradata, self._codec)
            if configuration is not None:
                self._length_bytes, new_extradata = configuration
            self._framer.learn(new_extradata)
        if self._length_bytes:
            data = with_start_codes(data, self._length_bytes)
        unit = AccessUnit(
            stream=self._index,
            pts=dts if pts is None else max(pts, dts),
            dts=dts,
            data=data,
            discontinuity=discontinuity,
            duration=self.step(packet),
        )
        if self._sound is not None:
            return [self._sound.framed(unit, new_extradata)]
        framed = self._framer.framed(unit, is_key_picture=packet.is_keyframe) if self._framer is not None else None
        return [] if framed is None else [framed]

    @property
    def skipped_units(self) -> int:
        """Pictures left out so far."""
        return self._framer.skipped_units if self._framer is not None else 0

    @property
    def lacking(self) -> str | None:
        """Why nothing has come out so far, or None."""
        return self._framer.lacking if self._framer is not None else None


def _new_extradata(packet: CodedPacket) -> bytes:
    """The configuration that begins with ``packet``, as FLV and MP4 may have one in their midst; else nothing."""
    return bytes(packet.get_sidedata("new_extradata")) if packet.has_sidedata("new_extradata") else b""
