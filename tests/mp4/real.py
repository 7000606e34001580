"""Access units of real video and audio, in elementary form, as encoders make them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import av
import numpy as np

from recordkit.bitstream.av1 import av1_stored
from recordkit.model import AccessUnit, Codec, StreamFormat
from recordkit.mp4.records import known_beforehand

from ..media import own_priority

START = 180_000
FRAMES, RATE = 50, 25
_VIDEO = {Codec.H264: "libx264", Codec.H265: "libx265", Codec.VP9: "libvpx-vp9", Codec.AV1: "libsvtav1"}
_OPTIONS = {
    Codec.H264: {"preset": "veryfast", "bf": "2", "threads": "1"},
    Codec.H265: {
        "preset": "veryfast",
        "bf": "2",
        "threads": "1",
        "x265-params": f"log-level=none:keyint={RATE}:repeat-headers=1:pools=none",
    },
    Codec.VP9: {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    Codec.AV1: {"preset": "12", "svtav1-params": "lp=1:pred-struct=1"},
}
_AUDIO = {
    Codec.FLAC: ("flac", "s16"),
    Codec.AAC: ("aac", "fltp"),
    Codec.MP3: ("libmp3lame", "fltp"),
    Codec.OPUS: ("libopus", "flt"),
}


@dataclass(frozen=True)
class Stream:
    format: StreamFormat
    units: tuple[AccessUnit, ...]

    def moved(self, index: int, ticks: int = 0) -> list[AccessUnit]:
        return [replace(one, stream=index, pts=one.pts + ticks, dts=one.dts + ticks) for one in self.units]


@cache
@own_priority()
def video(codec: Codec, width: int = 320, height: int = 180, frames: int = FRAMES) -> Stream:
    """Moving squares on a grey that tells the frame's number; a keyframe a second, B-frames if it has any."""
    context = av.CodecContext.create(_VIDEO[codec], "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, RATE), Fraction(RATE)
    context.options = {"g": str(RATE), **_OPTIONS[codec]}
    packets = []
    for index in range(frames):
        grey = np.full((height, width, 3), index * 4, np.uint8)
        grey[index % (height - 40) :][:40, index * 3 % (width - 40) :][:, :40] = 255 - index
        frame = av.VideoFrame.from_ndarray(grey).reformat(format="yuv420p")
        frame.pts, frame.time_base = index, Fraction(1, RATE)
        packets += context.encode(frame)
    packets += context.encode(None)
    step = 90_000 // RATE
    units = tuple(
        AccessUnit(
            0,
            START + packet.pts * step,
            START + packet.dts * step,
            av1_stored(bytes(packet)) if codec is Codec.AV1 else bytes(packet),
            random_access=packet.is_keyframe,
            duration=step,
        )
        for packet in packets
    )
    config = b"" if codec.has_nal_units else known_beforehand(units[0].data, codec, b"")
    return Stream(StreamFormat(codec, width, height, config=config), units)


@cache
def audio(codec: Codec, rate: int = 48_000, seconds: int = FRAMES // RATE) -> Stream:
    """A tone in stereo."""
    name, sample_format = _AUDIO[codec]
    context = av.CodecContext.create(name, "w")
    context.sample_rate, context.layout, context.format = rate, "stereo", sample_format
    context.time_base = Fraction(1, rate)
    context.open()
    size = context.frame_size
    packets = []
    for index in range(seconds * rate // size):
        tone = np.sin(np.arange(index * size, (index + 1) * size) * 0.06).astype(np.float32) * 0.3
        planes = np.tile(tone, (2, 1)) if sample_format == "fltp" else np.repeat(tone, 2)[None]
        if sample_format == "s16":
            planes = (planes * 32_767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(planes, sample_format, "stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, index * size, Fraction(1, rate)
        packets += context.encode(frame)
    packets += context.encode(None)
    units = []
    for packet in packets:
        if not packet.size:
            continue  # FLAC says at the end what its beginning lacked
        time, end = (round(Fraction(at * 90_000, rate)) for at in (packet.pts, packet.pts + size))
        units.append(
            AccessUnit(1, START + time, START + time, bytes(packet), random_access=True, duration=end - time)
        )
    config = b"" if codec is Codec.MP3 else bytes(context.extradata or b"")
    priming = 0 if codec is Codec.OPUS else -packets[0].pts
    stated = StreamFormat(codec, sample_rate=rate, channels=2, config=config, priming=priming)
    return Stream(stated, tuple(units))
