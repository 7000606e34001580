"""How many bytes may wait in all recordings of a process together, and what each of them may count on."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .errors import SettingsError

LEAST_BYTES = 1024 * 1024


class Budget:
    """A bound in bytes that several queues draw from, each by a Share of its own.

    Each may hold an equal part of ``limit``, whatever the others do; beyond that it may hold what
    is left. One that joins while others hold more than their part gets its own at once: until they
    have gone down to theirs, which they do before they take anything new, all together may be above
    the limit. May be used from any thread.

    Raises SettingsError for a limit below ``LEAST_BYTES``.
    """

    def __init__(self, limit: int) -> None:
        if limit < LEAST_BYTES:
            raise SettingsError("budget_bytes", limit, f"give at least {LEAST_BYTES:,} bytes")
        self.limit = limit
        self._lock = threading.Lock()
        self._used = 0
        self._members: set[Share] = set()
        self._waiting: set[Share] = set()

    @property
    def used(self) -> int:
        """Bytes that are held now."""
        return self._used

    @property
    def members(self) -> int:
        """Shares that have joined and not left."""
        return len(self._members)

    def share(self) -> Share:
        """A part for one more queue; it counts once it has joined."""
        return Share(self)

    def join(self, share: Share) -> None:
        """From now on the limit is divided by one more."""
        with self._lock:
            self._members.add(share)

    def leave(self, share: Share) -> None:
        """What the share still holds counts on until it is given back."""
        with self._lock:
            self._members.discard(share)
        self._wake()

    def take(self, share: Share, size: int, *, must: bool) -> bool:
        """See Share.take."""
        with self._lock:
            part = self.limit // max(1, len(self._members))
            if not must and self._used + size > self.limit and share.held + size > part:
                self._waiting.add(share)
                return False
            self._used += size
            share.held += size
            return True

    def give(self, share: Share, size: int) -> None:
        """See Share.give."""
        with self._lock:
            self._used -= size
            share.held -= size
        self._wake()

    def _wake(self) -> None:
        if not self._waiting:  # as good as always
            return
        with self._lock:
            woken, self._waiting = self._waiting, set()
        # Without the lock: who is woken holds that of its own queue, and then asks for this one.
        for share in woken:
            share.wake()


class Share:
    """What one queue holds of a budget: ``held`` bytes.

    ``wake`` is set by the owner: once something was refused it is called, without a lock of the
    budget's, when it may be worth asking again.
    """

    def __init__(self, budget: Budget) -> None:
        self.held = 0
        self.wake: Callable[[], None] = lambda: None
        self._budget = budget

    def join(self) -> None:
        """Count as one of those that share."""
        self._budget.join(self)

    def leave(self) -> None:
        """Count no more; may be called again."""
        self._budget.leave(self)

    def take(self, size: int, *, must: bool = False) -> bool:
        """Hold ``size`` bytes more; False if they are not available. ``must`` takes them anyway."""
        return self._budget.take(self, size, must=must)

    def give(self, size: int) -> None:
        """Give ``size`` bytes back; a negative ``size`` if what is held has grown."""
        self._budget.give(self, size)
