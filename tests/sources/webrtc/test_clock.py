"""RTP times on one timeline: reports, arrival, drift, wraps, and times that go back."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordkit.sources.webrtc.clock import LONGEST_HOLD_S, JointClock
from tests.sources.webrtc.packets import ntp

SECOND = 90_000
AUDIO_RATE = 48_000


class Sender:
    """A stream as its sender counts: its RTP clock runs ``speed`` times as fast as the sender's wall clock."""

    def __init__(self, stream, rate, *, ssrc=1, first=0, speed=1.0, delay_s=0.05):
        self.stream, self.rate, self.ssrc, self.first, self.speed, self.delay_s = (
            stream,
            rate,
            ssrc,
            first,
            speed,
            delay_s,
        )

    def stamp(self, at_s):
        return round(self.first + at_s * self.speed * self.rate) & 0xFFFFFFFF

    def send(self, at_s, late_s=0.0):
        """The time on the stream of a unit captured at ``at_s``."""
        return self.stream.time(self.stamp(at_s), self.rate, self.ssrc, 500.0 + at_s + self.delay_s + late_s)

    def report(self, at_s, off_s=0.0):
        self.stream.report(ntp(at_s + off_s), self.stamp(at_s), self.ssrc)


def pair(**video):
    joint = JointClock()
    audio = Sender(joint.add(is_audio=True), AUDIO_RATE, first=4_294_000_000)
    return joint, Sender(joint.add(is_audio=False), SECOND, **{"ssrc": 2, "first": 77, **video}), audio


def apart(video, audio, at_s):
    """How much later a picture lies than the sound of the same moment, in seconds."""
    return (video.stream.place(video.send(at_s)) - audio.stream.place(audio.send(at_s))) / SECOND


def test_reports_put_delayed_sound_where_it_belongs():
    joint, video, audio = pair()
    audio.delay_s = 0.75
    video.send(0.0)
    audio.send(0.0)
    assert not joint.is_settled(500.8)
    video.report(0.5)
    audio.report(1.0)
    assert joint.is_settled(501.0)
    assert abs(apart(video, audio, 1.0)) < 0.001
    assert video.stream.sync.basis == "sender reports"
    assert video.stream.sync.offset_s == pytest.approx(0.7, abs=0.001)
    assert audio.stream.sync.basis == "reference"


def test_without_reports_the_earliest_arrival_decides_after_three_seconds():
    joint, video, audio = pair()
    chance = random.Random(1)
    for number in range(60):
        at_s = number / 20
        video.send(at_s, late_s=chance.random() * 0.08)
        audio.send(at_s, late_s=chance.random() * 0.08)
        assert joint.is_settled(500.0 + at_s) == (at_s >= LONGEST_HOLD_S)
    assert joint.is_settled(500.0 + LONGEST_HOLD_S)
    assert abs(apart(video, audio, 3.0)) < 0.02
    assert video.stream.sync.basis == "arrival"


def test_one_stream_alone_is_not_held():
    joint = JointClock()
    video = Sender(joint.add(is_audio=False), SECOND)
    assert not joint.is_settled(1.0)
    video.send(0.0)
    assert joint.is_settled(1.0)


def test_a_wrong_offset_is_mended_by_slewing_never_by_a_jump():
    joint, video, audio = pair()
    audio.delay_s = 0.35  # 0.3 s later than the pictures
    video.send(0.0)
    audio.send(0.0)
    joint.is_settled(500.0)
    assert joint.is_settled(503.0)
    assert apart(video, audio, 3.0) == pytest.approx(-0.3, abs=0.001)
    video.report(3.0)
    audio.report(3.0)
    before = video.stream.place(video.send(3.0))
    steps = []
    for number in range(1, 30 * 20):
        now = video.stream.place(video.send(3.0 + number / 30))
        steps.append(now - before)
        before = now
    assert min(steps) >= 3000 * 0.97
    assert max(steps) <= 3000 * 1.03
    assert abs(apart(video, audio, 25.0)) < 0.001


@pytest.mark.parametrize("speed", [1 + 100e-6, 1 - 100e-6])
@pytest.mark.parametrize("with_reports", [True, False])
def test_ten_minutes_of_drift_stay_within_40_ms(speed, with_reports):
    joint, video, audio = pair(speed=speed)
    chance = random.Random(3)
    worst = 0.0
    last = 0
    for number in range(600 * 10):
        at_s = number / 10
        if number % 20 == 0 and with_reports:
            # As aiortc stamps them: up to 32 ms off.
            video.report(at_s, off_s=chance.random() * 0.03)
            audio.report(at_s, off_s=chance.random() * 0.03)
        raw = video.send(at_s, late_s=chance.random() * 0.02)
        sound = audio.send(at_s, late_s=chance.random() * 0.02)
        if joint.is_settled(500.0 + at_s):
            place = video.stream.place(raw)
            assert place > last
            last = place
            worst = max(worst, abs(place - audio.stream.place(sound)))
    assert worst / SECOND < 0.04
    if with_reports:
        assert video.stream.sync.drift_ppm == pytest.approx(1e6 * (speed - 1), abs=20)
        assert audio.stream.sync.drift_ppm is None


def test_a_clock_of_zero_and_reports_far_off_are_not_believed_and_a_clock_that_was_set_is():
    joint, video, audio = pair()
    for at_s in (0.0, 1.0, 2.0):
        for one in (video, audio):
            one.send(at_s)
            one.stream.report(0, one.stamp(at_s), one.ssrc)
            one.report(at_s)
    assert joint.is_settled(502.0)
    video.report(3.0, off_s=40.0)
    assert video.stream.sync.outliers == 1
    assert abs(apart(video, audio, 3.0)) < 0.001
    # The sender's clock is set: both streams' reports step, and three of each tell.
    for at_s in (4.0, 5.0, 6.0):
        video.report(at_s, off_s=100.0)
        audio.report(at_s, off_s=100.0)
    assert abs(apart(video, audio, 7.0)) < 0.1
    for number in range(300):
        apart(video, audio, 8.0 + number / 30)
    assert abs(apart(video, audio, 20.0)) < 0.001


@pytest.mark.parametrize("hours", [-1, 1, 350_000])
def test_reports_of_different_clocks_are_not_believed_and_arrival_goes_on(hours):
    """One stream's from the time of day, the other's from when the machine was switched on."""
    joint, video, audio = pair()
    for number in range(300):
        at_s = number / 30
        for one, off_s in ((video, hours * 3600), (audio, 0.0)):
            one.send(at_s)
            if number % 30 == 0:
                one.report(at_s, off_s=off_s)
        assert joint.is_settled(500.0 + at_s)
        assert abs(apart(video, audio, at_s)) < 0.001
    assert video.stream.sync.basis == "arrival"
    assert video.stream.sync.drift_ppm is None


def test_a_clock_that_is_set_for_one_stream_first_moves_nothing_meanwhile():
    joint, video, audio = pair()
    video.delay_s = 0.35
    for at_s in (0.0, 1.0, 2.0):
        for one in (video, audio):
            one.send(at_s)
            one.report(at_s)
    assert joint.is_settled(502.0)
    assert abs(apart(video, audio, 2.0)) < 0.001
    for at_s in (3.0, 4.0, 5.0):
        video.report(at_s, off_s=100.0)
    for number in range(300):
        assert abs(apart(video, audio, 6.0 + number / 30)) < 0.001
    assert video.stream.sync.basis == "sender reports"


def decimal_digits_for_a_fraction(at_s):
    return int(at_s) << 32 | round(at_s % 1 * 1e6)


@pytest.mark.parametrize("delay_s", [0.05, 0.3])
def test_reports_that_tell_whole_seconds_alone_are_not_believed(delay_s):
    """werift's: the microseconds stand where the binary fraction of the second belongs."""
    joint, video, audio = pair(delay_s=delay_s)
    for number in range(300):
        at_s = number / 30
        for one, every in ((video, 19), (audio, 23)):
            one.send(at_s)
            if number % every == 5:
                one.stream.report(decimal_digits_for_a_fraction(3_000_000_000 + at_s), one.stamp(at_s), one.ssrc)
        if joint.is_settled(500.0 + at_s):
            assert apart(video, audio, at_s) == pytest.approx(delay_s - 0.05, abs=0.001)
    assert video.stream.sync.basis == "arrival"
    assert not audio.stream.has_reports
    assert video.stream.sync.outliers > 10


def test_a_sender_that_reports_at_full_seconds_is_believed_once_that_is_known():
    joint, video, audio = pair(delay_s=0.35)
    for number in range(90):
        at_s = number / 30
        for one in (video, audio):
            one.send(at_s)
            if number % 30 == 0:
                one.stream.report(3_900_000_000 + round(at_s) << 32, one.stamp(at_s), one.ssrc)
                assert one.stream.has_reports == (number == 60)
        assert joint.is_settled(500.0 + at_s) == (number >= 60)
    assert abs(apart(video, audio, 3.0)) < 0.001
    assert video.stream.sync.basis == "sender reports"


def test_reports_that_contradict_each_other_give_way_to_arrival():
    joint, video, audio = pair()
    for number in range(900):
        at_s = number / 30
        for one in (video, audio):
            one.send(at_s)
            if number % 30 == 7:
                one.report(at_s, off_s=0.4 if one is video and number // 30 % 3 else 0.0)
        joint.is_settled(500.0 + at_s)
        apart(video, audio, at_s)
    assert video.stream.sync.basis == "arrival"
    assert abs(apart(video, audio, 30.0)) < 0.02


def test_one_report_that_was_held_up_contradicts_nothing():
    joint, video, audio = pair(delay_s=0.35)
    for number in range(300):
        at_s = number / 30
        for one in (video, audio):
            one.send(at_s)
            if number % 30 == 7:
                one.report(at_s, off_s=0.4 if number == 97 else 0.0)
        if joint.is_settled(500.0 + at_s):
            assert abs(apart(video, audio, at_s)) < 0.001
    assert video.stream.sync.basis == "sender reports"


def test_a_report_before_the_first_packet_counts():
    joint, video, audio = pair()
    video.report(-0.1)
    audio.report(-0.1)
    video.send(0.0)
    audio.send(0.0)
    assert joint.is_settled(500.0)
    assert video.stream.sync.reports == audio.stream.sync.reports == 1


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(-1800, 9000), min_size=1, max_size=60))
def test_timestamps_unwrap_by_signed_difference_and_going_back_adds_no_hours(first, steps):
    """What adds 2^32 ticks, and so 13:19:32 to a recording, elsewhere."""
    joint = JointClock()
    stream = joint.add(is_audio=False)
    origin = stream.time(first, SECOND, 1, 100.0)
    at = 0
    for step in steps:
        at = max(0, at + step)
        assert stream.time((first + at) & 0xFFFFFFFF, SECOND, 1, 100.0 + at / SECOND) - origin == at


def test_a_timestamp_far_back_or_ahead_of_time_is_a_source_that_counts_anew():
    joint = JointClock()
    sender = Sender(joint.add(is_audio=False), SECOND)
    start = sender.send(0.0)
    assert sender.send(5.0) - start == 5 * SECOND
    for first in (-(10**9), 10**9, 12345):
        sender.first = first
        assert sender.send(6.0) - start == pytest.approx(6 * SECOND, abs=2)
    assert sender.stream.sync.jumps == 3


def test_an_outage_is_no_jump_neither_when_time_passes_nor_when_packets_are_held_up():
    joint = JointClock()
    sender = Sender(joint.add(is_audio=False), SECOND)
    start = sender.send(0.0)
    assert sender.send(30.0) - start == 30 * SECOND
    assert sender.send(30.1, late_s=8.0) - start == round(30.1 * SECOND)
    assert sender.send(38.2) - start == round(38.2 * SECOND)
    assert sender.stream.sync.jumps == 0


def test_another_source_goes_on_where_the_arrival_says_and_its_reports_mend_the_rest():
    joint, video, audio = pair()
    for at_s in (0.0, 1.0):
        for one in (video, audio):
            one.send(at_s)
            one.report(at_s)
    assert joint.is_settled(501.0)
    assert abs(apart(video, audio, 1.0)) < 0.001
    video.ssrc, video.first = 9, 123_456
    video.report(1.9)  # before its first packet
    assert apart(video, audio, 2.0) == pytest.approx(0.0, abs=0.001)
    video.ssrc, video.first = 10, 1
    video.delay_s = 0.25
    assert apart(video, audio, 3.0) == pytest.approx(0.2, abs=0.001)
    video.report(3.1)
    for number in range(600):
        apart(video, audio, 3.2 + number / 30)
    assert abs(apart(video, audio, 24.0)) < 0.001
    assert video.stream.sync.jumps == 2


def test_a_stream_that_begins_later_is_placed_at_once():
    joint = JointClock()
    audio = Sender(joint.add(is_audio=True), AUDIO_RATE)
    audio.send(0.0)
    assert joint.is_settled(500.0)
    video = Sender(joint.add(is_audio=False), SECOND, ssrc=2, first=99)
    assert joint.is_settled(510.0)
    assert apart(video, audio, 10.0) == pytest.approx(0.0, abs=0.001)
    joint.remove(audio.stream)
    assert video.stream.place(video.send(11.0)) > 0


@pytest.mark.parametrize("speed", [0, 1 / 90, 1 / 10])
def test_a_clock_that_stands_or_counts_in_another_unit_is_known_by_the_arrivals(speed):
    joint = JointClock()
    stream = joint.add(is_audio=False)
    times = [stream.time(round(number * 3000 * speed), 90_000, 1, 100 + number / 30) for number in range(600)]
    assert stream.is_lost
    assert [after - before for before, after in itertools.pairwise(times[100:])] == pytest.approx(
        [3000] * 499, abs=1
    )
    assert times[-1] - times[0] == pytest.approx(599 * 3000, abs=2)


@pytest.mark.parametrize("fps", [30, 5, 1])
@pytest.mark.parametrize("first", [4_000_000_000, 1000])
def test_a_clock_that_counts_down_is_known_by_the_arrivals(fps, first):
    stream = JointClock().add(is_audio=False)
    step = 90_000 // fps
    times = [
        stream.time((first - number * step) & 0xFFFFFFFF, 90_000, 1, 100 + number / fps) for number in range(150)
    ]
    assert stream.is_lost
    assert times[-1] - times[0] == pytest.approx(149 * step, abs=2)
    steps = [after - before for before, after in itertools.pairwise(times[8:])]
    assert steps == pytest.approx([step] * len(steps), abs=1)


def test_the_order_of_decoding_counts_nothing_down():
    stream = JointClock().add(is_audio=False)
    # Pyramids of sixteen frames: the furthest first, and back in halves.
    for number in range(40):
        for place, at in enumerate((16, 8, 4, 2, 1, 3, 6, 5, 7, 12, 10, 9, 11, 14, 13, 15)):
            stream.time((number * 16 + at) * 3000, 90_000, 1, 100 + (number * 16 + place) / 30)
    assert not stream.is_lost


@pytest.mark.parametrize("held_s", [0.4, 2.5, 8.0])
def test_what_a_network_held_up_keeps_its_times(held_s):
    joint = JointClock()
    stream = joint.add(is_audio=False)
    for number in range(900):
        sent_s = number / 30
        arrival_s = 100 + (max(sent_s, 10 + held_s) if 10 < sent_s < 10 + held_s else sent_s)
        assert stream.time(number * 3000, 90_000, 1, arrival_s) == pytest.approx(
            100 * 90_000 + number * 3000, abs=2
        )
    assert not stream.is_lost
