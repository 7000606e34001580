"""A bad network between two peers: what is lost, late, doubled and out of order, decided by a seed.

``Link`` decides and knows no clock; ``Network`` puts one link into each direction of a connection, below
SRTP: what passes through it is encrypted, and what it does the peers can only guess, as on a real network.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from itertools import count

from aiortc.sdp import SessionDescription

from ...errors import SettingsError
from .peer_internals import Send

Span = tuple[float, float]

LONGEST_DELAY_S = 10.0
_JITTER_STEP_S = 0.01
_HELD_BACK_S = (0.01, 0.04)
_COPY_AFTER_S = 0.02
_MOST_WAITING_BYTES = 16 * 1024 * 1024
_RTP_AND_RTCP = range(128, 192)  # first byte (RFC 7983, 7)
_RTCP = range(192, 224)  # second byte (RFC 5761, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFaults:
    """What a network does to the packets of a connection, each way.

    ``loss``, ``duplication`` and ``reordering`` are shares of the packets (0 to 1); one that is reordered
    is held back for 10 to 40 ms while those behind it pass. ``delay_s`` applies to all, up to
    ``jitter_s`` more is drawn anew every 10 ms, as from a queue that fills and empties: it keeps the order.
    ``audio_delay_s`` is added for audio alone. In ``outages``, (start_s, duration_s) from the first media
    on, nothing gets through.

    Raises SettingsError for values that make no network.
    """

    loss: float = 0.0
    jitter_s: float = 0.0
    delay_s: float = 0.0
    audio_delay_s: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    outages: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        for name in ("loss", "duplication", "reordering"):
            if not _is_number(value := getattr(self, name)) or not 0 <= value <= 1:
                raise SettingsError(name, value, "give a share of the packets, 0 to 1")
        for name in ("jitter_s", "delay_s", "audio_delay_s"):
            if not _is_number(value := getattr(self, name)) or not 0 <= value <= LONGEST_DELAY_S:
                raise SettingsError(name, value, f"give seconds from 0 to {LONGEST_DELAY_S:g}")
        object.__setattr__(self, "outages", spans("outages", self.outages))

    @property
    def any(self) -> bool:
        """Whether this network does anything at all."""
        return any(getattr(self, each.name) for each in fields(self))


def spans(name: str, value: object) -> tuple[Span, ...]:
    """``value`` as (start_s, duration_s) pairs of numbers; raises SettingsError where it is none."""
    advice = "give pairs of seconds: (start, duration), such as ((5.0, 2.0),)"
    if not isinstance(value, (tuple, list)):
        raise SettingsError(name, value, advice)
    for pair in value:
        good = isinstance(pair, (tuple, list)) and len(pair) == 2 and all(map(_is_number, pair))
        if not good or pair[0] < 0 or pair[1] <= 0:
            raise SettingsError(name, value, advice)
    return tuple((start_s, duration_s) for start_s, duration_s in value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


class Traffic(StrEnum):
    """What a packet is for."""

    VIDEO = "video"
    AUDIO = "audio"
    RETRANSMISSION = "retransmission"
    CONTROL = "control"


@dataclass(slots=True)
class Counts:
    """What became of the packets of one kind of traffic in one direction.

    ``sent`` + ``duplicated`` = ``delivered`` + ``lost`` + ``in_outage`` + ``overflowed`` + ``waiting``.
    """

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    in_outage: int = 0
    duplicated: int = 0
    reordered: int = 0
    overflowed: int = 0
    waiting: int = 0


@dataclass
class Link:
    """One direction: says of each packet when its copies come out; equal seeds give equal answers.

    Each kind of traffic has dice of its own, so that the fate of the nth packet of video does not
    hang on how many others came between. ``begun_s`` is when the first media came; before, no outage counts.
    """

    faults: NetworkFaults
    seed: int
    begun_s: float = math.inf
    counts: dict[Traffic, Counts] = field(default_factory=lambda: {traffic: Counts() for traffic in Traffic})

    def __post_init__(self) -> None:
        self._dice = {traffic: random.Random(f"{self.seed} {traffic}") for traffic in Traffic}  # noqa: S311 - not for secrets
        self._jitter_dice = random.Random(f"{self.seed} jitter")  # noqa: S311
        self._jitter_s = 0.0
        self._jitter_until_s = -math.inf
        self._no_earlier_s = dict.fromkeys(Traffic, -math.inf)

    def route(self, traffic: Traffic, now_s: float) -> tuple[float, ...]:
        """When a packet that goes in at ``now_s`` comes out: never, once or twice. Time never goes back."""
        faults, counts, dice = self.faults, self.counts[traffic], self._dice[traffic]
        counts.sent += 1
        is_lost, is_doubled, is_held = (
            dice.random() < share for share in (faults.loss, faults.duplication, faults.reordering)
        )
        hold_s, copy_s = dice.uniform(*_HELD_BACK_S), dice.uniform(0, _COPY_AFTER_S)
        if any(0 <= now_s - self.begun_s - start_s < duration_s for start_s, duration_s in faults.outages):
            counts.in_outage += 1
            return ()
        if is_lost:
            counts.lost += 1
            return ()
        delay_s = faults.delay_s + self._jitter(now_s) + (faults.audio_delay_s if traffic is Traffic.AUDIO else 0.0)
        out_s = self._no_earlier_s[traffic] = max(self._no_earlier_s[traffic], now_s + delay_s)
        if is_held:
            counts.reordered += 1
            out_s += hold_s
        if is_doubled:
            counts.duplicated += 1
            return out_s, out_s + copy_s
        return (out_s,)

    def _jitter(self, now_s: float) -> float:
        if self.faults.jitter_s and now_s >= self._jitter_until_s:
            self._jitter_s = self._jitter_dice.uniform(0, self.faults.jitter_s)
            self._jitter_until_s = now_s + _JITTER_STEP_S
        return self._jitter_s


class Network:
    """The two links between the peers of one connection, as they are at work.

    ``forward`` counts what goes from the sender of the media to its receiver, ``back`` the reports and
    requests that go the other way.
    """

    def __init__(self, faults: NetworkFaults, seed: int = 0) -> None:
        self._forward = _Path(Link(faults, 2 * seed))
        self._back = _Path(Link(faults, 2 * seed + 1))

    @property
    def forward(self) -> Mapping[Traffic, Counts]:
        """What became of the packets to the receiver of the media."""
        return self._forward.link.counts

    @property
    def back(self) -> Mapping[Traffic, Counts]:
        """What became of the packets to its sender."""
        return self._back.link.counts

    def between(self, sender_sdp: Callable[[], str]) -> tuple[Callable[[Send], Send], Callable[[Send], Send]]:
        """What takes the place of the sender's and the receiver's sending of datagrams.

        ``sender_sdp`` gives the sender's own description, which tells its streams apart.
        """
        self._forward.sender_sdp = sender_sdp
        return self._forward.divert, self._back.divert

    def begin(self) -> None:
        """Count the times of outages from now on."""
        for path in (self._forward, self._back):
            path.link.begun_s = asyncio.get_running_loop().time()

    async def drained(self) -> None:
        """Wait until all that was on its way to the receiver of the media, so far, has arrived."""
        await self._forward.drained()

    async def close(self) -> None:
        """Give up what is still on its way; from then on everything passes at once."""
        for path in (self._forward, self._back):
            await path.close()


class _Path:
    """Carries datagrams in one direction as its link says; DTLS passes untouched."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.sender_sdp: Callable[[], str] = lambda: ""
        self._send: Send | None = None
        self._streams: dict[int, Traffic] = {}
        self._heap: list[tuple[float, int, Traffic, bytes]] = []
        self._order = count()
        self._waiting_bytes = 0
        self._more = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._pump: asyncio.Task[None] | None = None
        self._closed = False

    def divert(self, send: Send) -> Send:
        self._send = send
        return self._carry

    async def _carry(self, data: bytes) -> None:
        if self._send is None:
            return
        if self._closed or not data or data[0] not in _RTP_AND_RTCP:
            await self._send(data)
            return
        traffic = self._traffic(data)
        counts = self.link.counts[traffic]
        now_s = asyncio.get_running_loop().time()
        for due_s in self.link.route(traffic, now_s):
            if due_s <= now_s and not self._heap:
                await self._send(data)
                counts.delivered += 1
            elif self._waiting_bytes + len(data) > _MOST_WAITING_BYTES:
                counts.overflowed += 1
            else:
                heapq.heappush(self._heap, (due_s, next(self._order), traffic, data))
                self._waiting_bytes += len(data)
                counts.waiting += 1
                self._more.set()
                self._empty.clear()
                self._pump = self._pump or asyncio.create_task(self._deliver(self._send))

    async def _deliver(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._more.clear()
            wait_s = self._heap[0][0] - loop.time() if self._heap else None
            if wait_s is None or wait_s > 0:
                # Something that is due earlier may come in meanwhile.
                await self._wait(wait_s)
                continue
            _, _, traffic, data = heapq.heappop(self._heap)
            self._waiting_bytes -= len(data)
            try:
                await send(data)
            except ConnectionError:
                # The peers have hung up: there is nobody to deliver to.
                self._empty.set()
                return
            self.link.counts[traffic].waiting -= 1
            self.link.counts[traffic].delivered += 1
            if not self._heap:
                self._empty.set()

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._more.wait()
        except TimeoutError:
            return

    async def drained(self) -> None:
        await self._empty.wait()

    async def close(self) -> None:
        self._closed = True
        self._empty.set()
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)

    def _traffic(self, data: bytes) -> Traffic:
        if data[1] in _RTCP:
            return Traffic.CONTROL
        source = int.from_bytes(data[8:12], "big")
        if source not in self._streams:
            self._streams = _streams(self.sender_sdp())
        # A stream that nobody announced is none of the media.
        return self._streams.get(source, Traffic.CONTROL)


def _streams(sdp: str) -> dict[int, Traffic]:
    """Which synchronisation source carries what, by the sender's description (RFC 5576, 4.1 and 4.2)."""
    streams: dict[int, Traffic] = {}
    for media in SessionDescription.parse(sdp).media if sdp else ():
        again = {source for group in media.ssrc_group if group.semantic == "FID" for source in group.items[1:]}
        for description in media.ssrc:
            kind = Traffic.AUDIO if media.kind == "audio" else Traffic.VIDEO
            streams[description.ssrc] = Traffic.RETRANSMISSION if description.ssrc in again else kind
    return streams
