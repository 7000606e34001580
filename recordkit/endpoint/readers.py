"""Threads that read files for visitors, so that the event loop never does: few, named, none when nobody looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import hdrs, web

from ..errors import AdmissionError
from ..waiting import in_thread

T = TypeVar("T")

RETRY_S = "10"
_LONGEST_END_S = 3.0
"""A file system that hangs keeps its thread; the end does not wait for that."""


def unavailable(text: str) -> web.HTTPServiceUnavailable:
    """503 in words, and when to come back."""
    return web.HTTPServiceUnavailable(text=f"{text}\n", headers={hdrs.RETRY_AFTER: RETRY_S})


class Readers:
    """Runs calls in ``threads`` threads at most, for ``waiting`` callers at most. Lives on the event loop."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(threads)
        self._most = waiting
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._tasks)

    async def run(self, call: Callable[[], T], lock: asyncio.Lock | None = None) -> T:
        """What ``call`` returns, from a thread; of those with the same ``lock`` one at a time.

        It goes on to its end even if whoever waits for it does not. Raises HTTPServiceUnavailable if too many
        wait or it was closed, and whatever ``call`` raises.
        """
        if self._is_closed:
            raise unavailable("The endpoint is being stopped.")
        if len(self._tasks) >= self._most:
            raise unavailable("Too many are watching at the moment. Come back later.")
        task = asyncio.create_task(self._in_turn(call, lock or asyncio.Lock()), name="recordkit-page-read")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def _in_turn(self, call: Callable[[], T], lock: asyncio.Lock) -> T:
        async with lock, self._free:
            try:
                return await in_thread(call, "recordkit-page", "the page")
            except AdmissionError as error:
                raise unavailable("The system has no thread left to read with.") from error

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked may have gone: then nobody else looks at it

    async def close(self) -> None:
        """Take no more, and wait for those at work. May be called again."""
        self._is_closed = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LONGEST_END_S)
