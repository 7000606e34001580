"""What has been laid: counts, times, and what is told of it."""

from dataclasses import replace

import pytest

from recordkit.model import EventKind
from recordkit.recorder.tally import Tally

from ..steering import AUDIO, FakeClock, unit


class Rig:
    def __init__(self):
        self.clock = FakeClock()
        self.told = []
        self.tally = Tally(self.clock, lambda kind, **fields: self.told.append((kind, fields)))


def test_before_the_first_unit_it_is_empty():
    rig = Rig()
    tally = rig.tally
    assert (tally.video_units, tally.audio_units, tally.first_pts, tally.duration_s, tally.silent_s) == (
        0,
        0,
        None,
        0.0,
        0.0,
    )
    tally.tell_early_ends({})
    tally.tell_late(unit(0), AUDIO)
    assert rig.told == []


def test_it_counts_units_and_the_time_between_the_first_and_the_last():
    rig = Rig()
    for number in (1, 0, 2):  # in the order of decoding
        rig.tally.add(replace(unit(number), random_access=False), 0)
    rig.clock.advance(1.0)
    rig.tally.add(replace(unit(5, stream=1), random_access=False), 0)
    assert (rig.tally.video_units, rig.tally.audio_units) == (3, 1)
    assert (rig.tally.first_pts, rig.tally.end_pts) == (unit(0).pts, unit(6).pts)
    assert rig.tally.duration_s == pytest.approx(6 / 30)
    assert rig.tally.silent_s == 1.0
    assert rig.told == []


def test_media_begins_with_what_is_heard_first():
    rig = Rig()
    for number in range(3):
        rig.tally.add(replace(unit(number, stream=1), random_access=False), 0, heard=lambda one: one.pts + 500)
    assert rig.tally.first_pts == unit(0).pts + 500
    rig.tally.add(replace(unit(0), random_access=False), 0, heard=lambda one: one.pts)
    assert rig.tally.first_pts == unit(0).pts


def test_keyframes_and_breaks_are_told():
    rig = Rig()
    rig.tally.add(unit(0), 0)
    rig.tally.add(replace(unit(3), discontinuity=True), 1316)
    rig.tally.add(replace(unit(6, 77), random_access=True), 2632)
    assert rig.told == [
        (EventKind.KEYFRAME, {"stream": 0, "media_s": 0.0, "offset": 0, "bytes": 1000}),
        (EventKind.DISCONTINUITY, {"stream": 0, "media_s": 0.1}),
        (EventKind.KEYFRAME, {"stream": 0, "media_s": 0.2, "offset": 2632, "bytes": 77}),
    ]


def test_a_stream_that_begins_late_and_one_that_ends_early_are_told(caplog):
    rig = Rig()
    rig.tally.add(unit(1), 0)
    rig.tally.tell_late(unit(91, stream=1), AUDIO)
    rig.tally.add(replace(unit(91, stream=1), random_access=False), 0)
    rig.tally.tell_early_ends({})
    assert rig.told == [
        (EventKind.LATE_STREAM, {"stream": 1, "media_s": 3.0}),
        (EventKind.EARLY_END, {"stream": 0, "missing_s": 3.0}),
    ]
    assert "Stream 1 (aac) begins late, 3.0 s after the others" in caplog.text
    assert "Stream 0 ends before the others, by 3.0 s" in caplog.text


def test_a_stream_that_only_went_on_by_itself_has_ended_before():
    rig = Rig()
    rig.tally.add(unit(1), 0)
    rig.tally.add(replace(unit(1, stream=1), random_access=False), 0)
    rig.tally.tell_early_ends({0: 0.0, 1: 2.5})
    assert rig.told == [(EventKind.EARLY_END, {"stream": 1, "missing_s": 2.5})]


def test_in_a_pause_nothing_is_silent():
    rig = Rig()
    rig.tally.add(replace(unit(0), random_access=False), 0)
    rig.clock.advance(2.0)
    assert rig.tally.silent_s == pytest.approx(2.0)
    rig.tally.told(EventKind.PAUSE, gap="mark")
    rig.clock.advance(60.0)
    assert rig.tally.silent_s == 0.0
    rig.tally.told(EventKind.RESUME, gap="mark")
    rig.clock.advance(1.0)
    assert rig.tally.silent_s == pytest.approx(1.0)
    assert [kind for kind, _ in rig.told] == [EventKind.PAUSE, EventKind.RESUME]
