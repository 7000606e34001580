"""Keyframes of RTP that came in several packets, because parameter sets stand between their slices."""

from __future__ import annotations

from collections.abc import Iterator

import av

from ..bitstream.h264 import is_slice, nal_units
from ..demuxed import DemuxedPacket
from ..errors import SourceError
from ..model import Codec

_CODECS = {"h264": Codec.H264, "hevc": Codec.H265}
_START_CODES = (b"\0\0\1", b"\0\0\0\1")


def coding_in_nal_units(packet: DemuxedPacket) -> Codec | None:
    """H.264 or H.265, if ``packet`` is video of that with start codes (annex B); None for all else."""
    if not packet.size or not isinstance(packet.stream, av.VideoStream):
        return None
    codec = _CODECS.get(packet.stream.codec_context.codec.canonical_name)
    return codec if codec is not None and bytes(memoryview(packet)[:4]).startswith(_START_CODES) else None


def whole_keyframes(packets: Iterator[DemuxedPacket]) -> Iterator[DemuxedPacket]:
    """``packets``, in which all slices of a keyframe are one packet; keyframes wait for the next of their stream.

    GStreamer's payloader with ``config-interval=-1`` sends the parameter sets before each slice. Where they stand a
    frame begins (ITU-T H.264, 7.4.1.2.3), says libavformat, and makes two of it, neither of which is whole.
    """
    held: dict[int, DemuxedPacket] = {}
    try:
        for packet in packets:
            index = packet.stream.index
            before = held.pop(index, None)
            codec = coding_in_nal_units(packet) if packet.is_keyframe else None
            if before is not None:
                if codec is not None and _is_at_once(before, packet) and _goes_on(bytes(packet), codec):
                    held[index] = _together(before, packet, codec)
                    continue
                yield before
            if codec is not None:
                held[index] = packet
            else:
                yield packet
    except SourceError:
        yield from held.values()  # the last that came before a break
        raise
    yield from held.values()


def _is_at_once(before: DemuxedPacket, packet: DemuxedPacket) -> bool:
    """Whether both may be of one time, which only one of them need have."""
    return None in (before.pts, packet.pts) or before.pts == packet.pts


def _goes_on(data: bytes, codec: Codec) -> bool:
    """Whether its first slice is not the first of a frame, by the bit behind that slice's header."""
    for kind, start, end in nal_units(data, codec):
        if is_slice(kind, codec):
            at = start + (2 if codec is Codec.H265 else 1)
            return at < end and not data[at] & 0x80
    return False


def _together(before: DemuxedPacket, packet: DemuxedPacket, codec: Codec) -> DemuxedPacket:
    """Both as one, without what stands between their slices."""
    data = bytes(packet)
    slices = b"".join(
        b"\0\0\1" + data[start:end] for kind, start, end in nal_units(data, codec) if is_slice(kind, codec)
    )
    made: DemuxedPacket = av.Packet(bytes(before) + slices)
    made.stream, made.time_base, made.duration = before.stream, before.time_base, before.duration
    made.pts = before.pts if before.pts is not None else packet.pts
    made.dts = before.dts if before.dts is not None else packet.dts
    made.is_keyframe = True
    for one in (before, packet):
        if one.has_sidedata("prft") and not made.has_sidedata("prft"):
            made.set_sidedata(one.get_sidedata("prft"))
    return made
