"""The bounded queue: its marks, its two policies, and what it counts."""

import threading

import pytest

from recordkit.budget import Budget
from recordkit.errors import SettingsError
from recordkit.intake import NAP_S, Intake

from .steering import GUARD_S, FakeClock

KIB = 1024
BOUND = 64 * KIB


def intake(overflow="drop", bound=BOUND):
    made = Intake(bound, overflow, FakeClock())
    return made, made._clock


def taken(queue):
    with queue.changed:
        return queue.take()


@pytest.mark.parametrize(
    ("bound", "overflow", "name"), [(65_535, "drop", "queue_bytes"), (BOUND, "wait", "overflow")]
)
def test_settings_that_cannot_be_used(bound, overflow, name):
    with pytest.raises(SettingsError) as caught:
        Intake(bound, overflow, FakeClock())
    assert caught.value.name == name


def test_items_come_out_in_order_and_count_until_released():
    queue, _ = intake()
    assert queue.put("a", 0, 5, 1000, entry=True)
    assert queue.put("b", 1, None, 500, entry=True)
    assert (queue.bytes, queue.taken) == (1500, 2)
    first = taken(queue)
    assert (first.payload, first.index, first.ticks, first.size, first.dropped) == ("a", 0, 5, 1000, 0)
    assert taken(queue).payload == "b"
    assert taken(queue) is None
    assert queue.bytes == 1500
    queue.release(1000)
    assert queue.bytes == 500


def test_the_newest_of_several_is_the_last():
    queue, _ = intake()
    queue.put("a", 1, 5, 1, entry=True)
    queue.put("bcd", 1, 6, 3, entry=True, newest=8)
    assert queue.newest == (1, 5, 8)
    assert [taken(queue).ticks for _ in range(2)] == [5, 6]


def test_what_is_of_one_kind_is_taken_in_one_run():
    queue, _ = intake()
    for payload in ("a", "b", "c", 1, 2, "d"):
        queue.put(payload, 0, 0, 1, entry=True)

    def run():
        with queue.changed:
            return [item.payload for item in queue.take_run(str, 2)]

    assert [run() for _ in range(6)] == [["a", "b"], ["c"], [1], [2], ["d"], []]


def test_who_takes_is_told_of_what_is_gathered_when_it_is_handed_over(monkeypatch):
    queue, _ = intake()
    told = []
    monkeypatch.setattr(queue.changed, "notify_all", lambda: told.append(queue.taken))
    queue.put("alone", 0, 0, 1, entry=True)
    queue.gather()
    queue.put("a", 0, 1, 1, entry=True)
    queue.put("b", 0, 2, 1, entry=True)
    assert told == [1]
    queue.hand_over()
    queue.put("alone again", 0, 3, 1, entry=True)
    assert told == [1, 3, 4]
    assert [taken(queue).payload for _ in range(4)] == ["alone", "a", "b", "alone again"]


def waits(monkeypatch, queue, put=lambda: None):
    """Waits once, with ``put`` called meanwhile; how long it would have waited, and how often it was told."""
    lengths, told = [], []
    monkeypatch.setattr(queue.changed, "notify_all", lambda: told.append(queue.taken))

    def wait(_, timeout_s):
        lengths.append(timeout_s)
        put()

    monkeypatch.setattr(queue._clock, "wait", wait)
    with queue.changed:
        queue.wait(None)
    return lengths[0], len(told)


def test_while_items_come_a_patient_one_wakes_nobody(monkeypatch):
    queue, _ = intake()

    def put(patient):
        return lambda: queue.put("a", 1, 0, 1, entry=True, patient=patient)

    # Nothing has come yet: nobody would look for it.
    assert waits(monkeypatch, queue, put(True)) == (None, 1)
    assert waits(monkeypatch, queue, put(True)) == (NAP_S, 0)
    assert waits(monkeypatch, queue, put(False)) == (NAP_S, 1)
    assert waits(monkeypatch, queue) == (NAP_S, 0)
    # Nothing came in a whole nap: no more of them.
    assert waits(monkeypatch, queue, put(True)) == (None, 1)


def test_where_all_are_in_a_hurry_nobody_wakes_up_in_vain(monkeypatch):
    queue, _ = intake()
    queue.put("a", 1, 0, 1, entry=True)
    assert waits(monkeypatch, queue) == (None, 0)


def test_of_patient_items_no_more_than_a_few_wait(monkeypatch):
    queue, _ = intake()
    queue.put("a", 1, 0, 1, entry=True, patient=True)
    taken(queue)

    def put():
        for number in range(6):
            queue.put(number, 1, 0, 1, entry=True, patient=True)

    assert waits(monkeypatch, queue, put) == (NAP_S, 3)


def test_a_shorter_wait_is_no_nap(monkeypatch):
    queue, _ = intake()
    queue.put("a", 1, 0, 1, entry=True)
    lengths = []
    monkeypatch.setattr(queue._clock, "wait", lambda _, timeout_s: lengths.append(timeout_s))
    with queue.changed:
        queue.wait(0.01)
    assert lengths == [0.01]


def test_who_waits_for_room_has_handed_over_what_was_gathered():
    queue, _ = intake("block")
    queue.gather()
    queue.put("a", 0, 0, BOUND, entry=True)
    told = threading.Event()

    def take():
        with queue.changed:
            queue.changed.wait_for(lambda: told.set() or not queue._gathers, GUARD_S)
            item = queue.take()
        queue.release(item.size)

    taker = threading.Thread(target=take)
    taker.start()
    told.wait(GUARD_S)
    assert queue.put("b", 0, 1, BOUND, entry=True)
    taker.join(GUARD_S)
    assert taken(queue).payload == "b"


def test_the_high_mark_is_the_bound_exactly():
    queue, _ = intake()
    assert queue.put("a", 0, 0, BOUND - 1, entry=True)
    assert queue.put("b", 0, 0, 1, entry=True)
    assert not queue.put("c", 0, 0, 1, entry=True)
    assert (queue.taken, queue.dropped) == (2, 1)


def test_dropping_lasts_to_the_low_mark_and_to_an_item_a_decoder_can_start_from():
    queue, _ = intake()
    queue.put("full", 0, 0, BOUND, entry=True)
    assert not queue.put("p", 0, 0, 10, entry=False)
    queue.release(BOUND // 2 - 1)
    assert not queue.put("i above the low mark", 0, 0, 10, entry=True)
    queue.release(1)
    assert not queue.put("p at the low mark", 0, 0, 10, entry=False)
    assert queue.put("i", 0, 0, 10, entry=True)
    assert queue.put("p", 0, 0, 10, entry=False)
    assert queue.dropped == 3
    assert [taken(queue).dropped for _ in range(3)] == [0, 3, 0]


def test_one_stream_may_drop_while_another_goes_on():
    queue, _ = intake()
    queue.put("a", 0, 0, BOUND - 100, entry=True)
    assert not queue.put("b", 0, 0, 5000, entry=True)
    assert queue.put("sound", 1, 0, 50, entry=True)
    assert not queue.put("b", 0, 0, 5000, entry=True)
    assert queue.dropped == 2


def test_an_entry_that_ends_the_dropping_does_not_pass_the_bound_either():
    queue, _ = intake()
    queue.put("a", 0, 0, BOUND // 2, entry=True)
    queue.put("full", 0, 0, BOUND // 2, entry=True)
    assert not queue.put("p", 0, 0, 10, entry=False)
    queue.release(taken(queue).size)
    assert not queue.put("a large i at the low mark", 0, 0, BOUND // 2 + 1, entry=True)
    assert queue.bytes == BOUND // 2
    assert queue.put("i", 0, 0, BOUND // 2, entry=True)
    assert [taken(queue).dropped for _ in range(2)] == [0, 2]


@pytest.mark.parametrize("overflow", ["drop", "block"])
def test_an_item_larger_than_the_bound_is_taken_alone(overflow):
    queue, _ = intake(overflow)
    assert queue.put("huge", 0, 0, 10 * BOUND, entry=True)
    assert queue.bytes == 10 * BOUND
    queue.release(10 * BOUND)
    assert queue.put("huge", 0, 0, 10 * BOUND, entry=True)


def blocked(queue, clock, size=BOUND):
    """A thread that waits in ``put``, and what that gave in the end."""
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(queue.put("b", 0, 0, size, entry=True)), name="caller")
    thread.start()
    clock.until_waiting("caller")
    return thread, outcome


def test_blocking_waits_until_there_is_room():
    queue, clock = intake("block")
    queue.put("a", 0, 0, BOUND, entry=True)
    thread, outcome = blocked(queue, clock, 100)
    queue.release(99)
    clock.until_waiting("caller")
    assert outcome == []
    queue.release(1)
    thread.join(GUARD_S)
    assert outcome == [True]
    assert (queue.bytes, queue.taken, queue.dropped) == (BOUND, 2, 0)


def test_closing_lets_go_who_waits():
    queue, clock = intake("block")
    queue.put("a", 0, 0, BOUND, entry=True)
    thread, outcome = blocked(queue, clock)
    queue.close()
    thread.join(GUARD_S)
    assert outcome == [False]
    assert (queue.taken, queue.dropped) == (1, 1)


@pytest.mark.parametrize("overflow", ["drop", "block"])
def test_a_closed_queue_takes_nothing_and_gives_what_it_has(overflow):
    queue, _ = intake(overflow)
    queue.put("a", 0, 0, 10, entry=True)
    queue.close()
    queue.close()
    assert not queue.put("b", 0, 0, 10, entry=True)
    assert not queue.put_marker("m")
    assert taken(queue).payload == "a"
    assert taken(queue) is None


@pytest.mark.parametrize("overflow", ["drop", "block"])
def test_a_marker_goes_behind_what_is_queued_however_full_it_is(overflow):
    queue, _ = intake(overflow)
    queue.put("a", 0, 0, 2 * BOUND, entry=True)
    assert queue.put_marker("m")
    assert (queue.taken, queue.dropped, queue.bytes) == (1, 0, 2 * BOUND)
    assert [taken(queue).payload for _ in range(2)] == ["a", "m"]


def test_many_threads_lose_nothing():
    queue, _ = intake("block", 10 * BOUND)
    out = []

    def give(index):
        for number in range(500):
            queue.put((index, number), index, number, 1000, entry=True)

    def take_all():
        while len(out) < 2000:
            with queue.changed:
                item = queue.take()
                if item is None:
                    queue.changed.wait(GUARD_S)
                    continue
            out.append(item.payload)
            queue.release(item.size)

    threads = [threading.Thread(target=give, args=(index,)) for index in range(4)]
    threads.append(threading.Thread(target=take_all))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GUARD_S)
    assert queue.bytes == 0
    assert queue.taken == 2000
    for index in range(4):
        assert [number for stream, number in out if stream == index] == list(range(500))


# A share of a budget.


def sharing(overflow):
    budget = Budget(1024 * KIB)
    queue, other = Intake(1024 * KIB, overflow, FakeClock(), budget.share()), budget.share()
    queue._share.join()
    other.join()
    return queue, other, budget


def test_what_the_budget_has_not_is_dropped_and_taken_again_from_the_next_entry():
    queue, other, budget = sharing("drop")
    assert other.take(512 * KIB)
    assert queue.put("a", 0, 0, 500 * KIB, entry=True)
    assert queue.since_drop_s is None
    assert not queue.put("b", 0, 1, 100 * KIB, entry=True)
    queue._clock.advance(2.0)
    assert queue.since_drop_s == 2.0
    assert (queue.bytes, budget.used, queue.dropped) == (500 * KIB, 1012 * KIB, 1)
    other.give(512 * KIB)
    assert not queue.put("c", 0, 2, 100 * KIB, entry=False)
    assert queue.put("d", 0, 3, 100 * KIB, entry=True)
    taken(queue)
    assert taken(queue).dropped == 2
    queue.release(600 * KIB)
    assert budget.used == 0


def test_an_empty_queue_takes_an_item_whatever_the_budget_says():
    queue, other, budget = sharing("drop")
    other.take(1024 * KIB)
    assert queue.put("a", 0, 0, 900 * KIB, entry=True)
    assert budget.used == 1924 * KIB


def test_who_waits_for_the_budget_goes_on_when_another_queue_gives_back():
    queue, other, budget = sharing("block")
    other.take(512 * KIB)
    queue.put("a", 0, 0, 500 * KIB, entry=True)
    thread = threading.Thread(target=queue.put, args=("b", 0, 1, 100 * KIB), kwargs={"entry": True}, name="writing")
    thread.start()
    queue._clock.until_waiting("writing")
    other.give(256 * KIB)
    thread.join(GUARD_S)
    assert (queue.taken, queue.bytes, budget.used) == (2, 600 * KIB, 856 * KIB)
    assert queue.since_drop_s is None
