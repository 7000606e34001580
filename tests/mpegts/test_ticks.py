"""Ticks and their wire formats."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordkit.ticks import TICKS_PER_SECOND, WRAP, Unwrapper, fraction, to_ticks

from .builder import pcr_bytes, timestamp_bytes


@pytest.mark.parametrize(
    ("value", "time_base", "ticks"),
    [
        (1, Fraction(1), 90_000),
        (1024, Fraction(1, 48_000), 1920),
        (1, Fraction(1001, 30_000), 3003),
        (1, Fraction(1, 60_000), 2),  # 1.5, halves go up
        (-1, Fraction(1, 60_000), -1),
        (1, Fraction(1, 44_100), 2),
        (10**15, Fraction(1, 10**9), 90_000_000_000),
    ],
)
def test_to_ticks(value, time_base, ticks):
    assert to_ticks(value, time_base) == ticks


@settings(deadline=None)
@given(st.integers(-(10**15), 10**15), st.integers(1, 1001), st.integers(1, 200_000))
def test_to_ticks_is_the_nearest(value, numerator, denominator):
    exact = Fraction(value * numerator, denominator) * TICKS_PER_SECOND
    error = to_ticks(value, Fraction(numerator, denominator)) - exact
    assert Fraction(-1, 2) < error <= Fraction(1, 2)


def test_known_fields():
    assert timestamp_bytes(2, 0) == bytes.fromhex("2100010001")
    assert timestamp_bytes(3, WRAP - 1) == bytes.fromhex("3FFFFFFFFF")
    assert timestamp_bytes(1, 90_000) == bytes.fromhex("110005BF21")
    assert pcr_bytes(0) == bytes.fromhex("000000007E00")
    assert pcr_bytes(WRAP - 1) == bytes.fromhex("FFFFFFFFFE00")
    assert pcr_bytes(WRAP) == pcr_bytes(0)


@settings(deadline=None)
@given(st.sampled_from([1, 2, 3]), st.integers(0, WRAP - 1))
def test_timestamp_round_trip(marker, ticks):
    field = timestamp_bytes(marker, ticks)
    first, second, third = field[0], int.from_bytes(field[1:3]), int.from_bytes(field[3:5])
    assert first >> 4 == marker
    assert (first & 1, second & 1, third & 1) == (1, 1, 1)
    assert (first >> 1 & 7) << 30 | (second >> 1) << 15 | third >> 1 == ticks


@settings(deadline=None)
@given(st.integers(0, 2**40))
def test_timestamps_fold_on_the_wire(ticks):
    assert timestamp_bytes(2, ticks) == timestamp_bytes(2, ticks % WRAP)
    assert int.from_bytes(pcr_bytes(ticks)) >> 15 == ticks % WRAP


@settings(deadline=None)
@given(st.integers(0, WRAP - 1), st.lists(st.integers(-(WRAP // 2), WRAP // 2 - 1), max_size=30))
def test_unwrapping_follows_any_step_below_half_the_range(first, steps):
    unwrapper, time = Unwrapper(), first
    assert unwrapper.unwrap(first) == first
    for step in steps:
        time += step
        assert unwrapper.unwrap(time % WRAP) == time


def test_a_small_step_back_across_the_wrap():
    unwrapper = Unwrapper()
    assert [unwrapper.unwrap(wire) for wire in (WRAP - 10, 5, WRAP - 3)] == [WRAP - 10, WRAP + 5, WRAP - 3]


class Unlike:
    """A rational number as PyAV 19 has them: no Fraction, nothing but two parts."""

    def __init__(self, numerator: int, denominator: int) -> None:
        self.numerator, self.denominator = numerator, denominator


def test_a_rational_of_any_kind_will_do():
    assert to_ticks(1, Unlike(1001, 30_000)) == 3003
    assert fraction(Unlike(50, 2)) == Fraction(25)
    assert fraction(None) is None
    assert fraction(Unlike(0, 1)) is None
