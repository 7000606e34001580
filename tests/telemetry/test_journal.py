"""The journal: what it keeps, for how long, and in which order."""

import itertools
import threading
import tracemalloc

import pytest

from recordkit.model import EventKind
from recordkit.telemetry.journal import (
    NEWEST_EVENTS,
    NEWEST_FLUSHES,
    NEWEST_KEYFRAMES,
    NEWEST_SAMPLES,
    THINNED_SAMPLES,
    Journal,
)

from ..steering import GUARD_S, FakeClock
from .records import flush, sample

DAY_S = 24 * 3600
MOST_MEMORY = 12e6
"""Bytes that a journal holds at the most, however long the recording."""


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def journal(clock):
    return Journal(clock)


def test_it_gives_back_what_it_was_given(journal, clock):
    journal.begin()
    clock.advance(1.5)
    records = (flush(0), sample(1.0), flush(1))
    for record in records:
        journal.add(record)
    noted = journal.event(EventKind.GAP, stream=1, seconds=0.5)
    assert (noted.elapsed_s, noted.time_ns, dict(noted.fields)) == (
        1.5,
        clock.time_ns(),
        {"stream": 1, "seconds": 0.5},
    )
    contents = journal.contents()
    assert contents.flushes == journal.flushes == (records[0], records[2])
    assert contents.samples == (records[1],)
    assert contents.events == (noted,)
    assert journal.last_flush is records[2]


def test_an_empty_one(journal):
    assert journal.last_flush is None
    assert journal.contents().flushes == journal.contents().samples == journal.contents().events == ()


def test_a_follower_sees_the_order_in_which_they_are_held(journal):
    kept = []
    journal.follow(kept.append)

    def note(kind):
        for _ in range(200):
            journal.event(kind)

    threads = [threading.Thread(target=note, args=(kind,)) for kind in (EventKind.GAP, EventKind.KEYFRAME)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GUARD_S)
    assert journal.contents().events == tuple(kept)
    assert len(kept) == 400


def test_who_follows_later_is_told_what_was_before_and_misses_nothing(journal):
    """In the midst of two hundred events: each is told once, and in order."""
    began, told = threading.Event(), []

    def note():
        for number in range(200):
            journal.event(EventKind.GAP, number=number)
            if number == 50:
                began.set()

    thread = threading.Thread(target=note)
    thread.start()
    assert began.wait(GUARD_S)
    journal.follow(told.append, lambda contents: told.extend(contents.events))
    thread.join(GUARD_S)
    assert [event.fields["number"] for event in told] == list(range(200))
    journal.unfollow(told.append)
    journal.event(EventKind.GAP)
    assert len(told) == 200


def test_events_at_one_reading_of_the_clock_keep_their_order(journal):
    kinds = [EventKind.START, EventKind.KEYFRAME, EventKind.GAP, EventKind.STREAM, EventKind.KEYFRAME]
    for kind in kinds:
        journal.event(kind)
    assert [event.kind for event in journal.contents().events] == kinds


def test_rare_events_are_not_pushed_out_by_frequent_ones(journal):
    journal.event(EventKind.START)
    journal.event(EventKind.STREAM, stream=0, codec="h264")
    journal.event(EventKind.ALERT_RAISED, rule="memory_bytes")
    for _ in range(NEWEST_KEYFRAMES + 10):
        journal.event(EventKind.KEYFRAME)
    kinds = [event.kind for event in journal.contents().events]
    assert kinds[:3] == [EventKind.START, EventKind.STREAM, EventKind.ALERT_RAISED]
    assert len(kinds) == 3 + NEWEST_KEYFRAMES
    for _ in range(NEWEST_EVENTS + 10):
        journal.event(EventKind.DROP)
    kinds = [event.kind for event in journal.contents().events]
    assert kinds[:2] == [EventKind.START, EventKind.STREAM]
    assert kinds.count(EventKind.DROP) == NEWEST_EVENTS
    assert EventKind.ALERT_RAISED not in kinds


def test_the_newest_hour_is_kept_whole_and_older_samples_as_the_peaks_of_eight(journal):
    rss = [100 + (number * 37) % 64 for number in range(NEWEST_SAMPLES + 16)]
    for number, one in enumerate(rss):
        journal.add(sample(float(number), rss_bytes=one))
    samples = journal.contents().samples
    assert [one.rss_bytes for one in samples] == [max(rss[:8]), max(rss[8:16]), *rss[16:]]
    # What has not made a run yet is there as its peak so far.
    for number in range(3):
        journal.add(sample(5000.0 + number, rss_bytes=1))
    samples = journal.contents().samples
    assert samples[2].rss_bytes == max(rss[16:19])
    assert [one.rss_bytes for one in samples[3:-3]] == rss[19:]


@pytest.mark.parametrize("peak_at", [0, 4000, 70_001])
def test_no_peak_is_lost_in_a_day(journal, peak_at):
    for number in range(DAY_S):
        journal.add(sample(float(number), rss_bytes=10**9 if number == peak_at else 10**8))
    samples = journal.contents().samples
    assert [one.elapsed_s for one in samples if one.rss_bytes == 10**9] == [float(peak_at)]
    assert len(samples) <= NEWEST_SAMPLES + THINNED_SAMPLES
    times = [one.elapsed_s for one in samples]
    assert times == sorted(times)
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) <= 2 * 32


def test_half_a_day_stays_within_its_bounds(journal, clock):
    """All that the journal keeps has reached its bound by then."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(DAY_S // 2):
            clock.advance(1.0)
            journal.add(sample(float(number), time_ns=clock.time_ns(), rss_bytes=10**8 + number))
            if number % 2:
                journal.event(EventKind.KEYFRAME, stream=0, media_s=float(number), bytes=50_000 + number)
                journal.add(flush(number // 2, time_ns=clock.time_ns()))
            if number % 5 == 0:
                journal.event(EventKind.GAP, stream=1, seconds=number / 7, filled=True)
        used = tracemalloc.get_traced_memory()[0] - before
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    contents = journal.contents()
    assert len(contents.flushes) == NEWEST_FLUSHES
    assert contents.flushes[-1].index == DAY_S // 4 - 1
    assert len(contents.samples) <= NEWEST_SAMPLES + THINNED_SAMPLES
    assert len(contents.events) == NEWEST_EVENTS + NEWEST_KEYFRAMES
    print(f"journal of half a day: {used / 1e6:.1f} MB, peak {peak / 1e6:.1f} MB")
    assert used <= peak <= MOST_MEMORY
