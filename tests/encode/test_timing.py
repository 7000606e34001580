"""What is asked of a stream and of an item that waits: does it follow, does it leap ahead of its arrival."""

import pytest

from recordkit.encode.timing import AHEAD, DISORDERED, JUMP, Item, StreamTimes
from recordkit.ticks import TICKS_PER_SECOND


def item(ticks: int, arrival: int | None = None) -> Item[str]:
    return Item("frame", ticks, 0, arrival, 0, False)


@pytest.mark.parametrize(
    ("step", "stride", "follows"),
    [(1, 0, True), (0, 0, False), (-1, 0, False), (JUMP, 0, True), (JUMP + 1, 0, False), (JUMP + 1, JUMP, True)],
)
def test_an_item_continues_what_it_is_a_usual_step_behind(step, stride, follows):
    assert item(1000 + step).continues(item(1000), stride) is follows


def test_live_media_is_ahead_if_it_gains_more_than_a_second_on_its_arrival():
    stream: StreamTimes[str] = StreamTimes(0, offset=500, last=500, lead=500)
    assert not stream.is_ahead(item(2 * AHEAD, arrival=2 * AHEAD))
    assert not stream.is_ahead(item(AHEAD + 100, arrival=100))
    assert stream.is_ahead(item(AHEAD + 101, arrival=100))
    assert not stream.is_ahead(item(9 * AHEAD))  # nobody knows when it came


def test_time_stands_still_at_once_by_arrivals_and_else_by_the_third():
    stream: StreamTimes[str] = StreamTimes(0, held=[item(5, arrival=0)])
    assert stream.is_stuck
    stream.held = [item(5)] * (DISORDERED - 1)
    assert not stream.is_stuck
    stream.held = [item(5)] * DISORDERED
    assert stream.is_stuck


def test_what_has_passed_is_told_by_arrivals_or_by_a_step():
    stream: StreamTimes[str] = StreamTimes(0, arrival=1000)
    assert stream.passed(item(0, arrival=4000)) == 3000
    assert stream.passed(item(0, arrival=1000)) == 1
    assert stream.passed(item(0)) == TICKS_PER_SECOND // 30
