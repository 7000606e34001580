"""One of libavfilter's filters over frames that may change their size."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from recordkit.encode.filtering import FrameFilter


def frame(number: int, width: int = 64) -> av.VideoFrame:
    made = av.VideoFrame.from_ndarray(np.zeros((72, width), np.uint8), format="yuv420p")
    made.pts, made.time_base, made.duration = number, Fraction(1, 25), 1
    return made


def test_frames_come_at_the_rate_that_was_asked_for() -> None:
    rate = FrameFilter("fps", "50/1")
    found = [one for number in range(10) for one in rate.put(frame(number))] + rate.flush()
    assert len(found) == 20
    assert [float(one.pts * one.time_base) for one in found] == [number / 50 for number in range(20)]
    assert rate.flush() == []


def test_a_new_size_loses_nothing_of_the_one_before() -> None:
    rate = FrameFilter("fps", "25/1")
    widths = [64] * 5 + [128] * 5
    found = [one for number, width in enumerate(widths) for one in rate.put(frame(number, width))] + rate.flush()
    assert [one.width for one in found] == widths


def test_frames_without_a_time_base_are_taken() -> None:
    bare = av.VideoFrame.from_ndarray(np.zeros((72, 64), np.uint8), format="yuv420p")
    bare.pts = 0
    assert len(FrameFilter("hflip", "").put(bare)) == 1
