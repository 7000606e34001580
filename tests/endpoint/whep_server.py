"""A WHEP server on aiortc: the other side of what recordkit dials."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

from aiohttp import web
from aiortc import RTCPeerConnection, RTCSessionDescription

from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc import peer_internals
from recordkit.sources.webrtc.tracks import SyntheticMedia
from tests.endpoint.rig import new_peer


class Server:
    """Gives a synthetic stream to whoever asks for it; ``answers`` are what it says to the first ones instead.

    With ``is_offering`` it makes the offer itself, as servers do that could not know what they would be offered.
    """

    def __init__(
        self, answers: tuple[web.Response, ...], from_s: Callable[[], float], *, is_offering: bool
    ) -> None:
        self.answers = list(answers)
        self.peers: list[RTCPeerConnection] = []
        self.medias: list[SyntheticMedia] = []
        self.shown: list[str | None] = []
        self.asked: list[str] = []
        self.took: list[str] = []
        self.refusal: web.Response | None = None
        self.sessions: set[str] = set()
        self.knows_none = False
        self.ended = 0
        self.url = ""
        self._from_s = from_s
        self._is_offering = is_offering
        self._waiting: dict[str, RTCPeerConnection] = {}

    async def post(self, request: web.Request) -> web.Response:
        """Give a stream."""
        self.shown.append(request.headers.get("Authorization"))
        if self.answers:
            return self.answers.pop(0)
        # So many bits that the number in each frame can be read, the first few behind a keyframe, too.
        peer, media = new_peer(), SyntheticMedia(Synthetic(width=160, height=90, fps=30), bit_rate=500_000)
        self.peers.append(peer)
        self.medias.append(media)
        offer = await request.text()
        if not self._is_offering:
            await peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        for track in (one for one in media.tracks if self._is_offering or f"m={one.kind}" in offer):
            sender = peer.addTrack(track)
            peer_internals.state_times(sender, track.ntp_of_last)  # type: ignore[attr-defined]
            if track.kind == "video":
                peer_internals.on_keyframe_request(sender, track.request_keyframe)  # type: ignore[attr-defined]

        def changed() -> None:
            if peer.connectionState == "connected":
                media.begin(self._from_s())

        peer.on("connectionstatechange", changed)
        made = await (peer.createOffer() if self._is_offering else peer.createAnswer())
        await peer.setLocalDescription(made)
        session = uuid4().hex
        self.sessions.add(session)
        headers = {"Location": f"s/{session}"}
        if self._is_offering:
            self._waiting[session] = peer
        return web.Response(
            status=406 if self._is_offering else 201,
            text=peer.localDescription.sdp,
            content_type="application/sdp",
            headers=headers,
        )

    async def patch(self, request: web.Request) -> web.Response:
        """Take further candidates, as MediaMTX does, or the answer to an offer."""
        session, text = request.match_info["session"], await request.text()
        if request.content_type == "application/sdp":
            self.took.append(text)
            if self.refusal is not None:
                return self.refusal
            answer = RTCSessionDescription(sdp=text, type="answer")
            await self._waiting.pop(session).setRemoteDescription(answer)
            return web.Response(status=204)
        self.asked.append(text)
        is_known = session in self.sessions and not self.knows_none
        return web.Response(status=204 if is_known else 404)

    async def delete(self, request: web.Request) -> web.Response:
        """End it."""
        self.ended += 1
        return web.Response(status=200 if request.match_info["session"] in self.sessions else 404)


@asynccontextmanager
async def serving(
    *answers: web.Response, port: int = 0, from_s: Callable[[], float] = float, is_offering: bool = False
) -> AsyncIterator[Server]:
    """A server at ``port``; ``from_s`` is asked where in the source a stream is to begin."""
    server = Server(answers, from_s, is_offering=is_offering)
    app = web.Application()
    app.router.add_post("/cam/whep", server.post)
    app.router.add_patch("/cam/s/{session}", server.patch)
    app.router.add_delete("/cam/s/{session}", server.delete)
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
