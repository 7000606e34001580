"""From packets to units on one timeline: loss, outages, other sources, keyframes asked for; all accounted for."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordkit.model import EventKind, Received
from recordkit.sources.webrtc.assembly import MediaPacket
from recordkit.sources.webrtc.clock import LONGEST_HOLD_S
from recordkit.sources.webrtc.keyframes import INTERVAL_S
from recordkit.sources.webrtc.reception import Reception
from tests.sources.webrtc.packets import film, ntp, packets, picture, talk
from tests.steering import FakeClock

SECOND = 90_000
END = 4_294_900_000 + 600 * SECOND & 0xFFFFFFFF  # an RTP time behind all packets


class Taker:
    """A sink that keeps what it gets, and refuses what it is told to."""

    def __init__(self):
        self.units = []
        self.events = []
        self.stood = []
        self.silences = []
        self.has_room = True

    def put(self, unit, stream):
        if not unit.data:
            self.stood.append(unit.ticks)
            return True
        if self.has_room:
            self.units.append((unit, stream))
        return self.has_room

    def put_frame(self, frame, ticks, stream):
        raise AssertionError("no frames here")

    def note(self, kind, **fields):
        (self.silences if fields.get("part") == "sender" else self.events).append((kind, fields))

    @property
    def pictures(self):
        return [unit for unit, _ in self.units if unit.is_video]

    @property
    def sounds(self):
        return [unit for unit, _ in self.units if not unit.is_video]


class Rig:
    """A reception whose clock follows the packets."""

    def __init__(self, *, video=True, audio=True, on_outage=None, is_open=True, takes_together=lambda: False):
        self.clock = FakeClock(100.0)
        self.taker = Taker()
        self.reception = Reception(self.taker, self.clock, on_outage, takes_together=takes_together)
        if is_open:
            self.reception.open()
        self.video = self.reception.add(is_audio=False) if video else None
        self.audio = self.reception.add(is_audio=True) if audio else None
        self.asked_s = []
        self.poll_s = 100.05
        if video:
            self.video.request_keyframe = lambda: self.asked_s.append(self.clock.monotonic()) is None

    def run(self, *streams):
        """Deliver (stream, packet) pairs by time of arrival, and poll as the listener does."""
        for stream, packet in sorted(itertools.chain(*streams), key=lambda pair: pair[1].arrival_s):
            self.until(packet.arrival_s)
            if stream.take([packet]):
                self.asked_s.append(packet.arrival_s)

    def until(self, now_s):
        while self.poll_s <= now_s:
            self.clock.advance(max(0.0, self.poll_s - self.clock.monotonic()))
            self.reception.poll()
            self.poll_s += 0.05
        self.clock.advance(max(0.0, now_s - self.clock.monotonic()))

    def end(self):
        self.reception.close()
        return self.taker


def of(stream, made, **settings):
    return [(stream, packet) for packet in packets(made, **settings)]


def test_both_streams_come_out_in_order_of_time_on_one_timeline():
    rig = Rig()
    rig.video.report(ntp(0), 4_294_900_000, 1)
    rig.audio.report(ntp(0), 1000, 2)
    # Sound arrives 0.7 s late; the reports tell.
    sound = of(rig.audio, talk(100), ssrc=2, timestamp=1000, delay_s=0.7)
    rig.run(of(rig.video, film(60)), sound)
    taker = rig.end()
    assert len(taker.pictures) == 60
    assert len(taker.sounds) == 100
    first, heard = taker.pictures[0].ticks, taker.sounds[0].ticks
    assert abs(first - heard) < 90
    assert [unit.ticks - first for unit in taker.pictures] == pytest.approx([3000 * n for n in range(60)], abs=90)
    assert [unit.ticks - heard for unit in taker.sounds] == [1800 * n for n in range(100)]
    held = [unit.ticks for unit, _ in taker.units[:22]]
    assert held == sorted(held)


def test_audio_that_came_together_goes_on_as_one_if_the_sink_takes_that():
    takes = [True]
    rig = Rig(video=False, takes_together=lambda: takes[0])
    sent = list(packets(talk(40), ssrc=2))
    for at in range(0, 40, 5):
        takes[0] = at != 20
        rig.clock.advance(0.1)
        rig.audio.take(sent[at : at + 5])
    taker = rig.end()
    # The first ones are held, to be placed one by one.
    assert [len(unit.packets) for unit in taker.sounds] == [1] * 5 + [5] * 3 + [1] * 5 + [5] * 3
    assert [data for unit in taker.sounds for data in unit.packets] == [packet.data for packet in sent]
    first = taker.sounds[0].ticks
    ends = [unit.ticks + unit.duration for unit in taker.sounds]
    assert [unit.ticks for unit in taker.sounds] == [first, *ends[:-1]]
    assert rig.reception.counters.received_units == 40


def test_nothing_is_held_longer_than_three_seconds():
    rig = Rig()
    rig.run(of(rig.video, film(200)))
    rig.until(rig.clock.monotonic() + 0.3)  # the last might go on
    assert len(rig.taker.pictures) == 200
    rig = Rig()
    rig.run(of(rig.video, film(round(LONGEST_HOLD_S * 30) - 1)))
    assert rig.taker.units == []
    assert len(rig.end().pictures) == round(LONGEST_HOLD_S * 30) - 1


def test_three_percent_of_loss_and_jitter_leave_no_damaged_picture_and_every_packet_in_an_account():
    rig = Rig(audio=False)
    chance = random.Random(7)
    made = film(900, keys=tuple(range(0, 900, 30)))
    sent = list(packets(made))
    kept = [packet for packet in sent if chance.random() >= 0.03]
    rig.run([(rig.video, _later(packet, chance.random() * 0.05)) for packet in kept])
    taker = rig.end()
    whole = {unit.data for unit in made}
    assert all(unit.data in whole for unit in taker.pictures)
    counters = rig.reception.counters
    assert counters.packets == len(kept)
    assert counters.lost_packets == pytest.approx(len(sent) - len(kept), abs=5)  # those at the end nobody misses
    assert counters.received_units + counters.dropped_units == pytest.approx(900, abs=30)
    for unit, before in itertools.pairwise(reversed(taker.pictures)):
        assert unit.discontinuity == (unit.ticks - before.ticks > 3100)
        assert unit.is_entry or not unit.discontinuity


def _later(packet, seconds):
    return replace(packet, arrival_s=packet.arrival_s + seconds)


def test_keyframes_are_asked_for_after_a_loss_at_once_and_then_twice_a_second():
    rig = Rig(audio=False)
    made = film(90)
    lost = of(rig.video, made)
    del lost[45]
    rig.run(lost)
    gap_s = lost[45][1].arrival_s
    # While it is waited for half a second, since it might come yet.
    assert rig.asked_s[0] == pytest.approx(gap_s + 0.1, abs=0.05)
    assert all(later - one >= 0.5 for one, later in itertools.pairwise(rig.asked_s))
    assert rig.reception.counters.keyframe_requests == len(rig.asked_s) > 2


@pytest.mark.parametrize("sends_again", [True, False])
def test_a_keyframe_is_asked_for_while_what_is_missing_is_waited_for_unless_it_may_be_sent_again(sends_again):
    rig = Rig(audio=False)
    pairs = of(rig.video, film(60))
    if sends_again:
        stream, packet = pairs[10]
        pairs[10] = stream, _later(packet, 0.1)
    lost_s = pairs.pop(45)[1].arrival_s
    rig.run(pairs)
    assert rig.asked_s[0] - lost_s == pytest.approx(0.33 if sends_again else 0.13, abs=0.05)


@pytest.mark.parametrize(("codec", "asked"), [("h264", 3), ("vp8", 0)])
def test_keyframes_are_asked_for_where_the_sender_sends_none(codec, asked):
    rig = Rig(audio=False)
    rig.run(of(rig.video, film(300, codec=codec)))
    assert len(rig.asked_s) == asked
    assert rig.asked_s == pytest.approx([100 + INTERVAL_S * (n + 1) for n in range(asked)], abs=0.1)


def test_keyframes_that_come_by_themselves_are_not_asked_for():
    rig = Rig(audio=False)
    rig.run(of(rig.video, film(300, keys=tuple(range(0, 300, 60)))))
    assert rig.asked_s == []


def test_a_recorder_without_room_needs_a_keyframe_once_it_has_some():
    rig = Rig(audio=False)
    rig.run(of(rig.video, film(30)))
    rig.taker.has_room = False
    rig.run(of(rig.video, [picture(number) for number in range(30, 40)], sequence=65_090))
    assert len(rig.asked_s) == 1
    rig.taker.has_room = True
    rig.run(of(rig.video, [picture(40, key=True), picture(41)], sequence=65_120))
    assert rig.reception.counters.refused_units == 10
    assert len(rig.asked_s) == 1


@pytest.mark.parametrize("seconds", [0.1, 2, 30])
def test_an_outage_is_noted_and_the_timeline_keeps_its_length(seconds):
    outages = []
    rig = Rig(on_outage=lambda: outages.append(1))
    steps = round(seconds * 50)
    for stream, ssrc, timestamp in ((rig.video, 1, 4_294_900_000), (rig.audio, 2, 1000)):
        stream.report(ntp(0), timestamp, ssrc)
    video = film(60 + round(seconds * 30), keys=(0, 30 + round(seconds * 30) + 2))
    sound = talk(100 + steps)
    gone = range(round(100 * SECOND), round((100 + seconds) * SECOND))
    pairs = of(rig.video, video) + of(rig.audio, sound, ssrc=2, timestamp=1000)
    rig.run([pair for pair in pairs if round((pair[1].arrival_s - 1) * SECOND) not in gone])
    taker = rig.end()
    kinds = [kind for kind, _ in taker.events]
    assert kinds == ([EventKind.RECONNECT, EventKind.GAP] if seconds >= 1 else [])
    assert len(outages) == (seconds >= 1)
    for kind, fields in taker.events:
        assert fields["seconds"] == pytest.approx(seconds, abs=0.2), kind
    for units, step in ((taker.pictures, 3000), (taker.sounds, 1800)):
        assert units[-1].ticks - units[0].ticks == pytest.approx(
            (60 + seconds * 30 - 1) * 3000 if step == 3000 else (100 + steps - 1) * 1800, abs=90
        )
        assert sum(unit.discontinuity for unit in units) == 1


def test_one_stream_that_falls_silent_alone_is_no_outage_and_loses_no_time():
    """A camera that is muted by taking its track away, while the microphone goes on."""
    outages = []
    rig = Rig(on_outage=lambda: outages.append(1))
    for stream, ssrc, timestamp in ((rig.video, 1, 4_294_900_000), (rig.audio, 2, 1000)):
        stream.report(ntp(0), timestamp, ssrc)
    muted = [unit for unit in film(150, keys=(0, 120)) if not 30 * 3000 <= unit.ticks < 120 * 3000]
    rig.run(of(rig.video, muted), of(rig.audio, talk(250), ssrc=2, timestamp=1000))
    taker = rig.end()
    assert outages == []
    assert taker.events == [], "the sender lives and no packet is missing: the last frame stood, and that is no gap"
    assert [unit.ticks - taker.pictures[0].ticks for unit in taker.pictures] == pytest.approx(
        [unit.ticks for unit in muted], abs=2
    )
    assert len(taker.sounds) == 250
    counters = rig.reception.counters
    assert (counters.lost_packets, counters.dropped_units) == (0, 0)
    assert counters.keyframe_requests == 1
    assert rig.asked_s == pytest.approx([100 + INTERVAL_S], abs=0.1), (
        "three seconds after the last, though nothing came"
    )


@pytest.mark.parametrize("reports", [True, False])
@pytest.mark.parametrize("seconds", [2, 30])
def test_a_frame_that_stands_is_no_gap_while_reports_come(seconds, reports):
    """A page on which nothing moves. Without reports the sender may have been gone as well."""
    rig = Rig(audio=False)
    rig.run(of(rig.video, film(30)))
    for _ in range(seconds):
        rig.until(rig.clock.monotonic() + 1)
        if reports:
            rig.video.report(ntp(0), 4_294_900_000, 1)
    later = [picture(30 + seconds * 30 + number) for number in range(30)]
    rig.run(of(rig.video, later, sequence=65_000 + 90))
    taker = rig.end()
    kinds = [kind for kind, _ in taker.events]
    assert kinds == ([] if reports or seconds < 5 else [EventKind.RECONNECT, EventKind.GAP])
    assert len(taker.pictures) == 60
    # Told again and again as long as the sender is known to live, each time just behind its last report.
    stood_s = [(ticks - taker.pictures[29].ticks) / SECOND for ticks in taker.stood]
    assert stood_s == pytest.approx([4 * n - 0.9 for n in range(1, 8 if reports else 1) if seconds > 2], abs=0.5)
    assert [kind for kind, _ in taker.silences] == ([EventKind.DEGRADED, EventKind.RESTORED] if seconds > 2 else [])


@pytest.mark.parametrize("seconds", [3, 4.5, 6.5])
def test_frames_that_a_network_holds_back_and_then_lets_through_at_once_keep_their_times(seconds):
    """The frame before them did not stand: nothing that came of the sender since says so."""
    rig = Rig(audio=False)
    rig.run(of(rig.video, film(30)))
    rig.video.report(ntp(0), 4_294_900_000, 1)
    count = int(seconds * 30)
    held = of(rig.video, [picture(30 + number) for number in range(count)], sequence=65_000 + 90)
    rig.until(rig.clock.monotonic() + seconds)
    now_s = rig.clock.monotonic()
    rig.run([(stream, _later(packet, now_s - packet.arrival_s)) for stream, packet in held])
    taker = rig.end()
    assert [unit.ticks - taker.pictures[0].ticks for unit in taker.pictures] == [
        n * 3000 for n in range(30 + count)
    ]
    assert taker.stood == []


@pytest.mark.parametrize(("seconds", "stands"), [(0.5, False), (1.9, False), (2.1, True), (3.9, True)])
def test_the_last_frame_stands_to_the_end(seconds, stands):
    rig = Rig(audio=False)
    rig.run(of(rig.video, film(30)))
    rig.until(100 + 29 / 30 + seconds)
    taker = rig.end()
    assert [(ticks - taker.pictures[-1].ticks) / SECOND for ticks in taker.stood] == (
        [pytest.approx(seconds, abs=0.05)] if stands else []
    )


@pytest.mark.parametrize(("seconds", "stands"), [(0.1, False), (3.0, True)])
def test_the_last_frame_stands_until_its_source_says_goodbye(seconds, stands):
    """After which it is waited for: for another one, perhaps."""
    rig = Rig(audio=False)
    rig.run(of(rig.video, film(30)))
    rig.until(100 + 29 / 30 + seconds)
    rig.video.goodbye([1])
    rig.until(rig.clock.monotonic() + 2.2)
    taker = rig.end()
    assert [(ticks - taker.pictures[-1].ticks) / SECOND for ticks in taker.stood[-1:]] == (
        [pytest.approx(seconds, abs=0.05)] if stands else []
    )


@pytest.mark.parametrize("lives", [True, False])
def test_nothing_stands_behind_a_loss_or_when_the_sender_is_gone(lives):
    rig = Rig(audio=False)
    pairs = of(rig.video, film(30))
    if lives:
        del pairs[-5]
    rig.run(pairs)
    for _ in range(3):
        rig.until(rig.clock.monotonic() + 3)
        if lives:
            rig.video.lives()
    taker = rig.end()
    assert taker.stood == []
    assert not any(unit.discontinuity for unit in taker.pictures)


@pytest.mark.parametrize("pause", [20, 21, 1500])
def test_sound_that_is_not_sent_while_there_is_silence_is_no_loss(pause):
    """Opus DTX (RFC 7587, 3.1.3): timestamps go on, sequence numbers do not; reports tell that the sender lives."""
    rig = Rig(video=False)
    spoken = [unit for number, unit in enumerate(talk(pause + 40)) if not 20 <= number < 20 + pause]
    sent = of(rig.audio, spoken)
    rig.run(sent[:20])
    while sent[20][1].arrival_s - rig.clock.monotonic() > 5:
        rig.until(rig.clock.monotonic() + 5)
        rig.audio.lives()
    rig.run(sent[20:])
    taker = rig.end()
    first = taker.sounds[0].ticks
    assert [unit.ticks - first for unit in taker.sounds] == [unit.ticks for unit in spoken]
    assert not any(unit.discontinuity for unit in taker.sounds)
    assert rig.reception.counters.lost_packets == 0


def test_audio_behind_a_time_in_which_nothing_at_all_lived_tells_that_some_is_missing():
    rig = Rig(video=False)
    rig.run(of(rig.audio, [unit for number, unit in enumerate(talk(600)) if not 20 <= number < 520]))
    assert [number for number, unit in enumerate(rig.end().sounds) if unit.discontinuity] == [20]


def with_reports(stream, pairs, *, ssrc=1, before=17):
    """What arrives for ``pairs``: all of them counted by a report a second, even those that are None."""
    sent = 0
    for pair in pairs:
        sent += 1
        if pair is not None:
            yield pair
        if sent % 90 == 0:
            stream.sent(before + sent, 0, ssrc, END)
    stream.sent(before + sent, 0, ssrc, END)


def test_what_waited_to_be_read_is_no_still_and_what_is_missing_in_it_is_waited_for():
    rig = Rig(audio=False)
    pairs = of(rig.video, film(180))
    rig.run(pairs[:30])
    rig.clock.advance(5.5)
    for stream, packet in (pair for number, pair in enumerate(pairs[30:480]) if number != 100):
        stream.take([packet])
    rig.reception.poll()
    assert rig.taker.stood == []
    rig.video.take([pairs[130][1]])
    for stream, packet in pairs[480:]:
        stream.take([packet])
    taker = rig.end()
    assert len(taker.pictures) == 180
    assert rig.reception.counters.lost_packets == 0


def test_packets_that_are_lost_behind_the_last_that_came_are_told_while_it_stands_and_counted_at_the_end():
    rig = Rig(audio=False)
    pairs = of(rig.video, film(121))
    lost = [pair if number < 361 else None for number, pair in enumerate(pairs)]
    for pair in with_reports(rig.video, lost):
        rig.run([pair])
    asked = len(rig.asked_s)
    for second in range(1, 5):
        rig.until(104 + second)
        rig.video.sent(17 + 363, 0, 1, END)
    taker = rig.end()
    told = [(kind, fields) for kind, fields in taker.events if kind is not EventKind.KEYFRAME]
    assert [kind for kind, _ in told] == [EventKind.DEGRADED, EventKind.GAP]
    assert "2 packets more than came" in told[0][1]["because"]
    assert told[1][1] == {"stream": 0, "packets": 2, "filled": False}
    assert len(rig.asked_s) > asked
    counters = rig.reception.counters
    assert (counters.packets, counters.lost_packets, counters.dropped_units) == (361, 2, 1)


def test_packets_that_seemed_lost_at_the_end_are_counted_once_when_others_follow():
    rig = Rig(audio=False)
    pairs = of(rig.video, film(151, keys=(0, 130)))
    later = [(stream, replace(packet, arrival_s=packet.arrival_s + 3)) for stream, packet in pairs[363:]]
    lost = [pair if number < 361 else None for number, pair in enumerate(pairs[:363])]
    for pair in with_reports(rig.video, lost):
        rig.run([pair])
    rig.run(later)
    kinds = [kind for kind, _ in rig.end().events]
    assert kinds == [EventKind.DEGRADED, EventKind.RECONNECT, EventKind.RESTORED]
    assert rig.reception.counters.lost_packets == 2


@pytest.mark.parametrize("another_takes_over", [False, True])
def test_a_source_that_says_goodbye_lets_know_at_once_what_is_missing(another_takes_over):
    rig = Rig(audio=False)
    pairs = of(rig.video, film(120))
    for pair in with_reports(rig.video, [*pairs, None, None, None]):
        rig.run([pair])
    rig.video.goodbye([1])
    if another_takes_over:
        later = [picture(number, key=number == 120) for number in range(120, 150)]
        rig.run(of(rig.video, later, ssrc=5, sequence=7, timestamp=123))
    rig.end()
    assert rig.reception.counters.lost_packets == 3


@pytest.mark.parametrize("seed", range(6))
def test_packets_that_are_taken_together_are_as_if_they_came_one_by_one(seed):
    def taken(*, together):
        rig, chance = Rig(audio=False), random.Random(seed)
        sent = [packet for _, packet in of(rig.video, film(150, keys=(0, 60, 100)), sequence=65_400)]
        for _ in range(seed):  # none at first
            at = chance.randrange(30, len(sent) - 10)
            lost = sent.pop(at)
            if chance.random() < 0.5:
                sent.insert(at + 5, replace(lost, arrival_s=sent[at + 4].arrival_s))
        while sent:
            count = chance.randrange(1, 40)
            come, sent = sent[:count], sent[count:]
            rig.until(come[-1].arrival_s)
            for some in [come] if together else [[packet] for packet in come]:
                rig.video.take(some)
        rig.until(rig.clock.monotonic() + 1)
        units = [(one.data, one.ticks, one.is_entry, one.discontinuity) for one in rig.end().pictures]
        # They may ask for a keyframe once for all of them.
        return units, replace(rig.reception.counters, keyframe_requests=0), [kind for kind, _ in rig.taker.events]

    one_by_one = taken(together=False)
    assert taken(together=True) == one_by_one
    assert len(one_by_one[0]) == 150 if not seed else len(one_by_one[0]) > 60


def test_another_source_takes_over_without_mixing():
    rig = Rig(audio=False)
    rig.run(of(rig.video, film(30)))
    later = [picture(number, key=number == 30) for number in range(30, 60)]
    stragglers = of(rig.video, [picture(30)], sequence=65_090)
    rig.run(of(rig.video, later, ssrc=5, sequence=7, timestamp=123), stragglers)
    taker = rig.end()
    assert [unit.data for unit in taker.pictures] == [unit.data for unit in [*film(30), *later]]
    assert [unit.ticks - taker.pictures[0].ticks for unit in taker.pictures] == pytest.approx(
        [3000 * number for number in range(60)], abs=2
    )
    counters = rig.reception.counters
    assert (counters.packets, counters.received_units, counters.lost_packets) == (3 * 60, 60, 0)


def test_counters_of_ended_streams_stay_and_count_what_was_held():
    rig = Rig()
    rig.run(of(rig.video, film(5)), of(rig.audio, talk(5), ssrc=2))
    before = rig.reception.counters
    assert (before.packets, before.received_units) == (15 + 5, 0)
    rig.audio.end()
    rig.end()
    assert rig.reception.counters == before + Received(received_units=5 + 5)
    assert rig.reception.streams == ()


def test_before_it_is_open_nothing_counts():
    rig = Rig(audio=False, is_open=False)
    rig.run(of(rig.video, film(30)))
    rig.reception.open()
    rig.run(of(rig.video, [picture(number, key=number == 35) for number in range(30, 40)]))
    rig.until(rig.clock.monotonic() + 0.3)
    assert [unit.ticks - rig.taker.pictures[0].ticks for unit in rig.taker.pictures] == [0, 3000, 6000, 9000, 12000]
    assert rig.asked_s == []


def troubles(taker):
    return [
        (kind, fields["part"]) for kind, fields in taker.events if kind in (EventKind.DEGRADED, EventKind.RESTORED)
    ]


def test_packets_of_which_no_frame_comes_are_told_within_three_seconds_and_why():
    rig = Rig(audio=False)
    bare = [replace(picture(number), data=bytes.fromhex("000000016588") + bytes(500)) for number in range(100)]
    rig.run(of(rig.video, bare[:70]))
    assert troubles(rig.taker) == []
    rig.run(of(rig.video, bare[70:], sequence=65_140))
    ((kind, fields),) = rig.taker.events
    assert (kind, fields["part"]) == (EventKind.DEGRADED, "video")
    assert "parameter sets" in fields["because"]
    assert "frames" in fields["because"]
    rig.run(of(rig.video, [picture(number, key=number == 100) for number in range(100, 110)], sequence=65_200))
    assert troubles(rig.end()) == [(EventKind.DEGRADED, "video"), (EventKind.RESTORED, "video")]


def test_a_stream_that_ends_without_a_frame_says_why():
    rig = Rig(audio=False)
    rig.run(of(rig.video, [picture(number) for number in range(40)]))
    assert troubles(rig.taker) == []
    taker = rig.end()
    assert troubles(taker) == [(EventKind.DEGRADED, "video")]
    assert "no keyframe came in spite of 3 requests" in taker.events[0][1]["because"]


CODINGS = {False: (("h264", 90_000), ("vp8", 90_000)), True: (("opus", 48_000), ("pcm_mulaw", 8_000))}
KEY, OTHER = (picture(0, key=key).data[:40] for key in (True, False))
HEADS = (b"", b"\0", b"\0\0\1", b"\0\0\0\1\x67", b"\xff\xff", KEY, OTHER)


class Hostile:
    """A stream whose sender says whatever its dice say."""

    def __init__(self, stream, dice, ssrc):
        self.stream, self.dice, self.ssrc = stream, dice, ssrc
        self.sequence, self.timestamp = dice.randrange(1 << 16), dice.randrange(1 << 32)
        self.coding = CODINGS[stream.is_audio][0]

    def send(self, now_s):
        dice, chance = self.dice, self.dice.random
        self.sequence += dice.choice((1, 1, 1, 1, 1, 1, 0, 2, 3, -1, -5, 100, 2999, 3001, -1000, -1001, 40_000))
        self.timestamp += dice.choice(
            (0, 0, 1800, 1800, 1, -3000, 5 * SECOND, -60 * SECOND, 1 << 31, (1 << 31) - 1)
        )
        if chance() < 0.01:
            self.ssrc = dice.randrange(5)
        if chance() < 0.01:
            self.coding = dice.choice(CODINGS[self.stream.is_audio])
        stamp = self.timestamp & 0xFFFFFFFF
        if chance() < 0.02:
            self.stream.report(dice.choice((0, 1, 2**64 - 1, dice.randrange(2**64), ntp(now_s))), stamp, self.ssrc)
        data = dice.choice(HEADS) + dice.randbytes(dice.choice((0, 0, 1, 3, 50, 1200)))
        packet = MediaPacket(*self.coding, self.ssrc, self.sequence & 0xFFFF, stamp, chance() < 0.5, data, now_s)
        return self.stream.take([packet])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32))
def test_whatever_a_sender_sends_nothing_is_raised_and_the_accounts_are_right(seed):
    dice = random.Random(seed)
    rig = Rig()
    senders = [Hostile(rig.video, dice, 1), Hostile(rig.audio, dice, 2)]
    last_asked_s = float("-inf")
    for _ in range(dice.randrange(10, 600)):
        rig.clock.advance(dice.choice((0, 0, 0, 0.001, 0.03, 0.03, 0.2, 1.5)))
        if dice.random() < 0.3:
            rig.reception.poll()
        rig.taker.has_room = dice.random() < 0.95
        now_s = rig.clock.monotonic()
        if dice.choice(senders).send(now_s):
            assert now_s - last_asked_s >= 0.5
            last_asked_s = now_s
    rig.taker.has_room = True
    taker = rig.end()
    counters = rig.reception.counters
    assert len(taker.units) == counters.received_units - counters.refused_units
    assert min(counters.packets, counters.lost_packets, counters.late_packets, counters.dropped_units) >= 0
    assert all(unit.data for unit, _ in taker.units)
    # Neither 2^32 nor 2^64 gets into the times: pictures of two seconds a packet at the most.
    ticks = [unit.ticks for unit, _ in taker.units]
    assert not ticks or max(ticks) - min(ticks) < 2 * 600 * 2 * SECOND


class Keeper:
    """Keeps what is held safe meanwhile, as long as it has room."""

    def __init__(self, room=10_000):
        self.units = []
        self.room = room

    def __call__(self, unit, stream):
        self.units.append(unit)
        return len(self.units) <= self.room


def early_rig(keeper):
    rig = Rig()
    rig.reception = Reception(rig.taker, rig.clock, early=keeper)
    rig.reception.open()
    rig.video, rig.audio = rig.reception.add(is_audio=False), rig.reception.add(is_audio=True)
    return rig


def test_what_is_held_is_kept_safe_by_its_arrival_and_then_told_to_have_come():
    keeper = Keeper()
    rig = early_rig(keeper)
    rig.run(of(rig.video, film(40)), of(rig.audio, talk(66), ssrc=2, timestamp=1000))
    assert rig.taker.units == []
    early = list(keeper.units)
    rig.video.report(ntp(0), 4_294_900_000, 1)
    rig.audio.report(ntp(0), 1000, 2)
    rig.until(rig.clock.monotonic() + 0.1)
    held = [unit for unit, _ in rig.taker.units]
    assert sorted(one.data for one in early) == sorted(one.data for one in held)
    assert keeper.units[len(early) :] == [None]
    rig.end()
    assert keeper.units.count(None) == 1


def test_what_is_kept_safe_has_no_hole_when_the_clocks_become_known_with_a_unit():
    keeper = Keeper()
    rig = early_rig(keeper)
    rig.run(of(rig.video, film(20)), of(rig.audio, talk(33), ssrc=2, timestamp=1000))
    rig.video.report(ntp(0), 4_294_900_000, 1)
    rig.audio.report(ntp(0), 1000, 2)
    # No poll comes in between: the next unit itself finds that the clocks are known.
    assert rig.taker.units == []
    more = of(rig.audio, talk(60)[33:], ssrc=2, timestamp=1000, sequence=65_033)
    for stream, packet in more[:5]:
        rig.clock.advance(0.001)
        stream.take([packet])
    laid = [unit.data for unit, _ in rig.taker.units]
    kept = [unit.data for unit in keeper.units if unit is not None]
    assert None in keeper.units
    assert len(laid) > 50
    assert sorted(kept) == sorted(laid)


def test_what_cannot_be_kept_safe_waits_no_longer():
    keeper = Keeper(room=9)
    rig = early_rig(keeper)
    rig.run(of(rig.video, film(15)), of(rig.audio, talk(25), ssrc=2, timestamp=1000))
    assert len(keeper.units) == 11
    assert keeper.units[-1] is None
    assert len(rig.taker.units) > 11


def test_one_stream_alone_is_not_held_and_needs_no_keeping():
    keeper = Keeper()
    rig = Rig(audio=False)
    rig.reception = Reception(rig.taker, rig.clock, early=keeper)
    rig.reception.open()
    rig.video = rig.reception.add(is_audio=False)
    rig.run(of(rig.video, film(10)))
    assert keeper.units == [None]


@pytest.mark.parametrize("speed", [2.0, 0.5])
def test_a_clock_at_another_pace_is_believed_and_told(speed):
    rig = Rig(audio=False)
    rig.run(of(rig.video, film(450, keys=tuple(range(0, 450, 30))), speed=speed))
    taker = rig.end()
    assert len(taker.pictures) == 450
    (told,) = (fields for kind, fields in taker.events if kind is EventKind.DEGRADED)
    assert told["part"] == "pace of video"
    assert f"{speed:.2g} times as fast" in told["because"]


def test_padding_without_media_is_told_within_three_seconds_and_taken_back_with_media():
    rig = Rig()
    begun_s = rig.clock.monotonic()
    told_s = []
    rig.taker.note = lambda kind, **fields: (
        told_s.append(rig.clock.monotonic() - begun_s),
        rig.taker.events.append((kind, fields)),
    )
    padding = [replace(one, data=b"", marker=False) for one in packets(film(150))]
    rig.run(of(rig.audio, talk(250), ssrc=2, timestamp=1000), [(rig.video, one) for one in padding])
    ((kind, told),) = rig.taker.events
    assert kind is EventKind.DEGRADED
    assert told["part"] == "video"
    assert "padding without media" in told["because"]
    assert told_s[0] < 3.0
    more = packets(film(180, keys=(0, 150)))
    rig.run([(rig.video, one) for one in more if one.arrival_s >= 105])
    assert [kind for kind, _ in rig.taker.events] == [EventKind.DEGRADED, EventKind.RESTORED]
    assert rig.end().pictures


def test_a_clock_that_counts_down_is_told_and_its_frames_are_placed_by_arrival():
    rig = Rig(audio=False)
    rig.run(of(rig.video, film(150), speed=-1.0))
    taker = rig.end()
    assert len(taker.pictures) == 150
    ticks = [unit.ticks for unit in taker.pictures]
    assert ticks[-1] - ticks[0] == pytest.approx(149 * 3000, abs=300)
    (told,) = (fields for kind, fields in taker.events if kind is EventKind.DEGRADED)
    assert told["part"] == "times of video"
