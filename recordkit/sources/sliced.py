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


def whole_keyframes(packets: Iterator[DemuxedPacket]) -> Iterator[DemuxedPacket]:
    """``packets``, in which all slices of a keyframe are one packet; keyframes wait for the next of their stream.

    GStreamer's payloader with ``config-interval=-1`` sends the parameter sets before each slice. Where they stand a
    frame begins (ITU-T H.264, 7.4.1.2.3), says libavformat, and makes two of it, neither of which is whole.
    """
    held: dict[int, DemuxedPacket] = {}
    try:
        for packet in packets:
            stream = packet.stream
            codec = (
                _CODECS.get(stream.codec_context.codec.canonical_name)
                if isinstance(stream, av.VideoStream)
                else None
            )
            if codec is None:
                yield packet
                continue
            before = held.pop(stream.index, None)
            data = bytes(packet) if before is not None or packet.is_keyframe else b""
            if not data.startswith(_START_CODES):
                if before is not None:
                    yield before
                yield packet
                continue
            if before is not None and packet.is_keyframe and _is_at_once(before, packet) and _goes_on(data, codec):
                held[stream.index] = _together(before, packet, data, codec)
                continue
            if before is not None:
                yield before
            if packet.is_keyframe:
                held[stream.index] = packet
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


def _together(before: DemuxedPacket, packet: DemuxedPacket, data: bytes, codec: Codec) -> DemuxedPacket:
    """Both as one, without what stands between their slices."""
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
