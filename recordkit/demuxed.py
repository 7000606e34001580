"""The packets of a container as libavformat gives them: which can be used, and whose times are not their own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from struct import Struct
from typing import Any, TypeAlias

import av
from av.container import InputContainer

from .errors import SourceError

log = logging.getLogger("recordkit")

WITHOUT_DISPLAY_TIMES = frozenset({"asf", "avi", "h264", "hevc"})
"""Formats that say when a frame is decoded, and not when it is shown; libavformat makes that up."""

_IN_FRAGMENTS = "mov"
_TRIMS = Struct("<II")

DemuxedPacket: TypeAlias = "av.Packet[Any]"


def is_encrypted(packet: DemuxedPacket) -> bool:
    """Whether a packet came out as it stands in the file, for want of a key (ISO/IEC 23001-7)."""
    return packet.has_sidedata("encryption_info")


def trims(packet: DemuxedPacket) -> tuple[int, int]:
    """The samples at the beginning and end of ``packet`` that are decoded and not heard."""
    data = bytes(packet.get_sidedata("skip_samples")) if packet.has_sidedata("skip_samples") else b""
    return _TRIMS.unpack_from(data) if len(data) >= _TRIMS.size else (0, 0)


class Care:
    """Looks at each packet of some streams of ``container``, and counts in the log what is damaged."""

    def __init__(
        self,
        container: InputContainer,
        streams: Sequence[av.stream.Stream],
        *,
        tells_damage: bool,
        takes_encrypted: bool,
    ) -> None:
        self._name = container.name
        self._streams = len(streams)
        self._in_order = {stream.index for stream in streams if _is_shown_in_order(stream)}
        audio = [stream.index for stream in streams if isinstance(stream, av.AudioStream)]
        is_mp4 = bool(audio) and _IN_FRAGMENTS in container.format.name.split(",")
        self._audio = {index: _Holes() if is_mp4 else _Runs() for index in audio}
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
