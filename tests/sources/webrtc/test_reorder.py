"""Order by sequence number: wrap, gaps, what comes late, again, or never."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordkit.sources.webrtc.reorder import InOrder, Reorder


def sequence(number):
    return number & 0xFFFF


def put_all(order, arrivals):
    """(number, time) pairs in; what comes out, the packet being its number."""
    return [one for number, now_s in arrivals for one in order.put(sequence(number), number, now_s)]


def test_packets_in_order_pass_at_once_over_the_wrap():
    order = Reorder(0.5)
    numbers = range(65_500, 65_600)
    assert put_all(order, [(number, 0.0) for number in numbers]) == [InOrder(number, 0) for number in numbers]
    assert (order.packets, order.lost, order.recovered) == (100, 0, 0)


def test_a_gap_is_waited_for_and_filled():
    order = Reorder(0.5)
    assert put_all(order, [(10, 0.0), (12, 0.1), (13, 0.2)]) == [InOrder(10, 0)]
    assert order.poll(0.59) == []
    assert order.put(11, 11, 0.59) == [InOrder(11, 0), InOrder(12, 0), InOrder(13, 0)]
    assert (order.packets, order.recovered, order.lost, order.late) == (4, 1, 0, 0)


def test_a_gap_is_given_up_after_the_window_and_what_comes_then_is_late():
    order = Reorder(0.5)
    put_all(order, [(10, 0.0), (13, 0.1), (15, 0.3)])
    assert order.poll(0.6) == [InOrder(13, 2)]
    assert order.poll(0.79) == []
    assert order.poll(0.8) == [InOrder(15, 1)]
    assert order.put(11, 11, 0.9) == []
    assert order.put(11, 11, 0.9) == []
    assert (order.packets, order.lost, order.late, order.duplicates) == (3, 3, 1, 1)


def test_a_packet_that_comes_again_is_counted_and_left_out():
    order = Reorder(0.5)
    assert put_all(order, [(1, 0.0), (1, 0.0), (3, 0.1), (3, 0.1), (2, 0.2)]) == [
        InOrder(1, 0),
        InOrder(2, 0),
        InOrder(3, 0),
    ]
    assert order.duplicates == 2


def test_an_outage_of_many_packets_is_a_loss_once_it_is_confirmed():
    order = Reorder(0.5)
    put_all(order, [(number, 0.0) for number in range(100)])
    assert order.put(20_000, 20_000, 30.0) == []
    assert order.put(20_001, 20_001, 30.0) == [InOrder(20_000, 19_900), InOrder(20_001, 0)]
    assert order.lost == 19_900
    assert order.put(20_002, 20_002, 30.1) == [InOrder(20_002, 0)]


def test_a_source_that_counts_anew_is_followed_and_a_lone_stray_is_not():
    order = Reorder(0.5)
    put_all(order, [(number, 0.0) for number in range(40_000, 40_010)])
    assert order.put(7, 7, 1.0) == []
    assert order.put(40_010, 40_010, 1.0) == [InOrder(40_010, 0)]
    assert order.put(20_000, 1, 2.0) == []
    assert order.put(20_001, 2, 2.0) == [InOrder(1, 1), InOrder(2, 0)]
    assert order.put(20_002, 3, 2.0) == [InOrder(3, 0)]
    assert order.lost == 0


def test_what_waits_is_bounded_and_comes_out_at_the_end():
    order = Reorder(1e9)
    put_all(order, [(0, 0.0)])
    out = put_all(order, [(number, 0.0) for number in range(2, 9_000)])
    assert out[0] == InOrder(2, 1)
    put_all(order, [(9_001, 0.0)])
    assert order.flush() == [InOrder(9_001, 1)]
    assert order.flush() == []


@pytest.mark.parametrize(("step", "count"), [(2, 16_000), (3000, 10_000)])
def test_a_burst_full_of_holes_costs_no_more_than_its_packets(step, count):
    """To look for the first that waits among all, again and again, took seconds, with the event loop waiting."""
    order = Reorder(0.5)
    out = put_all(order, [(number * step, 0.0) for number in range(count)])
    out += order.poll(1.0)
    assert [one.packet for one in out] == [number * step for number in range(count)]
    assert (order.packets, order.lost) == (count, (count - 1) * (step - 1))
    last = (count - 1) * step
    assert order.put(sequence(last - 1), last - 1, 1.0) == []
    assert order.late == 1
    assert len(order._given_up) <= 1000


@settings(deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 0.3), st.integers(0, 0xFFFF))
def test_every_packet_is_in_one_account_and_order_is_kept(seed, loss, first):
    chance = random.Random(seed)
    sent = [first + number for number in range(300) if number == 0 or chance.random() >= loss]
    # A hundred a second, each up to 60 ms late, some of them a second late, some twice.
    arrivals = [(number - first, number) for number in sent]
    late = [chance.random() * (1.0 if chance.random() < 0.02 else 0.06) for _ in arrivals[1:]]
    jittered = [(at / 100 + late_s, number) for (at, number), late_s in zip(arrivals[1:], late, strict=True)]
    jittered += [one for one in jittered if chance.random() < 0.05]
    order = Reorder(0.2)
    out = put_all(order, [(first, 0.0), *((number, now_s) for now_s, number in sorted(jittered))])
    out += order.flush()
    numbers = [one.packet for one in out]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == order.packets
    assert sum(one.lost_before for one in out) == order.lost
    assert order.packets + order.lost == numbers[-1] - first + 1
    assert order.packets + order.late == len(sent)
    assert order.packets + order.late + order.duplicates == len(jittered) + 1


@pytest.mark.parametrize("late", [1, 999])
def test_misorder_within_reason_is_no_new_beginning(late):
    order = Reorder(0.5)
    put_all(order, [(number, 0.0) for number in range(5_000, 6_000) if number != 6_000 - late])
    assert [one.packet for one in order.put(6_000 - late, 6_000 - late, 0.1)][:1] == (
        [6_000 - late] if late > 1 else [5_999]
    )
