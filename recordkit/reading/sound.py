"""Coded audio by the frame: cut out of PES packets, or as a container's packets have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..bitstream.ac3 import ac3_configuration, parse_ac3
from ..bitstream.audio import (
    OPUS_RATE,
    opus_samples,
    parse_adts,
    parse_audio_specific_config,
    parse_mp3,
    parse_opus_control_header,
)
from ..errors import MediaError
from ..model import Codec, StreamFormat
from ..ticks import TICK, TICKS_PER_SECOND, nearest, to_ticks

if TYPE_CHECKING:
    import av

    Packet = av.Packet[Any]

_MPEG_AUDIO = (Codec.MP3, Codec.MP2)
_LAYER_3 = 3


class Heard(NamedTuple):
    """One coded frame of audio: its format, when it is heard and how long, in ticks."""

    format: StreamFormat
    pts: int
    duration: int
    data: bytes


class SoundCutter:
    """Cuts PES packets of one stream into coded frames, which may reach over two of them."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._carried = b""
        self._begin = self._heard = 0
        """When the first frame was heard of which a packet told that, and how many samples have come since."""

    def feed(self, data: bytes, pts: int) -> list[Heard]:
        """The frames that ``data`` completes; the first that begins in it is heard at ``pts``."""
        new, data, at = len(self._carried), self._carried + data, 0
        found: list[Heard] = []
        is_placed = False
        while at < len(data):
            one = self._frame(data, at)
            if one is None:
                at += 1
                continue
            stream, begin, end, samples = one
            if end > len(data):
                break
            if at >= new and not is_placed:
                self._begin, self._heard, is_placed = pts, 0, True
            heard, until = (
                nearest(count * TICKS_PER_SECOND, stream.sample_rate)
                for count in (self._heard, self._heard + samples)
            )
            if samples:
                found.append(Heard(stream, self._begin + heard, until - heard, data[begin:end]))
            self._heard += samples
            at = end
        self._carried = data[at : at + 0x4000]
        return found

    def _frame(self, data: bytes, at: int) -> tuple[StreamFormat, int, int, int] | None:
        """Format, begin, end and samples of the frame at ``at``; None if there is none."""
        if self._codec is Codec.OPUS:
            header = parse_opus_control_header(data, at)
            if header is None:
                return None
            begin, length = header
            channels = 2 if data[begin : begin + 1] and data[begin] & 4 else 1
            samples = opus_samples(data[begin : begin + length])
            return (
                StreamFormat(Codec.OPUS, sample_rate=OPUS_RATE, channels=channels),
                begin,
                begin + length,
                samples,
            )
        if self._codec is Codec.AAC:
            adts = parse_adts(data, at)
            if adts is None:
                return None
            stream = StreamFormat(Codec.AAC, sample_rate=adts.sample_rate, channels=adts.channels or 2)
            return stream, at + adts.header_length, at + adts.frame_length, adts.samples
        if self._codec in _MPEG_AUDIO:
            mpeg = parse_mp3(data, at)
            if mpeg is None:
                return None
            codec = Codec.MP3 if mpeg.layer == _LAYER_3 else Codec.MP2
            stream = StreamFormat(codec, sample_rate=mpeg.sample_rate, channels=mpeg.channels)
            return stream, at, at + mpeg.frame_length, mpeg.samples
        ac3 = parse_ac3(data, at)
        if ac3 is None:
            return None
        stream = StreamFormat(
            self._codec, sample_rate=ac3.sample_rate, channels=ac3.channels, config=ac3_configuration(data[at:])
        )
        return stream, at, at + ac3.frame_length, ac3.samples


def format_of(stream: av.AudioStream) -> StreamFormat | None:
    """The format of a container's audio as MP4 carries it; None if it has no place there."""
    context = stream.codec_context
    name = context.codec.canonical_name
    if name not in [codec.value for codec in Codec if not codec.is_video and codec is not Codec.PCM]:
        return None
    codec, extradata = Codec(name), context.extradata or b""
    if codec is Codec.AAC and extradata and parse_audio_specific_config(extradata) is None:
        return None
    config = extradata if codec in (Codec.AAC, Codec.OPUS) else b""
    try:
        return StreamFormat(
            codec, sample_rate=context.sample_rate, channels=context.layout.nb_channels, config=config
        )
    except MediaError:
        return None


def heard(packet: Packet, stream: StreamFormat, follows: int | None = None) -> Heard | None:
    """A container's packet as a coded frame; one without a time ``follows`` at a tick. None without either."""
    pts = follows if packet.pts is None or packet.time_base is None else to_ticks(packet.pts, packet.time_base)
    if pts is None or not packet.size:
        return None
    data = bytes(packet)
    if stream.codec is Codec.AAC and not stream.config and (adts := parse_adts(data)) is not None:
        data = data[adts.header_length : adts.frame_length]  # which libavformat leaves in a transport stream
    if stream.codec in (Codec.AC3, Codec.EAC3) and not stream.config:
        stream = StreamFormat(
            stream.codec, sample_rate=stream.sample_rate, channels=stream.channels, config=ac3_configuration(data)
        )
    duration = to_ticks(packet.duration or 0, packet.time_base or TICK)
    if not duration and stream.codec is Codec.OPUS:
        duration = opus_samples(data) * TICKS_PER_SECOND // OPUS_RATE
    return Heard(stream, pts, duration, data)
