"""How many tasks are given at once, so that nobody waits for the next between small ones."""

from __future__ import annotations

from .rows import Row

_MOST = 64
_SMOOTHING = 8


class Pace:
    """As many as take ``span_s`` together, by how long the last ones took; one as long as that is not known."""

    def __init__(self, span_s: float) -> None:
        self.count = 1
        self._span_s = span_s
        self._mean_s: float | None = None

    def note(self, row: Row) -> None:
        """One more is done."""
        took_s = row.get("elapsed_s")
        if took_s is not None:
            mean_s = took_s if self._mean_s is None else self._mean_s + (took_s - self._mean_s) / _SMOOTHING
            self._mean_s = mean_s
            self.count = max(1, min(_MOST, int(self._span_s / max(mean_s, 1e-6))))

    def seconds(self, count: int) -> float:
        """How long ``count`` take, as it seems; 0 as long as that is not known."""
        return count * (self._mean_s or 0.0)
