"""In the place of aiortc's jitter buffer: what one receiver gets goes to its taps, and not to be decoded.

All that is needed of aiortc's receivers beyond their public interface to hear packets stands here, and is checked
before it is used. direct.py hands packets on before aiortc has handled them, where that can be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol, cast

from aiortc import MediaStreamTrack, RTCRtpReceiver
from aiortc.rtp import RtcpByePacket, RtcpSrPacket

from ...system import Clock
from .assembly import MediaPacket
from .capture_time import capture_ntp
from .consent import on_consent_check
from .internals import private
from .sockets import Sockets

_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_CODECS = "_RTCRtpReceiver__codecs"
_DECODER_QUEUE = "_RTCRtpReceiver__decoder_queue"
_SOURCES = "_RTCRtpReceiver__remote_streams"
_HANDLE = "_handle_rtcp_packet"
_RETRANSMITTING = "_RTCRtpReceiver__rtx_ssrc"
_RETURN_S = 2.0
"""So long after its goodbye a source may return, or another follow it, before the track ends."""
_IN_FLIGHT_S = 0.5
"""What comes of a source so soon behind its goodbye was sent before it, and is no return."""
_MOST_FRAMES = 30
"""So many decoded frames wait for somebody who reads the track besides; then none are decoded."""
_NAMES = {"pcmu": "pcm_mulaw", "pcma": "pcm_alaw"}


def codec_name(codec: Any) -> str:  # noqa: ANN401 - untyped over there
    """What libavcodec calls a codec of aiortc's."""
    name = str(codec.name).lower()
    return _NAMES.get(name, name)


class Hearing(Protocol):
    """Who hears what a receiver gets; see Tap."""

    def take(self, packets: Sequence[MediaPacket]) -> bool:
        """Take packets that came together, one at least; True if a keyframe is to be asked for."""
        ...

    def sign(self, packet: object, besides: int = 0) -> None:
        """Take a sign of life."""
        ...


class StandIn:
    """In the place of one receiver's jitter buffer, from its first tap on to its end.

    When the last tap is closed it stays: without it aiortc would go on decoding into its queues,
    whether anybody reads them or not.
    """

    def __init__(self, receiver: RTCRtpReceiver, clock: Clock) -> None:
        self.taps: list[Hearing] = []
        self.clock = clock
        self.sockets = Sockets(getattr(receiver.transport, "transport", None))
        track = receiver.track
        self._buffer = private(receiver, _BUFFER, lambda buffer: callable(getattr(buffer, "add", None)))
        self._codecs = private(receiver, _CODECS, lambda codecs: isinstance(codecs, dict))
        self._decoding = private(receiver, _DECODER_QUEUE, lambda queue: callable(getattr(queue, "qsize", None)))
        self._frames = cast("asyncio.Queue[Any]", private(track, "_queue", lambda q: isinstance(q, asyncio.Queue)))
        handle = private(receiver, _HANDLE, callable)
        self._track = track
        self.receiver = receiver
        self._recv = track.recv
        self.is_read = bool(getattr(self._frames, "_getters", False))
        """Whether somebody reads the track besides, for whom aiortc decodes: they may wait for a frame already."""
        self.waited_s = 0.0
        """So long what aiortc handles next has lain in a socket."""
        self._is_paused = True

        self._send_pli = private(receiver, "_send_rtcp_pli", callable)
        self._sources = private(receiver, _SOURCES, lambda sources: isinstance(sources, dict))
        self._retransmitting: dict[int, int] = getattr(receiver, _RETRANSMITTING, {})
        self._ssrc = next((one for one in reversed(self._sources) if one not in self._retransmitting), None)
        self._asking: set[asyncio.Future[None]] = set()

        self._handle = handle
        self._leaving: asyncio.TimerHandle | None = None
        self._left: list[int] = []

        async def handle_rtcp(packet: object) -> None:
            self._sign(packet)
            if isinstance(packet, RtcpByePacket) and self.taps:
                self._leave(packet)
            else:
                await handle(packet)

        receiver._handle_rtcp_packet = handle_rtcp  # type: ignore[method-assign]
        on_consent_check(receiver, self._sign)
        setattr(receiver, _BUFFER, self)
        track.recv = self._read  # type: ignore[method-assign]
        self.drain()

    @classmethod
    def of(cls, receiver: RTCRtpReceiver, clock: Clock) -> StandIn:
        """The one that is there, or a new one, whose packets have come by ``clock``."""
        getattr(receiver, _HANDLE, None)  # a Finder that seeks its track sees it here, and not amid what follows
        there = getattr(receiver, _BUFFER, None)
        return there if isinstance(there, cls) else cls(receiver, clock)

    @classmethod
    def receiver_of(cls, track: MediaStreamTrack) -> RTCRtpReceiver | None:
        """The receiver of a track in which one stands already."""
        there = getattr(track.recv, "__self__", None)
        return there.receiver if isinstance(there, cls) else None

    def add(self, packet: Any) -> tuple[bool, Any]:  # noqa: ANN401 - as aiortc's own
        """What aiortc calls with each packet: whether to ask for a keyframe, and a frame to decode."""
        codec = self._codecs[packet.payload_type]
        media = MediaPacket(
            codec_name(codec),
            codec.clockRate,
            packet.ssrc,
            packet.sequence_number,
            packet.timestamp,
            bool(packet.marker),
            packet._data,
            self.clock.monotonic() - self.waited_s,
            capture_ntp(packet),
            packet.payload_type,
        )
        asks = self.hand_on([media])
        if not self.is_read:
            return asks, None
        was_paused = self._is_paused
        self._is_paused = self._frames.qsize() > _MOST_FRAMES or self._decoding.qsize() > _MOST_FRAMES
        if self._is_paused:
            return asks, None
        wants, frame = self._buffer.add(packet)
        return asks or wants or (was_paused and self._track.kind == "video"), frame

    def hand_on(self, packets: Sequence[MediaPacket]) -> bool:
        """Give packets that came together to all taps, see Hearing; returns whether one asks for a keyframe."""
        self._ssrc = packets[-1].ssrc
        if self._leaving is not None:
            for packet in packets:
                self._stay(packet.ssrc)
        asks = False
        for tap in tuple(self.taps):
            asks |= tap.take(packets)
        return asks

    def request_keyframe(self) -> bool:
        """Send a PLI of its own; False if no source is known that it could name."""
        if self._ssrc is None:
            return False
        asking = asyncio.ensure_future(self._send_pli(self._ssrc))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        return True

    def remove(self, tap: Hearing) -> None:
        """A tap is closed."""
        if tap in self.taps:
            self.taps.remove(tap)

    def drain(self) -> None:
        """Throw away frames that nobody reads, and end the track where its end is among them."""
        waiting = self._frames.qsize()
        if self._is_paused and waiting > _MOST_FRAMES:
            self.is_read = False  # nobody does any more
        if waiting and not self.is_read:
            drain(self._track)

    def _sign(self, packet: object) -> None:
        besides = self._sent_besides(packet.ssrc) if isinstance(packet, RtcpSrPacket) else 0
        for tap in tuple(self.taps):
            tap.sign(packet, besides)

    def _leave(self, packet: RtcpByePacket) -> None:
        """The source says goodbye: the track ends unless media goes on, or another source follows (RFC 3550, 8.2).

        aiortc would end it for any source that ever was one of this receiver.
        """
        if self._ssrc not in packet.sources or self._leaving is not None:
            return

        def end() -> None:
            self._leaving = None
            self._asking.add(asking := asyncio.ensure_future(self._handle(packet)))
            asking.add_done_callback(self._asking.discard)

        self._left = packet.sources
        self._leaving = asyncio.get_running_loop().call_later(_RETURN_S, end)

    def _stay(self, ssrc: int) -> None:
        """Media of a source came: a goodbye is undone, unless it was on its way when its source said that."""
        if self._leaving is None:
            return
        since_s = asyncio.get_running_loop().time() - (self._leaving.when() - _RETURN_S)
        if ssrc not in self._left or since_s > _IN_FLIGHT_S:
            self._leaving.cancel()
            self._leaving = None

    def _sent_besides(self, ssrc: int) -> int:
        """How many packets were sent to retransmit those of a source (RFC 4588, 4), padding among them."""
        others = [other for other, of in self._retransmitting.items() if of == ssrc]
        return sum(self._sources[other].packets_expected for other in others if other in self._sources)

    async def _read(self) -> Any:  # noqa: ANN401 - as aiortc's own
        self.is_read = True
        return await self._recv()


def drain(track: MediaStreamTrack) -> None:
    """Throw away the frames that wait for a reader, and end the track if its end is among them."""
    frames = cast("asyncio.Queue[Any]", private(track, "_queue", lambda queue: isinstance(queue, asyncio.Queue)))
    while not frames.empty():
        if frames.get_nowait() is None:
            track.stop()
