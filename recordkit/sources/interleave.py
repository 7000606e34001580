"""Packets of a file in the order of their decoding times, whatever order they stand in."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import TypeAlias

import av

from ..demuxed import DemuxedPacket
from ..encode.decode_times import DecodeTimes, Timed
from ..ticks import TICKS_PER_SECOND, to_ticks

LONGEST_HOLD = 5 * TICKS_PER_SECOND
"""Multiplexes hold one stream back by 1 s, rarely by more (ISO/IEC 13818-1, 2.4.2.6)."""
MOST_BYTES = 32 * 1024 * 1024
_LEAST_RETURN = TICKS_PER_SECOND // 4
"""A stream whose times go back so far begins anew, and with it the others: recordings laid end to end."""
_REORDERED = 17
"""A frame is reordered by 16 at the most (H.264, A.3.1)."""
_MOST_HELD = 1_000


_Held: TypeAlias = "tuple[float, int, int, DemuxedPacket]"
"""Decoding time in ticks, number in the order of reading, bytes, and the packet."""
_Queue: TypeAlias = "deque[_Held]"
_HEAD = itemgetter(0)


def interleaved(
    packets: Iterable[DemuxedPacket],
    streams: Sequence[av.stream.Stream],
    *,
    longest_hold: int = LONGEST_HOLD,
    most_bytes: int = MOST_BYTES,
) -> Iterator[DemuxedPacket]:
    """``packets`` by decoding time, those of one stream in their own order.

    A stream may stand ``longest_hold`` ticks behind another: so much is held, and ``most_bytes``. What is
    further away, as behind a jump of the clock, keeps the order that it came in, as does what comes before and
    behind a step back. Not for live sources.
    """
    queues: dict[int, _Queue] = {stream.index: deque() for stream in streams}
    each = list(queues.values())
    last: dict[int, float] = {}
    newest = -math.inf
    held = 0
    for number, packet in enumerate(packets):
        index, size, dts = packet.stream.index, packet.size, packet.dts
        before = last.get(index, -math.inf)
        if not size:
            ticks = math.inf
        elif dts is None or not packet.time_base:
            ticks = before
        else:
            ticks = last[index] = to_ticks(dts, packet.time_base)
            if before != -math.inf and not before - _LEAST_RETURN < ticks <= before + longest_hold:
                yield from _drained(each)
                held, newest = 0, -math.inf
                last = {index: ticks}
            newest = max(newest, ticks)
        queues[index].append((ticks, number, size, packet))
        held += size
        while True:
            if all(each):
                queue = min(each, key=_HEAD)
            else:
                waiting = [one for one in each if one]
                if not waiting or (held <= most_bytes and newest - min(waiting, key=_HEAD)[0][0] <= longest_hold):
                    break
                queue = min(waiting, key=lambda one: one[0][1])
            _, _, size, ready = queue.popleft()
            held -= size
            yield ready
    yield from _drained(each)


def _drained(queues: list[_Queue]) -> Iterator[DemuxedPacket]:
    while waiting := [queue for queue in queues if queue]:
        yield min(waiting, key=_HEAD).popleft()[-1]


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
