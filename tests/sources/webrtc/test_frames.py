"""Tracks that are read frame by frame: their times on one timeline, their ends, and whatever they raise."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import av
import pytest
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from recordkit.errors import MediaError
from recordkit.sources.webrtc.frames import FrameClocks, FrameReader
from tests.steering import GUARD_S, FakeClock

SECOND = 90_000


class Track(MediaStreamTrack):
    """Gives a frame for each (time in ticks, seconds that pass before it), then ends as it is told."""

    kind = "video"

    def __init__(self, clock, frames, end=MediaStreamError):
        super().__init__()
        self.clock, self.frames, self.end = clock, list(frames), end

    async def recv(self):
        if not self.frames:
            raise self.end
        ticks, passed_s = self.frames.pop(0)
        self.clock.advance(passed_s)
        frame = av.VideoFrame(16, 16, "yuv420p")
        if ticks is not None:
            frame.pts, frame.time_base = ticks, Fraction(1, SECOND)
        return frame


class Odd(Track):
    """Gives what is no frame."""

    async def recv(self):
        return b"sound"


def read(*tracks, clock):
    """The times that each track's frames are given, and what it ended with."""

    async def run():
        times, ends = [[] for _ in tracks], {}
        clocks = FrameClocks()
        for number, track in enumerate(tracks):
            FrameReader(
                track,
                lambda frame, ticks, number=number: times[number].append(ticks),
                lambda error, number=number: ends.__setitem__(number, error),
                clocks,
                clock,
            )
        async with asyncio.timeout(GUARD_S):
            while len(ends) < len(tracks):
                await asyncio.sleep(0)
        return times, [ends[number] for number in range(len(tracks))]

    return asyncio.run(run())


def test_times_go_on_from_the_first_frames_arrival():
    clock = FakeClock(100.0)
    (times,), ends = read(Track(clock, [(n * 3000, 1 / 30) for n in range(10)]), clock=clock)
    assert [time - times[0] for time in times] == [n * 3000 for n in range(10)]
    assert times[0] == pytest.approx(100 * SECOND, abs=3001)
    assert ends == [None]


def test_frames_that_come_faster_or_slower_than_their_times_say_keep_them():
    for passed_s in (0.0, 0.5):
        clock = FakeClock(100.0)
        (times,), _ = read(Track(clock, [(n * 3000, passed_s) for n in range(200)]), clock=clock)
        assert [time - times[0] for time in times] == [n * 3000 for n in range(200)]


def test_a_gap_in_the_times_is_one():
    clock = FakeClock(100.0)
    (times,), _ = read(Track(clock, [(0, 0.0), (3000, 0.03), (303_000, 0.03), (306_000, 0.03)]), clock=clock)
    assert [time - times[0] for time in times] == [0, 3000, 303_000, 306_000]


def test_frames_without_times_lie_where_they_arrive():
    clock = FakeClock(100.0)
    (times,), _ = read(Track(clock, [(None, 0.0), (None, 0.5)]), clock=clock)
    assert times == [100 * SECOND, round(100.5 * SECOND)]


def test_tracks_of_one_player_share_a_clock_and_others_do_not():
    clock = FakeClock(100.0)
    tracks = Track(clock, [(0, 0.0)]), Track(clock, [(900, 0.15)]), Track(clock, [(50_000_000, 0.0)])
    (first, second, third), _ = read(*tracks, clock=clock)
    assert second[0] - first[0] == 900
    assert third[0] == round(100.15 * SECOND)


def test_tracks_of_one_player_share_a_clock_though_the_first_frame_of_one_comes_late():
    """Decoding it may take a busy machine so long; what is read of another source so late was made so late."""
    clock, player = FakeClock(100.0), object()
    tracks = [Track(clock, [(0, 0.0)]), Track(clock, [(900, 0.9)]), Track(clock, [(0, 0.0)])]
    for track in tracks[:2]:
        track._player = player
    (first, second, third), _ = read(*tracks, clock=clock)
    assert second[0] - first[0] == 900
    assert third[0] - first[0] == round(0.9 * SECOND)


@pytest.mark.parametrize("fault", [ZeroDivisionError("the lens fell off"), MediaError("bad")])
def test_a_track_may_end_with_any_error_and_the_other_goes_on(fault):
    clock = FakeClock(100.0)
    times, ends = read(Track(clock, [], fault), Track(clock, [(n, 0.0) for n in range(50)]), clock=clock)
    assert ends == [fault, None]
    assert len(times[1]) == 50


def test_what_is_no_frame_is_told_with_what_to_do():
    clock = FakeClock(100.0)
    _, (error,) = read(Odd(clock, []), clock=clock)
    assert isinstance(error, MediaError)
    assert "let a MediaPlayer decode" in str(error)


def test_after_close_nothing_is_read_and_nobody_told():
    async def run():
        clock = FakeClock(100.0)
        told = []
        track = Track(clock, [(n, 0.0) for n in range(1000)])
        reader = FrameReader(track, lambda *frame: told.append(frame), told.append, FrameClocks(), clock)
        while len(told) < 3:
            await asyncio.sleep(0)
        reader.close()
        there = len(told), len(track.frames)
        while any(task.get_name() == "recordkit-frames" for task in asyncio.all_tasks()):
            await asyncio.sleep(0)
        assert (len(told), len(track.frames)) == there
        assert track.readyState == "live"

    asyncio.run(run())
