"""Packets of a file in the order of their decoding times, whatever order they stand in."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import av

from ..demux import DemuxedPacket
from ..encode.decode_times import DecodeTimes, Timed
from ..mpegts.clock import TICKS_PER_SECOND, to_ticks

LONGEST_HOLD = 5 * TICKS_PER_SECOND
"""Multiplexes hold one stream back by 1 s, rarely by more (ISO/IEC 13818-1, 2.4.2.6)."""
MOST_BYTES = 32 * 1024 * 1024
_REORDERED = 17
"""A frame is reordered by 16 at the most (H.264, A.3.1)."""
_MOST_HELD = 1_000


class _Held(NamedTuple):
    ticks: float
    number: int
    packet: DemuxedPacket


def interleaved(
    packets: Iterable[DemuxedPacket],
    streams: Sequence[av.stream.Stream],
    *,
    longest_hold: int = LONGEST_HOLD,
    most_bytes: int = MOST_BYTES,
) -> Iterator[DemuxedPacket]:
    """``packets`` by decoding time, those of one stream in their own order.

    A stream may stand ``longest_hold`` ticks behind another: so much is held, and ``most_bytes``. What is
    further away, as behind a jump of the clock, keeps the order that it came in. Not for live sources.
    """
    queues: dict[int, deque[_Held]] = {stream.index: deque() for stream in streams}
    last: dict[int, float] = {}
    size = 0

    def head(queue: deque[_Held]) -> _Held:
        return queue[0]

    def taken(held: deque[_Held]) -> DemuxedPacket:
        nonlocal size
        packet = held.popleft().packet
        size -= packet.size
        return packet

    def due() -> Iterator[DemuxedPacket]:
        while True:
            waiting = [queue for queue in queues.values() if queue]
            if waiting and len(waiting) == len(queues):
                yield taken(min(waiting, key=head))
            elif waiting and (size > most_bytes or _span(waiting) > longest_hold):
                yield taken(min(waiting, key=lambda queue: queue[0].number))
            else:
                return

    for number, packet in enumerate(packets):
        index = packet.stream.index
        before = last.get(index, -math.inf)
        if not packet.size:
            ticks = math.inf
        elif packet.dts is None or not packet.time_base:
            ticks = before
        else:
            ticks = last[index] = to_ticks(packet.dts, packet.time_base)
            if abs(ticks - before) > longest_hold and math.isfinite(before):
                yield from _drained(queues)
                size = 0
        queues[index].append(_Held(ticks, number, packet))
        size += packet.size
        yield from due()
    yield from _drained(queues)


def _span(waiting: list[deque[_Held]]) -> float:
    newest = [queue[-1].ticks for queue in waiting if math.isfinite(queue[-1].ticks)]
    return max(newest) - min(queue[0].ticks for queue in waiting) if newest else 0.0


def _drained(queues: dict[int, deque[_Held]]) -> Iterator[DemuxedPacket]:
    while waiting := [queue for queue in queues.values() if queue]:
        yield min(waiting, key=lambda queue: queue[0]).popleft().packet


def with_decoding_times(packets: Iterable[DemuxedPacket], stream: av.VideoStream) -> Iterator[DemuxedPacket]:
    """``packets`` of all streams, those of ``stream`` decoded before they are shown.

    Some muxers count decoding times from the first frame on, as if nothing were reordered: frames would be
    shown before they are decoded, and libavformat, which does not believe it, has two decoded at once. Then
    the decoding times follow from when the frames are shown.
    """
    held: list[DemuxedPacket] | None = []
    times: DecodeTimes[DemuxedPacket] | None = None
    frames: list[tuple[int, int | None]] = []
    for packet in packets:
        if held is None:
            yield from _timed(packet, stream, times)
            continue
        held.append(packet)
        if packet.stream.index == stream.index and packet.pts is not None:
            frames.append((packet.pts, packet.dts))
        if len(frames) >= _REORDERED or len(held) >= _MOST_HELD:
            times = _times_of(frames)
            for one in held:
                yield from _timed(one, stream, times)
            held = None
    if held:
        times = _times_of(frames)
    for one in held or ():
        yield from _timed(one, stream, times)
    if times is not None:
        yield from (_placed(one) for one in times.flush())


def _times_of(frames: list[tuple[int, int | None]]) -> DecodeTimes[DemuxedPacket] | None:
    """What finds decoding times for a stream that begins with ``frames`` (PTS, DTS); None if its own will do."""
    own = [dts for _, dts in frames if dts is not None]
    if all(dts is None or dts <= pts for pts, dts in frames) and all(a < b for a, b in pairwise(own)):
        return None
    shown = [pts for pts, _ in frames]
    times: DecodeTimes[DemuxedPacket] = DecodeTimes()
    times.assume(max(sum(before > pts for before in shown[:number]) for number, pts in enumerate(shown)))
    return times if times.reorders else None


def _timed(
    packet: DemuxedPacket, stream: av.VideoStream, times: DecodeTimes[DemuxedPacket] | None
) -> Iterator[DemuxedPacket]:
    if times is None or packet.stream.index != stream.index:
        yield packet
    elif packet.pts is None or not packet.time_base:
        yield from (_placed(one) for one in times.flush())
        yield packet
    else:
        yield from (_placed(one) for one in times.put(packet, to_ticks(packet.pts, packet.time_base)))


def _placed(timed: Timed[DemuxedPacket]) -> DemuxedPacket:
    packet, base = timed.item, timed.item.time_base
    if base:
        packet.dts = timed.dts * base.denominator // (TICKS_PER_SECOND * base.numerator)
    return packet
