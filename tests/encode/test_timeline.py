"""One timeline for all streams: origin, disorder, new beginnings, items without a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordkit.encode.timeline import RESTART, START, Timeline

SECOND = 90_000


def test_the_first_item_placed_is_the_origin_of_all_streams():
    line = Timeline()
    assert line.place(0, 7_000_000, 3000) == START
    assert line.place(1, 7_000_000 + 500, 1920) == START + 500
    assert line.place(2, 7_000_000 - 500, 1920) == START - 500
    assert line.shift(0) == line.shift(1) == START - 7_000_000


def test_a_step_back_is_disorder_and_late():
    line = Timeline()
    line.place(0, 0, 0)
    line.place(0, 2 * SECOND, 0)
    assert line.place(0, 2 * SECOND, 0) is None
    assert line.place(0, SECOND + 1, 0) is None
    assert line.place(0, 2 * SECOND + 1, 0) == START + 2 * SECOND + 1
    assert (line.late_items, line.restarts) == (2, 0)


def test_a_source_that_begins_anew_goes_on_where_it_ended_and_stays_in_sync():
    line = Timeline()
    for number in range(300):
        line.place(0, number * 3000, 3000)
        line.place(1, number * 3000 + 40, 3000)
    end = START + 299 * 3000 + 40
    # The first items may be damaged: they go right behind, and the second ones confirm them.
    assert line.place(0, 0, 3000) == end - 40 + 3000
    assert line.place(1, 40, 3000) == end + 3000
    video = line.place(0, 3000, 3000)
    assert video == end + 6000
    assert line.place(1, 3040, 3000) == video + 40
    assert line.place(0, 6000, 3000) == video + 3000
    assert (line.restarts, line.late_items, line.mistimed_items) == (1, 0, 2)


@pytest.mark.parametrize("first", [0, 1])
def test_it_does_not_matter_which_stream_begins_anew_first(first):
    line = Timeline()
    for stream in (0, 1):
        line.place(stream, 0, 3000)
        line.place(stream, 10 * SECOND, 3000)
    line.place(first, 0, 3000)
    begun = line.place(first, 3000, 3000)
    line.place(1 - first, 900, 3000)
    assert line.place(1 - first, 3900, 3000) == begun + 900
    assert line.restarts == 1


def test_going_back_by_the_limit_exactly_begins_anew():
    line = Timeline()
    line.place(0, 5 * SECOND, 3000)
    line.place(0, 5 * SECOND - RESTART, 3000)
    assert line.place(0, 5 * SECOND - RESTART + 3000, 3000) == START + 6000
    assert line.restarts == 1


@pytest.mark.parametrize("error", [3600 * SECOND, 11 * SECOND, -3600 * SECOND, -2 * RESTART])
def test_one_damaged_time_moves_nothing_but_its_own_item(error):
    line = Timeline()
    placed = []
    for number in range(200):
        damaged = error if number == 120 else 0
        placed.append(line.place(0, number * 3000 + damaged, 3000))
        assert line.place(1, number * 3000, 3000) == START + number * 3000
    assert placed == [START + number * 3000 for number in range(200)]
    assert (line.mistimed_items, line.restarts, line.late_items) == (1, 0, 0)


def test_a_gap_is_believed_when_a_second_item_confirms_it():
    line = Timeline()
    line.place(0, 0, 3000)
    assert line.place(0, 60 * SECOND, 3000) == START + 3000
    assert line.place(0, 60 * SECOND + 3000, 3000) == START + 60 * SECOND + 3000


def test_pictures_a_minute_apart_keep_their_distances():
    line = Timeline()
    placed = [line.place(0, number * 60 * SECOND, 0) for number in range(6)]
    assert placed[2:] == [START + number * 60 * SECOND for number in range(2, 6)]


def test_a_late_item_that_others_need_goes_right_behind():
    line = Timeline()
    line.place(0, 9000, 3000)
    assert line.place(0, 6000, 3000) is None
    assert line.place(0, 6000, 3000, keep_late=True) == START + 1
    assert line.late_items == 2


def test_an_item_without_a_time_follows_the_one_before():
    line = Timeline()
    assert line.place(0, None, 3000) == START
    assert line.place(0, None, 1500) == START + 3000
    assert line.place(0, None, 0) == START + 4500
    assert line.untimed_items == 3


def test_the_first_item_without_a_time_of_a_stream_stands_beside_the_newest_of_the_others():
    line = Timeline()
    line.place(0, 0, 3000)
    line.place(0, 10 * SECOND, 3000)
    assert line.place(1, None, 1920) == START + 10 * SECOND
    assert line.place(1, None, 1920) == START + 10 * SECOND + 1920


def test_a_step_that_was_not_told_is_that_seen_last():
    line = Timeline()
    line.place(0, 0, 0)
    line.place(0, 3600, 0)
    assert line.place(0, None, 0) == START + 7200
    line.place(0, 5 * SECOND, 0)
    assert line.place(0, None, 0) == START + 6 * SECOND


def test_a_restart_of_a_stream_that_untimed_items_have_carried_on():
    line = Timeline()
    line.place(0, 10 * SECOND, 3000)
    for _ in range(60):
        line.place(0, None, 3000)
    line.place(0, 0, 3000)
    assert line.place(0, 3000, 3000) == START + 62 * 3000
    assert line.restarts == 1


times = st.one_of(st.none(), st.integers(-(10**9), 10**12))


@given(st.lists(st.tuples(st.integers(0, 3), times, st.integers(0, 90_000)), max_size=60))
def test_whatever_comes_each_streams_times_increase(items):
    line = Timeline()
    last = {}
    placed = 0
    for index, ticks, duration in items:
        place = line.place(index, ticks, duration)
        if place is not None:
            assert index not in last or place > last[index]
            last[index] = place
            placed += 1
    assert placed + line.late_items == len(items)


@given(st.lists(st.integers(0, 8 * 10**5), min_size=1, max_size=50, unique=True))
def test_times_that_increase_keep_their_distances(times):
    line = Timeline()
    ordered = sorted(times)
    assert [line.place(0, time, 0) for time in ordered] == [START + time - ordered[0] for time in ordered]
