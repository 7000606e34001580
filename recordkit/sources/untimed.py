"""Live packets that came without a time: after a silence libavformat has lost it, of one in each stream."""

from __future__ import annotations

from collections.abc import Iterator

import av

from ..demuxed import DemuxedPacket
from ..errors import SourceError


def timed_by_next(packets: Iterator[DemuxedPacket]) -> Iterator[DemuxedPacket]:
    """``packets``; one without a time waits for the next of its stream, and is as much earlier as it lasts.

    By its arrival it would lie behind what has waited longer, and push that further on: the streams would no longer
    be in sync. Two in a row are left as they are, as are those of reordered video, and what does not fit in.
    """
    held: dict[int, DemuxedPacket] = {}
    ends: dict[int, int] = {}
    try:
        for packet in packets:
            index = packet.stream.index
            before = held.pop(index, None)
            if before is not None:
                if packet.dts is not None:
                    _place(before, packet.dts - (before.duration or 0), ends.get(index))
                yield before
            elif (
                packet.size
                and packet.dts is None
                and packet.pts is None
                and packet.duration
                and _is_in_order(packet)
            ):
                held[index] = packet
                continue
            if packet.dts is not None:
                ends[index] = packet.dts + (packet.duration or 0)
            yield packet
    except SourceError:
        yield from held.values()  # the last that came before a break
        raise
    yield from held.values()


def _place(packet: DemuxedPacket, begins: int, least: int | None) -> None:
    if least is not None and isinstance(packet.stream, av.AudioStream):
        begins = min(begins, least)  # it goes on where the one before ends, whatever is missing behind it
    if least is None or begins >= least - (packet.duration or 0) // 2:
        packet.pts = packet.dts = begins


def _is_in_order(packet: DemuxedPacket) -> bool:
    stream = packet.stream
    return not isinstance(stream, av.VideoStream) or not stream.codec_context.has_b_frames
