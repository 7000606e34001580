"""Coded frames and audio brought into their elementary form, one stream at a time.

Parameter sets come to where a decoder can start, and what a container puts before units comes off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import av

from ..bitstream.ac3 import Ac3Header, ac3_configuration, parse_ac3
from ..bitstream.audio import (
    AAC_SAMPLES,
    OPUS_RATE,
    AdtsHeader,
    Mp3Header,
    adts_config,
    opus_samples,
    parse_adts,
    parse_audio_specific_config,
    parse_mp3,
)
from ..bitstream.dts import DtsHeader, dts_configuration, parse_dts
from ..bitstream.flac import flac_streaminfo, parse_flac
from ..bitstream.h264 import FramedUnit, ParameterSetFramer, delimiter_bytes
from ..bitstream.sei import Orientation
from ..errors import MediaError
from ..model import AccessUnit, Codec, StreamFormat
from ..telemetry.words import count_text
from ..ticks import to_ticks
from .beside import Beside
from .coded import Coded, without_head
from .mastering import Mastering

_PARSERS: dict[Codec, Callable[[bytes], AdtsHeader | Mp3Header | Ac3Header | DtsHeader | None]] = {
    Codec.AAC: parse_adts,
    Codec.MP3: parse_mp3,
    Codec.MP2: parse_mp3,
    Codec.AC3: parse_ac3,
    Codec.EAC3: parse_ac3,
    Codec.DTS: parse_dts,
}
CONFIGURATIONS: dict[Codec, Callable[[bytes], bytes]] = {
    Codec.AAC: adts_config,
    Codec.AC3: ac3_configuration,
    Codec.EAC3: ac3_configuration,
    Codec.DTS: dts_configuration,
}
"""What makes a stream's configuration from a frame with its header."""


def skipped_text(count: int) -> str:
    """What is told of frames that came before the first keyframe."""
    return f"left out: {count_text(count, 'frame')} before the first keyframe, which no decoder can show"


class PictureFramer:
    """Brings coded frames into their elementary form, and follows their size.

    ``skipped_units`` counts frames before the first from which a decoder can start, and those behind it that
    refer to what is before it (open groups of pictures). ``on_altered`` is told of both.
    """

    def __init__(
        self, codec: Codec, extradata: bytes = b"", on_altered: Callable[[str], None] | None = None
    ) -> None:
        self.skipped_units = 0
        self._codec = codec
        self._framer = ParameterSetFramer(codec, extradata)
        self._format = StreamFormat(codec)
        self._beside = Beside(codec)
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
        self._beside.turn(orientation)

    def grade(self, mastering: Mastering) -> None:
        """Frames were graded so, unless they say something else themselves."""
        self._beside.grade(mastering)

    def framed(self, unit: AccessUnit, *, is_key_picture: bool) -> Coded | None:
        """The unit with the parameter sets that it lacks; None if no decoder could start yet."""
        has_begun = bool(self._format.width)
        delimiter = 0 if unit.header else delimiter_bytes(unit.data, self._codec)
        if delimiter:
            unit = without_head(unit, delimiter).altered(header=unit.data[:delimiter])
        # If nothing else is there to begin with, any intra frame does.
        framed = self._framer.frame(unit.data, is_key_picture or not has_begun)
        size = (self._framer.width, self._framer.height)
        if framed.random_access and size != (self._format.width, self._format.height):
            config = self._framer.parameter_sets
            self._format = replace(self._format, width=size[0], height=size[1], config=config)
        if not self._format.width:
            self.skipped_units += 1
            return None
        if not has_begun and self.skipped_units and self._on_altered is not None:
            self._on_altered(skipped_text(self.skipped_units))
        if framed.random_access:
            is_broken = not framed.is_idr and (unit.discontinuity or not has_begun)
            self._open_entry = unit.pts if is_broken else None
        elif self._leads(framed, unit):
            self.skipped_units += 1
            self._leading += 1
            return None
        elif self._leading:
            self._tell_leading()
        if framed.prefix != unit.prefix or framed.random_access is not unit.random_access:
            unit = unit.altered(prefix=framed.prefix, random_access=framed.random_access)
        if framed.is_second_field:
            unit = unit.altered(is_second_field=True)
        return Coded(self._format, self._beside.told(unit))

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
    """Brings coded audio into its elementary form, and follows what its headers say of it."""

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
        config = context.extradata or b"" if self._config is not None else b""
        if codec is Codec.OPUS:
            rate, channels, config = OPUS_RATE, channels or 2, _opus_head(context.extradata or b"")
        elif codec is Codec.FLAC:
            config = flac_streaminfo(context.extradata or b"")
        if rate and channels:
            self._set(rate, channels, config)

    def framed(self, unit: AccessUnit, new_extradata: bytes = b"") -> Coded:
        """The unit without its header. Raises MediaError for one that cannot be told from garbage."""
        unit = self._bare(unit, new_extradata)
        if self._format is None:
            raise MediaError(f"the parameters of the {self._codec} were not found", self._index)
        return Coded(self._format, unit)

    def length(self, data: bytes) -> int:
        """How long a packet lasts by what it says itself, in ticks; 0 if it does not say.

        Of a stream that begins late libavformat knows neither rate nor length, and times one packet of several.
        """
        if self._codec is Codec.OPUS:
            return to_ticks(opus_samples(data), Fraction(1, OPUS_RATE))
        if self._config is not None:
            return to_ticks(AAC_SAMPLES, Fraction(1, self._config.sample_rate))
        if self._codec is Codec.FLAC:
            found, rate = parse_flac(data), 0 if self._format is None else self._format.sample_rate
            return 0 if found is None or not rate else to_ticks(found.samples, Fraction(1, rate))
        header = _PARSERS[self._codec](data)
        return 0 if header is None else to_ticks(header.samples, Fraction(1, header.sample_rate))

    def _bare(self, unit: AccessUnit, new_extradata: bytes) -> AccessUnit:
        data = unit.data
        if self._codec in (Codec.OPUS, Codec.FLAC):
            return unit.altered(duration=self.length(data) or unit.duration)
        if self._codec is Codec.AAC and new_extradata:
            self._config = parse_audio_specific_config(new_extradata)
            if self._config is not None:
                self._set(self._config.sample_rate, self._config.channels, new_extradata)
        # No raw frame begins like an ADTS header: it would be over at once (14496-3, table 4.85, ID_END).
        header = None if self._config is not None and data[0] != 0xFF else _PARSERS[self._codec](data)
        if header is None and self._config is not None:
            return unit
        if header is None:
            raise MediaError(
                f"a packet of {self._codec} without a header, and nothing else says what is in it", self._index
            )
        self._follow(header.sample_rate, header.channels, data)
        if isinstance(header, AdtsHeader):
            size = header.header_length
            return unit.altered(data=data[size:], header=data[:size])
        return unit

    def _follow(self, rate: int, channels: int, data: bytes) -> None:
        """Take over what a header says, if it says something else than the one before, or nothing else is known.

        The container may know better than a single header: with SBR the rate is twice the core's.
        """
        header, self._header = self._header, (rate, channels)
        if self._format is None or header not in (None, self._header):
            # AAC of channel configuration 0 has its channels inside (ISO/IEC 14496-3, 1.6.3.5).
            self._set(rate, channels or 2, b"")
        configured = CONFIGURATIONS.get(self._codec)
        if self._format is not None and configured is not None and not self._format.config:
            self._format = replace(self._format, config=configured(data))

    def _set(self, rate: int, channels: int, config: bytes) -> None:
        self._format = StreamFormat(
            self._codec, sample_rate=rate, channels=channels, language=self._language, config=config
        )


def _opus_head(extradata: bytes) -> bytes:
    """``extradata`` if it says how much of the beginning is not heard (RFC 7845, 5.1), else nothing."""
    return extradata if extradata.startswith(b"OpusHead") and any(extradata[10:12]) else b""
