"""Packets of VP9, AV1 and FLAC are counted by what they show, whatever they are made of."""

from __future__ import annotations

import pytest

from recordkit.bitstream.whole import FlacCounter, WholeCounter
from recordkit.model import Codec

from ..mp4 import real


@pytest.mark.parametrize("codec", [Codec.VP9, Codec.AV1])
def test_each_packet_of_an_encoder_is_a_frame_and_its_keyframes_say_the_size(codec: Codec) -> None:
    counter = WholeCounter(codec)
    units = real.video(codec).units
    assert (counter.width, counter.height) == (0, 0)
    assert [counter.feed(unit.data).pictures for unit in units] == [1] * len(units)
    assert (counter.width, counter.height) == (320, 180)
    for unit in real.video(codec, 240, 240, 2).units:
        counter.feed(unit.data)
    assert (counter.width, counter.height) == (240, 240)


def test_a_frame_of_vp9_that_is_not_shown_is_none() -> None:
    hidden = bytes([0b1000_0100, 0, 0, 0])
    assert WholeCounter(Codec.VP9).feed(hidden).pictures == 0


def test_flac_says_its_rate_or_the_stream_does() -> None:
    counter = FlacCounter(44_100)
    found = counter.feed(b"\xff\xf8\xc0\x18\0\0")  # as STREAMINFO says
    assert (found.frames, found.samples, found.lost_bytes) == (1, 4096, 0)
    assert (counter.sample_rate, counter.channels) == (44_100, 2)
    counter.feed(b"\xff\xf8\xca\x08\0\0")
    assert (counter.sample_rate, counter.channels) == (48_000, 1)
    lost = counter.feed(b"noise")
    assert (lost.frames, lost.lost_bytes) == (0, 5)
