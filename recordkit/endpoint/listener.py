"""The listening socket: bounded in connections, in time for a request, and in what it tells of itself."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from ..errors import SettingsError
from ..printable import printable
from ..recorder.capacity import Capacity
from .addresses import share_of
from .settings import WhipSettings
from .shares import Guest, Shares

log = logging.getLogger("recordkit.endpoint")

MOST_CONNECTIONS = 256
RESERVED_DESCRIPTORS = 64
"""Left for what is being recorded: a publisher's sockets, and up to eight files of each recording."""
IDLE_S = 15.0
"""So long a connection may take to send its first request, or stay open between two."""
_TLS_HANDSHAKE_S = 10.0
_LONGEST_STOP_S = 3.0
_BACKLOG = 128
_CONTINUE = "100-continue"
_RETRY_S = 0.5
"""So long nobody is let in after the system would not."""
_Answering = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_NO_MORE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """Serves ``application`` at the address of ``settings``.

    A connection counts from the moment it is accepted, before TLS is agreed upon and anything is sent. There are
    so many at most, in fair shares for each address (``Shares``), and only while there are descriptors enough.
    """

    def __init__(
        self, settings: WhipSettings, application: web.Application, capacity: Capacity | None = None
    ) -> None:
        self._settings = settings
        self._capacity = capacity or Capacity()
        self._shares = Shares(MOST_CONNECTIONS, self._is_short)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            keepalive_timeout=IDLE_S,
            lingering_time=1.0,
            auto_decompress=False,
            shutdown_timeout=_LONGEST_STOP_S,
            logger=_ServerLog(self._tell),
        )
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._beginning: set[asyncio.Task[None]] = set()
        self._told: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """``http://HOST:PORT`` with the port that it has got."""
        if not self._sockets:
            return ""
        host, port = self._sockets[0].getsockname()[:2]
        scheme = "http" if self._settings.certificate is None else "https"
        named = self._settings.host if self._settings.host == "localhost" else host
        return f"{scheme}://{f'[{named}]' if ':' in named else named}:{port}"

    async def start(self) -> None:
        """Listen. Raises SettingsError."""
        settings = self._settings
        tls = settings.tls()
        await self._runner.setup()
        server = self._runner.server
        if server is not None:
            server.request_handler = _expecting(server.request_handler)
        try:
            self._sockets = await _listening(settings.host.strip("[]"), settings.port)
        except OSError as error:
            await self._runner.cleanup()
            raise SettingsError(
                "port", settings.port, f"cannot listen at {settings.host}: {error.strerror or error}"
            ) from error
        self._accepting = [
            asyncio.create_task(self._accept(one, tls), name="recordkit-whip-accept") for one in self._sockets
        ]

    async def stop(self) -> None:
        """Close the socket and all connections. May be called again."""
        accepting, self._accepting = self._accepting, []
        for task in accepting:
            task.cancel()
        await asyncio.gather(*accepting, return_exceptions=True)
        sockets, self._sockets = self._sockets, []
        for one in sockets:
            one.close()
        if sockets:
            # First those that have requests, which may end.
            await self._runner.cleanup()
            self._shares.hang_up_all()
            await asyncio.gather(*self._beginning, return_exceptions=True)

    async def _accept(self, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        while (server := self._runner.server) is not None:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno in _NO_MORE:
                    self._tell("Nobody can connect at the moment: %s", error.strerror)
                    await asyncio.sleep(_RETRY_S)
                continue  # else it has gone again before it was taken
            connection = _Connection(self._shares, accepted, server())
            if connection.enters(share_of(str(address[0]))):
                task = asyncio.create_task(connection.begin(tls), name="recordkit-whip-connection")
                connection.beginning = task
                self._beginning.add(task)
                task.add_done_callback(self._beginning.discard)
            else:
                self._tell(
                    "A connection is refused: %d are open, or too few descriptors are left", len(self._shares)
                )

    def _tell(self, words: str, *arguments: object) -> None:
        """Say it at the first time, and at each doubling: a flood must not fill the log."""
        self._told[words] += 1
        if (told := self._told[words]) & (told - 1) == 0:
            log.warning(words + " (%d so far)", *arguments, told)

    def _is_short(self) -> bool:
        left = self._capacity.descriptors()
        return left is not None and left < RESERVED_DESCRIPTORS


def _expecting(answer: _Answering) -> _Answering:
    """Refuse what cannot be expected (RFC 9110, 10.1.1): aiohttp would repeat it, and not all bytes are text."""

    async def answered(request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get(hdrs.EXPECT, _CONTINUE).lower() not in ("", _CONTINUE):
            return web.Response(
                status=417, text=f"Expect: {_CONTINUE}, or nothing.\n", headers={"Connection": "close"}
            )
        return await answer(request)

    return answered


class _ServerLog(logging.LoggerAdapter[logging.Logger]):
    """What aiohttp's server logs: of what is no HTTP, and of who goes away, its tracebacks tell of no fault."""

    def __init__(self, tell: Callable[..., None]) -> None:
        super().__init__(log, {})
        self._tell = tell

    def exception(self, msg: object, *args: object, exc_info: Any = True, **kwargs: Any) -> None:  # noqa: ANN401
        if isinstance(exc_info, HttpProcessingError):
            words = next((line for line in exc_info.message.splitlines() if line.strip()), "")
            self._tell("What a connection sent is no HTTP: %s", printable(words.strip(" :")))
        elif isinstance(exc_info, ConnectionError):
            self.debug("a connection was closed before its answer was sent: %s", exc_info)
        else:
            super().exception(msg, *args, exc_info=exc_info, **kwargs)


class _Connection(asyncio.Protocol):
    """One connection from its first moment on: counted before any byte of it is read, and until it is closed."""

    def __init__(self, shares: Shares, accepted: socket.socket, served: asyncio.Protocol) -> None:
        self.beginning: asyncio.Task[None] | None = None
        self._shares = shares
        self._socket = accepted
        self._served = served
        self._guest: Guest | None = None
        self._transport: asyncio.Transport | None = None

    def enters(self, share: str) -> bool:
        """Whether there is a place for it; it is closed if there is none."""
        self._guest = self._shares.enter(share, self._hang_up)
        if self._guest is None:
            self._socket.close()
        return self._guest is not None

    async def begin(self, tls: ssl.SSLContext | None) -> None:
        """Agree upon TLS, if that is served; then it is answered."""
        handshake_s = None if tls is None else _TLS_HANDSHAKE_S
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self, self._socket, ssl=tls, ssl_handshake_timeout=handshake_s
            )
        except OSError:
            self._leave()  # no TLS, or not in time: nobody there to be told
        except BaseException:
            self._leave()
            raise

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        elif self.beginning is not None:
            self.beginning.cancel()

    def _leave(self) -> None:
        if self._guest is not None:
            self._shares.leave(self._guest)

    # What asyncio tells is passed on to who answers.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
        self._served.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._served.data_received(data)

    def eof_received(self) -> bool | None:
        return self._served.eof_received()

    def pause_writing(self) -> None:
        self._served.pause_writing()

    def resume_writing(self) -> None:
        self._served.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()
        self._served.connection_lost(error)


async def _listening(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at all addresses of ``host``. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    made: list[socket.socket] = []
    fault = OSError(errno.EADDRNOTAVAIL, "it has no address")
    with contextlib.ExitStack() as unused:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                one = unused.enter_context(socket.socket(family, kind, protocol))
                one.setblocking(False)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.bind(address)
                one.listen(_BACKLOG)
                made.append(one)
            except OSError as error:
                # A name may have an address that this machine has not: ::1 of localhost, without IPv6.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                fault = error
        if not made:
            raise fault
        unused.pop_all()
    return made
