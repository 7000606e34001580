"""Connections in fair shares: whoever holds many makes room for those who hold few."""

from __future__ import annotations

from collections.abc import Callable


class Guest:
    """One connection; ``hang_up`` ends it."""

    __slots__ = ("hang_up", "share")

    def __init__(self, share: str, hang_up: Callable[[], None]) -> None:
        self.share = share
        self.hang_up = hang_up


class Shares:
    """Counts connections from their very first moment, ``most`` at once, each for its ``share``.

    One may hold them all while nobody else wants any. When there are no more, or ``is_short`` says that the
    process has no descriptors to spare, somebody with fewer gets the place of the oldest connection of whoever
    has the most. ``refused`` and ``displaced`` count.
    """

    def __init__(self, most: int, is_short: Callable[[], bool]) -> None:
        self.refused = 0
        self.displaced = 0
        self._most = most
        self._is_short = is_short
        self._guests: dict[str, dict[Guest, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, share: str, hang_up: Callable[[], None]) -> Guest | None:
        """Let one more of ``share`` in; None if there is no place for it. Another may be hung up on."""
        if (self._count >= self._most or self._is_short()) and not self._make_room(share):
            self.refused += 1
            return None
        guest = Guest(share, hang_up)
        self._guests.setdefault(share, {})[guest] = None
        self._count += 1
        return guest

    def leave(self, guest: Guest) -> None:
        """It is over. May be called again."""
        own = self._guests.get(guest.share, {})
        if guest in own:
            del own[guest]
            self._count -= 1
            if not own:
                del self._guests[guest.share]

    def hang_up_all(self) -> None:
        """End all of them."""
        for guest in [one for own in self._guests.values() for one in own]:
            self.leave(guest)
            guest.hang_up()

    def _make_room(self, share: str) -> bool:
        largest = max(self._guests.values(), key=len, default={})
        # With one more of its own it must not have as many as who gives way: they would take turns for ever.
        if len(largest) < len(self._guests.get(share, ())) + 2:
            return False
        oldest = next(iter(largest))
        self.displaced += 1
        self.leave(oldest)
        oldest.hang_up()
        return True
