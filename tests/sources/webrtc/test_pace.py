"""Times against arrivals: a clock that cannot be true is told from a network that holds things up."""

from __future__ import annotations

import pytest

from recordkit.sources.webrtc.pace import DECIDED_S, Pace

TICKS = 90_000


def decided(speed: float, *, step_s: float = 1 / 30, seconds: float = 10.0) -> bool:
    pace = Pace()
    for number in range(round(seconds / step_s)):
        pace.put(round(number * step_s * speed * TICKS), 100 + number * step_s)
    return pace.is_lost


@pytest.mark.parametrize(("speed", "is_lost"), [(0, True), (1 / 90, True), (0.2, False), (1, False), (90, False)])
def test_times_that_gain_less_than_an_eighth_are_lost(speed: float, is_lost: bool) -> None:
    assert decided(speed) is is_lost


def test_nothing_is_decided_early_nor_by_a_few_units() -> None:
    assert not decided(0, seconds=DECIDED_S - 0.1)
    assert not decided(0, step_s=0.4)
    assert not decided(0, step_s=1.0, seconds=100)


def test_a_burst_behind_a_pause_says_nothing() -> None:
    pace = Pace()
    for number in range(300):
        arrival_s = 100 + number // 60 * 2 + number % 60 / 10_000
        assert not pace.put(number * 3000, arrival_s)


@pytest.mark.parametrize(("speed", "is_odd"), [(2.0, True), (0.5, True), (1.1, False), (1.0, False)])
def test_a_pace_that_is_far_off_for_long_is_odd(speed: float, is_odd: bool) -> None:
    pace = Pace()
    found = None
    for number in range(15 * 30):
        pace.put(round(number / 30 * speed * TICKS), 100 + number / 30)
        found = found or (pace.odd and number / 30)
    assert (found is not None) is is_odd
    if is_odd:
        assert pace.odd == pytest.approx(speed, rel=0.02)
        assert found is not None
        assert 4 * DECIDED_S <= found < 4 * DECIDED_S + 0.2


def test_a_queue_that_fills_and_empties_is_not_odd() -> None:
    pace = Pace()
    ticks = 0.0
    for number in range(60 * 30):
        ticks += (1.3 if number // 300 % 2 else 0.7) / 30
        pace.put(round(ticks * TICKS), 100 + number / 30)
        assert pace.odd is None
