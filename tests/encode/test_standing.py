"""The last frame while it stands: repeated if its coding allows it, and told once if it does not."""

from __future__ import annotations

import pytest

from recordkit.encode.standing import STEP, StandingFrame
from recordkit.model import Codec

from ..mp4 import real


@pytest.fixture
def told() -> list[str]:
    return []


def test_a_frame_of_h264_is_shown_again_where_it_is_asked_for(told: list[str]) -> None:
    standing = StandingFrame(Codec.H264, told.append)
    units = real.video(Codec.H264).units
    for unit in units:
        standing.follow(unit)
    newest = max(unit.pts for unit in units)
    again = standing.again(3, newest + 100, shown_after=7)
    assert again is not None
    assert (again.stream, again.dts, again.pts, again.duration) == (3, newest + 100, newest + 107, STEP)
    assert again.data not in (b"", units[-1].data)
    assert told == []


def test_between_b_frames_that_are_shown_later_there_is_no_room(told: list[str]) -> None:
    standing = StandingFrame(Codec.H264, told.append)
    units = real.video(Codec.H264).units
    ahead = next(at for at, unit in enumerate(units) if at and unit.pts - unit.dts > unit.duration)
    for unit in units[: ahead + 1]:
        standing.follow(unit)
    shown = units[ahead].pts
    assert standing.again(0, shown - 1) is None
    assert len(told) == 1
    assert standing.again(0, shown) is not None


@pytest.mark.parametrize("codec", [Codec.H265, Codec.VP9, Codec.AV1])
def test_what_cannot_be_repeated_is_told_once(codec: Codec, told: list[str]) -> None:
    standing = StandingFrame(codec, told.append)
    standing.follow(real.video(codec).units[0])
    assert standing.again(0, 10_000_000) is None
    assert standing.again(0, 20_000_000) is None
    (words,) = told
    assert f"({codec}) cannot be repeated" in words


def test_nothing_stands_before_the_first_frame(told: list[str]) -> None:
    assert StandingFrame(Codec.H264).again(0, 0) is None
