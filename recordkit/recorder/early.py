"""What waits for its place at the very start is made safe meanwhile, by a prelude that is given up in the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ..intake import Intake
from ..model import EncodedUnit
from ..system import Clock
from .prelude import Prelude

_LONGEST_PRELUDE_S = 5.0
"""So long what has waited for its place may take to be laid there, before flushes go on without."""


class Early:
    """Hands early units to the prelude, which ``make`` makes with the first.

    ``has_room`` and ``put`` are for any thread, the rest is for the encoding one.
    """

    def __init__(self, make: Callable[[], Prelude], intake: Intake[Any], clock: Clock) -> None:
        self._make = make
        self._intake = intake
        self._clock = clock
        self._prelude: Prelude | None = None
        self._waiting: deque[tuple[EncodedUnit, int]] = deque()
        self._over_s: float | None = None
        self._is_over = False

    @property
    def has_room(self) -> bool:
        """Whether there is room for more that waits for its place."""
        prelude = self._prelude
        return not self._is_over and (prelude is None or prelude.has_room)

    def put(self, unit: EncodedUnit, index: int) -> None:
        """Lay ``unit`` of stream ``index``, by its arrival, into the prelude."""
        if self.has_room:
            with self._intake.changed:
                self._waiting.append((unit, index))
                self._intake.changed.notify_all()

    @property
    def is_waiting(self) -> bool:
        """Whether something is to be laid."""
        return bool(self._waiting)

    def lay(self) -> None:
        """What is not safe yet comes before what is coded and laid in its place."""
        while self._waiting:
            unit, index = self._waiting.popleft()
            if not self._is_over:
                self._prelude = self._prelude or self._make()
                self._prelude.add(unit, index)

    def placed(self) -> None:
        """All that has waited for its place is in the queue with it."""
        self._over_s = self._clock.monotonic()

    def look(self, *, all_laid: bool) -> None:
        """Give the prelude up once all of it is laid in its place; or that takes so long that its slot is needed.

        ``all_laid`` says that nothing that was taken from the queue waits to be laid.
        """
        if self._is_over or self._over_s is None or not all_laid:
            return
        if self._intake.next is None or self._clock.monotonic() - self._over_s >= _LONGEST_PRELUDE_S:
            self.end()

    def end(self) -> None:
        """Give the prelude up. May be called again."""
        self._is_over = True
        self._waiting.clear()
        if self._prelude is not None:
            self._prelude.end()
