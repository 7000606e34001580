"""Holds a file of audio alone (WAV, MP3, Ogg, FLAC) against its own format while it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SourceError
from ..sound.scan import SoundScanner, begins_sound
from ..telemetry.words import count_text
from ..ticks import TICKS_PER_SECOND, to_ticks
from .check import Problem

if TYPE_CHECKING:
    import av

_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN")
"""What others put behind the last frame of an MP3."""
_HEAD_BYTES = 12
_UNKNOWN = 0xFFFF_FFFF
_MOST_CHUNKS = 1000
_DS64_BYTES = 24
_SHORTEST_CUT = TICKS_PER_SECOND // 10
"""Encoders state a length that differs from their packets' by the priming and by what fills the last one."""


def begins_audio(head: bytes) -> bool:
    """Whether a file that begins so is one of audio alone."""
    return head[:3] == b"ID3" or head[:4] == b"fLaC" or begins_sound(head)


def tag_bytes(head: bytes) -> int:
    """How long the ID3v2 tag is that a file begins with (ID3v2.4, 3.1 and 3.4); 0 without one."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for seven in head[6:10]:
        size = size << 7 | seven & 0x7F
    return 10 + size + (10 if head[5] & 0x10 else 0)


@dataclass(slots=True)
class SoundFacts:
    """One stream of audio: what StreamFacts says of one in a transport stream."""

    pid: int
    codec: str
    language: str | None
    sample_rate: int
    channels: int
    access_units: int = 0
    bytes: int = 0
    first_pts: int | None = None
    duration: int = 0
    frames: int = 0
    keyframes: int = 0
    gaps: int = 0
    gap_duration: int = 0
    sizes: tuple[tuple[int, int, float], ...] = ()


class SoundCheck:
    """Takes the file at ``path`` in pieces, as ``Check`` does a transport stream; ``facts`` are its streams.

    What is in it says libavformat; whether it is whole, what it says of its own length, and its last bytes.
    """

    packet_bytes = 1
    demuxer: str | None = None
    stream_name = "stream {}"

    def __init__(self, path: Path) -> None:
        self.facts: dict[int, SoundFacts] = {}
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self.size = 0
        self._path = path
        self._head = b""
        self._scanner = SoundScanner()

    def feed(self, data: bytes | memoryview) -> None:
        """Takes the next bytes."""
        if len(self._head) < _HEAD_BYTES:
            self._head += bytes(data[: _HEAD_BYTES - len(self._head)])
        begin = max(0, min(len(data), tag_bytes(self._head) - self.size))
        self.size += len(data)
        self._scanner.feed(bytes(data[begin:]))

    def close(self, read_at: Callable[[int, int], bytes]) -> None:
        """The file is at its end."""
        try:
            self._look()
        except SourceError as error:
            self.problems.append(Problem("cannot be opened", 1, None, str(error)))
            return
        if not any(one.access_units for one in self.facts.values()):
            self.problems.append(Problem("no media", 1, None, "not one access unit was found"))
        if self._head[:4] in (b"RIFF", b"RF64"):
            self._look_at_sizes(read_at)
        elif self._scanner.end:
            end = tag_bytes(self._head) + self._scanner.end
            if end < self.size and not read_at(end, 16).startswith(_TAGS):
                detail = f"{count_text(self.size - end, 'byte')} behind the last whole unit are none"
                self.problems.append(Problem("malformed audio", 1, end, detail))
            if self._scanner.kind == "Ogg" and not self._scanner.is_over:
                self._note_unfinished("the page that ends it is missing")

    @property
    def programs(self) -> dict[int, list[SoundFacts]]:
        """It has none."""
        return {}

    @property
    def duration_s(self) -> float:
        """How long the longest stream is."""
        return max((one.duration for one in self.facts.values()), default=0) / TICKS_PER_SECOND

    def _look(self) -> None:
        import av  # which a transport stream does without

        from ..demux import demux, open_media
        from ..demuxed import trims

        with open_media(self._path) as container:
            streams = [one for one in container.streams if isinstance(one, av.AudioStream)]
            for stream in streams:
                context = stream.codec_context
                self.facts[stream.id] = SoundFacts(
                    stream.id,
                    context.codec.canonical_name,
                    stream.language,
                    context.sample_rate,
                    context.layout.nb_channels,
                )
            for packet in demux(container, streams, tells_damage=False):
                if packet.size:
                    self._count(self.facts[packet.stream.id], packet, trims(packet)[0])
            if container.format.name == "flac":
                for stream in streams:
                    self._hold_against(stream)

    @staticmethod
    def _count(one: SoundFacts, packet: av.Packet[av.stream.Stream], skipped: int) -> None:
        """Count a packet, of which so many samples at its beginning are not heard."""
        one.access_units += 1
        one.bytes += packet.size
        if packet.pts is not None:
            at = to_ticks(packet.pts, packet.time_base)
            lasts = to_ticks(packet.duration, packet.time_base) if packet.duration else 0
            if one.first_pts is None:
                one.first_pts = at + skipped * TICKS_PER_SECOND // (one.sample_rate or 1)
            one.duration = max(one.duration, at + lasts - one.first_pts)

    def _hold_against(self, stream: av.AudioStream) -> None:
        """A stream that states how many samples it has: STREAMINFO of FLAC (RFC 9639, 8.2)."""
        stated = to_ticks(stream.duration, stream.time_base) if stream.duration and stream.time_base else 0
        there = self.facts[stream.id].duration
        if there + _SHORTEST_CUT < stated:
            detail = f"{there / TICKS_PER_SECOND:.1f} of {stated / TICKS_PER_SECOND:.1f} s are there"
            self.problems.append(Problem("cut audio", 1, None, detail))

    def _look_at_sizes(self, read_at: Callable[[int, int], bytes]) -> None:
        """RIFF, or RF64 of EBU Tech 3306: where the samples end, by the header."""
        at, large = _HEAD_BYTES, _UNKNOWN
        for _ in range(_MOST_CHUNKS):
            head = read_at(at, _DS64_BYTES)
            kind, size = head[:4], int.from_bytes(head[4:8], "little")
            if kind == b"ds64":
                large = int.from_bytes(head[16:24], "little")
            if kind == b"data":
                size = large if size == _UNKNOWN else size
                if size == _UNKNOWN or (not size and at + 8 < self.size):
                    self._note_unfinished("its header does not say how long it is")
                elif at + 8 + size > self.size:
                    detail = f"{count_text(size, 'byte')} of samples were to come, {self.size - at - 8:,} are there"
                    self.problems.append(Problem("cut audio", 1, at, detail))
                return
            at += 8 + size + (size & 1)

    def _note_unfinished(self, why: str) -> None:
        self.notes.append(Problem("unfinished", 1, None, f"{why}: recordkit recover finishes one of ours"))
