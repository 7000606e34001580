"""What the benchmarks of WebRTC share: connections, who hears and does nothing, a track for aiortc's recorder."""

from __future__ import annotations

import asyncio
from typing import Any

from aiortc import MediaStreamTrack, RTCBundlePolicy, RTCConfiguration, RTCPeerConnection


def connection() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


async def connected(peer: RTCPeerConnection) -> None:
    while peer.connectionState != "connected":
        await asyncio.sleep(0.005)


class Deaf:
    """Hears packets and does nothing."""

    def take(self, packets: object) -> bool:
        return False

    def report(self, ntp: int, timestamp: int, ssrc: int) -> None:
        pass

    def sent(self, packets: int, besides: int, ssrc: int, timestamp: int) -> None:
        pass

    def goodbye(self, sources: list[int]) -> None:
        pass

    def learn(self, parameter_sets: bytes) -> None:
        pass

    def lives(self) -> None:
        pass


class FirstPicture(MediaStreamTrack):
    """A track whose sound is kept back until the first picture is in the file.

    aiortc's recorder writes the file's header with the first packet: where that is sound, which needs no
    keyframe, there are never any pictures in it, and nothing to compare.
    """

    def __init__(self, track: MediaStreamTrack, is_in: asyncio.Event) -> None:
        self.kind = track.kind
        super().__init__()
        self._track = track
        self._is_in = is_in
        self._asked = 0

    async def recv(self) -> Any:
        self._asked += 1
        if self.kind == "video" and self._asked == 2:
            self._is_in.set()
        media = await self._track.recv()
        while self.kind == "audio" and not self._is_in.is_set():
            media = await self._track.recv()
        return media
