"""The shape of pixels: what a container says of it goes into the parameter sets, which a recording has alone."""

from __future__ import annotations

from fractions import Fraction

import av

from ..bitstream.h264 import annexb_parameter_sets, nal_units
from ..model import Codec
from ..ticks import fraction

_FILTERS = {Codec.H264: "h264_metadata", Codec.H265: "hevc_metadata"}


def pixel_aspect(stream: av.VideoStream) -> Fraction | None:
    """A pixel's width over its height, by the container before the coded stream; None if nobody says it."""
    aspect = fraction(stream.sample_aspect_ratio) or fraction(stream.codec_context.sample_aspect_ratio)
    return aspect if aspect and Fraction(1, 100) <= aspect <= 100 else None


class PixelAspect:
    """Writes ``aspect`` into the parameter sets of a stream whose NAL units stand behind their lengths.

    It is sample_aspect_ratio of the VUI (ITU-T H.264 and H.265, E.2.1).
    """

    def __init__(self, stream: av.VideoStream, codec: Codec, length_bytes: int, aspect: Fraction) -> None:
        self._codec = codec
        self._length_bytes = length_bytes
        option = f"sample_aspect_ratio={aspect.numerator}/{aspect.denominator}"
        self._filter = av.BitStreamFilterContext(f"{_FILTERS[codec]}={option}", stream)

    @classmethod
    def needed(cls, stream: av.VideoStream, codec: Codec, length_bytes: int) -> PixelAspect | None:
        """What writes it, if the container of ``stream`` says something else than its parameter sets; else None."""
        aspect, own = pixel_aspect(stream), fraction(stream.codec_context.sample_aspect_ratio)
        return None if aspect is None or aspect == (own or 1) else cls(stream, codec, length_bytes, aspect)

    def rewritten(self, annexb: bytes) -> bytes:
        """An access unit or parameter sets (Annex B) with it; as they are if they cannot be read."""
        if not annexb_parameter_sets(annexb, self._codec):
            return annexb
        nals = (annexb[start:end] for _, start, end in nal_units(annexb, self._codec))
        try:
            data = b"".join(len(nal).to_bytes(self._length_bytes) + nal for nal in nals)
            made = self._filter.filter(av.Packet(data))
        except (av.FFmpegError, OverflowError):
            return annexb
        return b"".join(map(bytes, made)) or annexb
