"""Packets that are coded already: framed for a transport stream, and otherwise left as they are."""

from __future__ import annotations

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
from ..bitstream.h264 import ParameterSetFramer
from ..bitstream.language import three_letters
from ..errors import MediaError
from ..model import AccessUnit, Codec, StreamFormat
from ..mpegts.clock import TICKS_PER_SECOND, to_ticks
from .coded import Coded, CodedPacket

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

    ``skipped_units`` counts pictures before the first from which a decoder can start.
    """

    def __init__(self, codec: Codec, extradata: bytes = b"") -> None:
        self.skipped_units = 0
        self._framer = ParameterSetFramer(codec, extradata)
        self._format = StreamFormat(codec)

    @property
    def lacking(self) -> str | None:
        """Why no frame has come out so far, or None."""
        if not self.skipped_units or self._format.width:
            return None
        return (
            f"{self.skipped_units} frames came without parameter sets (SPS and PPS), and no decoder could start; "
            "let the encoder repeat them before each keyframe"
        )

    def framed(self, unit: AccessUnit, *, is_key_picture: bool) -> Coded | None:
        """The unit with its delimiter and parameter sets; None where no decoder could start yet."""
        framed = self._framer.frame(unit.data, is_key_picture)
        size = (self._framer.width, self._framer.height)
        if framed.random_access and size != (self._format.width, self._format.height):
            self._format = replace(self._format, width=size[0], height=size[1])
        if not self._format.width:
            self.skipped_units += 1
            return None
        data = unit.data[framed.skip :] if framed.skip else unit.data
        return Coded(
            self._format, replace(unit, data=data, prefix=framed.prefix, random_access=framed.random_access)
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

    ``skipped_units`` counts pictures before the first from which a decoder can start: they are
    left out. Raises MediaError where the stream's codec cannot be passed through.
    """

    def __init__(self, stream: av.VideoStream | av.AudioStream, index: int, language: str | None = None) -> None:
        codec = passthrough_codec(stream)
        if codec is None:
            raise MediaError(f"{stream.codec_context.name} cannot be passed through: decode it first", index)
        self._index = index
        self._filter: av.BitStreamFilterContext | None = None
        self._framer: PictureFramer | None = None
        self._sound: SoundFramer | None = None
        self._duration = 0
        extradata = stream.codec_context.extradata or b""
        if isinstance(stream, av.VideoStream):
            if extradata[:1] == b"\1":  # avcC or hvcC: lengths where Annex B has start codes
                name = "h264_mp4toannexb" if codec is Codec.H264 else "hevc_mp4toannexb"
                self._filter = av.BitStreamFilterContext(name, stream)
                extradata = b""
            self._framer = PictureFramer(codec, extradata)
            if stream.average_rate:
                self._duration = round(TICKS_PER_SECOND / stream.average_rate)
        else:
            self._sound = SoundFramer(codec, stream.codec_context, three_letters(language), index)

    def step(self, packet: CodedPacket) -> int:
        """How long ``packet`` lasts, in ticks; 0 where that is not known."""
        if packet.duration and packet.time_base:
            return to_ticks(packet.duration, packet.time_base)
        return self._duration

    def units(self, packet: CodedPacket, dts: int, pts: int | None, *, discontinuity: bool) -> list[Coded]:
        """The access units of ``packet``, placed at ``dts`` and ``pts`` (ticks; None: not known).

        Raises MediaError for a packet that cannot be carried.
        """
        try:
            packets = self._filter.filter(packet) if self._filter is not None else [packet]
        except av.FFmpegError as error:
            raise MediaError(f"a packet could not be brought into Annex B: {error}", self._index) from error
        coded = []
        for filtered in packets:
            data = bytes(filtered)
            unit = AccessUnit(
                stream=self._index,
                pts=dts if pts is None else max(pts, dts),
                dts=dts,
                data=data,
                discontinuity=discontinuity,
                duration=self.step(packet),
            )
            if self._sound is not None:
                coded.append(self._sound.framed(unit, _new_extradata(packet)))
            elif self._framer is not None:
                framed = self._framer.framed(unit, is_key_picture=packet.is_keyframe)
                coded += [] if framed is None else [framed]
        return coded

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
