"""Sessions with a WHEP server one after the other, as one source."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ..demux import LONGEST_SILENCE_S
from ..errors import SourceError
from ..model import EventKind
from ..sources.reconnect import Reconnect, Waits
from ..sources.source import OpenSource
from ..sources.webrtc.hosting import Outlet, hosted
from ..system import Clock
from .session import WhepSession, http_client
from .single import SingleDesk, TurnSink
from .whep_settings import WhepSettings

log = logging.getLogger("recordkit.endpoint")

_PART = "source"
_LOOK_S = 0.1
_SUSPICIOUS_S = 0.5
"""After so long a silence the server is asked whether it still knows the session."""
_CHECK_S = 1.0


@contextmanager
def dialled(settings: WhepSettings, clock: Clock | None = None) -> Iterator[OpenSource]:
    """Connect as ``settings`` say, again and again if they do; raises SourceError if it fails the first time."""
    clock = clock or Clock()

    async def run(outlet: Outlet) -> None:
        await _Caller(settings, outlet, clock).run()

    with hosted(settings.name, run, clock=clock) as outlet:
        yield OpenSource(outlet.items(), has_video=settings.video, has_audio=settings.audio, live=outlet)


class _Caller:
    """Makes session after session."""

    def __init__(self, settings: WhepSettings, outlet: Outlet, clock: Clock) -> None:
        self._settings = settings
        self._outlet = outlet
        self._clock = clock
        self._desk = SingleDesk(outlet, clock, is_one=True)
        self._away_s: float | None = None
        self._because = ""
        self._has_begun = False

    async def run(self) -> None:
        """Until the source is over, or is given up. Raises SourceError where it fails for good."""
        how = self._settings.reconnect
        waits = None if how is None else Waits(how)
        async with http_client() as http:
            while True:
                began_s = self._clock.monotonic()
                sink = self._desk.admit(self._settings.name, [])
                session, was_silent = WhepSession(self._settings, http, sink), False
                try:
                    await session.begin()
                    self._has_begun = True
                    self._outlet.ready()
                    was_silent = await self._until_over(session, sink)
                    if how is None and session.fault is None:
                        return
                    self._because = session.fault or "the server closed the connection"
                    if waits is not None and self._away_s is None:
                        self._note_away()
                        waits.came(self._clock.monotonic() - began_s)
                except SourceError as error:
                    if how is None or not self._has_begun:
                        raise
                    self._because = str(error).removeprefix(f"{error.source}: ")
                    log.info("%s: is not back yet: %s", self._settings.name, self._because)
                finally:
                    await session.end()
                if how is None or waits is None:
                    raise SourceError(self._settings.name, self._because)
                # After a silence it is asked at once: it has been away for long enough to be back.
                await self._wait(how, 0.0 if was_silent else waits.next())

    async def _until_over(self, session: WhepSession, sink: TurnSink) -> bool:
        """Until it has ended, or has fallen silent; whether it is that."""
        how, check = self._settings.reconnect, session.check
        silence_s = LONGEST_SILENCE_S if how is None else how.silence_s
        asked_s: float | None = None
        while not session.over.is_set():
            if self._away_s is not None and sink.received.packets:
                self._away_s = None
                self._outlet.note(EventKind.RESTORED, part=_PART)
            left_s, now_s = silence_s - sink.lifeless_s, self._clock.monotonic()
            if left_s <= 0:
                session.fault = f"nothing came for {silence_s:g} s"
                return True
            if how is not None and check is not None and sink.received.packets:
                if asked_s is None:
                    asked_s = now_s
                    await check.learn()
                elif sink.silent_s >= _SUSPICIOUS_S and now_s - asked_s >= _CHECK_S:
                    asked_s = now_s
                    if (fault := await check.fault(left_s)) is not None:
                        session.fault = fault
                        return True
            try:
                async with asyncio.timeout(_LOOK_S):
                    await session.over.wait()
            except TimeoutError:
                continue
        return False

    def _note_away(self) -> None:
        self._away_s = self._clock.monotonic()
        self._outlet.note(EventKind.DEGRADED, part=_PART, because=f"the source is away: {self._because}")

    async def _wait(self, how: Reconnect, wait_s: float) -> None:
        """Raises SourceError once it has been away for too long."""
        if how.give_up_after is not None and self._away_s is not None:
            left_s = self._away_s + how.give_up_after - self._clock.monotonic()
            if left_s <= 0:
                because = f"the source did not come back within {how.give_up_after:g} s: {self._because}"
                raise SourceError(self._settings.name, because)
            wait_s = min(wait_s, left_s)
        await asyncio.sleep(wait_s)
