"""The tap on aiortc's receivers: RTP packets as they come, before aiortc queues and decodes them.

All that recordkit's receiving side needs of aiortc beyond its public interface stands here, and is
checked before it is used. A stand-in takes the place of a receiver's jitter buffer: it gets every
packet behind retransmission, with its payload header taken off, and hands nothing on to aiortc's
decoder, whose two queues have no bound. aiortc still sends NACK, reports and, as the stand-in says,
PLI. Whoever calls the track's ``recv`` all the same gets decoded frames as before, up to a bound.

The units that come of it go to a ``Sink``, see stream.py; ``Listener`` in listener.py puts it
all together.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol, cast

from aiortc import MediaStreamTrack, RTCRtpReceiver
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import RtcpByePacket, RtcpSrPacket

from ...errors import TapError
from ...system import Clock
from .assembly import MediaPacket
from .capture_time import capture_ntp
from .consent import on_consent_check
from .finder import Finder
from .internals import changed, private
from .sockets import Sockets

log = logging.getLogger("recordkit")

_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_CODECS = "_RTCRtpReceiver__codecs"
_DECODER_QUEUE = "_RTCRtpReceiver__decoder_queue"
_SOURCES = "_RTCRtpReceiver__remote_streams"
_RETRANSMITTING = "_RTCRtpReceiver__rtx_ssrc"
_RETURN_S = 2.0
"""So long after its goodbye a source may return, or another follow it, before the track ends."""
_IN_FLIGHT_S = 0.5
"""What comes of a source so soon behind its goodbye was sent before it, and is no return."""
_MOST_FRAMES = 30
"""So many decoded frames wait for somebody who reads the track besides; then none are decoded."""
_NAMES = {"pcmu": "pcm_mulaw", "pcma": "pcm_alaw"}


class Listening(Protocol):
    """Who hears what a tap gives, in the event loop; see StreamReception."""

    def packet(self, packet: MediaPacket) -> bool:
        """Take a packet; True where a keyframe is to be asked for."""
        ...

    def report(self, ntp: int, timestamp: int, ssrc: int) -> None:
        """Take a sender report."""
        ...

    def sent(self, packets: int, besides: int, ssrc: int) -> None:
        """Take from the report how many packets were sent, and ``besides`` for retransmission as far as known."""
        ...

    def goodbye(self, sources: list[int]) -> None:
        """Know that sources (SSRC) have ended: nothing of them is on its way."""
        ...

    def learn(self, parameter_sets: bytes) -> None:
        """Know parameter sets beforehand."""
        ...

    def lives(self) -> None:
        """Know that the sender lives though it may send no media."""
        ...


def is_remote(track: MediaStreamTrack) -> bool:
    """Whether the track is one that a receiver gives, which the tap is for."""
    return isinstance(track, RemoteStreamTrack)


class Tap:
    """Hears what arrives for one remote track until ``close``; made before or while media flows.

    The receiver that the track belongs to shows itself with its next packet, unless it is given.
    ``described`` returns the parameter sets of the other side's description by payload type; it is asked once,
    with the first packet.
    An exception of ``listening`` closes the tap and goes to ``on_error``: it must not end the call
    that others take part in.

    Raises TapError where aiortc is not built as expected; nothing is changed then.
    """

    def __init__(
        self,
        track: MediaStreamTrack,
        listening: Listening,
        on_error: Callable[[Exception], None],
        *,
        receiver: RTCRtpReceiver | None = None,
        described: Callable[[], dict[int, bytes]] = dict,
        clock: Clock | None = None,
    ) -> None:
        self._track: MediaStreamTrack | None = track
        self._described = described
        self._parameter_sets: dict[int, bytes] | None = None
        self._listening: Listening | None = listening
        self._on_error = on_error
        self._clock = clock or Clock()
        self._stand_in: _StandIn | None = None
        self._finder: Finder | None = None
        if not isinstance(getattr(track, "_queue", None), asyncio.Queue):
            raise changed("RemoteStreamTrack._queue")
        if receiver is not None:
            self._attach(receiver)
        else:
            self._finder = Finder.installed()
            self._finder.seek(track, self._found)

    def poll(self) -> None:
        """See whether the track has ended, which aiortc tells by an entry in its queue; now and then."""
        if self._stand_in is not None:
            self._stand_in.drain()
        elif self._track is not None:
            _drain(self._track)

    def close(self) -> None:
        """Hear nothing more, and let go of everything."""
        if self._finder is not None and self._track is not None:
            self._finder.give_up(self._track, self._found)
        if self._stand_in is not None:
            self._stand_in.remove(self)
        self._finder = self._stand_in = self._track = self._listening = None

    def packet(self, packet: Any, codec: str, rate: int) -> bool:  # noqa: ANN401 - untyped over there
        """Take aiortc's packet; True where a keyframe is to be asked for."""
        listening = self._listening
        if listening is None:
            return False
        try:
            if self._parameter_sets is None:
                self._parameter_sets = self._described()
            if known := self._parameter_sets.pop(packet.payload_type, None):
                listening.learn(known)
            return listening.packet(
                MediaPacket(
                    codec,
                    rate,
                    packet.ssrc,
                    packet.sequence_number,
                    packet.timestamp,
                    bool(packet.marker),
                    packet._data,
                    self._clock.monotonic(),
                    capture_ntp(packet),
                )
            )
        except Exception as error:  # noqa: BLE001 - it is handed on, and aiortc would close the whole call
            self.close()
            self._on_error(error)
            return False

    @property
    def sockets(self) -> Sockets | None:
        """Those that its packets come by, once its receiver is known."""
        return self._stand_in.sockets if self._stand_in is not None else None

    def request_keyframe(self) -> bool:
        """Ask the sender for a keyframe now; False if its source is not known yet."""
        return self._stand_in is not None and self._stand_in.request_keyframe()

    def sign(self, packet: object, besides: int = 0) -> None:
        """Take a sign of life: aiortc's packet of RTCP, or anything else; ``besides`` is as in Listening."""
        listening = self._listening
        if listening is None:
            return
        try:
            if isinstance(packet, RtcpSrPacket):
                info = packet.sender_info
                listening.report(info.ntp_timestamp, info.rtp_timestamp, packet.ssrc)
                listening.sent(info.packet_count, besides, packet.ssrc)
            elif isinstance(packet, RtcpByePacket):
                listening.goodbye(packet.sources)
            else:
                listening.lives()
        except Exception as error:  # noqa: BLE001 - as for packets
            self.close()
            self._on_error(error)

    def _found(self, receiver: RTCRtpReceiver) -> None:
        try:
            self._attach(receiver)
        except TapError as error:
            self.close()
            self._on_error(error)

    def _attach(self, receiver: RTCRtpReceiver) -> None:
        self._finder = None
        self._stand_in = _StandIn.of(receiver)
        self._stand_in.taps.append(self)


class _StandIn:
    """In the place of one receiver's jitter buffer, from its first tap on to its end.

    When the last tap is closed it stays: without it aiortc would go on decoding into its queues,
    whether anybody reads them or not.
    """

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self.taps: list[Tap] = []
        self.sockets = Sockets(getattr(receiver.transport, "transport", None))
        track = receiver.track
        self._buffer = private(receiver, _BUFFER, lambda buffer: callable(getattr(buffer, "add", None)))
        self._codecs = private(receiver, _CODECS, lambda codecs: isinstance(codecs, dict))
        self._decoding = private(receiver, _DECODER_QUEUE, lambda queue: callable(getattr(queue, "qsize", None)))
        self._frames = cast("asyncio.Queue[Any]", private(track, "_queue", lambda q: isinstance(q, asyncio.Queue)))
        handle = private(receiver, "_handle_rtcp_packet", callable)
        self._track = track
        self._recv = track.recv
        # Somebody may be waiting for a frame already.
        self._is_read = bool(getattr(self._frames, "_getters", False))
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
    def of(cls, receiver: RTCRtpReceiver) -> _StandIn:
        """The one that is there, or a new one."""
        there = getattr(receiver, _BUFFER, None)
        return there if isinstance(there, cls) else cls(receiver)

    def add(self, packet: Any) -> tuple[bool, Any]:  # noqa: ANN401 - as aiortc's own
        """What aiortc calls with each packet: whether to ask for a keyframe, and a frame to decode."""
        codec = self._codecs[packet.payload_type]
        self._ssrc = packet.ssrc
        self._stay(packet.ssrc)
        name = codec.name.lower()
        asks = False
        for tap in tuple(self.taps):
            asks |= tap.packet(packet, _NAMES.get(name, name), codec.clockRate)
        if not self._is_read:
            return asks, None
        was_paused = self._is_paused
        self._is_paused = self._frames.qsize() > _MOST_FRAMES or self._decoding.qsize() > _MOST_FRAMES
        if self._is_paused:
            return asks, None
        wants, frame = self._buffer.add(packet)
        return asks or wants or (was_paused and self._track.kind == "video"), frame

    def request_keyframe(self) -> bool:
        """Send a PLI of its own; False if no source is known that it could name."""
        if self._ssrc is None:
            return False
        asking = asyncio.ensure_future(self._send_pli(self._ssrc))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        return True

    def remove(self, tap: Tap) -> None:
        """A tap is closed."""
        if tap in self.taps:
            self.taps.remove(tap)

    def drain(self) -> None:
        """Throw away frames that nobody reads, and end the track where its end is among them."""
        if self._is_paused and self._frames.qsize() > _MOST_FRAMES:
            self._is_read = False  # nobody does any more
        if not self._is_read:
            _drain(self._track)

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
        self._is_read = True
        return await self._recv()


def _drain(track: MediaStreamTrack) -> None:
    frames = cast("asyncio.Queue[Any]", private(track, "_queue", lambda queue: isinstance(queue, asyncio.Queue)))
    while not frames.empty():
        if frames.get_nowait() is None:
            track.stop()
