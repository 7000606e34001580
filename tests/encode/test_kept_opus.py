"""Opus kept as it comes: silence of its own length in between, and nothing twice."""

from __future__ import annotations

from itertools import pairwise

import pytest

from recordkit.encode.coded import Coded
from recordkit.encode.kept_opus import KeptOpus
from recordkit.errors import MediaError
from recordkit.settings import AudioSettings

STEP = 1800
PACKET = bytes.fromhex("fcfffe")
SECOND = 90_000
Gap = tuple[int, float, bool]


def made(**settings: str) -> tuple[KeptOpus, list[Gap]]:
    told: list[Gap] = []
    way = KeptOpus(AudioSettings(codec="opus", **settings), 1, lambda *gap: told.append(gap))  # type: ignore[arg-type]
    return way, told


def places(coded: list[Coded]) -> list[int]:
    return [one.unit.pts for one in coded]


def test_silence_is_laid_before_the_next_packet_comes_and_no_further_than_it() -> None:
    way, told = made()
    coded = way.code([PACKET], 0, discontinuity=False)
    assert places(way.fill(10 * STEP + 900)) == [number * STEP for number in range(1, 10)]
    assert way.filled_s == pytest.approx(9 * 0.02)
    assert told == []
    coded = way.code([PACKET], 12 * STEP + 600, discontinuity=True)
    assert places(coded) == [10 * STEP, 11 * STEP, 12 * STEP + 600]
    assert told == [(1, pytest.approx(11 * 0.02), True)]
    assert (way.gap_count, way.filled_s) == (1, 0)


def test_what_comes_so_late_that_silence_stands_in_its_place_is_left_out() -> None:
    way, _ = made()
    coded = way.code([PACKET], 0, discontinuity=False) + way.fill(20 * STEP)
    for number in range(10, 25):
        coded += way.code([PACKET], number * STEP, discontinuity=number == 10)
    assert [after - before for before, after in pairwise(places(coded))] == [STEP] * 24


def test_no_more_than_a_minute_of_silence_and_the_rest_is_marked() -> None:
    way, told = made()
    way.code([PACKET], 0, discontinuity=False)
    way.fill(50 * SECOND)
    assert way.end == pytest.approx(50 * SECOND, abs=STEP)
    way.fill(200 * SECOND)
    assert way.fill(300 * SECOND) == []
    assert way.end == pytest.approx(60 * SECOND, abs=2 * STEP)
    (last,) = way.code([PACKET], 300 * SECOND, discontinuity=False, is_pause=True)
    assert (last.unit.pts, last.unit.discontinuity) == (300 * SECOND, True)
    assert told == [(1, pytest.approx(300, abs=0.03), False)]
    assert way.begun == 300 * SECOND


def test_a_gap_is_left_and_marked_if_that_is_asked_for() -> None:
    way, told = made(gaps="mark")
    way.code([PACKET], 0, discontinuity=False)
    assert way.fill(SECOND) == []
    (last,) = way.code([PACKET], SECOND, discontinuity=True)
    assert last.unit.discontinuity
    assert told == [(1, pytest.approx(0.98), False)]


def test_silence_at_the_end_is_counted() -> None:
    way, told = made()
    way.code([PACKET], 0, discontinuity=False)
    way.fill(SECOND)
    assert way.flush() == []
    assert told == [(1, pytest.approx(0.98), True)]


def test_what_is_no_opus_is_an_error() -> None:
    way, _ = made()
    with pytest.raises(MediaError, match="not an Opus packet"):
        way.code([b"\x03"], 0, discontinuity=False)


def test_packets_that_came_together_lie_one_behind_the_other() -> None:
    way, told = made()
    way.code([PACKET], 0, discontinuity=False)
    short = bytes([0xEC]) + PACKET[1:]  # 5 ms (RFC 6716, 3.1)
    coded = way.code([PACKET, short, PACKET], 2 * STEP, discontinuity=True)
    assert [(one.unit.pts, one.unit.duration) for one in coded] == [
        (STEP, STEP),
        (2 * STEP, STEP),
        (3 * STEP, STEP // 4),
        (3 * STEP + STEP // 4, STEP),
    ]
    assert told == [(1, pytest.approx(0.02), True)]
    with pytest.raises(MediaError, match="not an Opus packet"):
        way.code([PACKET, b"\x03"], 9 * STEP, discontinuity=False)
    assert way.end == 4 * STEP + STEP // 4
