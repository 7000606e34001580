"""What a container says of its video goes into the parameter sets, which a recording has alone (E.2.1, the VUI)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import av
from av.video.frame import VideoFrame

from ..bitstream.h264 import annexb_parameter_sets, nal_units
from ..model import Codec
from ..ticks import fraction

_FILTERS = {Codec.H264: "h264_metadata", Codec.H265: "hevc_metadata"}
_UNSPECIFIED, _FULL_RANGE = 2, 2
"""Of H.273's tables, and libavutil's AVCOL_RANGE_JPEG."""


def pixel_aspect(stream: av.VideoStream) -> Fraction | None:
    """A pixel's width over its height, by the container before the coded stream; None if nobody says it."""
    aspect = fraction(stream.sample_aspect_ratio) or fraction(stream.codec_context.sample_aspect_ratio)
    return aspect if aspect and Fraction(1, 100) <= aspect <= 100 else None


def colours(context: av.VideoCodecContext | VideoFrame) -> dict[str, int]:
    """What is said of colours, by the names that the filters of parameter sets have for it."""
    said = {
        "colour_primaries": int(context.color_primaries),
        "transfer_characteristics": int(context.color_trc),
        "matrix_coefficients": int(context.colorspace),
    }
    return {name: number for name, number in said.items() if number not in (0, _UNSPECIFIED)} | (
        {"video_full_range_flag": 1} if int(context.color_range) == _FULL_RANGE else {}
    )


def lacking_aspect(stream: av.VideoStream) -> dict[str, str]:
    """Options for ``VuiWriter``, if the container of ``stream`` says another shape of pixels than its sets."""
    aspect, own = pixel_aspect(stream), fraction(stream.codec_context.sample_aspect_ratio)
    if aspect is None or aspect == (own or 1):
        return {}
    return {"sample_aspect_ratio": f"{aspect.numerator}/{aspect.denominator}"}


def lacking_colours(by_container: Mapping[str, int], frame: VideoFrame) -> dict[str, str]:
    """Options for ``VuiWriter``: what ``colours`` of a stream nothing was decoded of yet, and not of its ``frame``.

    Where the stream says something else than its container, decoders believe the stream.
    """
    said = colours(frame)
    return {name: str(number) for name, number in by_container.items() if name not in said}


class VuiWriter:
    """Writes ``options`` into the parameter sets of a stream whose NAL units stand behind their lengths."""

    def __init__(self, stream: av.VideoStream, codec: Codec, length_bytes: int, options: Mapping[str, str]) -> None:
        self._codec = codec
        self._length_bytes = length_bytes
        given = ":".join(f"{name}={text}" for name, text in options.items())
        self._filter = av.BitStreamFilterContext(f"{_FILTERS[codec]}={given}", stream)

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
