"""The worker's side of a browser's camera: a publisher whose offer comes over the session's own channel."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..errors import SettingsError
from ..signatures import named
from ..sources.source import Channel, OpenSource
from ..values import Setting, WholeLike, flag, whole

log = logging.getLogger("recordkit")

IceServer: TypeAlias = "str | Mapping[str, Any]"
_ICE_SCHEMES = ("stun:", "stuns:", "turn:", "turns:")
_START_BITS_PER_PIXEL = 0.08


@named
@dataclass(frozen=True, kw_only=True)
class CameraFeed:
    """What the page of a notebook sends; ``width``, ``height`` and ``fps`` are what its camera was asked for.

    Raises SettingsError for values that cannot be used.
    """

    video: Setting[bool, bool] = Setting(flag, True)
    audio: Setting[bool, bool] = Setting(flag, True)
    width: Setting[WholeLike, int] = Setting(whole(1, 8192, "pixels"), 1280)
    height: Setting[WholeLike, int] = Setting(whole(1, 8192, "pixels"), 720)
    fps: Setting[WholeLike, int] = Setting(whole(1, 240, "frames per second"), 30)
    ice_servers: tuple[IceServer, ...] = field(default=(), repr=False)  # may hold a password

    def __post_init__(self) -> None:
        if not (self.video or self.audio):
            raise SettingsError("video", self.video, "neither video nor audio is on; switch on at least one")
        for server in self.ice_servers:
            given = server if isinstance(server, str) else server.get("urls")
            urls = given if isinstance(given, list | tuple) and given else [given]
            if not all(isinstance(url, str) and url.startswith(_ICE_SCHEMES) for url in urls):
                advice = 'give "stun:HOST:PORT", or a mapping with urls, username and credential for TURN'
                raise SettingsError("ice_servers", "…", advice)

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return "camera"

    @contextmanager
    def open_on(self, channel: Channel) -> Iterator[OpenSource]:
        """Take offers from ``channel``; open at once, since the page may have to wait for somebody's permission."""
        from ..sources.webrtc.hosting import Outlet, hosted
        from .camera_peer import receive

        async def run(outlet: Outlet) -> None:
            loop = asyncio.get_running_loop()
            messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

            def heard(message: dict[str, Any]) -> None:
                with suppress(RuntimeError):  # a word that comes after the end
                    loop.call_soon_threadsafe(messages.put_nowait, message)

            channel.listen(heard)
            outlet.ready()
            bit_rate = round(self.width * self.height * self.fps * _START_BITS_PER_PIXEL)
            await receive(messages, channel.send, outlet, self.ice_servers, bit_rate)

        with hosted(self.name, run) as outlet:
            yield OpenSource(outlet.items(), self.video, self.audio, live=outlet)
