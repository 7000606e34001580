"""The packets of a container as libavformat gives them: which can be used, and whose times are not their own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from struct import Struct
from typing import Any, TypeAlias

import av
from av.container import InputContainer

from .errors import SourceError
from .ticks import fraction

log = logging.getLogger("recordkit")

WITHOUT_DISPLAY_TIMES = frozenset({"asf", "avi", "h264", "hevc"})
"""Formats that say when a frame is decoded, and not when it is shown; libavformat makes that up."""

_IN_FRAGMENTS = "mov"
_TRIMS = Struct("<II")
_COARSE = Fraction(1, 1000)
_MICROSECOND = Fraction(1, 1_000_000)
_APART_US = 1000

DemuxedPacket: TypeAlias = "av.Packet[Any]"


def is_encrypted(packet: DemuxedPacket) -> bool:
    """Whether a packet came out as it stands in the file, for want of a key (ISO/IEC 23001-7)."""
    return packet.has_sidedata("encryption_info")


def trims(packet: DemuxedPacket) -> tuple[int, int]:
    """The samples at the beginning and end of ``packet`` that are decoded and not heard."""
    data = bytes(packet.get_sidedata("skip_samples")) if packet.has_sidedata("skip_samples") else b""
    return _TRIMS.unpack_from(data) if len(data) >= _TRIMS.size else (0, 0)


class Care:
    """Looks at each packet of some streams of ``container``, and counts in the log what is damaged.

    ``by_arrival`` says that libavformat gives packets the times at which they came.
    """

    def __init__(
        self,
        container: InputContainer,
        streams: Sequence[av.stream.Stream],
        *,
        tells_damage: bool,
        takes_encrypted: bool,
        by_arrival: bool = False,
    ) -> None:
        self._name = container.name
        self._streams = len(streams)
        self._in_order = {stream.index for stream in streams if _is_shown_in_order(stream)}
        audio = [stream.index for stream in streams if isinstance(stream, av.AudioStream)]
        is_mp4 = bool(audio) and _IN_FRAGMENTS in container.format.name.split(",")
        self._audio = {index: _Holes() if is_mp4 else _Runs() for index in audio}
        bases = {stream.index: fraction(stream.time_base) for stream in streams if by_arrival}
        self._arrivals = {index: Arrivals(base) for index, base in bases.items() if base and base > _COARSE}
        self._decoded: dict[int, int] = {}
        """When the packet before of each stream is decoded."""
        self._tells_damage = tells_damage
        self._takes_encrypted = takes_encrypted
        self._damaged: dict[int, int] = {}
        self._encrypted: set[int] = set()

    def taken(self, packet: DemuxedPacket) -> Sequence[DemuxedPacket]:
        """``packet`` with its times put right, if it can be used; it may come with the next one of its stream.

        Raises SourceError if no stream can be used.
        """
        if not packet.size:
            # What follows is the end.
            return [*(one for audio in self._audio.values() for one in audio.rest()), packet]
        index = packet.stream_index
        if is_encrypted(packet) and not self._takes_encrypted:
            self._tell_encrypted(index)
            return ()
        if self._tells_damage and packet.is_corrupt:
            if index not in self._damaged:
                log.warning("%s: stream %d: a packet is cut off or damaged", self._name, index)
            self._damaged[index] = self._damaged.get(index, 0) + 1
        if index in self._arrivals:
            self._arrivals[index].put(packet)
        dts = packet.dts
        if dts is not None:
            if packet.is_discard and dts <= self._decoded.get(index, dts - 1):
                packet = _shown(packet)
            self._decoded[index] = dts
        if index in self._in_order:
            packet.pts = packet.dts
        return self._audio[index].put(packet) if index in self._audio else (packet,)

    def tell_counts(self) -> None:
        """Say at the end how much was damaged."""
        for index, count in self._damaged.items():
            if count > 1:
                log.warning("%s: stream %d: %d packets were cut off or damaged", self._name, index, count)

    def _tell_encrypted(self, index: int) -> None:
        """Tell of a stream that is noise without its key (ISO/IEC 23001-7)."""
        if index in self._encrypted:
            return
        self._encrypted.add(index)
        if len(self._encrypted) == self._streams:
            raise SourceError(self._name, "is encrypted: give its key by options={'decryption_key': ...}")
        log.warning("%s: stream %d is encrypted from here on, and left out", self._name, index)


class Arrivals:
    """When packets came, finer than ``base`` tells: MJPEG over HTTP has ticks of 1/25 s, in which two may come.

    By ``wall`` (Unix time in seconds), as libavformat's stamps are; what was read while the beginning was analysed
    has these alone.
    """

    def __init__(self, base: Fraction, wall: Callable[[], float] = time.time) -> None:
        self._tick_us = base / _MICROSECOND
        self._wall = wall
        self._last_us: int | None = None

    def put(self, packet: DemuxedPacket) -> None:
        """Give ``packet`` its time, later than that of the one before."""
        if packet.dts is None:
            return
        stamped_us, now_us = round(packet.dts * self._tick_us), round(self._wall() * 1e6)
        came_us = now_us if abs(now_us - stamped_us) <= self._tick_us else stamped_us
        if self._last_us is not None:
            came_us = max(came_us, self._last_us + _APART_US)
        self._last_us = packet.pts = packet.dts = came_us
        packet.duration = round((packet.duration or 0) * self._tick_us)
        packet.time_base = _MICROSECOND


class _Runs:
    """Packets of audio, of which several may have one time: it is that of the first (so in RealMedia)."""

    def __init__(self) -> None:
        self._before: int | None = None

    def put(self, packet: DemuxedPacket) -> Sequence[DemuxedPacket]:
        """``packet``, without a time if that is not its own."""
        before, self._before = self._before, packet.dts if packet.dts is not None else self._before
        if packet.dts is not None and packet.dts == before:
            packet.pts = packet.dts = None
        return (packet,)

    def rest(self) -> Sequence[DemuxedPacket]:
        """What was held back."""
        return ()


class _Holes(_Runs):
    """The same in fragments, where of two packets with one time the first leaves a hole of its length before it.

    FFmpeg states when such a fragment ends in place of when it begins, if each fragment holds one frame.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ends: int | None = None
        self._held: DemuxedPacket | None = None

    def put(self, packet: DemuxedPacket) -> Sequence[DemuxedPacket]:
        """``packet``, and the one before if that was held back."""
        held, self._held = self._held, None
        if packet.dts is None:
            return (*self._given(held), packet)
        if held is not None and packet.dts == held.dts:
            held.pts = held.dts = self._ends
        given = self._given(held)
        if self._ends is not None and packet.duration and packet.dts - self._ends == packet.duration:
            self._held = packet
            return given
        return (*given, *self._given(packet))

    def rest(self) -> Sequence[DemuxedPacket]:
        """What was held back."""
        held, self._held = self._held, None
        return self._given(held)

    def _given(self, packet: DemuxedPacket | None) -> Sequence[DemuxedPacket]:
        if packet is None:
            return ()
        if packet.dts is not None:
            self._ends = packet.dts + (packet.duration or 0)
        return super().put(packet)


def _shown(packet: DemuxedPacket) -> DemuxedPacket:
    """``packet`` as it is where no edit list hides it.

    In fragments libavformat has those hidden whose time is not behind that of the one before.
    """
    made: DemuxedPacket = av.Packet(bytes(packet))
    made.stream, made.time_base = packet.stream, packet.time_base
    made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
    made.is_keyframe = packet.is_keyframe
    return made


def _is_shown_in_order(stream: av.stream.Stream) -> bool:
    """Whether the frames are shown as they are decoded, in a format that does not say when they are shown."""
    return (
        isinstance(stream, av.VideoStream)
        and stream.container.format.name in WITHOUT_DISPLAY_TIMES
        and not stream.codec_context.has_b_frames
    )
