"""Many pieces of an elementary stream at once: the same as one after the other, or not at all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordkit.bitstream.audio import AudioSpecificConfig, adts_header, opus_control_header
from recordkit.bitstream.counter import AudioFrameCounter, PictureCounter
from recordkit.model import Codec
from recordkit.mpegts.payload import Payload, RawBytes

from .test_counter import IDR, IDR_SECOND_SLICE, INTER, INTER_SECOND_SLICE, MP3, SPS, adts

MONO = adts_header(AudioSpecificConfig(2, 4, 1), 50) + bytes(50)
IN_PROGRAM = adts_header(AudioSpecificConfig(2, 3, 0), 50) + bytes(50)
OTHER_MP3 = bytes.fromhex("FFFB52C4") + bytes(205)
OPUS = [
    opus_control_header(size) + bytes([toc] * size)
    for size, toc in ((1, 0x78), (80, 0xFC), (255, 0x0B), (600, 0x01))
]
TRIMMED = bytes.fromhex("7FF0 50 0010") + bytes(80)
FRAMES = {
    Codec.AAC: [adts(), adts(1), MONO, IN_PROGRAM],
    Codec.MP3: [MP3, OTHER_MP3],
    Codec.OPUS: [*OPUS, TRIMMED],
}
JUNK = [b"\xff", b"\xff\xf1\0\0\0\0\0\0", b"\x7f\xe0\xff\xff\xff\xff\xff\xff\xff", bytes(9)]
NALS = [SPS, IDR, IDR_SECOND_SLICE, INTER, INTER_SECOND_SLICE, b"\0\0\1\x41", b"\0\0\1", b"\0", b"\x80\1"]
H265_NALS = [
    b"\0\0\1\x26\x01\xaf",
    b"\0\0\1\x02\x01\xd0",
    b"\0\0\1\x02\x01\x50",
    b"\0\0\1\x42\x01\x09",
    b"\0\0\1\x02\x01",
]


def pieces_of(made: list[bytes], packet: int) -> tuple[Payload, np.ndarray, np.ndarray]:
    """Pieces behind one another with something between them, in packets of a few bytes."""
    between = b"\0\0\1\xe0\xff\xf1"
    data = b"".join(between + piece for piece in made)
    parts = [data[at : at + packet] for at in range(0, len(data), packet)]
    raw = b"".join(b"head" + part.rjust(packet, b"-") for part in parts) + bytes(8)
    odd = np.flatnonzero([len(part) < packet for part in parts])
    sizes = np.array([len(part) for part in parts])[odd]
    lying = RawBytes(np.frombuffer(raw, np.uint8), packet + 4, packet + 4)
    end = np.cumsum([len(between) + len(piece) for piece in made])
    begin = end - [len(piece) for piece in made]
    return Payload(lying, np.arange(len(parts)), odd, sizes), begin, end


@pytest.mark.parametrize("codec", FRAMES)
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_audio_frames(codec, data):
    frames = st.sampled_from(FRAMES[codec])
    piece = st.lists(frames if data.draw(st.booleans()) else frames | st.sampled_from(JUNK), max_size=3).map(
        b"".join
    )
    made = data.draw(st.lists(piece, min_size=1, max_size=8))
    at_once, by_one = AudioFrameCounter(codec), AudioFrameCounter(codec)
    found = at_once.feed_many(*pieces_of(made, data.draw(st.sampled_from([1, 3, 50, 10_000]))))
    if found is None:
        assert (at_once.sample_rate, at_once.channels) == (0, 0)
        return
    counted = [by_one.feed(one) for one in made]
    assert found.frames.tolist() == [one.frames for one in counted]
    assert found.samples.tolist() == [one.samples for one in counted]
    assert {one.lost_bytes for one in counted} == {0}
    assert (at_once.sample_rate, at_once.channels) == (by_one.sample_rate, by_one.channels)
    assert at_once.feed(FRAMES[codec][0]) == by_one.feed(FRAMES[codec][0])


@pytest.mark.parametrize(("codec", "frames"), [(codec, FRAMES[codec][:4]) for codec in FRAMES])
def test_whole_frames_are_counted_at_once(codec, frames):
    found = AudioFrameCounter(codec).feed_many(*pieces_of([frames[0] * 3, frames[1], b"", frames[-1]], 184))
    assert found is not None
    assert found.frames.tolist() == [3, 1, 0, 1]


@pytest.mark.parametrize(("codec", "nals"), [(Codec.H264, NALS), (Codec.H265, H265_NALS)])
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_pictures(codec, nals, data):
    piece = st.lists(st.sampled_from(nals), max_size=4).map(b"".join)
    made = data.draw(st.lists(piece, min_size=1, max_size=8))
    at_once, by_one = PictureCounter(codec), PictureCounter(codec)
    for counter in (at_once, by_one) if data.draw(st.booleans()) else ():
        counter.feed(nals[0])
    found = at_once.feed_many(*pieces_of(made, data.draw(st.sampled_from([1, 2, 3, 7, 10_000]))))
    if found is None:
        assert any(SPS in one or H265_NALS[3] in one for one in made)
        return
    counted = [by_one.feed(one) for one in made]
    assert found.pictures.tolist() == [one.pictures for one in counted]
    assert found.random_access.tolist() == [one.random_access for one in counted]
    assert (at_once.width, at_once.height) == (by_one.width, by_one.height)
