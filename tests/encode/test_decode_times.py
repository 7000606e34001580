"""DTS out of the order in which frames come: never behind PTS, always rising, and no frame off its time."""

import itertools
import random
from fractions import Fraction

import av
import numpy as np
import pytest

from recordkit.encode.decode_times import DecodeTimes

STEP = 3000


def coded(bframes, *, pyramid="none", gop=30, count=60):
    """Numbers of frames in decoding order, and the bytes of the first."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 64, 64, "yuv420p"
    context.time_base, context.framerate, context.max_b_frames = Fraction(1, 30), Fraction(30), bframes
    params = f"keyint={gop}:b-adapt=0:b-pyramid={pyramid}:annexb=1:scenecut=0"
    context.options = {"preset": "ultrafast", "x264-params": params}
    packets = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(np.full((96, 64), number * 3, np.uint8), format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 30)
        packets += context.encode(frame)
    packets += context.encode(None)
    return [packet.pts for packet in packets], bytes(packets[0])


def run(times, order, step=STEP):
    return [one for number in order for one in times.put(number, number * step)] + times.flush()


def check(timed):
    assert all(one.dts <= one.pts for one in timed)
    assert all(before.dts < after.dts for before, after in itertools.pairwise(timed))


@pytest.mark.parametrize("step", [STEP, 90_000])
@pytest.mark.parametrize(("bframes", "pyramid"), [(0, "none"), (1, "none"), (2, "none"), (3, "strict")])
def test_frames_of_an_encoder_keep_their_times(bframes, pyramid, step):
    order, first = coded(bframes, pyramid=pyramid)
    times = DecodeTimes()
    times.learn(first)
    assert times.reorder == (0 if not bframes else 2 if pyramid == "strict" else 1)
    timed = run(times, order, step)
    assert [one.item for one in timed] == order
    check(timed)
    assert [one.pts for one in timed] == [number * step for number in order]
    assert not any(one.is_late for one in timed)
    assert max(one.pts - one.dts for one in timed) <= (bframes + 3) * step


def test_frames_in_order_wait_for_nothing():
    times = DecodeTimes()
    assert [times.put(number, number * STEP)[0][1:] for number in range(5)] == [
        (number * STEP, number * STEP, False) for number in range(5)
    ]


def test_what_a_stream_does_not_say_is_learned_from_the_first_frames_that_show_it():
    order, _ = coded(2)
    timed = run(DecodeTimes(), order)
    check(timed)
    assert sum(one.is_late for one in timed) <= 2
    assert [one.pts for one in timed][6:] == [number * STEP for number in order][6:]


def test_behind_a_gap_decoding_times_stand_near():
    order, first = coded(2, count=30)
    times = DecodeTimes()
    times.learn(first)
    timed = run(times, [*order, *(number + 600 for number in order)])
    check(timed)
    assert max(one.pts - one.dts for one in timed) <= 4 * STEP
    assert not any(one.is_late for one in timed)


def test_frames_of_a_stream_that_is_not_reordered_and_comes_late_go_right_behind():
    times = DecodeTimes()
    _, first = coded(0)
    times.learn(first)
    timed = run(times, [0, 1, 2, 3, 2, 4])
    check(timed)
    assert [one.is_late for one in timed] == [False] * 4 + [True, False]
    assert timed[4].pts == 3 * STEP + 1


def test_whatever_the_times_they_rise_between_restarts():
    dice = random.Random(3)
    times = DecodeTimes()
    now = 0
    for _ in range(2000):
        now += dice.choice((STEP, STEP, -2 * STEP, 0, 100 * STEP, -40 * STEP))
        for one in times.put(0, now):
            assert one.dts <= one.pts
