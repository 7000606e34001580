"""VP9 and AV1 as files have them: from the first keyframe on, with their sizes, and nothing lost in silence."""

from __future__ import annotations

from dataclasses import replace

import av
import pytest

from recordkit.bitstream.sei import Orientation
from recordkit.encode.mastering import Mastering
from recordkit.encode.whole_frames import WholeFrames
from recordkit.model import Codec
from recordkit.mp4.records import sets_in

from ..mp4 import real


def framer(codec: Codec, told: list[str]) -> WholeFrames:
    return WholeFrames(codec, av.VideoCodecContext.create(codec.value, "r"), told.append)


@pytest.mark.parametrize("codec", [Codec.VP9, Codec.AV1])
def test_it_begins_with_a_keyframe_and_what_is_before_it_is_told(codec: Codec) -> None:
    told: list[str] = []
    way = framer(codec, told)
    units = real.video(codec).units
    begin = next(at for at, unit in enumerate(units) if at and unit.random_access)
    coded = [way.framed(unit, is_key_picture=unit.random_access) for unit in units[begin - 3 :]]
    assert coded[:3] == [None] * 3
    assert [one is not None and one.unit for one in coded[3:]] == list(units[begin:])
    assert (way.skipped_units, way.lacking) == (3, None)
    assert told == ["left out: 3 frames before the first keyframe, which no decoder can show"]


@pytest.mark.parametrize("codec", [Codec.VP9, Codec.AV1])
def test_without_any_keyframe_it_says_what_is_missing(codec: Codec) -> None:
    way = framer(codec, [])
    assert way.lacking is None
    assert way.framed(real.video(codec).units[1], is_key_picture=False) is None
    assert "without a keyframe" in (way.lacking or "")


@pytest.mark.parametrize("codec", [Codec.VP9, Codec.AV1])
def test_another_size_is_another_format(codec: Codec) -> None:
    way = framer(codec, [])
    first, second = (real.video(codec, width, height, 25).units[0] for width, height in ((320, 180), (240, 240)))
    sizes = []
    for unit in (first, second, first):
        coded = way.framed(unit, is_key_picture=True)
        assert coded is not None
        assert sets_in(codec, coded.format.config)
        sizes.append((coded.format.width, coded.format.height))
    assert sizes == [(320, 180), (240, 240), (320, 180)]


def test_delimiters_of_av1_are_left_out_and_a_unit_of_nothing_else_is_none() -> None:
    way = framer(Codec.AV1, [])
    unit = real.video(Codec.AV1).units[0]
    coded = way.framed(replace(unit, data=b"\x12\0" + unit.data), is_key_picture=True)
    assert coded is not None
    assert coded.unit.data == unit.data
    assert way.framed(replace(unit, data=b"\x12\0"), is_key_picture=False) is None


def test_what_the_coding_cannot_say_is_told() -> None:
    graded = Mastering(level=(1000, 400))
    for codec, count in ((Codec.VP9, 2), (Codec.AV1, 1)):
        told: list[str] = []
        framer(codec, told).see(Orientation(16_384), graded)
        assert len(told) == count
        assert "are to be turned" in told[0]
    told = []
    framer(Codec.VP9, told).see(Orientation(), Mastering())
    assert told == []
