"""Which audio goes on as one unit: what follows without a gap, as long as a tenth of a second."""

from __future__ import annotations

import pytest

from recordkit.sources.webrtc.assembly import MediaPacket, Unit
from recordkit.sources.webrtc.together import together

STEP = 1800


def unit(number, *, codec="opus", discontinuity=False, duration=STEP):
    packet = MediaPacket(codec, 48_000, 1, number, number * 960, True, bytes([number]) * (number + 1), 100.0)
    return Unit(packet, packet.data, is_entry=True, discontinuity=discontinuity, duration=duration)


def joined(*timed):
    return [(one.data, ticks, one.duration, one.sizes, one.discontinuity) for one, ticks in together(timed)]


def test_what_follows_without_a_gap_is_one():
    first, *_ = units = [unit(number, discontinuity=not number) for number in range(3)]
    ((one, ticks),) = together((each, 500 + number * STEP) for number, each in enumerate(units))
    assert (one.data, one.sizes, ticks, one.duration) == (b"\0\1\1\2\2\2", (1, 2, 3), 500, 3 * STEP)
    assert (one.first, one.is_entry, one.discontinuity) == (first.first, True, True)


def test_one_alone_stays_as_it_is():
    one = unit(3)
    assert list(together([(one, 7)])) == [(one, 7)]
    assert list(together([])) == []


@pytest.mark.parametrize(
    ("second", "ticks"),
    [
        (unit(1), STEP + 1),
        (unit(1), STEP - 1),
        (unit(1, discontinuity=True), STEP),
        (unit(1, codec="pcm_mulaw"), STEP),
        (unit(1, duration=0), STEP),
    ],
    ids=["gap", "overlap", "discontinuity", "another coding", "no length"],
)
def test_what_does_not_follow_begins_anew(second, ticks):
    first, third = unit(0), unit(2)
    parts = list(together([(first, 0), (second, ticks), (third, 9 * STEP)]))
    assert parts == [(first, 0), (second, ticks), (third, 9 * STEP)]


def test_other_codings_are_not_put_together():
    timed = [(unit(number, codec="pcm_mulaw"), number * STEP) for number in range(2)]
    assert list(together(timed)) == timed


def test_it_is_a_tenth_of_a_second_at_the_most():
    parts = joined(*((unit(number), number * STEP) for number in range(12)))
    assert [(ticks, duration) for _, ticks, duration, *_ in parts] == [
        (0, 5 * STEP),
        (5 * STEP, 5 * STEP),
        (10 * STEP, 2 * STEP),
    ]
    assert b"".join(data for data, *_ in parts) == b"".join(unit(number).data for number in range(12))
