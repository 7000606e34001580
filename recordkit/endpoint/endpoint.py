"""The endpoint: its publishers, and the HTTP face that lets them in (RFC 9725)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

from aiohttp import hdrs, web
from aiortc.sdp import SessionDescription

from ..errors import DiskSpaceError, RecordkitError
from ..recorder.state import State
from ..sources.webrtc.description import trimmed
from ..system import Clock
from . import pages
from .candidates import kept
from .gate import Gate, RateLimit
from .listener import Listener
from .names import STREAM_RULE, is_stream_name
from .negotiation import ice_configuration, read_offer
from .present import Present, Sink
from .publisher import Publisher
from .readers import unavailable
from .screening import Screening
from .settings import WhipSettings
from .watching import Watching

log = logging.getLogger("recordkit.endpoint")

SDP = "application/sdp"
LOOK_INTERVAL_S = 1.0
_LONGEST_BODY_S = 10.0
_LONGEST_ANSWER_S = 15.0
_SHOWN_ENDED = 12
_UNTOLD = (404, 405, 429)
"""Refusals of what is no publisher, and of one that knocks on and on."""
_STREAM_METHODS = (hdrs.METH_POST, hdrs.METH_OPTIONS)
_SESSION_METHODS = (hdrs.METH_DELETE, hdrs.METH_OPTIONS)
_NO_STORE = {
    hdrs.SERVER: "recordkit",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


Elsewhere: TypeAlias = Callable[[str, Callable[[Present], None]], Present]


class Desk(Protocol):
    """Where publishers are sent to be recorded."""

    def admit(self, stream: str, present: Sequence[Present]) -> Sink:
        """What records a new publisher of ``stream`` beside those present.

        Raises HTTPException where there can be none, and RecordkitError.
        """
        ...

    async def free_bytes(self) -> int | None:
        """Bytes free for recordings; None where that does not matter here."""
        ...


class Endpoint:
    """A WHIP endpoint that sends its publishers to ``desk``; lives on the event loop.

    Its page shows what ``screening`` has, if there is one. ``elsewhere`` gives a publisher of a stream who is taken
    by another process; it is told whom to call at the end, and raises HTTPException if there can be none.
    Raises SettingsError for settings that cannot be served.
    """

    def __init__(
        self,
        settings: WhipSettings,
        desk: Desk,
        clock: Clock | None = None,
        screening: Screening | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._settings = settings
        self._desk = desk
        self._clock = clock or Clock()
        self._screening = screening
        self._elsewhere = elsewhere
        ice_configuration(settings.ice_servers)  # here, not at the first publisher
        self._gate = Gate(settings, settings.required_token(), self._clock)
        self._tells = RateLimit(self._clock, burst=20, per_second=0.2)
        self._untold = 0
        self._publishers: dict[str, Present] = {}
        self._ended: deque[pages.Row] = deque(maxlen=_SHOWN_ENDED)
        self._is_closing = False
        self._free_bytes: int | None = None
        self._looking: tuple[asyncio.Task[None], ...] = ()
        self._listener = Listener(settings, self._application())

    @property
    def url(self) -> str:
        """Where it listens, once started: ``http://127.0.0.1:8080``."""
        return self._listener.url

    @property
    def publishers(self) -> list[Present]:
        """Those being taken, the oldest first."""
        return list(self._publishers.values())

    @property
    def ended(self) -> list[pages.Row]:
        """The last ones that have ended, the newest first."""
        return list(self._ended)[::-1]

    async def start(self) -> None:
        """Listen; raises SettingsError where the address, the port or the certificate cannot be used."""
        self._free_bytes = await self._desk.free_bytes()
        await self._listener.start()
        self._looking = (
            asyncio.create_task(self._look(), name="recordkit-whip-look"),
            asyncio.create_task(self._look_at_disk(), name="recordkit-whip-disk"),
        )
        if not self._settings.is_local and self._settings.certificate is None:
            log.warning("Without TLS the token can be read on the way, and browsers give pages no camera")

    async def stop(self) -> None:
        """Take no more publishers, commit all recordings, and close."""
        self._is_closing = True
        showing = [] if self._screening is None else [self._screening.close()]
        await asyncio.gather(*(one.end("the endpoint was stopped") for one in self.publishers), *showing)
        for one in self._looking:
            one.cancel()
        await asyncio.gather(*self._looking, return_exceptions=True)
        await self._listener.stop()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            for publisher in self.publishers:
                if self._is_disk_low:
                    publisher.begin_end("the disk is nearly full")
                publisher.onlooker.tell(publisher.look)
            if self._screening is not None:
                self._screening.onlooker.tell(self._screening.look)

    async def _look_at_disk(self) -> None:
        """By itself: a disk that hangs does not tell, and who never connects is to be ended all the same."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            self._free_bytes = await self._desk.free_bytes()

    @property
    def _is_disk_low(self) -> bool:
        return self._free_bytes is not None and self._free_bytes < self._settings.min_free_bytes

    def _forget(self, publisher: Present) -> None:
        del self._publishers[publisher.id]
        if publisher.was_answered:
            self._ended.append(pages.Row.of(publisher))

    # The HTTP face.

    def _application(self) -> web.Application:
        application = web.Application(
            middlewares=[self._tell_refusals], client_max_size=self._settings.max_sdp_bytes
        )
        application.on_response_prepare.append(self._dress)
        application.add_routes(
            [
                web.get("/", self._show_status),
                web.get("/look.css", self._show_look),
                web.post("/whip/{stream}", self._publish),
                web.options("/whip/{stream}", self._options),
                web.delete("/whip/{stream}/{id}", self._delete),
                web.patch("/whip/{stream}/{id}", self._refuse_patch),
                web.options("/whip/{stream}/{id}", self._options),
            ]
        )
        if self._settings.publish_page:
            application.add_routes([web.get("/publish", self._show_publish)])
        if self._screening is not None:
            application.add_routes(Watching(self._screening, self._gate, self._is_recorded).routes)
        return application

    @web.middleware
    async def _tell_refusals(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as refusal:
            if request.method == hdrs.METH_POST and refusal.status not in _UNTOLD:
                self._tell_refusal(request, refusal)
            raise

    async def _dress(self, request: web.Request, response: web.StreamResponse) -> None:
        # Before the first byte: of a download the rest follows later.
        response.headers.update(_NO_STORE | self._gate.cross_origin(request))

    def _tell_refusal(self, request: web.Request, refusal: web.HTTPException) -> None:
        # Whoever knocks without end must not fill the log.
        if self._tells.take(""):
            self._untold += 1
            return
        more = f" ({self._untold} more refusals were not logged)" if self._untold else ""
        self._untold = 0
        words = " ".join((refusal.text or "").split())
        log.warning("Refused %s from %s: %d, %s%s", request.path, request.remote, refusal.status, words, more)

    async def _publish(self, request: web.Request) -> web.Response:
        self._gate.slow_down(request)
        self._gate.publisher(request)
        stream = request.match_info["stream"]
        if not is_stream_name(stream):
            raise web.HTTPBadRequest(text=f"A stream's name is {STREAM_RULE}.\n")
        if request.content_type != SDP or hdrs.CONTENT_ENCODING in request.headers:
            raise web.HTTPUnsupportedMediaType(
                text=f"Send the offer as {SDP}, not compressed.\n", headers={"Accept-Post": SDP}
            )
        self._refuse_when_full()
        text, refused = kept(await self._body(request), request.remote)
        if refused:
            words = ", ".join(f"{refused.count(why)} with {why}" for why in dict.fromkeys(refused))
            log.warning("Stream %s: candidates of the offer are not used: %s", stream, words)
        offer = read_offer(text)
        self._refuse_when_full()
        publisher, answer = await self._taken(stream, offer, text)
        log.info("Stream %s: a publisher comes from %s", stream, request.remote)
        # Relative to /whip/STREAM (RFC 9110, 10.2.2), so that it stays right behind a proxy with a path of its own.
        location = f"{stream}/{publisher.id}"
        return web.Response(status=201, text=answer, content_type=SDP, headers={hdrs.LOCATION: location})

    async def _taken(self, stream: str, offer: SessionDescription, text: str) -> tuple[Present, str]:
        try:
            publisher = self._coming(stream)
            self._publishers[publisher.id] = publisher
            async with asyncio.timeout(_LONGEST_ANSWER_S):
                return publisher, await publisher.answer(offer, text)
        except TimeoutError:
            raise unavailable("The answer took too long to make; see the server's log.") from None
        except RecordkitError as error:
            log.error("Stream %s cannot be recorded: %s", stream, error)
            if isinstance(error, DiskSpaceError):
                raise unavailable("The disk is full.") from error
            raise web.HTTPInternalServerError(text="The recording cannot begin; see the server's log.\n") from error

    def _coming(self, stream: str) -> Present:
        if self._elsewhere is not None:
            return self._elsewhere(stream, self._forget)
        return Publisher(
            stream, self._desk.admit(stream, self.publishers), self._settings, self._clock, self._forget
        )

    def _refuse_when_full(self) -> None:
        if self._is_closing:
            raise unavailable("The endpoint is being stopped.")
        if len(self._publishers) >= self._settings.max_publishers:
            raise unavailable(f"There are {self._settings.max_publishers} publishers already.")
        if self._is_disk_low:
            raise unavailable("The disk is nearly full.")

    async def _body(self, request: web.Request) -> str:
        if request.content_length is not None and request.content_length > self._settings.max_sdp_bytes:
            raise web.HTTPRequestEntityTooLarge(self._settings.max_sdp_bytes, request.content_length)
        try:
            async with asyncio.timeout(_LONGEST_BODY_S):
                return trimmed((await request.read()).decode())
        except TimeoutError:
            raise web.HTTPRequestTimeout(text="The offer came too slowly.\n") from None
        except UnicodeDecodeError as error:
            raise web.HTTPBadRequest(text="The body is no SDP offer: it is not UTF-8.\n") from error

    async def _delete(self, request: web.Request) -> web.Response:
        self._gate.publisher(request)
        publisher = self._publishers.get(request.match_info["id"])
        if publisher is None or publisher.stream != request.match_info["stream"]:
            self._gate.slow_down(request)
            raise web.HTTPNotFound(text="There is no such session; it may have ended by itself.\n")
        await publisher.leave()
        if publisher.sink.state is State.FAILED:
            raise web.HTTPInternalServerError(text="The recording failed; see the server's log.\n")
        return web.Response(text="")

    async def _refuse_patch(self, _request: web.Request) -> web.Response:
        # RFC 9725, 4.3: without trickle ICE and ICE restarts PATCH is 405.
        text = (
            "Send all candidates in the offer: no trickle ICE, no ICE restart. After a new network publish again.\n"
        )
        raise web.HTTPMethodNotAllowed(hdrs.METH_PATCH, _SESSION_METHODS, text=text)

    async def _options(self, request: web.Request) -> web.Response:
        methods = _SESSION_METHODS if "id" in request.match_info else _STREAM_METHODS
        return web.Response(status=204, headers={"Accept-Post": SDP, hdrs.ALLOW: ", ".join(methods)})

    async def _show_status(self, request: web.Request) -> web.Response:
        self._gate.viewer(request)
        rows = [pages.Row.of(one) for one in self.publishers if one.sink.file_name]
        shelf = None if self._screening is None else await self._screening.finished(pages.MOST_SHOWN)
        return pages.status([*rows, *self.ended], self._settings, free_bytes=self._free_bytes, shelf=shelf)

    def _is_recorded(self, name: str) -> bool:
        return any(one.sink.file_name == name for one in self.publishers)

    async def _show_look(self, _request: web.Request) -> web.Response:
        return pages.look()

    async def _show_publish(self, request: web.Request) -> web.Response:
        self._gate.viewer(request)
        return pages.publish(needs_token=self._gate.needs_token)
