"""What programs of others say of our streams, made of real pictures and sounds."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from recordkit.bitstream.h264 import ParameterSetFramer
from recordkit.model import AccessUnit, Codec, StreamFormat
from recordkit.ticks import WRAP, to_ticks

from ..judges import (
    assert_decodes_in_silence,
    assert_times_never_jump,
    assert_tstools_are_content,
    frame_counts,
)
from .conformance import lay
from .units import AUDIO, START, VIDEO, Declare, mixed

pytestmark = pytest.mark.judge
PICTURES, SECONDS = 60, Fraction(60, 25)
VIDEO_ENCODERS = {Codec.H264: "libx264", Codec.H265: "libx265"}
AUDIO_ENCODERS = {Codec.AAC: ("aac", "fltp"), Codec.MP3: ("libmp3lame", "fltp"), Codec.OPUS: ("libopus", "flt")}


def pictures(codec: Codec) -> list[AccessUnit]:
    """Noise at 25 pictures a second, with B-frames, the first DTS near 0."""
    context = av.CodecContext.create(VIDEO_ENCODERS[codec], "w")
    context.width, context.height, context.pix_fmt = 320, 180, "yuv420p"
    context.time_base = Fraction(1, 25)
    context.options = {"preset": "ultrafast", "g": "25", "bf": "2"}
    if codec is Codec.H265:
        context.options |= {"x265-params": "log-level=none:keyint=25:repeat-headers=1"}
    chance = np.random.default_rng(1)
    packets = []
    for index in range(PICTURES):
        frame = av.VideoFrame.from_ndarray(chance.integers(0, 255, (180, 320, 3), np.uint8)).reformat(
            format="yuv420p"
        )
        frame.pts = index
        packets += context.encode(frame)
    packets += context.encode(None)
    framer = ParameterSetFramer(codec)
    units = []
    for packet in packets:
        framed = framer.frame(bytes(packet), packet.is_keyframe)
        pts, dts = packet.pts * 3600, packet.dts * 3600
        units.append(AccessUnit(VIDEO, pts, dts, bytes(packet), framed.prefix, framed.random_access))
    return units


def sounds(codec: Codec) -> list[AccessUnit]:
    """A tone in stereo at 48 kHz."""
    name, sample_format = AUDIO_ENCODERS[codec]
    context = av.CodecContext.create(name, "w")
    context.sample_rate, context.layout, context.format = 48_000, "stereo", sample_format
    context.time_base = Fraction(1, 48_000)
    context.open()
    size = context.frame_size
    packets = []
    for index in range(int(SECONDS * 48_000) // size):
        tone = np.sin(np.arange(index * size, (index + 1) * size) * 0.06).astype(np.float32) * 0.3
        planes = np.tile(tone, (2, 1)) if sample_format == "fltp" else np.repeat(tone, 2)[None]
        frame = av.AudioFrame.from_ndarray(planes, sample_format, "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, index * size, Fraction(1, 48_000)
        packets += context.encode(frame)
    packets += context.encode(None)
    units = []
    for packet in packets:
        time = to_ticks(packet.pts, Fraction(1, 48_000))
        units.append(AccessUnit(AUDIO, time, time, bytes(packet), random_access=True))
    return units


@pytest.fixture(scope="session")
def encoded() -> dict[Codec, list[AccessUnit]]:
    return {codec: pictures(codec) for codec in VIDEO_ENCODERS} | {codec: sounds(codec) for codec in AUDIO_ENCODERS}


def declared(codec: Codec, index: int, language: str | None = None) -> Declare:
    if codec.is_video:
        return Declare(index, StreamFormat(codec, 320, 180))
    return Declare(index, StreamFormat(codec, sample_rate=48_000, channels=2, language=language))


def moved(units: list[AccessUnit], ticks: int, stream: int | None = None) -> list[AccessUnit]:
    stream = units[0].stream if stream is None else stream
    return [replace(unit, pts=unit.pts + ticks, dts=unit.dts + ticks, stream=stream) for unit in units]


STREAMS = {
    "h264_aac": [Codec.H264, Codec.AAC],
    "h264_opus": [Codec.H264, Codec.OPUS],
    "h264_mp3": [Codec.H264, Codec.MP3],
    "h265_aac": [Codec.H265, Codec.AAC],
    "h264": [Codec.H264],
    "aac": [Codec.AAC],
    "opus": [Codec.OPUS],
    "three_languages": [Codec.H264, Codec.AAC, Codec.OPUS, Codec.MP3],
}


@pytest.mark.parametrize("start", [START, WRAP - 90_000], ids=["plain", "wrapping"])
@pytest.mark.parametrize("codecs", STREAMS.values(), ids=STREAMS)
def test_whole_streams_are_faultless(codecs, start, encoded, tmp_path):
    path = tmp_path / "made.ts"
    steps = [declared(codec, index, "eng") for index, codec in enumerate(codecs)]
    units = [moved(encoded[codec], start, index) for index, codec in enumerate(codecs)]
    path.write_bytes(lay([*steps, *mixed(*units)], capacity=200).data)
    assert_decodes_in_silence(path)
    assert_times_never_jump(path)
    assert_tstools_are_content(path)
    counts = dict(frame_counts(path))
    assert set(counts) == {str(codec) for codec in codecs}
    for codec in codecs:
        assert counts[codec] == len(encoded[codec])


def test_late_sound_and_a_short_gap_are_faultless(encoded, tmp_path):
    path = tmp_path / "made.ts"
    units = [(unit.dts, unit) for unit in moved(encoded[Codec.H264], START)]
    units += [(unit.dts + 72_000, unit) for unit in moved(encoded[Codec.AAC], START)]
    later = START + 6 * 90_000
    units += [(unit.dts, unit) for unit in moved(encoded[Codec.H264], later)]
    units += [(unit.dts + 72_000, unit) for unit in moved(encoded[Codec.AAC], later)]
    steps = [declared(Codec.H264, VIDEO), declared(Codec.AAC, AUDIO)]
    made = lay([*steps, *(unit for _, unit in sorted(units, key=lambda pair: pair[0]))])
    assert made.late_units == 0
    path.write_bytes(made.data)
    assert_decodes_in_silence(path)
    assert_times_never_jump(path)
    assert_tstools_are_content(path)
    assert dict(frame_counts(path)) == {codec: 2 * len(encoded[codec]) for codec in (Codec.H264, Codec.AAC)}


def test_a_jump_over_a_long_gap_decodes(encoded, tmp_path):
    path = tmp_path / "made.ts"
    steps = [declared(Codec.H264, VIDEO), declared(Codec.AAC, AUDIO)]
    for start in (START, START + 60 * 90_000):
        steps += mixed(moved(encoded[Codec.H264], start), moved(encoded[Codec.AAC], start))
    path.write_bytes(lay(steps).data)
    assert_decodes_in_silence(path, "error")  # ffmpeg warns of each jump, even where it is announced
    assert dict(frame_counts(path)) == {codec: 2 * len(encoded[codec]) for codec in (Codec.H264, Codec.AAC)}
