"""The peer connection to a page: one offer after the other, until the page says goodbye."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web
from aiortc import MediaStreamTrack, RTCPeerConnection

from ..errors import SourceError
from ..sources.webrtc.hosting import Outlet
from ..sources.webrtc.listener import Listener
from . import negotiation

log = logging.getLogger("recordkit")

Message = dict[str, Any]
_NAME = "camera"


async def receive(
    messages: asyncio.Queue[Message],
    send: Callable[[Message], None],
    outlet: Outlet,
    ice_servers: Sequence[str | Mapping[str, Any]],
    start_bit_rate: int,
) -> None:
    """Answer the page's offers and hand on what it sends, until its tracks have ended.

    A page that only fell silent may come back with a new offer, which takes the place of the one
    before. Raises SourceError where the page says that it cannot send.
    """
    peer: _Peer | None = None
    try:
        while (message := await _next(messages, peer)) is not None:
            if message.get("type") == "failed":
                raise SourceError(_NAME, str(message.get("reason") or "the page gave no reason"))
            if message.get("type") != "offer":
                continue
            if peer is not None:
                await peer.close()
            peer = _Peer(outlet, ice_servers)
            sdp = await peer.answer(str(message.get("sdp")), start_bit_rate)
            send({"type": "answer", "sdp": sdp})
    finally:
        if peer is not None:
            await peer.close()


async def _next(messages: asyncio.Queue[Message], peer: _Peer | None) -> Message | None:
    """The next message; None once the page has ended its tracks."""
    said = asyncio.create_task(messages.get())
    waiting: list[asyncio.Task[Any]] = [said]
    if peer is not None:
        waiting.append(asyncio.create_task(peer.goodbye.wait()))
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return said.result() if said.done() else None
    finally:
        for task in waiting:
            task.cancel()


class _Peer:
    """One connection; ``goodbye`` is set when the page has ended all its tracks."""

    def __init__(self, outlet: Outlet, ice_servers: Sequence[str | Mapping[str, Any]]) -> None:
        self.goodbye = asyncio.Event()
        self._peer = RTCPeerConnection(negotiation.ice_configuration(ice_servers))
        self._tracks: list[MediaStreamTrack] = []
        self._listener = Listener(outlet, self._track_ended)
        outlet.received_by = lambda: self._listener.counters
        outlet.hands_on = self._listener.close
        self._peer.on("track", self._tracks.append)

    async def answer(self, offer_text: str, start_bit_rate: int) -> str:
        """The answer to the page's offer. Raises SourceError where it cannot be taken."""
        try:
            offer = negotiation.read_offer(offer_text)
            await negotiation.accept(self._peer, offer, offer_text)
        except web.HTTPException as error:
            raise SourceError(_NAME, f"the page's offer cannot be taken: {error.text}") from error
        for track in self._tracks:
            self._listener.add(track, peer=self._peer)
        self._listener.begin()
        return await negotiation.answer(self._peer, offer_text, start_bit_rate)

    async def close(self) -> None:
        """Listen no more, and close the connection."""
        self._listener.close()
        await self._peer.close()

    def _track_ended(self, track: MediaStreamTrack, error: Exception | None) -> None:
        if error is not None:
            log.error("%s: the %s track failed: %s", _NAME, track.kind, error)
        if not self._listener.tracks:
            # A page that is closed says so; a network that fails does not.
            self.goodbye.set()
