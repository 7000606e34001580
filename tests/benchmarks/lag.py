"""How late an event loop is: by how much a sleep of 10 ms takes longer than that."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

STEP_S = 0.01


class LagMeter:
    """Measures from the beginning to the end of its context."""

    def __init__(self) -> None:
        self.lags: list[float] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._measure())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()

    async def _measure(self) -> None:
        while True:
            asked_s = time.monotonic()
            await asyncio.sleep(STEP_S)
            self.lags.append(time.monotonic() - asked_s - STEP_S)

    def figures(self) -> dict[str, float]:
        """Milliseconds: median, 99th percentile, maximum."""
        ordered = sorted(self.lags) or [0.0]
        return {
            "lag_ms_p50": round(1000 * ordered[len(ordered) // 2], 2),
            "lag_ms_p99": round(1000 * ordered[int(len(ordered) * 0.99)], 2),
            "lag_ms_max": round(1000 * ordered[-1], 2),
        }
