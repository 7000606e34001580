"""One worker of an endpoint: its process, what it is told and what it tells."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ...background.faults import restore_error
from ...background.link import Link
from ...background.own import process_descriptor
from ...background.process import WorkerProcess, signal_name, start_worker
from ...background.protocol import decode
from ...errors import AdmissionError, RecordkitError
from ...waiting import in_thread
from ..present import Present
from .messages import Account, Word, refusal
from .publisher import RemotePublisher

log = logging.getLogger("recordkit.endpoint")

MODULE = f"{__package__}.worker"
_LOGGERS = ("recordkit", "recordkit.endpoint")


class Member:
    """Worker ``number``, and the ``publishers`` that it takes; lives on the event loop.

    ``silent_looks`` counts the looks since it was heard last, ``over`` is set once it will say no more.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.publishers: dict[str, RemotePublisher] = {}
        self.silent_looks = 0
        self.over = asyncio.Event()
        self._verdict = ""
        self._is_doomed = False
        self._was_heard = False
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._process: WorkerProcess | None = None
        self._link: Link | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it takes publishers: it has begun, and is not over."""
        return self._ready.done() and not self._ready.exception() and not self.over.is_set()

    @property
    def pid(self) -> int | None:
        """Of its process, once that has been started."""
        return None if self._process is None else self._process.popen.pid

    async def start(self, begin: bytes) -> None:
        """Start its process, tell it to ``begin``, and wait until it is ready. Raises RecordkitError."""
        name = f"worker {self.number}"
        try:
            process = self._process = await in_thread(lambda: start_worker(MODULE), f"recordkit-start:{name}", name)
            if self._is_doomed:
                process.popen.kill()
            other = process_descriptor(process.popen.pid)
            try:
                self._link = Link(name, *process.descriptors(), self, other)
                self._link.begin()
            except AdmissionError:
                process.abandon()
                raise
        except OSError as error:
            self._is_over()
            raise RecordkitError(f"no process can be started to record in: {error.strerror}") from error
        except RecordkitError:
            self._is_over()
            raise
        self.send(begin)
        await self._ready

    def take(self, stream: str, on_end: Callable[[Present], None]) -> RemotePublisher:
        """A publisher of ``stream`` for it."""

        def ended(one: Present) -> None:
            del self.publishers[one.id]
            on_end(one)

        publisher = RemotePublisher(stream, self.send, ended)
        self.publishers[publisher.id] = publisher
        return publisher

    def send(self, line: bytes) -> bool:
        """Tell it; False if it hears no more."""
        return self._link is not None and not self.over.is_set() and self._link.outbox.put(line)

    def hang_up(self) -> None:
        """Let it commit all and end."""
        if self._link is not None:
            self._link.outbox.close()

    def kill(self, verdict: str) -> None:
        """End its process at once; ``verdict`` says why. What it had coded is on the disk."""
        self._verdict = verdict
        self._is_doomed = True
        if self._process is not None:
            self._process.popen.kill()

    def look(self) -> None:
        """Note whether it was heard since the last time."""
        self.silent_looks = 0 if self._was_heard or not self.is_ready else self.silent_looks + 1
        self._was_heard = False

    async def how_it_ended(self) -> str:
        """In words, once it is over."""
        process = self._process
        if process is None:
            return "could not be started"
        code, words = await in_thread(process.last_words, f"recordkit-end:worker {self.number}", "its end")
        how = f"was killed by signal {-code} ({signal_name(-code)})" if code < 0 else f"ended (exit code {code})"
        return f"{self._verdict}{how}" + (f": {words}" if code > 0 and words else "")

    # Called by the link's thread.

    def heard(self, link: Link, lines: list[bytes]) -> bool:
        """Take in what it tells."""
        self._was_heard = True
        return self._call(lambda: self._hear(lines))

    def hung_up(self, link: Link) -> None:
        """It is gone."""
        link.outbox.close()
        self._call(self._is_over)

    def _call(self, what: Callable[[], None]) -> bool:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(what)
            return True
        return False

    # On the event loop.

    def _is_over(self) -> None:
        self.over.set()
        if not self._ready.done():
            self._ready.set_exception(RecordkitError(f"worker {self.number} ended before it was ready"))
            self._ready.exception()

    def _hear(self, lines: list[bytes]) -> None:
        for line in lines:
            message = decode(line)
            if message is None:
                log.warning("Worker %d said something that is not understood: %r", self.number, line[:80])
            else:
                self._take_in(message)

    def _take_in(self, message: dict[str, Any]) -> None:
        word, publisher = message["type"], self.publishers.get(str(message.get("id")))
        if word == Word.READY and not self._ready.done():
            self._ready.set_result(None)
        elif word == Word.FAULT and not self._ready.done():
            self._ready.set_exception(restore_error(message["error"]))
        elif word == Word.LOG and message["name"] in _LOGGERS:
            logging.getLogger(message["name"]).log(int(message["level"]), "%s", message["words"])
        elif word == Word.STANDING:
            for identity, account in message["publishers"].items():
                if identity in self.publishers:
                    self.publishers[identity].stands(Account.read(account))
        elif publisher is None:
            return
        elif word == Word.ANSWER:
            publisher.answered(message["text"])
        elif word == Word.REFUSED:
            error = message.get("error")
            publisher.refused(
                refusal(message["status"], message["text"]) if error is None else restore_error(error)
            )
        elif word == Word.ENDED:
            account = message["account"]
            publisher.ended(None if account is None else Account.read(account))
