"""What several queues may hold together, and that none of them lives at the cost of another."""

import pytest

from recordkit.budget import LEAST_BYTES, Budget
from recordkit.errors import SettingsError

MIB = 1024 * 1024


def joined(budget, count):
    shares = [budget.share() for _ in range(count)]
    for share in shares:
        share.join()
    return shares


def test_a_limit_that_no_picture_fits_into():
    with pytest.raises(SettingsError) as caught:
        Budget(LEAST_BYTES - 1)
    assert (caught.value.name, caught.value.value) == ("budget_bytes", LEAST_BYTES - 1)


def test_one_alone_may_have_it_all():
    budget = Budget(8 * MIB)
    (share,) = joined(budget, 1)
    assert share.take(8 * MIB)
    assert not share.take(1)
    assert (budget.used, share.held) == (8 * MIB, 8 * MIB)
    share.give(MIB)
    assert share.take(MIB)


def test_what_the_others_leave_can_be_had_and_an_equal_part_always():
    budget = Budget(8 * MIB)
    greedy, modest = joined(budget, 2)
    assert greedy.take(7 * MIB)
    assert not greedy.take(2 * MIB)
    # One that is within its part is never refused for what another one holds.
    assert modest.take(4 * MIB)
    assert not modest.take(1)
    assert not greedy.take(1)
    assert budget.used == 11 * MIB
    # The one that is above its part is refused until it is not, however little that is.
    greedy.give(3 * MIB)
    assert not greedy.take(1)
    greedy.give(MIB)
    assert greedy.take(MIB)


def test_one_that_joins_gets_its_part_at_once_and_leaving_gives_it_to_the_others():
    budget = Budget(6 * MIB)
    first, second = joined(budget, 2)
    assert first.take(3 * MIB)
    assert second.take(3 * MIB)
    (third,) = joined(budget, 1)
    assert third.take(2 * MIB)
    assert not third.take(1)
    second.leave()
    second.leave()
    assert budget.members == 2
    # It counts in no part any more; what it still held counts until it is given back.
    assert third.take(MIB)
    assert budget.used == 9 * MIB
    second.give(3 * MIB)
    assert (budget.used, second.held) == (6 * MIB, 0)


def test_what_must_be_taken_is_and_what_has_grown_counts():
    budget = Budget(MIB)
    (share,) = joined(budget, 1)
    assert share.take(5 * MIB, must=True)
    share.give(-100)
    assert (budget.used, share.held) == (5 * MIB + 100, 5 * MIB + 100)
    share.give(5 * MIB + 100)
    assert budget.used == 0


def test_who_was_refused_is_woken_once_when_another_gives_or_leaves():
    budget = Budget(2 * MIB)
    first, second = joined(budget, 2)
    woken = []
    first.wake = lambda: woken.append("first")
    second.wake = lambda: woken.append("second")
    assert first.take(MIB)
    assert second.take(MIB)
    first.give(1)
    assert not woken
    assert not second.take(MIB)
    first.give(1)
    first.give(1)
    assert woken == ["second"]
    assert not second.take(MIB)
    first.leave()
    assert woken == ["second", "second"]
    assert not second.take(2 * MIB)
    second.give(MIB)
    assert woken == ["second", "second", "second"]
