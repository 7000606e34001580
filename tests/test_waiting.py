"""Calls in threads of their own: what they return and raise, and nothing done behind anybody's back."""

import asyncio
import threading

import pytest

from recordkit.errors import AdmissionError
from recordkit.waiting import in_thread


@pytest.mark.usefixtures("none_left")
def test_what_gets_no_thread_is_not_done_later_either():
    calls = []

    async def asked():
        with pytest.raises(AdmissionError):
            await in_thread(lambda: calls.append(1), "recordkit-start", "talk.ts")

    asyncio.run(asked())
    assert calls == []


def test_a_call_in_a_thread_of_its_own_returns_and_raises_as_it_does():
    async def asked():
        name = await in_thread(lambda: threading.current_thread().name, "recordkit-stop:talk.ts", "talk.ts")
        with pytest.raises(ZeroDivisionError):
            await in_thread(lambda: 1 // 0, "recordkit-stop:talk.ts", "talk.ts")
        return name

    assert asyncio.run(asked()) == "recordkit-stop:talk.ts"


def test_nobody_is_told_who_has_gone_away():
    go, done = threading.Event(), threading.Event()

    def work():
        go.wait(60)
        done.set()

    async def asked():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await in_thread(work, "recordkit-stop", "talk.ts")

    asyncio.run(asked())
    go.set()
    assert done.wait(60)
