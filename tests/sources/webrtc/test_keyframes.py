"""Keyframes are asked for with packets and by the clock, no oftener than is of use."""

from __future__ import annotations

import pytest

from recordkit.sources.webrtc.keyframes import INTERVAL_S, RETRY_S, KeyframeRequests

STEP_S = 1 / 32


def asked_with_packets(requests, start_s, seconds, codec="h264", **state):
    times = [start_s + number * STEP_S for number in range(round(seconds / STEP_S))]
    return [at for at in times if requests.with_packet(at, codec, **state)]


def asked_by_clock(requests, start_s, seconds, *, needs_entry):
    times = [start_s + number * STEP_S for number in range(round(seconds / STEP_S))]
    found = []
    for at in times:
        if requests.is_due(at, needs_entry=needs_entry):
            requests.asked(at)
            found.append(at)
    return found


def test_a_stream_that_cannot_begin_is_asked_after_a_moment_and_then_twice_a_second():
    requests = KeyframeRequests(10.0)
    found = asked_with_packets(requests, 10.0, 2.0, needs_entry=True, has_units=False)
    assert found == pytest.approx([10.22 + number * RETRY_S for number in range(4)], abs=0.02)
    assert requests.count == 4


def test_somebody_who_wants_a_keyframe_has_it_asked_for_at_once():
    requests = KeyframeRequests(10.0)
    asked_with_packets(requests, 10.0, 1.0, needs_entry=False, has_units=True)
    assert requests.count == 0
    requests.is_wanted = True
    assert asked_with_packets(requests, 11.0, 0.4, "vp8", needs_entry=False, has_units=True) == [11.0]


def test_a_stream_that_falls_silent_is_asked_by_the_clock_and_with_restraint():
    requests = KeyframeRequests(10.0)
    assert requests.with_packet(10.0, "h264", needs_entry=False, has_units=True) is False
    requests.entry(10.0)
    found = asked_by_clock(requests, 10.0, 10.0, needs_entry=False)
    assert found == [10.0 + INTERVAL_S * number for number in (1, 2, 3)]
    assert requests.count == 3


@pytest.mark.parametrize("needs_entry", [True, False])
def test_a_stream_of_which_no_packet_ever_came_is_asked(needs_entry):
    """Whoever joins late, while a shared screen stands."""
    requests = KeyframeRequests(10.0)
    assert asked_by_clock(requests, 10.0, 7.0, needs_entry=needs_entry) == [13.0, 16.0]


def test_a_coding_that_is_encoded_anew_is_left_in_peace_unless_it_cannot_begin():
    requests = KeyframeRequests(10.0)
    assert requests.with_packet(10.0, "vp8", needs_entry=False, has_units=True) is False
    assert asked_with_packets(requests, 10.0, 5.0, "vp8", needs_entry=False, has_units=True) == []
    assert asked_by_clock(requests, 15.0, 5.0, needs_entry=False) == []
    assert asked_by_clock(requests, 20.0, 1.0, needs_entry=True) == [20.0]


def test_while_packets_come_the_clock_does_not_ask_besides():
    requests = KeyframeRequests(10.0)
    for number in range(100):
        requests.with_packet(10.0 + number * 0.1, "h264", needs_entry=False, has_units=True)
        assert not requests.is_due(10.05 + number * 0.1, needs_entry=True)
    assert requests.count == 3
