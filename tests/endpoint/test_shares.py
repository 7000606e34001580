"""Whoever holds many connections makes room for those who hold few; addresses are put to their owners."""

from __future__ import annotations

import pytest

from recordkit.endpoint.addresses import share_of
from recordkit.endpoint.shares import Guest, Shares


class Door:
    """Lets connections of addresses in, and keeps who was hung up on."""

    def __init__(self, most: int) -> None:
        self.is_short = False
        self.hung_up: list[str] = []
        self.shares = Shares(most, lambda: self.is_short)

    def enter(self, address: str) -> Guest | None:
        return self.shares.enter(share_of(address), lambda: self.hung_up.append(address))


def test_one_may_hold_all_until_others_come_and_then_all_hold_as_many() -> None:
    door = Door(8)
    assert all(door.enter("10.0.0.1") for _ in range(8))
    assert door.enter("10.0.0.1") is None
    assert all(door.enter("10.0.0.2") for _ in range(4))
    assert door.enter("10.0.0.2") is None
    assert door.hung_up == ["10.0.0.1"] * 4
    assert all(door.enter(f"10.0.0.{last}") for last in (3, 4, 5, 6))
    assert sorted(door.hung_up) == ["10.0.0.1"] * 6 + ["10.0.0.2"] * 2
    assert (len(door.shares), door.shares.refused, door.shares.displaced) == (8, 2, 8)


def test_when_everybody_holds_one_a_newcomer_is_refused() -> None:
    door = Door(3)
    assert all(door.enter(f"10.0.0.{last}") for last in range(3))
    assert door.enter("10.0.0.9") is None
    assert door.hung_up == []


def test_the_oldest_goes_and_whoever_leaves_makes_room() -> None:
    ended: list[int] = []
    shares = Shares(3, lambda: False)
    guests = [shares.enter("a", lambda number=number: ended.append(number)) for number in range(3)]  # type: ignore[misc]
    assert shares.enter("b", lambda: None)
    assert ended == [0]
    for guest in guests:
        assert guest is not None
        shares.leave(guest)
        shares.leave(guest)
    assert len(shares) == 1
    shares.hang_up_all()
    assert (len(shares), ended) == (0, [0])


def test_without_descriptors_to_spare_the_largest_share_gets_smaller() -> None:
    door = Door(100)
    assert all(door.enter("10.0.0.1") for _ in range(5))
    door.is_short = True
    assert door.enter("10.0.0.1") is None
    assert door.enter("10.0.0.2")
    assert (len(door.shares), door.hung_up) == (5, ["10.0.0.1"])


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("::1", "127.0.0.1", False),
    ],
)
def test_an_owner_is_an_address_or_of_ipv6_its_first_64_bits(one: str, other: str, *, is_same: bool) -> None:
    assert (share_of(one) == share_of(other)) is is_same
