"""Whole units out of packets in order: pictures by timestamp and marker, sound one packet each."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from ...bitstream.audio import OPUS_RATE, opus_samples
from ...bitstream.h264 import nal_units
from ...mpegts.clock import to_ticks

_IDR, _SPS, _PPS = 5, 7, 8
_SLICES = range(1, 6)
_VP8_START = b"\x9d\x01\x2a"
_LARGEST_UNIT = 64 * 1024 * 1024
_PIECE_BYTES = 64
"""What a piece of a unit holds besides its bytes, rounded up."""


@dataclass(frozen=True, slots=True)
class MediaPacket:
    """One RTP packet, its payload header taken off.

    ``codec`` is libavcodec's name, ``rate`` the RTP clock's in Hz, ``timestamp`` the packet's own
    (32 bits), ``data`` the bytes it adds to its unit (H.264: with start codes), ``arrival_s`` when
    it came, on a monotonic clock.
    """

    codec: str
    rate: int
    ssrc: int
    sequence: int
    timestamp: int
    marker: bool
    data: bytes
    arrival_s: float


@dataclass(frozen=True, slots=True)
class Unit:
    """A whole unit: its first packet, its bytes, whether a decoder can start there, its length in ticks."""

    first: MediaPacket
    data: bytes
    is_entry: bool
    discontinuity: bool
    duration: int = 0


class Assembly(Protocol):
    """What makes units; ``needs_entry`` says that nothing comes out before one that a decoder can start from."""

    needs_entry: bool
    dropped: int

    def add(self, packet: MediaPacket, lost_before: int) -> list[Unit]:
        """Take the next packet in order, before which ``lost_before`` are missing; gives what is whole."""
        ...

    def interrupt(self) -> None:
        """What follows has nothing to do with what came before."""
        ...


class SoundAssembly:
    """Each packet is a unit."""

    def __init__(self) -> None:
        self.needs_entry = False
        self.dropped = 0
        self._broken = False

    def interrupt(self) -> None:
        """See Assembly."""
        self._broken = True

    def add(self, packet: MediaPacket, lost_before: int) -> list[Unit]:
        """See Assembly."""
        self._broken |= lost_before > 0
        if not packet.data:
            return []
        broken, self._broken = self._broken, False
        return [Unit(packet, packet.data, is_entry=True, discontinuity=broken, duration=_length(packet))]


class PictureAssembly:
    """Collects the packets of one picture; after a loss waits for a picture that needs no other.

    That is an IDR picture with its parameter sets for H.264, a key frame for VP8. Where packets
    are missing the pictures up to there are dropped, and counted in ``dropped``: what refers to a
    picture that is not there comes out damaged, and no decoder says so.
    """

    def __init__(self) -> None:
        self.needs_entry = True
        self.dropped = 0
        self._broken = False
        self._codec = ""
        self._begun: MediaPacket | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._given = False
        self._dropped: tuple[int, int] | None = None

    def add(self, packet: MediaPacket, lost_before: int) -> list[Unit]:
        """See Assembly."""
        units: list[Unit] = []
        if lost_before:
            self.interrupt()
        begun = self._begun
        if begun is not None and (packet.timestamp, packet.ssrc, packet.codec) != (
            begun.timestamp,
            begun.ssrc,
            begun.codec,
        ):
            # No marker, but the next picture has begun: what was there is all of it.
            units = self._end()
        if packet.codec != self._codec:
            # Its pictures cannot refer to those of another coding.
            self._codec = packet.codec
            self.needs_entry = True
        if not packet.data:
            return units
        if self._begun is None:
            self._begun = packet
        self._pieces.append(packet.data)
        self._size += len(packet.data) + _PIECE_BYTES
        if self._size > _LARGEST_UNIT:
            self.interrupt()
        elif packet.marker:
            units += self._end()
        return units

    def interrupt(self) -> None:
        """See Assembly."""
        if self._begun is not None:
            self._drop(self._begun)
        self._begun = None
        self._pieces.clear()
        self._size = 0
        self._broken = self.needs_entry = True

    def _drop(self, begun: MediaPacket) -> None:
        """Count a picture that is not given; its rest, behind a loss, is no other one."""
        what = (begun.timestamp, begun.ssrc)
        self.dropped += what != self._dropped
        self._dropped = what

    def _end(self) -> list[Unit]:
        begun, data = self._begun, b"".join(self._pieces)
        self._begun, self._size = None, 0
        self._pieces.clear()
        if begun is None:
            return []
        is_entry = _is_entry(begun.codec, data)
        if self.needs_entry and not is_entry:
            # Perhaps only the rest of a picture; one that begins with its headers is all there.
            self._drop(begun)
            self._broken = True
            return []
        broken, self._broken, self.needs_entry = self._broken, False, False
        # Before the first picture that is given nothing is missing: the recording begins there.
        broken, self._given = broken and self._given, True
        return [Unit(begun, data, is_entry, discontinuity=broken)]


def _is_entry(codec: str, data: bytes) -> bool:
    """Whether a decoder can start with this picture, whose headers then are all there (VP8: RFC 6386, 9.1)."""
    if codec != "h264":
        return not data[0] & 1 and data[3:6] == _VP8_START
    found = set()
    for nal_type, _, _ in nal_units(data):
        found.add(nal_type)
        if nal_type in _SLICES:
            break
    return found >= {_IDR, _SPS, _PPS}


def _length(packet: MediaPacket) -> int:
    if packet.codec == "opus":
        return to_ticks(opus_samples(packet.data), Fraction(1, OPUS_RATE))
    # Octets of telephony are counted at 8 kHz, G.722 too (RFC 3551, 4.5).
    return to_ticks(len(packet.data), Fraction(1, packet.rate))
