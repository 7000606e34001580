"""Publishers that cost as little as they can: coded once, sent often, past aiortc's own sender.

    python tests/benchmarks/rtp_sender.py URL CLIP SECONDS NAME...

Each is a real WHIP publisher: its offer, ICE and DTLS are aiortc's, and so are the keys. What it sends are the
packets of ``CLIP`` over and over, each with a header of its own, encrypted and handed to the socket here, with
sender reports. Nothing is sent a second time: who loses a datagram has lost it. It says ``ready`` when all are
connected, begins when it is told a line, says ``sent`` at the end, and leaves at the next line.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import random
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
import av
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.codecs.h264 import H264Encoder
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket
from peers import connected, connection
from work import FPS, say

from recordkit.sources.webrtc import peer_internals

SDP = {"Content-Type": "application/sdp"}
REPORT_S = 1.0
_NTP_EPOCH_S = 2_208_988_800
_RATES = {"video": 90_000, "audio": 48_000}
_KNOCK_AGAIN_S = 1.0


@dataclass(frozen=True)
class Unit:
    """A coded picture or block of sound: when it is due in the clip, and its payloads (RFC 6184, 7587)."""

    due_s: float
    kind: str
    payloads: list[bytes]


def units_of(clip: Path) -> tuple[list[Unit], float]:
    """Those of a clip in the order of sending, and how long it is."""
    found = []
    with av.open(str(clip)) as container:
        for packet in container.demux():
            if packet.dts is None:
                continue
            data = bytes(packet)
            kind = packet.stream.type
            payloads = H264Encoder._packetize(H264Encoder._split_bitstream(data)) if kind == "video" else [data]
            found.append(Unit(float(packet.dts * packet.time_base), kind, payloads))
    first_s = min(one.due_s for one in found)
    length_s = sum(one.kind == "video" for one in found) / FPS
    units = (Unit(one.due_s - first_s, one.kind, one.payloads) for one in found)
    # The encoder of sound gives a block more than the clip has time for.
    return sorted((one for one in units if one.due_s < length_s), key=lambda one: one.due_s), length_s


class Stream:
    """One RTP stream: its numbers, and what a sender report tells of it (RFC 3550, 6.4.1)."""

    def __init__(self, transceiver: Any) -> None:
        self.rate = _RATES[transceiver.kind]
        self.payload_type = transceiver._codecs[0].payloadType
        self.ssrc = transceiver.sender._ssrc
        self.sequence = random.getrandbits(15)
        self.base = random.getrandbits(31)
        self.packets = self.octets = 0

    def timestamp(self, media_s: float) -> int:
        return (self.base + round(media_s * self.rate)) & 0xFFFFFFFF

    def datagrams(self, unit: Unit, media_s: float) -> list[bytes]:
        timestamp, last, found = self.timestamp(media_s), len(unit.payloads) - 1, []
        for number, payload in enumerate(unit.payloads):
            mark = 0x80 if unit.kind == "video" and number == last else 0
            head = struct.pack("!BBHII", 0x80, mark | self.payload_type, self.sequence, timestamp, self.ssrc)
            self.sequence = (self.sequence + 1) & 0xFFFF
            self.packets += 1
            self.octets += len(payload)
            found.append(head + payload)
        return found

    def report(self, media_s: float) -> bytes:
        ntp = round((time.time() + _NTP_EPOCH_S) * (1 << 32))
        told = RtcpSenderInfo(ntp, self.timestamp(media_s), self.packets & 0xFFFFFFFF, self.octets & 0xFFFFFFFF)
        return bytes(RtcpSrPacket(self.ssrc, told))


class Publisher:
    """A peer connection whose keys and socket are used here."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.peer: RTCPeerConnection = connection()
        self.unsent = 0
        self.resource = ""

    async def connect(self, client: aiohttp.ClientSession, url: str) -> None:
        for track in (VideoStreamTrack(), AudioStreamTrack()):
            transceiver = self.peer.addTransceiver(track, direction="sendonly")
            capabilities = RTCRtpReceiver.getCapabilities(track.kind)
            wanted = ("video/h264", "audio/opus")
            transceiver.setCodecPreferences([one for one in capabilities.codecs if one.mimeType.lower() in wanted])
            # aiortc's own sender, which would encode, never begins.
            transceiver.sender.send = _nothing
        peer_internals.keep_to_localhost(self.peer)
        await self.peer.setLocalDescription(await self.peer.createOffer())
        where, offer = f"{url}/whip/{self.name}", self.peer.localDescription.sdp
        while True:
            async with client.post(where, data=offer, headers=SDP) as response:
                text = await response.text()
                if response.status == 201:
                    self.resource = urljoin(where, response.headers.get("Location", ""))
                    break
                if response.status != 429:
                    raise RuntimeError(f"{response.status}: {text}")
            await asyncio.sleep(_KNOCK_AGAIN_S)
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp=text, type="answer"))
        await connected(self.peer)
        self.streams = {one.kind: Stream(one) for one in self.peer.getTransceivers()}
        dtls = self.peer.getSenders()[0].transport
        pair = dtls.transport._connection._nominated[1]
        self._keys, self._address = dtls._tx_srtp, pair.remote_addr
        own = pair.protocol.transport.get_extra_info("socket")
        self._socket = socket.socket(fileno=os.dup(own.fileno()))

    def send(self, unit: Unit, media_s: float) -> None:
        for datagram in self.streams[unit.kind].datagrams(unit, media_s):
            self._out(self._keys.protect(datagram))

    def report(self, media_s: float) -> None:
        for stream in self.streams.values():
            self._out(self._keys.protect_rtcp(stream.report(media_s)))

    def _out(self, datagram: bytes) -> None:
        try:
            self._socket.sendto(datagram, self._address)
        except BlockingIOError:
            self.unsent += 1

    async def leave(self, client: aiohttp.ClientSession) -> None:
        with suppress(aiohttp.ClientError):  # the server may have ended first
            async with client.delete(self.resource):
                pass
        self._socket.close()
        await self.peer.close()


async def _nothing(parameters: object) -> None:
    pass


def send(publishers: list[Publisher], units: list[Unit], length_s: float, seconds: float) -> dict[str, Any]:
    """Send so many seconds of each, spread over the time of a clip as the publishers of a day would be."""
    pictures, worst_s, begun_s = 0, 0.0, time.monotonic()
    # (due, publisher, round, unit); -1 is a report.
    due: list[tuple[float, int, int, int]] = []
    starts = [length_s * number / len(publishers) for number in range(len(publishers))]
    for number, start_s in enumerate(starts):
        due += [(start_s, number, 0, 0), (start_s + 0.1, number, 0, -1)]
    heapq.heapify(due)
    while due:
        at_s, number, turn, place = heapq.heappop(due)
        wait_s = begun_s + at_s - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        worst_s = max(worst_s, -wait_s)
        publisher, media_s = publishers[number], at_s - starts[number]
        if place < 0:
            publisher.report(time.monotonic() - begun_s - starts[number])
            following = (at_s + REPORT_S, number, 0, -1)
        else:
            unit = units[place]
            publisher.send(unit, media_s)
            pictures += unit.kind == "video"
            turn, place = (turn, place + 1) if place + 1 < len(units) else (turn + 1, 0)
            following = (starts[number] + turn * length_s + units[place].due_s, number, turn, place)
        if following[0] - starts[number] < seconds:
            heapq.heappush(due, following)
    return {"pictures": pictures, "late_s": round(worst_s, 3), "unsent": sum(one.unsent for one in publishers)}


async def main(url: str, clip: Path, seconds: float, names: list[str]) -> None:
    units, length_s = units_of(clip)
    publishers = [Publisher(name) for name in names]
    async with aiohttp.ClientSession() as client:
        for one in publishers:
            await one.connect(client, url)
        say("ready")
        await asyncio.to_thread(sys.stdin.readline)
        spent_s = time.process_time()
        sent = await asyncio.to_thread(send, publishers, units, length_s, seconds)
        say("sent", cpu_s=time.process_time() - spent_s, **sent)
        await asyncio.to_thread(sys.stdin.readline)
        await asyncio.gather(*(one.leave(client) for one in publishers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))
