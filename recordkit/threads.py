"""Threads that begin, or an error of our own: a system may give no further one (RLIMIT_NPROC, pids.max)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from .errors import AdmissionError

T = TypeVar("T")


def begin(thread: threading.Thread, owner: str) -> None:
    """Start ``thread``, which works for the recording ``owner``. Raises AdmissionError if the system has none."""
    try:
        thread.start()
    except RuntimeError as error:
        raise AdmissionError(
            owner,
            "threads",
            1,
            0,
            "the system gives this process no further thread: end another recording or program, or raise the limit "
            "(ulimit -u)",
        ) from error


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
