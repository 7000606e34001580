"""Live units made by PyAV's encoders: what a receiver would hand on."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from recordkit.model import EncodedUnit
from recordkit.ticks import TICKS_PER_SECOND

ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp8": "libvpx", "vp9": "libvpx-vp9", "opus": "libopus"}
OPTIONS = {
    "h264": {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "annexb=1:repeat-headers=1"},
    "hevc": {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "repeat-headers=1:log-level=none"},
    "vp8": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    "vp9": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
}


def picture(number: int, width: int = 320, height: int = 180) -> av.VideoFrame:
    rows = (np.arange(height)[:, None] * 2 + np.arange(width)[None, :] + number * 5) % 256
    return av.VideoFrame.from_ndarray(np.repeat(rows.astype(np.uint8)[:, :, None], 3, axis=2), "rgb24")


def pictures(
    codec: str, count: int, size: tuple[int, int] = (320, 180), *, start: int = 0, group: int = 15, fps: int = 30
) -> Iterator[EncodedUnit]:
    """``count`` units of pictures, an entry every ``group`` of them, the first at ``start`` ticks."""
    context = av.VideoCodecContext.create(ENCODERS[codec], "w")
    context.width, context.height = size
    context.pix_fmt, context.time_base = "yuv420p", Fraction(1, TICKS_PER_SECOND)
    context.framerate, context.gop_size, context.options = Fraction(fps), group, OPTIONS[codec]
    for number in range(count):
        frame = picture(number, *size).reformat(format="yuv420p")
        frame.pts, frame.time_base = start + number * TICKS_PER_SECOND // fps, context.time_base
        for packet in context.encode(frame):
            yield EncodedUnit(codec, bytes(packet), packet.pts, packet.is_keyframe)


def sound(codec: str, seconds: float, *, start: int = 0, tone: float = 440.0) -> Iterator[EncodedUnit]:
    """Units of 20 ms that hold a tone of half the full level."""
    rate = 48_000 if codec == "opus" else 8_000
    layout = "stereo" if codec == "opus" else "mono"
    context = av.AudioCodecContext.create(ENCODERS.get(codec, codec), "w")
    context.sample_rate, context.layout, context.format = rate, layout, "s16"
    context.time_base = Fraction(1, rate)
    samples, step = rate // 50, TICKS_PER_SECOND // 50
    made = 0
    for number in range(round(seconds * 50)):
        wave = 16_000 * np.sin(2 * np.pi * tone * (np.arange(samples) + number * samples) / rate)
        channels = 2 if layout == "stereo" else 1
        frame = av.AudioFrame.from_ndarray(np.repeat(wave.astype(np.int16), channels)[None, :], "s16", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, number * samples, context.time_base
        for packet in context.encode(frame):
            yield EncodedUnit(codec, bytes(packet), start + made * step, is_entry=True, duration=step)
            made += 1
