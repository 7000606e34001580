"""When frames were taken, by what senders tell: asked for in the answer, read from packets, or by arrivals."""

import random
from types import SimpleNamespace

import pytest
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, pack_header_extensions

from recordkit.model import CapturedBy
from recordkit.sources.webrtc.capture_time import URI, TakenTimes, asked_for, capture_ntp, listen
from recordkit.sources.webrtc.clock import JointClock

EPOCH_S = 2_208_988_800
WALL_NS = 1_795_780_000_000_000_000
RATE = 90_000
AUDIO = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=extmap:1 urn:x\r\n"
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=extmap:2 urn:y\r\n"


def ntp(unix_s):
    return round((unix_s + EPOCH_S) * 2**32)


def test_it_is_asked_for_where_it_was_offered_under_the_number_it_has_there():
    offered = f"a=extmap:12/sendonly {URI}\r\n"
    text, number = asked_for(AUDIO + VIDEO, AUDIO + VIDEO + offered)
    assert (number, text) == (12, AUDIO + VIDEO + f"a=extmap:12 {URI}\r\n")
    text, number = asked_for(VIDEO + AUDIO + VIDEO, VIDEO + AUDIO + VIDEO + offered)
    assert (number, text) == (12, VIDEO + AUDIO + VIDEO + f"a=extmap:12 {URI}\r\n")
    assert asked_for(text, VIDEO + AUDIO + VIDEO + offered) == (text, 12)


def test_what_was_not_offered_for_video_is_not_asked_for():
    """Firefox refuses an answer with more than it offered."""
    assert asked_for(AUDIO, AUDIO) == (AUDIO, None)
    assert asked_for(AUDIO + VIDEO, AUDIO + VIDEO) == (AUDIO + VIDEO, None)
    offer = AUDIO + f"a=extmap:3 {URI}\r\n" + VIDEO
    assert asked_for(AUDIO + VIDEO, offer) == (AUDIO + VIDEO, None)


def test_packets_say_when_they_were_taken():
    transport = SimpleNamespace(_rtp_header_extensions_map=HeaderExtensionsMap())
    listen([transport], 3)
    listen([transport], 4)
    profile, value = pack_header_extensions([(4, ntp(1_000).to_bytes(8) + bytes(8)), (1, b"0")])
    head = bytes([0x90, 96]) + bytes(10) + profile.to_bytes(2) + (len(value) // 4).to_bytes(2)
    packet = RtpPacket.parse(head + value + b"media", transport._rtp_header_extensions_map)
    assert capture_ntp(packet) == ntp(1_000)
    assert capture_ntp(RtpPacket()) is None


class Sender:
    """Takes a frame each 1/30 s; each comes some time later, by our monotonic clock."""

    def __init__(self, clock_ahead_s=0.0):
        self.random = random.Random(3)
        self.stream = JointClock().add(is_audio=False)
        self.taken = TakenTimes(self.stream)
        self.ahead_s = clock_ahead_s

    def taken_s(self, number):
        return 500 + number / 30

    def frame(self, number, *, tells=False):
        arrival_s = self.taken_s(number) + 0.02 + self.random.expovariate(200)
        ticks = self.stream.time(number * 3000 + 77, RATE, 1, arrival_s)
        if tells:
            self.taken.told(ntp(self.taken_s(number) + WALL_NS / 1e9 + self.ahead_s), ticks)
        return self.taken.of(ticks, WALL_NS)

    def report(self, number, late_s=0.0):
        at_s = self.taken_s(number) + late_s + WALL_NS / 1e9 + self.ahead_s
        self.stream.report(ntp(at_s), number * 3000 + 77, 1)

    def error_s(self, number, captured):
        return (captured.time_ns - WALL_NS) / 1e9 - self.taken_s(number)


def test_one_time_a_second_dates_all_frames_to_the_millisecond():
    sender = Sender()
    for number in range(300):
        captured = sender.frame(number, tells=number % 30 == 0)
        assert captured.by is CapturedBy.ABS_CAPTURE_TIME
        assert abs(sender.error_s(number, captured)) < 0.001
        assert captured.error_s == 0.05


def test_reports_that_come_late_date_frames_within_what_is_told():
    sender = Sender()
    assert sender.frame(0).by is CapturedBy.ARRIVAL
    for number in range(1, 300):
        if number % 20 == 1:
            sender.report(number, late_s=sender.random.uniform(0.001, 0.035))
        captured = sender.frame(number)
        assert captured.by is CapturedBy.SENDER_REPORT
        assert abs(sender.error_s(number, captured)) < captured.error_s


def test_without_either_the_quickest_packet_dates_them():
    sender = Sender()
    errors = [sender.error_s(number, sender.frame(number)) for number in range(300)]
    assert min(errors) > 0.02
    assert max(errors[30:]) < 0.022


@pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
def test_a_clock_that_is_wrong_is_not_believed(ahead_s):
    sender = Sender(ahead_s)
    assert sender.frame(0, tells=True).by is CapturedBy.ARRIVAL


@pytest.mark.parametrize("ahead_s", [-0.5, 0.015])
def test_a_clock_that_is_a_little_off_is_told_as_uncertain(ahead_s):
    sender = Sender(ahead_s)
    captured = sender.frame(0, tells=True)
    assert abs(sender.error_s(0, captured)) <= captured.error_s


def test_what_was_told_of_another_source_is_forgotten():
    sender = Sender()
    sender.frame(0, tells=True)
    ticks = sender.stream.time(5, RATE, 2, 501.0)
    assert sender.taken.of(ticks, WALL_NS).by is CapturedBy.ARRIVAL
