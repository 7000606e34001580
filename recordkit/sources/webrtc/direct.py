"""Media past aiortc's tasks: from the socket to the reorder window in one call, without a task switch a packet.

What a datagram is its first byte tells (RFC 7983, 7). Media is decrypted by the session that aiortc's DTLS has
made, and handled at once; STUN, DTLS and RTCP go the way that they have in aioice and aiortc, and so do the first
packet of each source and all of a receiver that somebody reads besides. If aiortc or aioice are not built as
expected all goes there, and the tap hears it behind.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpReceiver

from ...errors import TapError
from .direct_receiver import DirectReceiver, Route
from .drain import LARGEST_DATAGRAM, Drain
from .receiving_internals import ReceiverParts, SocketParts, Srtp, TransportParts
from .rtp_header import FIXED, Header, body
from .stand_in import StandIn

log = logging.getLogger("recordkit")

SWITCH = "RECORDKIT_WEBRTC_TAP"
"""Set in the environment, aiortc receives by itself: to find out whether a fault lies here."""
_HERE = "_recordkit_direct"
_HEADER_BYTES = FIXED.size
_COMPONENT = 1
"""Of media and RTCP together (RFC 8445, 4; RFC 5761): aiortc has no other."""
_LEAST_MEDIA, _MOST_MEDIA = 128, 191
_LEAST_RTCP, _MOST_RTCP = 192, 223
"""RFC 7983, 7, and RFC 5761, 4."""
PATIENCE_S = 0.1
"""Some frames and the audio beside them, while nothing is missed: a wake-up costs as much as ten packets, since by
then nothing of what it needs is in the caches. A kill of the process loses what has not been read."""
LOSSY_PATIENCE_S = 0.04
"""As long as packets were missed lately: what is missed next is to be asked for soon."""
_LITTLE_PATIENCE_S = 0.004


def receive_directly(receiver: RTCRtpReceiver, stand_in: StandIn) -> None:
    """From now on take what comes for ``receiver`` where it comes in, if that can be."""
    if os.environ.get(SWITCH):
        return
    there = getattr(receiver.transport, _HERE, None)
    if there is not None and receiver in there.receivers:
        return
    try:
        parts = ReceiverParts(receiver)
        if there is None:
            there = DirectTransport(TransportParts(receiver.transport))
            setattr(receiver.transport, _HERE, there)
    except TapError as error:
        log.info("media goes through aiortc's own tasks, which takes three times as long: %s", error)
        return
    there.receivers[receiver] = DirectReceiver(parts, stand_in)


def read_out(receiver: RTCRtpReceiver) -> None:
    """Take what has come for ``receiver`` by now and lies in a socket: media is read later than it comes."""
    there = getattr(receiver.transport, _HERE, None)
    if there is not None:
        there.read_out()


class DirectTransport:
    """Takes the media of one transport, for ``receivers``; not thread-safe, all in the loop that receives."""

    def __init__(self, parts: TransportParts, wall: Callable[[], float] = time.time) -> None:
        self.receivers: dict[RTCRtpReceiver, DirectReceiver] = {}
        self._parts = parts
        self._wall = wall
        self._srtp = Srtp(LARGEST_DATAGRAM)
        self.buffer = self._srtp.buffer
        """Where a datagram lies that ``take`` is told of."""
        self._routes: dict[int, Route] = {}
        self._drains: dict[Any, Drain | None] = {}
        parts.connection.data_received = self._data_received

    def take(self, size: int, age_s: float, now_s: float) -> bool:
        """Take the datagram of ``size`` bytes in ``buffer`` if it is media that belongs here; False if it is not.

        It came ``age_s`` ago; ``now_s`` is now, in Unix time. It is changed only if it is taken.
        """
        buffer, parts = self.buffer, self._parts
        if size < _HEADER_BYTES:
            return False
        header: Header = FIXED.unpack_from(buffer)
        first, kind, _, _, ssrc = header
        if not _LEAST_MEDIA <= first <= _MOST_MEDIA or _LEAST_RTCP <= kind <= _MOST_RTCP:
            return False
        key = ssrc << 7 | kind & 0x7F
        route = self._routes.get(key)
        if route is None or parts.receiver_by_ssrc.get(ssrc) is not route.receiver:
            route = self._find(key)
        if route is None or not route.owner.is_direct:
            return False
        plain = self._srtp.unprotect(parts.session, size)
        if plain >= _HEADER_BYTES and (found := body(buffer, plain, route.numbers)) is not None:
            route.owner.take(route, header, found, buffer, now_s, age_s)
        return True

    @property
    def is_behind(self) -> bool:
        """Whether aiortc has not taken yet what was left to it: what came behind that waits, too."""
        return bool(self._parts.waiting.qsize())

    @property
    def patience_s(self) -> float:
        """How long media may wait for more of it, in seconds: what is recorded need not be there at once.

        What is sent again should not wait, nor answers to own checks. If the application sends by the same
        transport, too, what comes may be reports on that, or a word to be answered.
        """
        receivers = self.receivers.values()
        if self._parts.is_asking or self._parts.is_two_way or not all(one.is_calm for one in receivers):
            return _LITTLE_PATIENCE_S
        return PATIENCE_S if all(one.is_steady for one in receivers) else LOSSY_PATIENCE_S

    def read_out(self) -> None:
        """Take what lies in the sockets that are drained."""
        for one in self._drains.values():
            if one is not None:
                one.read_out()

    def leave(self, data: bytes, age_s: float) -> None:
        """Let a datagram, which came ``age_s`` ago, go the way that it has in aioice and aiortc."""
        for one in self.receivers.values():
            one.left(age_s)
        self._parts.taken(data, _COMPONENT)

    def hand_on(self, packets: int, size: int) -> None:
        """Hand on what was taken, and let aiortc's statistics know of it."""
        self._parts.count(packets, size)
        for receiver in tuple(self.receivers.values()):
            receiver.hand_on()

    def _find(self, key: int) -> Route | None:
        """The way of a source that aiortc has placed, by its first packet, once that was decrypted."""
        ssrc, payload_type = key >> 7, key & 0x7F
        self._routes.pop(key, None)
        receiver = self._parts.receiver_by_ssrc.get(ssrc)
        owner = self.receivers.get(receiver) if receiver is not None else None
        if owner is None or receiver not in self._parts.receivers_by_type.get(payload_type, ()):
            return None
        if not self._srtp.fits(self._parts.session):
            return None
        route = owner.route(ssrc, payload_type, self._parts.numbers)
        if route is not None:
            self._routes[key] = route
        return route

    def _data_received(self, data: bytes, _component: int) -> None:
        """What aioice has found to be no STUN, before a socket is drained, or where it cannot be."""
        size = len(data)
        if not size:
            return  # by which aiortc's task would end, and with it the call
        is_media = _LEAST_MEDIA <= data[0] <= _MOST_MEDIA and self._parts.session is not None
        if is_media and size <= LARGEST_DATAGRAM and not self.is_behind:
            self._drain_sockets()
            self.buffer[:size] = data
            if self.take(size, 0.0, self._wall()):
                self.hand_on(1, size)
                return
        self.leave(data, 0.0)

    def _drain_sockets(self) -> None:
        for protocol in self._parts.protocols():
            if protocol in self._drains:
                continue
            self._drains[protocol] = None
            try:
                drain = self._drains[protocol] = Drain(SocketParts(protocol), self, self._wall)
                drain.start()
            except TapError as error:
                log.debug("a socket is not drained: %s", error)
