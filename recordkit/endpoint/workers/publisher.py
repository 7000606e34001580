"""A publisher that a worker takes, as its endpoint knows it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace

from aiohttp import web
from aiortc.sdp import SessionDescription

from ...background.protocol import encode
from ...onlooker import Onlooker
from ...recorder.state import State
from ...telemetry.logfile import LONGEST_LINE_BYTES
from ..present import Present, Stage
from ..readers import unavailable
from .messages import Account, Word


class RemotePublisher:
    """A publisher of ``stream``; ``send`` brings a line to its worker, and returns False if that is gone.

    See Present. ``on_end`` is called once, when all is over. Lives on the event loop.
    """

    def __init__(self, stream: str, send: Callable[[bytes], bool], on_end: Callable[[Present], None]) -> None:
        self.id = secrets.token_urlsafe(18)
        self.stream = stream
        self.sink = Account()
        self.stage = Stage.CONNECTING
        self.reason = ""
        self.was_answered = self.was_live = False
        self.onlooker = Onlooker(f"The look at the publisher of {stream}")
        self._send = send
        self._on_end = on_end
        self._answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None

    async def answer(self, offer: SessionDescription, offer_text: str) -> str:
        """See Present."""
        line = encode(Word.OFFER, id=self.id, stream=self.stream, text=offer_text)
        try:
            if len(line) > LONGEST_LINE_BYTES:
                raise web.HTTPRequestEntityTooLarge(LONGEST_LINE_BYTES, len(line))
            if not self._send(line):
                raise unavailable("The process that was to record it has just ended.")
            answer = await self._answered
        except BaseException:
            self.begin_end("the offer was refused")
            raise
        self.was_answered = True
        return answer

    async def leave(self) -> None:
        """See Present."""
        await self._ended_by(Word.LEAVE, "the publisher ended it")

    async def end(self, reason: str) -> None:
        """See Present."""
        await asyncio.shield(self.begin_end(reason))

    def begin_end(self, reason: str) -> asyncio.Task[None]:
        """See Present."""
        if self._ending is None:
            self._ending = asyncio.create_task(
                self._ended_by(Word.END, reason), name=f"recordkit-whip-end:{self.stream}"
            )
        return self._ending

    async def _ended_by(self, word: Word, reason: str) -> None:
        if self._over.is_set():
            return
        if self._send(encode(word, id=self.id, reason=reason)):
            await self._over.wait()
        else:
            self.lost("its process was gone")

    def look(self) -> None:
        """See Present: its worker does."""

    # What its worker tells.

    def answered(self, text: str) -> None:
        """Its offer was taken."""
        if not self._answered.done():
            self._answered.set_result(text)

    def refused(self, error: Exception) -> None:
        """Its offer was not, and it is over."""
        if not self._answered.done():
            self._answered.set_exception(error)
            self._answered.exception()  # whoever waited may have gone
        self._finish()

    def stands(self, account: Account) -> None:
        """So it does now."""
        self.sink = account
        self.stage, self.reason, self.was_live = account.stage, account.reason, account.was_live

    def ended(self, account: Account | None) -> None:
        """It is over; None where the worker had not taken it."""
        if account is not None:
            self.stands(account)
        self._finish()

    def lost(self, reason: str) -> None:
        """Its worker is gone, and says no more."""
        if not self._over.is_set():
            self.stands(replace(self.sink, state=State.FAILED, stage=Stage.ENDED, reason=reason))
        self.refused(unavailable("The process that was to record it ended."))

    def _finish(self) -> None:
        if not self._over.is_set():
            self.stage = Stage.ENDED
            self._over.set()
            self._on_end(self)
