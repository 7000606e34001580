"""The tap on aiortc's receivers: RTP packets as they come, before aiortc queues and decodes them.

A stand-in (stand_in.py) takes the place of a receiver's jitter buffer: it gets every
packet behind retransmission, with its payload header taken off, and hands nothing on to aiortc's
decoder, whose two queues have no bound. aiortc still sends NACK, reports and, as the stand-in says,
PLI. Whoever calls the track's ``recv`` all the same gets decoded frames as before, up to a bound.

The units that come of it go to a ``Sink``, see stream.py; ``Listener`` in listener.py puts it
all together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from aiortc import MediaStreamTrack, RTCRtpReceiver
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import RtcpByePacket, RtcpSrPacket

from ...errors import TapError
from ...system import Clock
from .assembly import MediaPacket
from .direct import read_out, receive_directly
from .finder import Finder
from .internals import changed
from .sockets import Sockets
from .stand_in import StandIn, drain


class Listening(Protocol):
    """Who hears what a tap gives, in the event loop; see StreamReception."""

    def take(self, packets: Sequence[MediaPacket]) -> bool:
        """Take packets that came together, one at least; True if a keyframe is to be asked for."""
        ...

    def report(self, ntp: int, timestamp: int, ssrc: int) -> None:
        """Take a sender report."""
        ...

    def sent(self, packets: int, besides: int, ssrc: int, timestamp: int) -> None:
        """Take from the report how many packets were sent, and ``besides`` for retransmission as far as known.

        ``timestamp`` is the report's RTP time.
        """
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
        self._stand_in: StandIn | None = None
        self._finder: Finder | None = None
        if not isinstance(getattr(track, "_queue", None), asyncio.Queue):
            raise changed("RemoteStreamTrack._queue")
        if receiver is None:
            receiver = StandIn.receiver_of(track)
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
            drain(self._track)

    def read_out(self) -> None:
        """Hear what has come by now, before a ``close``."""
        if self._stand_in is not None:
            read_out(self._stand_in.receiver)

    def close(self) -> None:
        """Hear nothing more, and let go of everything."""
        if self._finder is not None and self._track is not None:
            self._finder.give_up(self._track, self._found)
        if self._stand_in is not None:
            self._stand_in.remove(self)
        self._finder = self._stand_in = self._track = self._listening = None

    def take(self, packets: Sequence[MediaPacket]) -> bool:
        """Take packets that came together; True if a keyframe is to be asked for."""
        listening = self._listening
        if listening is None:
            return False
        try:
            if self._parameter_sets is None:
                self._parameter_sets = self._described()
            if self._parameter_sets:
                for packet in packets:
                    if known := self._parameter_sets.pop(packet.payload_type, None):
                        listening.learn(known)
            return listening.take(packets)
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
                listening.sent(info.packet_count, besides, packet.ssrc, info.rtp_timestamp)
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
        self._stand_in = StandIn.of(receiver, self._clock)
        receive_directly(receiver, self._stand_in)
        self._stand_in.taps.append(self)
