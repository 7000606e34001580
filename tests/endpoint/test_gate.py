"""How often an address may ask, and that remembering it takes no memory without end."""

from __future__ import annotations

from recordkit.endpoint import gate
from recordkit.endpoint.gate import RateLimit
from tests.steering import FakeClock


def test_a_burst_then_so_many_a_second() -> None:
    clock = FakeClock()
    limit = RateLimit(clock, burst=3, per_second=2)
    assert [limit.take("a") for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limit.take("a") == 0.5
    assert limit.take("b") == 0.0
    clock.advance(0.5)
    assert limit.take("a") == 0.0
    assert limit.take("a") > 0
    clock.advance(100)
    assert [limit.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_being_refused_does_not_make_it_longer() -> None:
    clock = FakeClock()
    limit = RateLimit(clock, burst=1, per_second=1)
    for _ in range(1000):
        limit.take("a")
    clock.advance(1)
    assert limit.take("a") == 0.0


def test_it_remembers_a_bounded_number_of_addresses() -> None:
    limit = RateLimit(FakeClock(), burst=1, per_second=1)
    for number in range(gate._MOST_ADDRESSES + 500):
        limit.take(str(number))
    assert len(limit._left) == gate._MOST_ADDRESSES
    assert limit.take("0") == 0.0  # forgotten
    assert limit.take(str(gate._MOST_ADDRESSES + 499)) > 0
