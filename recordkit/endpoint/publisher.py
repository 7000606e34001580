"""One publisher: its peer connection, and the taking of what it sends, from the offer to the commit."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable

from aiortc import MediaStreamTrack, RTCPeerConnection
from aiortc.sdp import SessionDescription

from ..errors import RecordkitError
from ..onlooker import Onlooker
from ..recorder.state import State
from ..sources.webrtc.sockets import Sockets
from ..system import Clock
from ..telemetry.words import size_text, time_text
from . import negotiation, ports
from .connection import Connection
from .present import Sink, Stage
from .readers import unavailable
from .settings import WhipSettings

log = logging.getLogger("recordkit.endpoint")

_LONGEST_CLOSE_S = 5.0
_QUIET_S = 0.1
_LONGEST_ON_THE_WAY_S = 0.3
"""Media that was sent before the word that it is over comes by another way, and may come behind it."""
_LONGEST_READING_S = 5.0
_DRAIN_STEP_S = 0.02


class Publisher:
    """A publisher of ``stream``, taken by ``sink``; lives on the event loop.

    ``on_end`` is called once, when all is finished and given back.
    """

    def __init__(
        self, stream: str, sink: Sink, settings: WhipSettings, clock: Clock, on_end: Callable[[Publisher], None]
    ) -> None:
        self.id = secrets.token_urlsafe(18)
        self.stream = stream
        self.sink = sink
        self.stage = Stage.CONNECTING
        self.began_s = clock.monotonic()
        self.onlooker = Onlooker(f"The look at the publisher of {stream}")
        self.reason = ""
        self.was_answered = self.was_live = False
        """Whether its offer was taken, and whether it ever connected."""
        self._settings = settings
        self._clock = clock
        self._on_end = on_end
        self._peer = RTCPeerConnection(negotiation.ice_configuration(settings.ice_servers))
        self._tracks: list[MediaStreamTrack] = []
        self._connection: Connection | None = None
        self._live_s = self._answered_s = self.began_s
        self._file_begins_s, self._file_begins_bytes = 0.0, 0
        self._renewing: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._answering = asyncio.Lock()
        self._peer.on("track", self._tracks.append)
        self._peer.on("connectionstatechange", self._connection_changed)

    @property
    def age_s(self) -> float:
        """Seconds since its offer came."""
        return self._clock.monotonic() - self.began_s

    async def answer(self, offer: SessionDescription, offer_text: str) -> str:
        """Take the offer and begin to record; gives the answer.

        Raises HTTPException for an offer that cannot be taken and RecordkitError where recording
        cannot begin, with nothing left behind.
        """
        try:
            async with self._answering:
                answer = await self._answer(offer, offer_text)
                if self._ending is not None:
                    raise unavailable(f"It was ended before its answer was made: {self.reason}.")
        except BaseException:
            await self.end("the offer was refused")
            raise
        for one in self._sockets():
            one.widen()
        self.was_answered = True
        self._answered_s = self._clock.monotonic()
        return answer

    async def _answer(self, offer: SessionDescription, offer_text: str) -> str:
        settings = self._settings
        await negotiation.accept(self._peer, offer, offer_text)
        self._connection = Connection(self._peer, settings.media_ports)
        if settings.media_ports is not None:
            ports.keep_to(self._peer, settings.media_ports)
        for track in self._tracks:
            track.on("ended", self._track_ended)
        # Whatever the order of the offer: the file lists the video first, as players look for it.
        await self.sink.start(self._peer, sorted(self._tracks, key=lambda track: track.kind != "video"))
        return await negotiation.answer(self._peer, offer_text, settings.start_bit_rate, settings.announced_address)

    async def leave(self) -> None:
        """End it as its publisher wishes, once what it has sent before that is read."""
        if self.was_live and self._ending is None:
            await self._drain()
        await self.end("the publisher ended it")

    async def _drain(self) -> None:
        """Wait until all that has come so far is read, and a moment for what is on its way."""
        sockets = self._sockets()
        time = asyncio.get_running_loop().time
        until_s, is_read = time() + _LONGEST_READING_S, False
        while self.stage is Stage.LIVE and time() < until_s:
            await asyncio.sleep(_DRAIN_STEP_S)
            if any(one.waits for one in sockets):
                continue
            if self.sink.silent_s >= _QUIET_S:
                return
            if not is_read:
                until_s, is_read = min(until_s, time() + _LONGEST_ON_THE_WAY_S), True

    def _sockets(self) -> list[Sockets]:
        transports = (receiver.transport for receiver in self._peer.getReceivers())
        return [Sockets(one) for one in {getattr(transport, "transport", None) for transport in transports}]

    async def end(self, reason: str) -> None:
        """Commit what was recorded and close the connection; once, whoever else asks for it."""
        # Who waits may go away; the end goes on.
        await asyncio.shield(self.begin_end(reason))

    def begin_end(self, reason: str) -> asyncio.Task[None]:
        """As ``end``, without waiting for it."""
        if self._ending is None:
            self.stage = Stage.ENDING
            self.reason = reason
            self._ending = asyncio.create_task(self._end(), name=f"recordkit-whip-end:{self.stream}")
        return self._ending

    async def _end(self) -> None:
        try:
            # A recording that begins after it was stopped would have nobody to stop it.
            async with self._answering:
                await self.sink.stop()
        except RecordkitError as error:
            log.error("%s: %s", self.sink.file_name, error)
        finally:
            await self._close()

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(_LONGEST_CLOSE_S):
                await self._peer.close()
        except TimeoutError:
            log.warning("Stream %s: its connection did not close within %g s", self.stream, _LONGEST_CLOSE_S)
        self.stage = Stage.ENDED
        self._say_how_it_ended()
        self._on_end(self)

    def _say_how_it_ended(self) -> None:
        if not self.was_answered:
            return  # whoever refused it says so
        sink = self.sink
        if sink.file_bytes:
            what = f"{sink.file_name}, {time_text(sink.duration_s)}, {size_text(sink.file_bytes)}"
            what += ", failed" if sink.state is State.FAILED else ""
            log.info("Stream %s ended: %s (%s)", self.stream, self.reason, what)
        else:
            log.warning("Stream %s ended, and nothing of it was recorded: %s", self.stream, self.reason)

    @property
    def _fault(self) -> str:
        return "its offer was never answered" if self._connection is None else self._connection.fault

    def _connection_changed(self) -> None:
        state = self._peer.connectionState
        if state == "connected" and self.stage is Stage.CONNECTING:
            self.stage = Stage.LIVE
            self.was_live = True
            self._live_s = self._clock.monotonic()
            log.info("Stream %s is being recorded into %s", self.stream, self.sink.file_name)
        elif state in ("failed", "closed"):
            self.begin_end("the publisher went away" if self.was_live else self._fault)

    def _track_ended(self) -> None:
        if all(track.readyState == "ended" for track in self._tracks):
            self.begin_end("the publisher ended its tracks")

    def look(self) -> None:
        """End it where a limit is reached; called every second or so."""
        settings = self._settings
        if self.sink.state is State.FAILED:
            self.begin_end("the recording failed, see the server's log")
        elif (
            self.stage is Stage.CONNECTING and self.was_answered and self._unconnected_s > settings.connect_timeout
        ):
            self.begin_end(f"it did not connect within {settings.connect_timeout:g} s: {self._fault}")
        elif (
            self.stage is Stage.LIVE and settings.max_silence is not None and self._silent_s > settings.max_silence
        ):
            self.begin_end(f"nothing came of it for {self._silent_s:.1f} s (max_silence={settings.max_silence:g})")
        elif self.stage is Stage.LIVE and not self._is_renewing and (limit := self._limit_reached):
            self._renewing = asyncio.create_task(self._renew(limit), name=f"recordkit-whip-renew:{self.stream}")

    @property
    def _unconnected_s(self) -> float:
        """Since its answer, without which it cannot connect."""
        return self._clock.monotonic() - self._answered_s

    @property
    def _silent_s(self) -> float:
        return min(self.sink.silent_s, self._clock.monotonic() - self._live_s)

    @property
    def _is_renewing(self) -> bool:
        return self._renewing is not None and not self._renewing.done()

    @property
    def _limit_reached(self) -> str:
        """The limit that its file has reached, in words; empty if there is none."""
        settings = self._settings
        # Of media: a file of a busy machine would end before the video that is on its way is in it.
        if settings.max_seconds is not None and self.sink.duration_s - self._file_begins_s > settings.max_seconds:
            return f"max_seconds={settings.max_seconds:g}"
        if settings.max_bytes is not None and self.sink.file_bytes - self._file_begins_bytes >= settings.max_bytes:
            return f"max_bytes={settings.max_bytes:,}"
        return ""

    async def _renew(self, limit: str) -> None:
        before = self.sink.file_name
        try:
            has_next = await self.sink.renew()
        except RecordkitError as error:
            # What is too long is better than what is not there.
            log.error("Stream %s: no new file can begin (%s); it goes on in %s", self.stream, error, before)
        else:
            if has_next:
                log.info("Stream %s goes on in %s: %s reached %s", self.stream, self.sink.file_name, before, limit)
            else:
                self.begin_end(f"it reached {limit}")
        self._live_s = self.began_s
        self._file_begins_s, self._file_begins_bytes = self.sink.duration_s, self.sink.file_bytes
