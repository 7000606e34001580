"""A WHEP server on aiortc: the other side of what recordkit dials."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from aiortc import RTCPeerConnection, RTCSessionDescription

from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc import peer_internals
from recordkit.sources.webrtc.tracks import SyntheticMedia
from tests.endpoint.rig import new_peer


class Server:
    """Gives a synthetic stream to whoever asks for it; ``answers`` are what it says to the first ones instead."""

    def __init__(self, answers: tuple[web.Response, ...], on_begin: Callable[[], None] | None) -> None:
        self.answers = list(answers)
        self.peers: list[RTCPeerConnection] = []
        self.medias: list[SyntheticMedia] = []
        self.shown: list[str | None] = []
        self.ended = 0
        self.url = ""
        self._on_begin = on_begin

    async def post(self, request: web.Request) -> web.Response:
        """Give a stream."""
        self.shown.append(request.headers.get("Authorization"))
        if self.answers:
            return self.answers.pop(0)
        peer, media = new_peer(), SyntheticMedia(Synthetic(width=160, height=90, fps=30))
        self.peers.append(peer)
        self.medias.append(media)
        offer = await request.text()
        await peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        for track in (one for one in media.tracks if f"m={one.kind}" in offer):
            sender = peer.addTrack(track)
            if track.kind == "video":
                peer_internals.on_keyframe_request(sender, track.request_keyframe)  # type: ignore[attr-defined]

        def changed() -> None:
            if peer.connectionState == "connected":
                media.begin()
                if self._on_begin is not None:
                    self._on_begin()

        peer.on("connectionstatechange", changed)
        await peer.setLocalDescription(await peer.createAnswer())
        return web.Response(
            status=201, text=peer.localDescription.sdp, content_type="application/sdp", headers={"Location": "s/1"}
        )

    async def delete(self, _: web.Request) -> web.Response:
        """End it."""
        self.ended += 1
        return web.Response()


@asynccontextmanager
async def serving(
    *answers: web.Response, port: int = 0, on_begin: Callable[[], None] | None = None
) -> AsyncIterator[Server]:
    """A server at ``port``; ``on_begin`` is called as a stream begins."""
    server = Server(answers, on_begin)
    app = web.Application()
    app.router.add_post("/cam/whep", server.post)
    app.router.add_delete("/cam/s/1", server.delete)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/cam/whep"
    try:
        yield server
    finally:
        for media in server.medias:
            await media.close()
        for peer in server.peers:
            await peer.close()
        await runner.cleanup()
