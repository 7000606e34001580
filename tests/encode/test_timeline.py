"""One timeline for all streams: origin, doubt and who decides it, new beginnings, items without a time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordkit.encode.timeline import LEAST, LONGEST_HOLD, RESTART, START, Timeline
from recordkit.encode.timing import JUMP

SECOND = 90_000


class Line:
    """A timeline, and where the items of each stream went, by number."""

    def __init__(self):
        self.timeline = Timeline()
        self.given = {}
        self.places = {}

    def put(self, stream, ticks, duration=3000, **how):
        number = self.given[stream] = self.given.get(stream, -1) + 1
        self._note(self.timeline.put(stream, number, ticks, duration, **how))

    def all(self, stream, times, **how):
        for ticks in times:
            self.put(stream, ticks, **how)
        return self.at_end(stream)

    def at_end(self, stream):
        self._note(self.timeline.settle())
        assert not self.timeline.holds
        return list(self.places.get(stream, {}).values())

    def _note(self, placed):
        for one in placed:
            self.places.setdefault(one.stream, {})[one.item] = one.place

    @property
    def counts(self):
        line = self.timeline
        return {
            name: count
            for name in ("late_items", "mistimed_items", "restarts", "untimed_items")
            if (count := getattr(line, name))
        }


def even(count, start=0, step=3000):
    return [start + number * step for number in range(count)]


def test_the_first_item_placed_is_the_origin_of_all_streams():
    line = Line()
    for number in range(2):
        line.put(0, 7_000_000 + number * 3000)
        line.put(1, 7_000_000 + number * 3000 + 500)
        line.put(2, 7_000_000 + number * 3000 - 500)
    assert [line.places[stream][0] for stream in (0, 1, 2)] == [START, START + 500, START - 500]
    assert line.timeline.shift(0) == line.timeline.shift(1) == START - 7_000_000


def test_an_item_behind_the_newest_is_late_when_the_next_goes_on():
    line = Line()
    assert line.all(0, [0, 3000, 2 * SECOND, 2 * SECOND, SECOND + 1, 2 * SECOND + 1]) == [
        START,
        START + 3000,
        START + 2 * SECOND,
        START + 2 * SECOND + 1,
    ]
    assert line.counts == {"late_items": 2}


def test_a_late_item_that_others_need_goes_between():
    line = Line()
    assert line.all(0, [3000, 9000, 6000, 12_000], keep_late=True) == [
        START,
        START + 6000,
        START + 7500,
        START + 9000,
    ]
    assert line.counts == {"late_items": 1}


def test_a_late_item_that_nothing_follows_is_late_all_the_same():
    line = Line()
    assert line.all(0, [3000, 9000, 6000]) == [START, START + 6000]
    assert line.counts == {"late_items": 1}


@pytest.mark.parametrize("back", [0.2, 0.4, 0.9])
def test_a_clock_set_back_by_less_than_a_second_squeezes_nothing(back):
    line = Line()
    for number in range(200):
        set_back = round(back * SECOND) if number >= 100 else 0
        line.put(0, number * 3600 - set_back, 3600, keep_late=True)
        line.put(1, number * 3600 + 40 - set_back, 3600, keep_late=True)
    video, audio = line.at_end(0), line.at_end(1)
    assert video == even(200, START, 3600)
    assert all(0 < after - before < 2 * 3600 for before, after in pairwise(audio))
    assert audio[-1] == video[-1] + 40
    assert line.counts == {"restarts": 1}


def test_a_source_that_begins_anew_goes_on_where_it_ended_and_stays_in_sync():
    line = Line()
    for number in [*range(300), *range(3)]:
        line.put(0, number * 3000)
        line.put(1, number * 3000 + 40)
    video, audio = line.at_end(0), line.at_end(1)
    end = START + 299 * 3000 + 40
    assert video[300:] == even(3, end + 3000)
    assert audio[300:] == even(3, end + 3040)
    assert line.counts == {"restarts": 1}


@pytest.mark.parametrize("first", [0, 1])
def test_it_does_not_matter_which_stream_begins_anew_first(first):
    line = Line()
    for number in [*range(100), *range(5)]:
        line.put(first, number * 3000 + 900 * first)
        line.put(1 - first, number * 3000 + 900 * (1 - first))
    video, audio = line.at_end(0), line.at_end(1)
    assert [heard - seen for seen, heard in zip(video[100:], audio[100:], strict=True)] == [900] * 5
    assert line.counts == {"restarts": 1}


def test_going_back_by_the_limit_exactly_begins_anew():
    line = Line()
    assert line.all(0, [5 * SECOND - 3000, 5 * SECOND, 5 * SECOND - RESTART, 5 * SECOND - RESTART + 3000]) == even(
        4, START
    )
    assert line.counts == {"restarts": 1}


@pytest.mark.parametrize("error", [3600 * SECOND, 11 * SECOND, -3600 * SECOND, -2 * RESTART])
@pytest.mark.parametrize("live", [False, True])
def test_one_damaged_time_moves_nothing_but_its_own_item(error, live):
    line = Line()
    for number in range(200):
        how = {"arrival": number * 3000} if live else {}
        line.put(0, number * 3000 + (error if number == 120 else 0), **how)
        line.put(1, number * 3000, **how)
    assert line.at_end(0) == line.at_end(1) == even(200, START)
    assert line.counts == {"mistimed_items": 1}


@pytest.mark.parametrize("ahead", [0.25, 0.9, 1.5, 60, 7200])
@pytest.mark.parametrize("others", [True, False])
def test_a_first_time_that_the_next_ones_do_not_continue_is_no_origin(ahead, others):
    line = Line()
    line.put(0, round(ahead * SECOND), keep_late=True)
    for number in range(1, 100):
        if others:
            line.put(1, number * 3000 - 3000)
        line.put(0, number * 3000, keep_late=True)
    video = line.at_end(0)
    assert [after - before for before, after in pairwise(video)] == [3000] * 99
    if others:
        assert video[1:] == [place + 3000 for place in line.at_end(1)]
    assert line.counts == {"mistimed_items": 1}


def test_a_first_time_far_behind_the_other_streams_is_no_origin():
    line = Line()
    line.put(0, -60 * SECOND)
    for number in range(1, 5):
        line.put(1, number * 3000)
        line.put(0, number * 3000)
    assert line.at_end(0)[1:] == line.at_end(1) == even(4, START)
    assert line.counts == {"mistimed_items": 1}


def test_nothing_is_placed_below_zero():
    line = Line()
    line.all(0, even(10, 20 * SECOND))
    for ticks in even(4):
        line.put(1, ticks, keep_late=True)
    assert line.at_end(1) == []
    assert line.counts == {"late_items": 4}
    assert line.all(1, even(2, 20 * SECOND))[0] >= LEAST


def test_a_stream_by_a_clock_of_its_own_begins_beside_the_others():
    line = Line()
    line.all(0, even(30))
    line.all(1, even(3, 10**9 * SECOND))
    assert line.places[1][0] == START + 29 * 3000
    assert line.counts == {"restarts": 1}


@pytest.mark.parametrize(
    "times",
    [[0, 30], [0, 7, 19, 20, 41, 70], [0, 60, 120, 180], [0, 1, 2, 3, 63, 64, 65, 1000], [5, 20, 21, 3600]],
)
def test_times_that_rise_keep_their_distances_however_long(times):
    line = Line()
    places = line.all(0, [time * SECOND for time in times], duration=0)
    assert places == [START + (time - times[0]) * SECOND for time in times]
    assert line.counts == {}


def test_a_gap_of_all_streams_is_one_whichever_item_comes_last():
    line = Line()
    for number in [*range(100), 1000]:
        line.put(0, number * 3000)
        line.put(1, number * 3000)
    assert line.at_end(0)[-1] == line.at_end(1)[-1] == START + 1000 * 3000
    assert line.counts == {}


def test_a_last_time_that_the_other_streams_contradict_is_damaged():
    line = Line()
    for number in range(100):
        line.put(0, number * 3000 + (3600 * SECOND if number == 99 else 0))
        line.put(1, number * 3000)
    assert line.at_end(0) == even(100, START)
    assert line.counts == {"mistimed_items": 1}


def test_another_stream_that_has_come_as_far_is_a_witness():
    line = Line()
    for number in range(1000):
        if number < 2 or number == 900:
            line.put(0, number * 3000)
        line.put(1, number * 3000)
        if number == 900:
            assert line.places[0][2] == START + 900 * 3000
    assert line.counts == {}


def test_nothing_waits_while_another_stream_goes_on():
    line = Line()
    line.put(0, 0)
    steps = LONGEST_HOLD // 3000
    for number in range(steps + 1):
        line.put(1, number * 3000)
    assert 0 not in line.places
    line.put(1, (steps + 1) * 3000)
    assert line.places[0][0] == START


def test_what_waits_is_bounded_in_bytes():
    line = Line()
    line.all(0, even(10, 10 * SECOND))
    for ticks in even(2, 10 * SECOND):
        line.put(0, ticks, size=9 * 1024 * 1024, keep_late=True)
    assert not line.timeline.holds
    assert len(line.places[0]) == 12


# Live media: when it came is a witness.


def live(line, stream, count, time, start=0):
    """Frames every 3000 ticks that say that they are of ``time(number)``."""
    for number in range(start, start + count):
        line.put(stream, time(number), arrival=number * 3000)


def test_live_media_waits_for_nothing_after_a_gap_that_took_its_time():
    line = Line()
    live(line, 0, 10, lambda number: number * 3000)
    live(line, 0, 1, lambda number: number * 3000, start=1000)
    assert line.places[0][10] == START + 1000 * 3000


@pytest.mark.parametrize("uptime", [5, 325, 2000])
def test_times_of_zero_for_a_while_lie_when_they_came(uptime):
    line = Line()
    live(line, 0, 120, lambda n: 0 if 40 <= n < 70 else uptime * SECOND + n * 3000)
    assert line.at_end(0) == even(120, START)
    assert line.counts == {"untimed_items": 30}


def test_one_time_for_ever_is_none():
    line = Line()
    live(line, 0, 120, lambda number: 77 * SECOND)
    assert line.at_end(0) == even(120, START)
    assert line.counts == {"untimed_items": 119}


@pytest.mark.parametrize("away", [-0.8, -0.3, -60, 60, 12, 2**32 / SECOND])
def test_a_live_clock_that_is_set_goes_on_by_the_time_that_has_passed(away):
    line = Line()
    live(line, 0, 120, lambda number: number * 3000 + (round(away * SECOND) if number >= 60 else 0))
    assert line.at_end(0) == even(120, START)
    assert line.counts == {"restarts": 1}


def test_media_that_comes_in_bursts_keeps_its_times():
    line = Line()
    for number in range(600):
        line.put(0, number * 3000, arrival=(number // 180 + 1) * 180 * 3000)
    assert line.at_end(0) == even(600, START)
    assert line.counts == {}


def test_a_gap_behind_which_a_backlog_comes_is_one():
    line = Line()
    for number in [*range(100), *range(250, 400)]:
        line.put(0, number * 3000, arrival=number * 3000 if number < 100 else max(number, 320) * 3000)
    assert line.at_end(0) == [*even(100, START), *even(150, START + 250 * 3000)]
    assert line.counts == {}


def test_the_arrival_of_what_comes_faster_than_it_is_shown_means_nothing():
    line = Line()
    times = [*even(600), *even(600, 25 * SECOND)]
    for number, ticks in enumerate(times):
        line.put(0, ticks, arrival=number * 100)
    assert line.at_end(0) == [START + ticks for ticks in times]


def test_live_items_without_a_time_lie_when_they_came():
    line = Line()
    for number in range(10):
        line.put(0, None, arrival=5 * SECOND + number * 18_000)
    assert line.at_end(0) == even(10, START, 18_000)


# Without times, and what was not live.


def test_one_time_for_ever_of_a_file_takes_a_step_each():
    line = Line()
    assert line.all(0, [0] * 10) == even(10, START)
    assert line.counts == {"untimed_items": 9}


def test_an_item_without_a_time_follows_the_one_before():
    line = Line()
    line.put(0, None)
    line.put(0, None, 1500)
    line.put(0, None, 0)
    assert line.at_end(0) == [START, START + 3000, START + 4500]
    assert line.counts == {"untimed_items": 3}


def test_the_first_item_without_a_time_of_a_stream_stands_beside_the_newest_of_the_others():
    line = Line()
    line.all(0, [0, 10 * SECOND])
    line.put(1, None, 1920)
    line.put(1, None, 1920)
    assert line.at_end(1) == [START + 10 * SECOND, START + 10 * SECOND + 1920]


def test_a_step_that_was_not_told_is_that_seen_last():
    line = Line()
    line.all(0, [0, 3600], duration=0)
    line.put(0, None, 0)
    line.put(0, 5 * SECOND, 0)
    line.put(0, None, 0)
    assert line.at_end(0)[2:] == [START + 7200, START + 5 * SECOND, START + 6 * SECOND]


def test_a_restart_of_a_stream_that_untimed_items_have_carried_on():
    line = Line()
    line.put(0, 10 * SECOND)
    for _ in range(60):
        line.put(0, None)
    line.put(0, 0)
    line.put(0, 3000)
    assert line.at_end(0)[-2:] == [START + 61 * 3000, START + 62 * 3000]
    assert line.counts == {"untimed_items": 60, "restarts": 1}


def test_trusted_times_are_believed_at_once():
    line = Line()
    for ticks in (0, 3000, 3600 * SECOND, 3600 * SECOND + 3000):
        line.put(0, ticks, trusted=True)
        assert not line.timeline.holds
    assert line.places[0][3] == START + 3600 * SECOND + 3000


times = st.one_of(st.none(), st.integers(-(10**9), 10**12), st.integers(0, 3 * 10**6))


@given(
    st.lists(st.tuples(st.integers(0, 3), times, st.integers(0, 90_000), st.booleans()), max_size=80),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_whatever_comes_each_streams_times_increase_in_its_order(items, is_live, random):
    line, last, seen = Timeline(), {}, {}
    arrival, placed = 0, []
    for number, (stream, ticks, duration, keep_late) in enumerate(items):
        arrival += random.randrange(9000)
        how = {"arrival": arrival} if is_live else {}
        placed += line.put(stream, number, ticks, duration, keep_late=keep_late, **how)
    placed += line.settle()
    for one in placed:
        assert one.place > last.get(one.stream, LEAST - 1)
        assert one.item > seen.get(one.stream, -1)
        last[one.stream], seen[one.stream] = one.place, one.item
    assert len(placed) <= len(items) <= len(placed) + line.late_items


@given(st.lists(st.integers(0, JUMP - 10), min_size=1, max_size=50, unique=True))
def test_times_that_increase_keep_their_distances(times):
    ordered = sorted(times)
    assert Line().all(0, ordered, duration=0) == [START + time - ordered[0] for time in ordered]
