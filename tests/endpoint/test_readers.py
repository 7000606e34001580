"""The threads that read for visitors: so many at once, and an end."""

from __future__ import annotations

import asyncio
import threading

import pytest
from aiohttp import web

from recordkit.endpoint.readers import Readers
from tests.steering import GUARD_S

from .rig import until


class Slow:
    """A call that lasts until ``go`` is set; counts how many are at work."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.at_work = 0
        self.names: list[str] = []

    def __call__(self) -> str:
        self.at_work += 1
        self.names.append(threading.current_thread().name)
        assert self.go.wait(GUARD_S)
        return "read"


def test_so_many_threads_and_no_more_wait_than_may() -> None:
    async def scene() -> None:
        readers, slow = Readers(threads=2, waiting=4), Slow()
        asked = [asyncio.create_task(readers.run(slow)) for _ in range(4)]
        await until(lambda: slow.at_work == 2)
        with pytest.raises(web.HTTPServiceUnavailable) as refused:
            await readers.run(slow)
        assert "Too many are watching" in (refused.value.text or "")
        assert (slow.at_work, slow.names) == (2, ["recordkit-page"] * 2)
        slow.go.set()
        assert await asyncio.gather(*asked) == ["read"] * 4
        await readers.close()
        assert len(readers) == 0
        # The last word of a thread is heard a moment before its end.
        threads = [one for one in threading.enumerate() if one.name == "recordkit-page"]
        for one in threads:
            one.join(GUARD_S)
        assert not [one for one in threads if one.is_alive()]

    asyncio.run(scene())


def test_one_at_a_time_for_a_lock_and_whoever_goes_leaves_it_whole() -> None:
    async def scene() -> None:
        readers, slow, lock = Readers(threads=2, waiting=4), Slow(), asyncio.Lock()
        first = asyncio.create_task(readers.run(slow, lock))
        await until(lambda: slow.at_work == 1)
        first.cancel()  # the visitor has gone; the thread has not
        second = asyncio.create_task(readers.run(lambda: slow.at_work, lock))
        await asyncio.gather(first, return_exceptions=True)
        assert (lock.locked(), second.done()) == (True, False)
        closing = asyncio.create_task(readers.close())
        await asyncio.sleep(0)
        with pytest.raises(web.HTTPServiceUnavailable) as refused:
            await readers.run(slow)
        assert "being stopped" in (refused.value.text or "")
        slow.go.set()
        await closing
        assert await second == 1

    asyncio.run(scene())


def test_faults_are_handed_on() -> None:
    async def scene() -> None:
        with pytest.raises(ZeroDivisionError):
            await Readers(1, 1).run(lambda: 1 // 0)

    asyncio.run(scene())
