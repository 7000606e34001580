"""An endpoint on a free port of 127.0.0.1 with whatever desk, and offers of real peers to send to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from recordkit.endpoint.endpoint import Desk, Endpoint
from recordkit.endpoint.present import Present, Sink
from recordkit.endpoint.screening import Screening
from recordkit.endpoint.settings import WhipSettings
from recordkit.errors import RecordkitError
from recordkit.recorder.state import State
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc import peer_internals
from recordkit.sources.webrtc.tracks import SyntheticMedia
from recordkit.system import Clock
from tests.steering import GUARD_S

SDP = {"Content-Type": "application/sdp"}


@dataclass
class CountingSink:
    """Takes nothing, but counts how often it was begun and ended."""

    file_name: str = "talk-1.ts"
    file_bytes: int = 0
    duration_s: float = 0.0
    drops: int = 0
    silent_s: float = 0.0
    state: State = State.RECORDING
    fault: RecordkitError | None = None
    starts: int = 0
    stops: int = 0
    renewals: int = 0
    has_files: bool = True

    async def start(self, peer: RTCPeerConnection, tracks: list[MediaStreamTrack]) -> None:
        assert tracks
        self.starts += 1
        if self.fault is not None:
            raise self.fault

    async def renew(self) -> bool:
        self.renewals += 1
        return self.has_files

    async def stop(self) -> None:
        self.stops += 1


@dataclass
class CountingDesk:
    """Admits everybody to a counting sink."""

    sinks: list[CountingSink] = field(default_factory=list)
    free: int | None = None
    fault: RecordkitError | None = None

    def admit(self, stream: str, present: Sequence[Present]) -> Sink:
        sink = CountingSink(f"{stream}-{len(self.sinks) + 1}.ts", fault=self.fault)
        self.sinks.append(sink)
        return sink

    async def free_bytes(self) -> int | None:
        return self.free


@asynccontextmanager
async def running(
    desk: Desk, screening: Screening | None = None, clock: Clock | None = None, **settings: object
) -> AsyncIterator[tuple[Endpoint, aiohttp.ClientSession]]:
    """An endpoint that has started, and a client; both are gone afterwards."""
    chosen = WhipSettings(**({"port": 0} | settings))  # type: ignore[arg-type]
    endpoint = Endpoint(chosen, desk, clock, screening=screening)
    await endpoint.start()
    try:
        async with aiohttp.ClientSession(endpoint.url) as client:
            yield endpoint, client
    finally:
        await endpoint.stop()


def new_peer() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def offer_of(peer: RTCPeerConnection, *tracks: MediaStreamTrack) -> str:
    """The whole offer, with candidates, of a peer that sends these tracks; of both kinds where none are given."""
    for track in tracks or (VideoStreamTrack(), AudioStreamTrack()):
        peer.addTransceiver(track, direction="sendonly")
    await peer.setLocalDescription(await peer.createOffer())
    return peer.localDescription.sdp


async def an_offer() -> str:
    """An offer whose peer is gone: nobody will ever connect."""
    peer = new_peer()
    try:
        return await offer_of(peer)
    finally:
        await peer.close()


async def connect(
    client: aiohttp.ClientSession, peer: RTCPeerConnection, *tracks: MediaStreamTrack, stream: str = "talk"
) -> str:
    """Publish as ``stream`` and wait until connected; gives the path of its session."""
    async with client.post(f"/whip/{stream}", data=await offer_of(peer, *tracks), headers=SDP) as response:
        assert response.status == 201, await response.text()
        location = urljoin(f"/whip/{stream}", response.headers["Location"])
        await peer.setRemoteDescription(RTCSessionDescription(sdp=await response.text(), type="answer"))
    await until(lambda: peer.connectionState == "connected")
    return location


async def publish(endpoint: Endpoint, client: aiohttp.ClientSession, peer: RTCPeerConnection) -> str:
    """As ``connect``, and wait until the other side is connected too."""
    location = await connect(client, peer)
    await until(lambda: any(one.id in location and one.was_live for one in endpoint.publishers))
    return location


@asynccontextmanager
async def synthetic(url: str, seconds: float | None = None, stream: str = "talk") -> AsyncIterator[SyntheticMedia]:
    """A peer that publishes the synthetic source to ``url`` as a browser would, and says goodbye at the end."""
    media = SyntheticMedia(Synthetic(width=160, height=90, fps=30, seconds=seconds))
    peer = media.peer = new_peer()  # type: ignore[attr-defined]
    try:
        async with aiohttp.ClientSession(url) as client:
            await connect(client, peer, *media.tracks, stream=stream)
        for sender in peer.getSenders():
            if isinstance(sender.track, type(media.video)):
                peer_internals.on_keyframe_request(sender, media.video.request_keyframe)
            peer_internals.state_times(sender, sender.track.ntp_of_last)
        media.begin()
        yield media
    finally:
        await peer.close()
        await media.close()


async def packets_sent(media: SyntheticMedia) -> int:
    """How many packets of media the peer of ``synthetic`` has sent."""
    reports = [await sender.getStats() for sender in media.peer.getSenders()]  # type: ignore[attr-defined]
    return sum(one.packetsSent for report in reports for one in report.values() if one.type == "outbound-rtp")


async def until(condition: object) -> None:
    """Come back when ``condition()`` holds; fails where that takes too long."""
    async with asyncio.timeout(GUARD_S):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


def tls_files(folder: Path) -> tuple[str, str]:
    """Paths of a self-signed ECDSA P-256 certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin.replace(year=2120))
    paths = folder / "certificate.pem", folder / "key.pem"
    pem = serialization.Encoding.PEM
    paths[0].write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
    paths[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return str(paths[0]), str(paths[1])
