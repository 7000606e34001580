"""How many threads libx264 is given, and what happens if one was too little."""

from __future__ import annotations

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest

from recordkit.encode.effort import Effort
from recordkit.encode.video import VideoEncoder
from recordkit.settings import VideoSettings
from recordkit.ticks import TICKS_PER_SECOND

from ..steering import FakeClock

ULTRAFAST = VideoSettings(preset="ultrafast", crf=30)


@pytest.mark.parametrize(
    ("preset", "size", "rate", "threads"),
    [
        ("ultrafast", (1920, 1080), 30, 1),
        ("ultrafast", (1920, 1080), 60, 0),
        ("veryfast", (1280, 720), Fraction(30_000, 1001), 1),
        ("veryfast", (1920, 1080), 30, 0),
        ("medium", (320, 180), 30, 0),
    ],
)
def test_one_thread_is_for_what_takes_a_fraction_of_the_time(preset, size, rate, threads):
    assert Effort(preset, FakeClock()).threads(*size, Fraction(rate)) == threads


class Encoding:
    """In place of libx264: takes ``took_s`` by the clock for each frame."""

    def __init__(self, clock: FakeClock, took_s: float) -> None:
        self.clock, self.took_s = clock, took_s

    def encode(self, picture: object) -> list[object]:
        self.clock.advance(self.took_s)
        return [picture]


def group(effort: Effort, clock: FakeClock, took_s: float) -> bool:
    """A second of frames, of which each takes so long; what the next keyframe says of it."""
    for number in range(10):
        assert effort.encode(Encoding(clock, took_s), number) == [number]
        clock.advance(0.1 - took_s)
    return effort.begin_group()


def test_a_thread_that_is_busy_for_half_of_the_time_gets_company_for_good():
    clock = FakeClock()
    effort = Effort("ultrafast", clock)
    assert effort.begin_group() is False
    assert effort.threads(64, 48, Fraction(30)) == 1
    assert group(effort, clock, 0.049) is False
    assert group(effort, clock, 0.051) is True
    assert effort.threads(64, 48, Fraction(30)) == 0
    # Several threads are never too few, and what is less busy with them stays with them.
    assert group(effort, clock, 0.09) is False
    assert group(effort, clock, 0.01) is False
    assert effort.threads(64, 48, Fraction(30)) == 0


def test_what_was_spent_before_the_last_keyframe_is_forgotten():
    clock = FakeClock()
    effort = Effort("ultrafast", clock)
    assert effort.threads(64, 48, Fraction(30)) == 1
    assert group(effort, clock, 0.04) is False
    clock.advance(3600)
    assert effort.begin_group() is False
    assert group(effort, clock, 0.06) is True


class Racing(FakeClock):
    """Time passes while frames are coded, and only then."""

    def __init__(self) -> None:
        super().__init__()
        self._steps = itertools.cycle((0, 0.01))

    def thread_s(self) -> float:
        self._now += next(self._steps)
        return self._now


def test_the_threads_change_with_a_keyframe_and_no_frame_is_lost(monkeypatch):
    threads = []
    opened = VideoEncoder._opened

    def noted(self, picture, source):
        context, stream_format = opened(self, picture, source)
        if not threads or threads[-1] != context.thread_count:
            threads.append(context.thread_count)
        return context, stream_format

    monkeypatch.setattr(VideoEncoder, "_opened", noted)
    encoder = VideoEncoder(ULTRAFAST, 0, clock=Racing())
    units = []
    for number in range(90):
        image = np.full((48 * 3 // 2, 64), number, np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="yuv420p")
        units += encoder.encode(frame, number * TICKS_PER_SECOND // 30)
    units = [one.unit for one in units + encoder.flush()]
    assert threads == [1, 0]
    assert [one.pts for one in units] == [number * TICKS_PER_SECOND // 30 for number in range(90)]
    assert [number for number, one in enumerate(units) if one.random_access] == [0, 60]
    decoder = av.VideoCodecContext.create("h264", "r")
    shown = [frame for one in units for frame in decoder.decode(av.Packet(one.data))] + decoder.decode(None)
    assert len(shown) == 90
    assert [abs(int(frame.to_ndarray()[0, 0]) - number) <= 8 for number, frame in enumerate(shown)] == [True] * 90
