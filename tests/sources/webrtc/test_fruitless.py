"""Packets without a frame: told in time, once, and taken back; the reason by what the assembly says."""

from __future__ import annotations

from recordkit.model import Received
from recordkit.sources.webrtc.assembly import PictureAssembly
from recordkit.sources.webrtc.fruitless import STUCK_S, Fruitless, reason


def test_it_is_told_once_while_packets_come_and_taken_back_by_a_unit():
    one = Fruitless()
    assert not one.is_due(100.0)
    for number in range(30):
        one.packet(10.0 + number * 0.1)
        assert one.is_due(10.0 + number * 0.1) == (number == round(STUCK_S * 10))
    assert one.is_told
    assert one.unit()
    assert not one.unit()
    assert not one.is_due_at_end()


def test_padding_counts_until_media_has_come():
    one = Fruitless()
    for number in range(30):
        one.packet(10.0 + number * 0.1, is_padding=True)
        assert one.is_due(10.0 + number * 0.1) == (number == round(STUCK_S * 10))
    assert not one.has_media
    # Media of which no frame comes is told anew, with its own reason; a frame takes back both.
    for number in range(30, 60):
        one.packet(10.0 + number * 0.1)
        assert one.is_due(10.0 + number * 0.1) == (number == 30 + round(STUCK_S * 10))
    assert one.has_media
    assert one.unit()
    for number in range(60, 120):
        one.packet(10.0 + number * 0.1, is_padding=True)
        assert not one.is_due(10.0 + number * 0.1)


def test_a_pause_is_nothing_that_packets_could_bear_fruit_in():
    one = Fruitless()
    one.packet(10.0)
    assert not one.is_due(20.0)
    assert one.is_due_at_end()


def test_the_reason_follows_the_assembly():
    assembly = PictureAssembly()
    counters = Received(packets=9, dropped_units=5, lost_packets=2, keyframe_requests=3)
    assert "in spite of 3 requests; 5 frames were left out, 2 packets were lost" in reason(assembly, counters)
    assembly.lacks_sets = True
    assert "parameter sets" in reason(assembly, counters)
    assembly.lacks_sets = assembly.needs_entry = False
    assert reason(assembly, counters) == "9 packets came, and no whole frame"
    assert reason(assembly, counters, has_media=False).startswith("9 packets came, all of them padding")
