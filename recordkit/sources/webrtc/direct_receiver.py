"""One receiver's packets, handled as they come: what aiortc does in a task is done in the call that read them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from .assembly import MediaPacket
from .payload import added
from .receiving_internals import ReceiverParts
from .rtp_header import Body, Header, Numbers
from .stand_in import StandIn, codec_name

_SEQUENCES = 1 << 16
_CYCLE = 1 << 16
_LARGEST_TYPE = 0x7F
_EPOCH_MS = 2_208_988_800_000
"""From 1900, where aiortc's estimator counts from, to 1970."""
_ACTIVE_S = 0.5
"""So often it is noted that a source is active; aiortc tells of those of the last ten seconds."""
_GROUP = 5 * (1 << 18) // 1000
"""Packets sent within 5 ms are one group to the bandwidth estimator; abs-send-time counts 2^18 in a second."""
_SEND_TIMES = 1 << 24
AGAIN_S, MOST_ASKS = 0.1, 5
"""So often what is missing is asked for again while it is waited for: what was sent again may be lost, too."""
STEADY_S = 5.0
"""A network that has lost nothing for so long is not about to."""


class Route:
    """The packets of one source and payload type: ``owner`` handles them.

    ``statistics`` are aiortc's. ``rtx_of`` is the source that this one sends again (RFC 4588, 4), and the payload
    type and coding are those of that source then.
    """

    __slots__ = (
        "codec",
        "name",
        "noted_s",
        "numbers",
        "owner",
        "payload_type",
        "rate",
        "receiver",
        "rtx_of",
        "source",
        "ssrc",
        "statistics",
    )

    def __init__(
        self, owner: DirectReceiver, ssrc: int, payload_type: int, statistics: object, numbers: Numbers
    ) -> None:
        self.owner = owner
        self.receiver = owner.parts.receiver
        self.ssrc = ssrc
        self.statistics: Any = statistics
        self.numbers = numbers
        self.noted_s = float("-inf")
        codecs = owner.parts.codecs
        self.codec, self.payload_type = codecs[payload_type], payload_type
        self.rtx_of: int | None = None
        if codec_name(self.codec) == "rtx":
            self.payload_type = self.codec.parameters["apt"]
            self.rtx_of = owner.parts.retransmitting[ssrc]
            self.codec = codecs[self.payload_type]
        self.source = ssrc if self.rtx_of is None else self.rtx_of
        self.name, self.rate = codec_name(self.codec), self.codec.clockRate


class DirectReceiver:
    """Does for one receiver what ``RTCRtpReceiver._handle_rtp_packet`` does, with aiortc's own counters.

    Receiver reports, which aiortc goes on sending, tell of these packets (RFC 3550, 6.4.2); so do NACK (RFC 4585,
    6.2.1), PLI (6.3.1) and the estimate of the bandwidth (REMB).
    """

    def __init__(self, parts: ReceiverParts, stand_in: StandIn) -> None:
        self.parts = parts
        self._stand_in = stand_in
        self._waiting: list[MediaPacket] = []
        self._taken_s = 0.0  # when the first of them was taken
        self._missed_s = stand_in.clock.monotonic()  # when a packet was missed last; at first nothing is known
        self._asks = 0  # so often for what is missing now
        self._source: int | None = None  # the one whose packets the generator of NACK counts
        self._sending: set[asyncio.Future[None]] = set()
        self._group: tuple[int, int, int] | None = None  # the first send time, the source, the bytes
        self._group_end = (0, 0)  # the last send time, and when that came in ms

    @property
    def is_direct(self) -> bool:
        """Whether packets are to come here: somebody who reads the track besides needs aiortc to decode.

        That does not change while packets wait to be handed on.
        """
        return bool(self._waiting) or (self.parts.takes_media and not self._stand_in.is_read)

    @property
    def is_calm(self) -> bool:
        """Whether no packet is missed that may come any moment."""
        nack = self.parts.nack
        return nack is None or not nack.missing

    @property
    def is_steady(self) -> bool:
        """Whether no packet has been missed for ``STEADY_S``."""
        return self.parts.nack is None or self._stand_in.clock.monotonic() - self._missed_s >= STEADY_S

    def left(self, age_s: float) -> None:
        """Know that what is left to aiortc now came ``age_s`` ago."""
        self._stand_in.waited_s = age_s

    def route(self, ssrc: int, payload_type: int, numbers: Numbers) -> Route | None:
        """That of a source whose first packet aiortc has handled; None if it would throw them away."""
        statistics = self.parts.statistics(ssrc)
        if statistics is None or payload_type not in self.parts.codecs:
            return None
        try:
            return Route(self, ssrc, payload_type, statistics, numbers)
        except (KeyError, AttributeError):
            return None  # retransmits a source that nobody knows

    def take(self, route: Route, header: Header, body: Body, data: memoryview, now_s: float, age_s: float) -> None:
        """Handle a packet, decrypted into ``data``, which came ``age_s`` before ``now_s`` (Unix time).

        What there is to record of it waits for ``hand_on``.
        """
        _, kind, sequence, timestamp, _ = header
        start, end, padding, send_time, capture_ntp = body
        ssrc, parts, wall_s = route.ssrc, self.parts, now_s - age_s
        if send_time is not None and parts.estimator is not None:
            self._estimate(ssrc, send_time, int(wall_s * 1000) + _EPOCH_MS, end - start + padding)
        if wall_s - route.noted_s >= _ACTIVE_S:
            route.noted_s = wall_s
            parts.active[ssrc] = datetime.fromtimestamp(wall_s, UTC)
        if route.source != self._source:
            self._count_those_of(route.source)
        _count(route.statistics, sequence, timestamp, wall_s)
        if route.rtx_of is not None:
            if end - start < 2:
                return  # padding that probes for bandwidth
            ssrc, sequence = route.rtx_of, data[start] << 8 | data[start + 1]
            start += 2
        nack = parts.nack
        if nack is not None:
            if sequence == (nack.max_seq or 0) + 1 and not nack.missing:
                nack.max_seq = sequence
            else:
                self._ask(ssrc, is_new=nack.add(_Numbered(sequence)))
        try:
            payload = added(route.codec, route.name, data[start:end])
        except ValueError:
            return
        if not self._waiting:
            self._taken_s = self._stand_in.clock.monotonic()
        packet = MediaPacket(
            route.name,
            route.rate,
            ssrc,
            sequence,
            timestamp,
            kind > _LARGEST_TYPE,
            payload,
            self._taken_s - age_s,
            capture_ntp,
            route.payload_type,
        )
        self._waiting.append(packet)

    def hand_on(self) -> None:
        """Hand on what was taken since the last call; to be called in the same turn of the loop."""
        waiting, self._waiting = self._waiting, []
        if waiting and self._stand_in.hand_on(waiting):
            self._send(self.parts.send_pli(waiting[-1].ssrc))

    def _count_those_of(self, source: int) -> None:
        """Each source has its own numbers (RFC 3550, 5.1): aiortc would ask for what never was, or for nothing."""
        nack, known = self.parts.nack, self.parts.statistics(source)
        if nack is not None and known is not None and self._source is not None:
            nack.missing.clear()
            nack.max_seq = known.max_seq
        self._source = source

    def _ask(self, source: int, *, is_new: bool) -> None:
        """Ask for all that is missing when that is more than before, and again while it does not come."""
        missing = self.parts.nack.missing
        if not missing:
            return
        now_s = self._stand_in.clock.monotonic()
        if is_new:
            self._asks = 0
        elif self._asks >= MOST_ASKS or now_s - self._missed_s < AGAIN_S:
            return
        self._asks += 1
        self._missed_s = now_s
        self._send(self.parts.send_nack(source, sorted(missing)))

    def _estimate(self, ssrc: int, send_time: int, arrival_ms: int, size: int) -> None:
        """Let the estimator know of packets in the groups in which it would put them itself, not one by one."""
        group = self._group
        if group is not None:
            first, source, so_far = group
            if source == ssrc and (send_time - first) % _SEND_TIMES <= _GROUP:
                self._group = (first, source, so_far + size)
                self._group_end = (send_time, arrival_ms)
                return
            last, came_ms = self._group_end
            told = self.parts.estimator.add(
                abs_send_time=last, arrival_time_ms=came_ms, payload_size=so_far, ssrc=source
            )
            if told is not None:
                self._send(self.parts.send_estimate(*told))
        self._group, self._group_end = (send_time, ssrc, size), (send_time, arrival_ms)

    def _send(self, sending: Coroutine[Any, Any, None]) -> None:
        one = asyncio.ensure_future(sending)
        self._sending.add(one)
        one.add_done_callback(self._sending.discard)


class _Numbered:
    """As much of a packet as the generator of NACK looks at."""

    __slots__ = ("sequence_number",)

    def __init__(self, sequence: int) -> None:
        self.sequence_number = sequence


def _count(known: Any, sequence: int, timestamp: int, wall_s: float) -> None:  # noqa: ANN401 - aiortc's
    """Count a packet in aiortc's statistics of its source, with the jitter of RFC 3550, A.8."""
    known.packets_received += 1
    highest = known.max_seq
    if 0 < (sequence - highest) % _SEQUENCES < _SEQUENCES // 2:
        if sequence < highest:
            known.cycles += _CYCLE
        known.max_seq = sequence
        arrival = int(wall_s * known._clockrate)
        if timestamp != known._last_timestamp:
            known._jitter_q4 += abs((arrival - known._last_arrival) - (timestamp - known._last_timestamp)) - (
                (known._jitter_q4 + 8) >> 4
            )
        known._last_arrival, known._last_timestamp = arrival, timestamp
