"""The process that takes some of an endpoint's publishers, ``python -m recordkit.endpoint.workers.worker``.

It speaks no HTTP: offers come from the endpoint, answers go back to it. When the endpoint is gone, however that
happened, or a signal asks for it, it commits all that it records and ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from ...background.channel import Teller
from ...background.description import restore
from ...background.faults import describe_error
from ...background.link import Link
from ...background.own import own_streams, process_descriptor
from ...background.protocol import decode, encode
from ...errors import RecordkitError, StateError
from ...recorder.shared import Shared
from ...settings import RecordingOptions
from ...system import Clock, System, give_back_freed_memory
from ...version import __version__
from ..folder import FolderDesk, recorders
from ..negotiation import read_offer
from ..present import Present
from ..publisher import Publisher
from ..settings import WhipSettings
from .messages import Account, Word

log = logging.getLogger("recordkit.endpoint")

STANDING_S = 0.5
LOOK_S = 1.0
_LONGEST_FAREWELL_S = 5.0
_REASON = "the process that recorded it was stopped"


class Worker:
    """Takes publishers for an endpoint that speaks on ``reading`` and listens on ``writing``, both descriptors."""

    def __init__(self, reading: int, writing: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = Clock()
        self._begun: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._stop = asyncio.Event()
        self._publishers: dict[str, Publisher] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._desk: FolderDesk | None = None
        self._settings = WhipSettings()
        self._link = Link("endpoint", reading, writing, self, process_descriptor(os.getppid()))

    async def run(self) -> None:
        """Take who comes until it is told to stop."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._loop.add_signal_handler(number, self._stop.set)
        self._link.begin()
        teller = Teller(self._tell)
        logging.getLogger("recordkit").addHandler(teller)
        try:
            self._begin(await self._begun)
            self._tell(encode(Word.READY))
        except RecordkitError as error:
            self._tell(encode(Word.FAULT, error=describe_error(error)))
        else:
            for one in (self._tell_standing(), self._look()):
                self._do(one)
            await self._stop.wait()
            await asyncio.gather(*(one.end(_REASON) for one in list(self._publishers.values())))
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            logging.getLogger("recordkit").removeHandler(teller)
            self._link.outbox.close()
            self._link.outbox.join(_LONGEST_FAREWELL_S)

    def _begin(self, request: dict[str, Any]) -> None:
        if request["recordkit"] != __version__:
            advice = f"the endpoint has recordkit {request['recordkit']} in memory: restart it"
            raise StateError(f"recordkit {__version__}", f"recordkit {request['recordkit']}", advice)
        for name, level in request["log_levels"].items():
            logging.getLogger(name).setLevel(level)
        self._settings = restore("whip", request["whip"])
        settings = cast(
            "RecordingOptions", {name: restore(name, value) for name, value in request["settings"].items()}
        )
        make = recorders(settings, request["on_gap"], Shared(request["queue_bytes"]))
        self._desk = FolderDesk(
            Path(request["folder"]),
            self._settings,
            self._clock,
            System(),
            make,
            request["worker"],
            request["workers"],
        )

    # Called by the link's thread.

    def heard(self, link: Link, lines: list[bytes]) -> bool:
        """Take in what the endpoint says."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._hear, lines)
            return True
        return False

    def hung_up(self, link: Link) -> None:
        """The endpoint is gone, or wants no more."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._left_alone)

    # On the event loop.

    def _left_alone(self) -> None:
        if not self._begun.done():
            self._begun.cancel()
        self._stop.set()

    def _hear(self, lines: list[bytes]) -> None:
        for line in lines:
            message = decode(line)
            word = None if message is None else message["type"]
            if message is None:
                log.warning("A worker was told something that it does not understand: %r", line[:80])
            elif word == Word.BEGIN and not self._begun.done():
                self._begun.set_result(message)
            elif word == Word.OFFER:
                self._do(self._take(message["id"], message["stream"], message["text"]))
            elif word in (Word.LEAVE, Word.END):
                self._do(self._end(message["id"], message["reason"], leaves=word == Word.LEAVE))
            elif word == Word.KEEP and self._desk is not None:
                self._desk.keep_rings()

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, identity: str, stream: str, text: str) -> None:
        try:
            answer = await self._coming(identity, stream).answer(read_offer(text), text)
        except web.HTTPException as refusal:
            self._tell(encode(Word.REFUSED, id=identity, status=refusal.status, text=refusal.text))
        except RecordkitError as error:
            self._tell(encode(Word.REFUSED, id=identity, error=describe_error(error)))
        except Exception as fault:
            log.exception("The worker has a fault of its own")
            own = RecordkitError(f"the worker failed by a fault of its own: {fault!r}")
            self._tell(encode(Word.REFUSED, id=identity, error=describe_error(own)))
        else:
            self._tell(encode(Word.ANSWER, id=identity, text=answer))

    def _coming(self, identity: str, stream: str) -> Publisher:
        if self._desk is None or self._stop.is_set():
            raise web.HTTPServiceUnavailable(text="The process that was to record it is being stopped.\n")
        sink = self._desk.admit(stream, list(self._publishers.values()))
        publisher = Publisher(stream, sink, self._settings, self._clock, self._forget)
        publisher.id = identity
        self._publishers[identity] = publisher
        self._tell(self._standing())
        return publisher

    async def _end(self, identity: str, reason: str, *, leaves: bool) -> None:
        publisher = self._publishers.get(identity)
        if publisher is None:
            self._tell(encode(Word.ENDED, id=identity, account=None))
        else:
            await (publisher.leave() if leaves else publisher.end(reason))

    def _forget(self, publisher: Present) -> None:
        del self._publishers[publisher.id]
        if publisher.was_answered:  # else its refusal is on its way, and says all
            self._tell(encode(Word.ENDED, id=publisher.id, account=Account.of(publisher).told()))

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for publisher in list(self._publishers.values()):
                publisher.onlooker.tell(publisher.look)

    async def _tell_standing(self) -> None:
        while True:
            self._tell(self._standing(), sheddable=True)
            await asyncio.sleep(STANDING_S)

    def _standing(self) -> bytes:
        return encode(
            Word.STANDING,
            publishers={name: Account.of(one).told() for name, one in self._publishers.items()},
        )

    def _tell(self, line: bytes, *, sheddable: bool = False) -> None:
        self._link.outbox.put(line, sheddable=sheddable)


async def _main() -> None:
    worker = Worker(*own_streams())
    with suppress(asyncio.CancelledError):  # the endpoint was gone before it said anything
        await worker.run()


def main() -> None:
    """Take publishers as standard input says."""
    # To standard error what is bad alone: it goes to a file, for the endpoint's last question.
    last_words = logging.StreamHandler(sys.stderr)
    last_words.setLevel(logging.WARNING)
    logging.getLogger().addHandler(last_words)
    give_back_freed_memory()
    asyncio.run(_main())


if __name__ == "__main__":
    main()
