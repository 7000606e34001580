"""Access units counted in elementary streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordkit.bitstream.audio import AudioSpecificConfig, adts_header, opus_control_header
from recordkit.bitstream.counter import AudioFrameCounter, AudioFrames, PictureCounter, Pictures
from recordkit.bitstream.h264 import H264_DELIMITER, H265_DELIMITER
from recordkit.model import Codec

SPS = b"\0\0\0\1" + bytes.fromhex("6742c015d901e08fea10000003001000000303c0f162e480")
IDR, IDR_SECOND_SLICE = b"\0\0\1\x65\x88\x84", b"\0\0\1\x65\x48\x84"
INTER, INTER_SECOND_SLICE = b"\0\0\1\x41\x9a\x24", b"\0\0\1\x41\x4a\x24"
CONFIG = AudioSpecificConfig(2, 3, 2)
MP3 = bytes.fromhex("FFFB9064") + bytes(413)


def adts(size: int = 100) -> bytes:
    return adts_header(CONFIG, size) + b"\1" * size


def test_pictures_by_their_first_slices():
    counter = PictureCounter(Codec.H264)
    assert counter.feed(H264_DELIMITER + SPS + IDR + IDR_SECOND_SLICE + IDR_SECOND_SLICE) == Pictures(1, 1)
    assert (counter.width, counter.height) == (480, 270)
    assert counter.feed(INTER + INTER_SECOND_SLICE + H264_DELIMITER + INTER) == Pictures(2, 0)
    assert counter.feed(INTER_SECOND_SLICE) == counter.feed(b"") == counter.feed(b"\0\0\1") == Pictures(0, 0)


def test_h265_pictures():
    counter = PictureCounter(Codec.H265)
    idr, trail = b"\0\0\1\x26\x01\xaf", b"\0\0\1\x02\x01\xd0"
    assert counter.feed(H265_DELIMITER + idr + b"\0\0\1\x26\x01\x2f") == Pictures(1, 1)
    assert counter.feed(trail + trail) == Pictures(2, 0)
    second_layer = b"\0\0\1\x02\x09\xd0"
    assert counter.feed(trail + second_layer) == Pictures(1, 0)


@pytest.mark.parametrize(("codec", "frame", "samples"), [(Codec.AAC, adts(), 1024), (Codec.MP3, MP3, 1152)])
@pytest.mark.parametrize("piece", [1, 5, 100, 1000, 10_000])
def test_frames_across_pieces(codec, frame, samples, piece):
    counter, data = AudioFrameCounter(codec), frame * 20
    found = [counter.feed(data[at : at + piece]) for at in range(0, len(data), piece)]
    assert sum(one.frames for one in found) == 20
    assert sum(one.samples for one in found) == 20 * samples
    assert sum(one.lost_bytes for one in found) == 0
    assert (counter.sample_rate, counter.channels) == (48_000 if codec is Codec.AAC else 44_100, 2)


def test_joining_inside_a_frame_loses_nothing():
    counter = AudioFrameCounter(Codec.AAC)
    assert counter.feed(b"\xff\xf1tail" + adts() * 3) == AudioFrames(3, 3072, 0)


def test_bytes_between_frames_are_lost():
    counter = AudioFrameCounter(Codec.AAC)
    assert counter.feed(adts() * 2 + b"garbage\xff!" + adts() * 2) == AudioFrames(4, 4096, 9)
    counter.forget()
    assert counter.feed(b"tail of another" + adts()) == AudioFrames(1, 1024, 0)


def test_opus():
    unit = opus_control_header(300) + b"\xfc" + bytes(299)
    counter = AudioFrameCounter(Codec.OPUS)
    assert counter.feed(unit * 2) == AudioFrames(2, 1920, 0)
    assert counter.feed(unit + unit[:-1]) == AudioFrames(1, 960, len(unit) - 1)
    assert counter.feed(b"??") == AudioFrames(0, 0, 2)
    assert counter.sample_rate == 48_000


@given(st.binary(max_size=300), st.sampled_from(list(Codec)))
def test_nothing_raises(data, codec):
    counter = PictureCounter(codec) if codec.is_video else AudioFrameCounter(codec)
    counter.feed(data)
    counter.feed(data)
