"""What a page calls a coding (RFC 6381)."""

import av
import numpy as np
import pytest

from recordkit.model import Codec, StreamFormat
from recordkit.mp4.codecs import codec_string


def audio(codec, rate=48_000, config=b""):
    return codec_string(StreamFormat(codec, sample_rate=rate, channels=2, config=config))


def test_audio():
    assert audio(Codec.AAC) == "mp4a.40.2"
    assert audio(Codec.AAC, config=bytes.fromhex("2B09 8800")) == "mp4a.40.5"  # with SBR
    assert audio(Codec.OPUS) == "opus"
    assert (audio(Codec.MP3), audio(Codec.MP3, 22_050)) == ("mp4a.6B", "mp4a.69")
    assert (audio(Codec.AC3), audio(Codec.EAC3)) == ("ac-3", "ec-3")
    # It shares MP3's object type, and no browser plays it.
    assert audio(Codec.MP2) not in ("mp4a.6B", "mp4a.69")


def test_h264_has_profile_constraints_and_level():
    sets = bytes.fromhex("00000001 6742C01E DD00 00000001 68CE3880")
    assert codec_string(StreamFormat(Codec.H264), sets) == "avc1.42C01E"
    assert codec_string(StreamFormat(Codec.H264)) == "avc1"


@pytest.mark.parametrize("sets", [b"", bytes.fromhex("00000001 4201 0101")])
def test_h265_without_a_whole_sps_has_no_profile(sets):
    assert codec_string(StreamFormat(Codec.H265), sets) == "hvc1"


def test_h265_has_what_the_encoder_was_told():
    encoder = av.VideoCodecContext.create("libx265", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = 320, 180, "yuv420p", 25
    encoder.options = {"x265-params": "log-level=none:level-idc=30", "preset": "ultrafast"}
    frame = av.VideoFrame.from_ndarray(np.zeros((270, 320), np.uint8), "yuv420p")
    frame.pts = 0
    data = b"".join(bytes(one) for one in [*encoder.encode(frame), *encoder.encode(None)])
    assert codec_string(StreamFormat(Codec.H265), data).startswith("hvc1.1.6.L90")
