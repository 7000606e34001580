"""The listening socket: bounded in connections, in time for a request, and in what it tells of itself."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ..errors import SettingsError
from .settings import WhipSettings

MOST_CONNECTIONS = 256
IDLE_S = 15.0
"""So long a connection may take to send its first request, or stay open between two."""
_TLS_HANDSHAKE_S = 10.0
_LONGEST_STOP_S = 3.0


class Listener:
    """Serves ``application`` at the address of ``settings``."""

    def __init__(self, settings: WhipSettings, application: web.Application) -> None:
        self._settings = settings
        self._runner = web.AppRunner(
            application,
            access_log=None,
            keepalive_timeout=IDLE_S,
            lingering_time=1.0,
            auto_decompress=False,
            shutdown_timeout=_LONGEST_STOP_S,
        )
        self._server: asyncio.Server | None = None
        self._web_server: web.Server | None = None

    @property
    def url(self) -> str:
        """``http://HOST:PORT`` with the port that it has got."""
        if self._server is None:
            return ""
        host, port = self._server.sockets[0].getsockname()[:2]
        scheme = "http" if self._settings.certificate is None else "https"
        named = self._settings.host if self._settings.host == "localhost" else host
        return f"{scheme}://{f'[{named}]' if ':' in named else named}:{port}"

    async def start(self) -> None:
        """Listen. Raises SettingsError."""
        settings = self._settings
        tls = settings.tls()
        await self._runner.setup()
        self._web_server = self._runner.server
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connection,
                settings.host.strip("[]"),
                settings.port,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else _TLS_HANDSHAKE_S,
            )
        except OSError as error:
            await self._runner.cleanup()
            raise SettingsError(
                "port", settings.port, f"cannot listen at {settings.host}: {error.strerror or error}"
            ) from error

    async def stop(self) -> None:
        """Close the socket and all connections."""
        if self._server is not None:
            self._server.close()
            await self._runner.cleanup()

    def _connection(self) -> asyncio.Protocol:
        # The files of recordings need descriptors too: those of connections must not use them up.
        if self._web_server is None or len(self._web_server.connections) >= MOST_CONNECTIONS:
            return _Refused()
        return self._web_server()


class _Refused(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()
