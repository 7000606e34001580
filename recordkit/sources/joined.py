"""Live streams that are joined in the midst, as those of radio: where their first frame is, and its time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

import av

from ..bitstream.ac3 import Ac3Header, parse_ac3
from ..bitstream.audio import AdtsHeader, Mp3Header, parse_adts, parse_mp3
from ..bitstream.flac import FlacHeader, parse_flac
from ..demuxed import DemuxedPacket

log = logging.getLogger("recordkit")

PARSERS: Mapping[str, Callable[[bytes], AdtsHeader | Mp3Header | Ac3Header | None]] = {
    "aac": parse_adts,
    "mp3": parse_mp3,
    "mp2": parse_mp3,
    "ac3": parse_ac3,
    "eac3": parse_ac3,
}
"""By libavcodec's name of a coding: what reads the header of a frame."""
_BARE = frozenset({"aac", "mp3", "ac3", "eac3"})
"""Formats in which frame stands behind frame, and nothing else."""
_MOST_LEFT_OUT = 32
_HEADER_BYTES = 32
_LONGEST_S = 1 << 32
"""No stream is so old: what claims to be is damaged or a lie, and libavformat has no numbers for it."""


def joined(packets: Iterator[DemuxedPacket], kind: str, name: str) -> Iterator[DemuxedPacket]:
    """``packets`` of a live container of the format ``kind``, from their first frame on and at their true times."""
    if kind in _BARE:
        return _from_first_frame(packets, name)
    return _as_flac_says(packets) if kind == "ogg" else packets


def _from_first_frame(packets: Iterator[DemuxedPacket], name: str) -> Iterator[DemuxedPacket]:
    """``packets`` without those before two that agree.

    Servers begin anywhere. libavformat takes any twelve bits set for a header of AAC, and for a frame whatever
    follows it.
    """
    held: DemuxedPacket | None = None
    told: tuple[int, int] | None = None
    left_out = 0
    for packet in packets:
        parse = PARSERS.get(packet.stream.codec_context.codec.canonical_name)
        header = parse(bytes(packet)) if parse is not None and packet.size else None
        before, told = told, None if header is None else (header.sample_rate, header.channels)
        is_over = parse is None or not packet.size or left_out >= _MOST_LEFT_OUT
        if is_over or (told is not None and told == before):
            if left_out:
                log.info("%s: left out: %d pieces before the first frame", name, left_out)
            if held is not None:
                yield held
            yield packet
            yield from packets
            return
        left_out += held is not None or told is None
        held = packet if told is not None else None


def _as_flac_says(packets: Iterator[DemuxedPacket]) -> Iterator[DemuxedPacket]:
    """``packets``, those of FLAC at the times that their frames state (RFC 9639, 9.1.5).

    Ogg says where a page ends, from which libavformat knows nothing for the first one: it lets that begin at 0. And
    it counts all songs of a chain by the rate of the first.
    """
    positions: dict[int, _Position] = {}
    for packet in packets:
        stream = packet.stream
        if packet.size and isinstance(stream, av.AudioStream) and stream.codec_context.name == "flac":
            position = positions.setdefault(stream.index, _Position(stream.codec_context.sample_rate))
            seconds = position.at(bytes(memoryview(packet)[:_HEADER_BYTES]))
            packet.pts = packet.dts = None if seconds is None else round(seconds / packet.time_base)
        yield packet


class _Position:
    """When each frame of FLAC begins: by its number, and behind the one before where a song begins anew."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._begins = Fraction(0)
        self._before: FlacHeader | None = None

    def at(self, data: bytes) -> Fraction | None:
        """In seconds; None for what is no frame."""
        header, before = parse_flac(data), self._before
        if header is None:
            return None
        self._before = header
        if before is None:
            self._begins = self._lasts(header, header.number)
        elif header.number > before.number and header.is_by_sample == before.is_by_sample:
            self._begins += self._lasts(before, header.number - before.number)
        else:
            self._begins += Fraction(before.samples, before.sample_rate or self._sample_rate)
        return self._begins if self._begins < _LONGEST_S else None

    def _lasts(self, header: FlacHeader, numbers: int) -> Fraction:
        samples = numbers if header.is_by_sample else numbers * header.samples
        return Fraction(samples, header.sample_rate or self._sample_rate)
