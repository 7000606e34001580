"""The first frames of a clip that begins between two keyframes: decoded, and encoded anew in their own coding."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av
from av.video.frame import PictureType

from ..encode.coded import Coded
from ..errors import MediaError
from ..model import AccessUnit, Codec, StreamFormat
from ..ticks import TICK

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

    Packet = av.Packet[Any]

_ENCODERS = {Codec.H264: "libx264", Codec.H265: "libx265"}
_QUALITY = "14"
"""Constant rate factor: so near to the frames before that nobody sees a step where the copy begins."""


class Anew:
    """Encodes the frames of stream ``stream`` that are shown from ``first`` to before ``end`` (ticks).

    They have no B-frames; each is decoded ``delay`` ticks before it is shown, as the units behind them are.
    Raises MediaError if they cannot be decoded or encoded.
    """

    def __init__(self, stream_format: StreamFormat, stream: int, first: int, end: int, delay: int) -> None:
        self._format = stream_format
        if stream_format.codec not in _ENCODERS:
            raise MediaError(f"an exact clip of {stream_format.codec} cannot be made: leave exact out", stream)
        self._stream, self._first, self._end, self._delay = stream, first, end, delay
        self._decoder = cast("VideoCodecContext", av.CodecContext.create(str(stream_format.codec), "r"))
        self._encoder: VideoCodecContext | None = None
        self.frames = 0

    def put(self, unit: AccessUnit) -> list[Coded]:
        """Decode a unit; what comes out of it and of those before, encoded."""
        packet: Packet = av.Packet(unit.prefix + unit.data)
        packet.pts, packet.dts, packet.time_base = unit.pts, unit.dts, TICK
        return self._take(packet)

    def flush(self) -> list[Coded]:
        """What is left."""
        made = self._take(None)
        if self._encoder is not None:
            made += self._coded(self._encoder.encode(None))
        return made

    def _take(self, packet: Packet | None) -> list[Coded]:
        try:
            frames = self._decoder.decode(packet)
            made = []
            for frame in frames:
                if frame.pts is not None and self._first <= frame.pts < self._end:
                    made += self._encode(frame)
        except av.FFmpegError as error:
            raise MediaError(f"the clip's first frames cannot be encoded: {error}", self._stream) from error
        return made

    def _encode(self, frame: VideoFrame) -> list[Coded]:
        encoder = self._encoder
        if encoder is None:
            encoder = self._encoder = self._made(frame)
            frame.pict_type = PictureType.I
        else:
            frame.pict_type = PictureType.NONE
        self.frames += 1
        return self._coded(encoder.encode(frame))

    def _made(self, frame: VideoFrame) -> VideoCodecContext:
        context = cast("VideoCodecContext", av.CodecContext.create(_ENCODERS[self._format.codec], "w"))
        context.width, context.height = frame.width, frame.height
        context.pix_fmt, context.time_base = frame.format.name, TICK
        aspect = self._decoder.sample_aspect_ratio
        if aspect is not None and aspect.numerator:
            context.sample_aspect_ratio = Fraction(aspect.numerator, aspect.denominator)
        context.color_range, context.colorspace = frame.color_range, frame.colorspace
        context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
        context.options = {"crf": _QUALITY, "bf": "0", "g": "100000", "forced-idr": "1"}
        if self._format.codec is Codec.H264:
            context.options |= {"preset": "medium", "tune": "zerolatency", "x264-params": "keyint=infinite"}
        else:
            context.options |= {
                "preset": "medium",
                "x265-params": "log-level=error:bframes=0:keyint=-1:repeat-headers=1:rc-lookahead=0",
            }
        return context

    def _coded(self, packets: list[Packet]) -> list[Coded]:
        return [
            Coded(
                self._format,
                AccessUnit(
                    self._stream,
                    packet.pts,
                    packet.pts - self._delay,
                    bytes(packet),
                    random_access=packet.is_keyframe,
                ),
            )
            for packet in packets
            if packet.pts is not None
        ]
