"""What may wait, done in a thread while an event loop goes on. Apart from ``threads``: asyncio takes 6 MB."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from .threads import begin

T = TypeVar("T")


async def in_thread(call: Callable[[], T], name: str, owner: str) -> T:
    """What ``call`` returns, which may wait, from a thread of its own; the event loop goes on meanwhile.

    Not by an executor: one that gets no thread keeps the call, and makes it when nobody expects it any more.

    Raises AdmissionError if there is no further thread, with nothing done, and whatever ``call`` raises.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(give: Callable[[], object]) -> None:
        if not done.done():
            give()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - it is handed on, whatever it is
            fault = error
            _tell(loop, lambda: settle(lambda: done.set_exception(fault)))
        else:
            _tell(loop, lambda: settle(lambda: done.set_result(result)))

    begin(threading.Thread(target=run, name=name, daemon=True), owner)
    return await done


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(what)
    except RuntimeError:  # the loop was closed meanwhile: nobody waits any more
        return
