"""Whole units out of packets in order: a frame is the packets of one timestamp, audio one packet each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from ...bitstream.audio import OPUS_RATE, opus_samples
from ...bitstream.h264_live import LiveUnits, is_picture_data
from ...ticks import TICKS_PER_SECOND, signed_difference, to_ticks

MARKED_PATIENCE_S = 0.2
"""So long after its marker the last frame waits for more packets of its timestamp."""
UNMARKED_PATIENCE_S = 0.5
"""So long it waits when the source marks none."""
_LONGEST_PICTURE_S = 1.0
"""No frame, marked more than once, comes for so long: then those of one timestamp are several."""
_VP8_START = b"\x9d\x01\x2a"
_LARGEST_UNIT = 64 * 1024 * 1024
_PIECE_BYTES = 64
"""What a piece of a unit holds besides its bytes, rounded up."""


@dataclass(slots=True)
class MediaPacket:
    """One RTP packet, its payload header taken off; nobody changes it (to be frozen would cost four times as much).

    ``codec`` is libavcodec's name, ``rate`` the RTP clock's in Hz, ``timestamp`` the packet's own
    (32 bits), ``data`` the bytes it adds to its unit (H.264: with start codes), ``arrival_s`` when
    it came, on a monotonic clock. ``capture_ntp`` is when its frame was taken (NTP, 64 bits), if it says so.
    ``payload_type`` is its coding's number in the session.
    """

    codec: str
    rate: int
    ssrc: int
    sequence: int
    timestamp: int
    marker: bool
    data: bytes
    arrival_s: float
    capture_ntp: int | None = None
    payload_type: int = 0


@dataclass(slots=True)
class Unit:
    """A whole unit: its first packet, its bytes, whether a decoder can start there, its length in ticks.

    Nobody changes it, as with MediaPacket.
    ``nal_starts`` are as those of an AccessUnit, ``sizes`` as those of an EncodedUnit.
    """

    first: MediaPacket
    data: bytes
    is_entry: bool
    discontinuity: bool
    duration: int = 0
    nal_starts: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()


class Assembly(Protocol):
    """What makes units.

    ``needs_entry`` says that nothing comes out before one that a decoder can start from, ``lacks_sets``
    that such units came without the parameter sets they need; ``dropped`` counts those not given.
    """

    needs_entry: bool
    lacks_sets: bool
    dropped: int

    def learn(self, parameter_sets: bytes) -> None:
        """Know parameter sets beforehand."""
        ...

    def add(self, packet: MediaPacket, lost_before: int) -> list[Unit]:
        """Take the next packet in order, before which ``lost_before`` are missing; gives what is whole."""
        ...

    def add_run(self, packets: Sequence[MediaPacket]) -> list[Unit]:
        """Take the next packets in order, before and between which none is missing; gives what is whole."""
        ...

    def poll(self, now_s: float) -> list[Unit]:
        """What has waited for its end long enough, at ``now_s`` on the arrivals' clock."""
        ...

    def flush(self) -> list[Unit]:
        """What waits and is whole: nothing more will come."""
        ...

    def interrupt(self) -> None:
        """What follows has nothing to do with what came before."""
        ...


class SoundAssembly:
    """Each packet is a unit."""

    def __init__(self) -> None:
        self.needs_entry = self.lacks_sets = False
        self.dropped = 0
        self._broken = False

    def learn(self, parameter_sets: bytes) -> None:
        """See Assembly."""

    def poll(self, now_s: float) -> list[Unit]:
        """See Assembly."""
        return []

    def flush(self) -> list[Unit]:
        """See Assembly."""
        return []

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

    def add_run(self, packets: Sequence[MediaPacket]) -> list[Unit]:
        """See Assembly."""
        return [unit for packet in packets for unit in self.add(packet, 0)]


class PictureAssembly:
    """Collects the packets of one frame; after a loss waits for a frame that needs no other.

    The packets of one timestamp are one frame (RFC 3550, 5.1; RFC 6184, 5.1). The marker is a hint
    that it may be whole: a frame waits for the first packet of the next one, or, behind a marker,
    until nothing more has come for ``MARKED_PATIENCE_S``.

    A frame that needs no other is one of H.264 that is IDR, or a recovery point, with parameter sets
    in it or known before; or a key frame of VP8. Where packets are missing the frames up to there
    are dropped, and counted in ``dropped``: what refers to a frame that is not there comes out
    damaged, and no decoder says so.
    """

    def __init__(self) -> None:
        self.needs_entry = True
        self.dropped = 0
        self.lacks_sets = False
        self._units = LiveUnits()
        self._broken = False
        self._codec = ""
        self._begun: MediaPacket | None = None
        self._newest_s = 0.0
        self._pieces: list[bytes] = []
        self._size = 0
        self._given = False
        self._dropped: tuple[int, int] | None = None
        self._is_marked = False
        # Whether the source marks the last packet of a frame, and whether it marks others, too.
        self._marks_ends = True
        self._marks_others = False
        self._is_cut = True
        self._after_loss = False
        self._done: tuple[int, int, str] | None = None
        self._parted: int | None = None
        self._leading_to: int | None = None

    def learn(self, parameter_sets: bytes) -> None:
        """Know H.264 parameter sets (Annex B) that a session description gives (RFC 6184, 8.1)."""
        self._units.learn(parameter_sets)

    def add(self, packet: MediaPacket, lost_before: int) -> list[Unit]:
        """See Assembly."""
        begun = self._begun
        units: list[Unit] = []
        if lost_before:
            if self._is_marked and not self._marks_others:
                units = self._end()
            self.interrupt()
            self._after_loss = True
            begun = self._begun
        if begun is not None and (
            packet.timestamp != begun.timestamp or packet.ssrc != begun.ssrc or packet.codec != begun.codec
        ):
            self._marks_ends = self._is_marked
            units += self._end()
        if packet.codec != self._codec:
            # Its frames cannot refer to those of another coding.
            self._codec = packet.codec
            self.needs_entry = True
        if not packet.data:
            self._is_marked |= packet.marker and self._begun is not None
            return units
        if self._begun is None and _picture_of(packet) == self._done:
            self._more_of_given(packet)
            return units
        if self._begun is None:
            self._begun = packet
        elif self._is_marked:
            self._marks_others = True
        self._is_marked = packet.marker
        self._newest_s = packet.arrival_s
        if packet.codec == "h264" and packet.data.startswith(b"\0\0"):
            self._units.learn(packet.data)
        self._pieces.append(packet.data)
        self._size += len(packet.data) + _PIECE_BYTES
        if self._size > _LARGEST_UNIT:
            self.interrupt()
        elif self._marks_others and packet.marker and packet.arrival_s - self._begun.arrival_s > _LONGEST_PICTURE_S:
            # Its RTP clock stands. What came so far are several frames; from here on the markers part them.
            self._parted = packet.timestamp
            self.interrupt()
            self._dropped = None
        elif packet.timestamp == self._parted and packet.marker:
            units += self._end()
            self._done = self._dropped = None
        return units

    def add_run(self, packets: Sequence[MediaPacket]) -> list[Unit]:
        """See Assembly."""
        units: list[Unit] = []
        pieces, begun, size = self._pieces, self._begun, self._size
        for packet in packets:
            data = packet.data
            if (
                begun is not None
                and packet.timestamp == begun.timestamp
                and not (packet.marker or self._is_marked or data.startswith(b"\0\0"))
                and data
                and packet.ssrc == begun.ssrc
                and packet.codec == begun.codec
                and size < _LARGEST_UNIT
            ):  # the next part of a frame, as it mostly is
                pieces.append(data)
                size += len(data) + _PIECE_BYTES
                continue
            self._size = size
            units += self.add(packet, 0)
            begun, size = self._begun, self._size
        self._size = size
        if packets and begun is not None:
            self._newest_s = packets[-1].arrival_s
        return units

    def poll(self, now_s: float) -> list[Unit]:
        """See Assembly."""
        patience_s = MARKED_PATIENCE_S if self._is_marked else UNMARKED_PATIENCE_S
        if self._begun is None or not self._seems_whole or now_s - self._newest_s < patience_s:
            return []
        return self._end()

    def flush(self) -> list[Unit]:
        """See Assembly."""
        if self._seems_whole:
            return self._end()
        self.interrupt()
        return []

    def interrupt(self) -> None:
        """See Assembly."""
        if self._begun is not None:
            self._drop(self._begun)
        self._clear()
        self._broken = self.needs_entry = self._is_cut = True

    @property
    def _seems_whole(self) -> bool:
        return self._is_marked or not self._marks_ends

    def _clear(self) -> None:
        self._begun = None
        self._is_marked = False
        self._pieces.clear()
        self._size = 0

    def _more_of_given(self, packet: MediaPacket) -> None:
        """A packet of a frame that was given as whole: where that has a hole, none may follow."""
        self._marks_others = True
        if packet.codec != "h264" or is_picture_data(packet.data):
            self._drop(packet)
            self.interrupt()

    def _drop(self, begun: MediaPacket) -> None:
        """Count a frame that is not given; its rest, behind a loss, is no other one."""
        what = (begun.timestamp, begun.ssrc)
        self.dropped += what != self._dropped
        self._dropped = what

    def _end(self) -> list[Unit]:
        begun, data = self._begun, b"".join(self._pieces)
        self._clear()
        if begun is None:
            return []
        is_cut, after_loss = self._is_cut, self._after_loss
        self._is_cut = self._after_loss = False
        is_idr = True
        starts: tuple[int, ...] = ()
        if begun.codec == "h264":
            unit = self._units.in_order(data, is_cut=is_cut, after_loss=after_loss)
            if not unit.has_picture:
                # Only headers, which are remembered; or bytes amid a frame whose beginning is lost.
                if is_cut and is_picture_data(data):
                    self._drop(begun)
                self._is_cut, self._after_loss = is_cut, after_loss
                return []
            data, is_entry, is_idr, starts = unit.data, unit.is_entry, unit.is_idr, unit.nal_starts
            self.lacks_sets = unit.lacks_sets or (self.lacks_sets and not is_entry)
        else:
            # A key frame of VP8 (RFC 6386, 9.1).
            is_entry = not data[0] & 1 and data[3:6] == _VP8_START
        if self.needs_entry and not is_entry:
            # Perhaps only the rest of a frame.
            self._drop(begun)
            self._broken = True
            return []
        if self.needs_entry:
            self._leading_to = None if is_idr else begun.timestamp
        elif self._leading_to is not None:
            if signed_difference(begun.timestamp, self._leading_to, 32) < 0:
                # Shown before the recovery point, so that it may refer to what is before that.
                self._drop(begun)
                return []
            self._leading_to = None
        broken, self._broken, self.needs_entry = self._broken, False, False
        # Before the first frame that is given nothing is missing: the recording begins there.
        broken, self._given = broken and self._given, True
        if self._dropped == (begun.timestamp, begun.ssrc):
            # All that a loss took of it stood before its first slice: it was counted too early.
            self.dropped -= 1
            self._dropped = None
        self._done = _picture_of(begun)
        return [Unit(begun, data, is_entry, discontinuity=broken, nal_starts=starts)]


def _picture_of(packet: MediaPacket) -> tuple[int, int, str]:
    """What the packets of one frame have in common."""
    return packet.timestamp, packet.ssrc, packet.codec


def _length(packet: MediaPacket) -> int:
    if packet.codec == "opus":
        return opus_samples(packet.data) * TICKS_PER_SECOND // OPUS_RATE  # packets are multiples of 2.5 ms
    # Octets of telephony are counted at 8 kHz, G.722 too (RFC 3551, 4.5).
    return to_ticks(len(packet.data), Fraction(1, packet.rate))
