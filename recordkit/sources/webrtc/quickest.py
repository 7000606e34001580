"""The least delayed of what comes, and whether that is known already."""

from __future__ import annotations

from ...ticks import TICKS_PER_SECOND

_ENOUGH = 4
_NEAR = TICKS_PER_SECOND // 100
"""So near the quickest several must be: on a busy machine, or of what a server had in store, one says little."""


class Quickest:
    """Takes how far each packet is ahead of the clock when it comes, in ticks; ``best`` is the furthest."""

    def __init__(self) -> None:
        self.best: int | None = None
        self._near = 0

    def add(self, ahead: int) -> None:
        """One more has come."""
        if self.best is None or ahead > self.best + _NEAR:
            self._near = 0
        self.best = ahead if self.best is None else max(self.best, ahead)
        self._near += ahead >= self.best - _NEAR

    @property
    def is_steady(self) -> bool:
        """Whether several came about as quickly as the quickest."""
        return self._near >= _ENOUGH
