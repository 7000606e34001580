"""Two real peers in one event loop: one sends its tracks to the other over DTLS and SRTP on 127.0.0.1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Literal

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpTransceiver,
)

from ...errors import SourceError
from . import peer_internals
from .network import Network

VideoCodec = Literal["h264", "vp8"]
_LONGEST_CONNECT_S = 20.0
_NEVER_CONNECTED = ("failed", "closed")


class Peers:
    """A sending and a receiving RTCPeerConnection, connected; ``connected_peers`` makes them.

    ``receivers`` are the receiving peer's, in the order in which the tracks were given.
    """

    def __init__(self, codec: VideoCodec = "h264", network: Network | None = None) -> None:
        # A list of servers that is left out is not empty: it names a public one.
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self.sender = RTCPeerConnection(configuration)
        self.receiver = RTCPeerConnection(configuration)
        self._codec = codec
        self._network = network
        self._diverted = False
        self._sending: list[RTCRtpTransceiver] = []
        self._receiving: list[RTCRtpTransceiver] = []

    @property
    def receivers(self) -> tuple[RTCRtpReceiver, ...]:
        """What receives the tracks, in the order in which these were given."""
        return tuple(transceiver.receiver for transceiver in self._receiving)

    @property
    def tracks(self) -> tuple[MediaStreamTrack, ...]:
        """The tracks as they arrive, in the order in which they were given."""
        return tuple(transceiver.receiver.track for transceiver in self._receiving)

    async def add(self, *tracks: MediaStreamTrack) -> None:
        """Send further tracks: the session is negotiated anew where there is one already."""
        for track in tracks:
            sending = self.sender.addTransceiver(track, direction="sendonly")
            receiving = self.receiver.addTransceiver(track.kind, direction="recvonly")
            for transceiver in (sending, receiving):
                self._prefer(transceiver)
            self._sending.append(sending)
            self._receiving.append(receiving)
            # A track that codes by itself has to hear of keyframe requests, and knows its own times.
            requested = getattr(track, "request_keyframe", None)
            if requested is not None:
                peer_internals.on_keyframe_request(sending.sender, requested)
            ntp_of_last = getattr(track, "ntp_of_last", None)
            if ntp_of_last is not None:
                peer_internals.state_times(sending.sender, ntp_of_last)
        await self._negotiate()

    def kill_sender(self) -> None:
        """Let the sender fall silent for good without a goodbye: no BYE, no DTLS alert, no STUN answers."""
        peer_internals.cut_sockets(self.sender)

    async def close(self) -> None:
        """Close both peers; the sender goes first, so that the receiver hears its goodbye."""
        try:
            if self._network is not None:
                await self._network.close()
            await self.sender.close()
        finally:
            await self.receiver.close()

    def _prefer(self, transceiver: RTCRtpTransceiver) -> None:
        wanted = (f"video/{self._codec}", "video/rtx", "audio/opus")
        capabilities = RTCRtpReceiver.getCapabilities(transceiver.kind)
        codecs = capabilities.codecs if capabilities is not None else []
        transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType.lower() in wanted])

    def _divert(self, network: Network) -> None:
        """Put the network between the peers, which use one transport each for all they send."""
        paths = network.between(lambda: self.sender.localDescription.sdp)
        for transceiver, path in zip((self._sending[0], self._receiving[0]), paths, strict=True):
            peer_internals.divert_datagrams(transceiver.sender.transport, path)
        self._diverted = True

    async def _negotiate(self) -> None:
        peer_internals.keep_to_localhost(self.sender)
        peer_internals.keep_to_localhost(self.receiver)
        await self.sender.setLocalDescription(await self.sender.createOffer())
        await self.receiver.setRemoteDescription(self.sender.localDescription)
        if self._network is not None and not self._diverted:
            self._divert(self._network)
        await self.receiver.setLocalDescription(await self.receiver.createAnswer())
        await self.sender.setRemoteDescription(self.receiver.localDescription)


@asynccontextmanager
async def connected_peers(
    tracks: Iterable[MediaStreamTrack],
    *,
    codec: VideoCodec = "h264",
    network: Network | None = None,
) -> AsyncIterator[Peers]:
    """Two peers of which one receives the ``tracks`` of the other, from connected to closed.

    ``codec`` is that of the video; audio is Opus. All packets but those of DTLS pass through
    ``network``. A track of ``SyntheticMedia`` sends nothing before its ``begin``: whoever needs the
    very first packet makes ready within the context, then begins.

    Raises SourceError where the peers do not find each other within 20 s.
    """
    peers = Peers(codec, network)
    try:
        connected = [_Connected(connection) for connection in (peers.sender, peers.receiver)]
        await peers.add(*tracks)
        try:
            async with asyncio.timeout(_LONGEST_CONNECT_S):
                for one in connected:
                    await one.wait()
        except TimeoutError as error:
            raise SourceError("loopback", f"the peers did not connect within {_LONGEST_CONNECT_S:g} s") from error
        yield peers
    finally:
        await peers.close()


class _Connected:
    """Waits for a peer to be connected; raises SourceError where it fails instead."""

    def __init__(self, connection: RTCPeerConnection) -> None:
        self._connection = connection
        self._settled = asyncio.Event()
        connection.on("connectionstatechange", self._changed)

    async def wait(self) -> None:
        await self._settled.wait()
        if self._connection.connectionState != "connected":
            raise SourceError("loopback", f"a peer is {self._connection.connectionState} instead of connected")

    def _changed(self) -> None:
        if self._connection.connectionState in ("connected", *_NEVER_CONNECTED):
            self._settled.set()
