"""The coded units of a transport stream by recordkit's own scanner, as long as nothing in it is odd.

Each PES packet has to hold one frame of video, or whole frames of audio, and none may be damaged or have times
that jump: so it is in what recordkit records, and in most other files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np

from ..bitstream.ac3 import parse_ac3
from ..bitstream.audio import OPUS_RATE, AdtsReader, opus_samples, parse_mp3, parse_opus_control_header
from ..bitstream.counter import PictureCounter
from ..bitstream.h264 import delimiter_bytes
from ..bitstream.language import three_letters
from ..encode.coded import Coded
from ..encode.framing import CONFIGURATIONS
from ..errors import RecordkitError
from ..model import AccessUnit, Codec, StreamFormat
from ..mpegts.report import Event, PesColumns, PesEvent, ProblemEvent, ProblemKind, TablesEvent
from ..mpegts.scanner import Scanner
from ..mpegts.sync import PIECE_BYTES
from ..mpegts.tables import MappedStream
from ..ticks import TICKS_PER_SECOND, nearest
from .store import Store

_SYNC_BYTE, _PACKET_SIZES = 0x47, (188, 192, 204)
_HARMLESS = frozenset(
    {ProblemKind.PCR_GAP, ProblemKind.PCR_BACK, ProblemKind.DTS_BEHIND_PCR, ProblemKind.DTS_FAR_BEHIND_PCR}
)
_OTHER_MEDIA = frozenset({"mpeg1video", "mpeg2video", "mpeg4", "aac_latm", "vvc", "dts", "ac4", "s302m"})
_HEAD_BYTES = 32
_CODECS = {str(codec): codec for codec in Codec}


def is_transport_stream(store: Store) -> bool:
    """Whether it begins like one: with sync bytes at equal distances."""
    head = store.read(0, 8 * max(_PACKET_SIZES))
    return any(
        len(head) > begin + size and all(byte == _SYNC_BYTE for byte in head[begin::size])
        for size in _PACKET_SIZES
        for begin in (0, 4)
    )


class NotSimpleError(RecordkitError):
    """The file has to be taken apart the long way. Stays within this room."""


class _Row(NamedTuple):
    """One PES packet: where it lies, its stream, its times and bytes; ``header`` is a frame's delimiter.

    ``breaks`` says that media is missing before it.
    """

    offset: int
    pid: int
    pts: int
    dts: int
    keyframe: bool
    data: bytes
    header: bytes = b""
    starts: tuple[int, ...] = ()
    breaks: bool = False


class TransportUnits:
    """The units of a transport stream of ``size`` bytes, video and audio. Raises SourceError, NotSimpleError."""

    def __init__(self, store: Store, size: int) -> None:
        self.shown: tuple[int, int] | None = None
        self.zero: int | None = None
        self._store, self._size = store, size
        self._streams: dict[int, _Stream] = {}
        self._program: int | None = None

    def __iter__(self) -> Iterator[Coded]:
        scanner, chunk = Scanner(columns=True), memoryview(bytearray(PIECE_BYTES))
        for begin in range(0, self._size, PIECE_BYTES):
            read = self._store.read_into(begin, chunk[: self._size - begin])
            yield from self._coded(scanner.feed(chunk[:read]))
        yield from self._coded(scanner.close())

    @property
    def count(self) -> int:
        """How many streams the tables have named."""
        return len(self._streams)

    @property
    def ids(self) -> tuple[int, ...]:
        """Their PIDs."""
        return tuple(self._streams)

    def _coded(self, events: list[Event]) -> Iterator[Coded]:
        rows: list[_Row] = []
        for event in events:
            if isinstance(event, TablesEvent):
                if self._program not in (None, event.program.program):
                    raise NotSimpleError("it has several programs")
                self._program = event.program.program
                self._map_all(event.program.streams)
            elif isinstance(event, ProblemEvent):
                if event.kind not in _HARMLESS:
                    raise NotSimpleError(f"{event.kind} at byte {event.offset:,}")
            elif event.pid in self._streams:
                rows += self._streams[event.pid].rows(event)
        rows.sort()
        for row in rows:
            yield from self._streams[row.pid].units(row)

    def _map_all(self, streams: Sequence[MappedStream]) -> None:
        for mapped in streams:
            self._map(mapped)
        has_audio = any(mapped.codec in _CODECS and not _CODECS[mapped.codec].is_video for mapped in streams)
        if not has_audio and not all(mapped.is_told for mapped in streams):
            raise NotSimpleError("its tables do not tell what may be its audio")

    def _map(self, mapped: MappedStream) -> None:
        codec = _CODECS.get(mapped.codec)
        if codec is None and mapped.codec in _OTHER_MEDIA:
            raise NotSimpleError(f"{mapped.codec} is left to libavformat")
        if codec is not None and mapped.pid not in self._streams:
            self._streams[mapped.pid] = _Stream(len(self._streams), codec, mapped)


class _Stream:
    """One stream and its format so far."""

    def __init__(self, index: int, codec: Codec, mapped: MappedStream) -> None:
        self.codec = codec
        self._index = index
        self._mapped = mapped
        self._counter = PictureCounter(codec) if codec.is_video else None
        self._format = StreamFormat(codec) if codec.is_video else None
        self._has_begun = False
        self._memory = np.empty(PIECE_BYTES, np.uint8)
        self._stated = (0, 0)
        self._adts = AdtsReader()
        self._last = -(1 << 62)

    def rows(self, event: PesColumns | PesEvent) -> list[_Row]:
        """PES packets one by one. Raises NotSimpleError where one is not whole."""
        if isinstance(event, PesEvent):
            if event.pts is None or event.dts is None or not event.complete:
                raise NotSimpleError(f"a PES packet at byte {event.offset:,} is not whole, or has no time")
            keyframe = event.random_access
            if self._counter is not None:
                found = self._counter.feed(event.data)
                keyframe = found.is_begin(event.random_access)
                if not found.is_aligned:
                    raise NotSimpleError("a PES packet does not begin with a frame")
            size = self._delimiter(event.data[:_HEAD_BYTES])
            header, data = event.data[:size], event.data[size:]
            breaks = event.discontinuity
            return [_Row(event.offset, event.pid, event.pts, event.dts, keyframe, data, header, breaks=breaks)]
        keyframes = event.random_access
        if self._counter is not None:
            many = self._counter.feed_many(event.payload, event.begin, event.end)
            if many is None:
                return [row for one in event.events() for row in self.rows(one)]
            if not many.are_single or not many.is_aligned.all():
                raise NotSimpleError("a PES packet holds other than one frame")
            keyframes = many.is_begin(keyframes)
        memory = event.payload.joined(self._memory)
        begins, ends = event.begin.tolist(), event.end.tolist()
        headers: Iterator[bytes] = repeat(b"")
        starts: Iterator[tuple[int, ...]] = repeat(())
        if self._counter is not None:
            heads = [bytes(memory[begin : begin + _HEAD_BYTES]) for begin in begins]
            delimiters = [head[: self._delimiter(head)] for head in heads]
            headers = iter(delimiters)
            begins = [begin + len(header) for begin, header in zip(begins, delimiters, strict=True)]
            codes = event.payload.start_codes()
            firsts = np.searchsorted(codes, begins).tolist()
            places = (codes + 3).tolist()
            starts = (
                tuple([place - begin for place in places[first:last] if place < end])
                for begin, end, first, last in zip(begins, ends, firsts, [*firsts[1:], len(places)], strict=True)
            )
        columns = (event.offset.tolist(), event.pts.tolist(), event.dts.tolist(), keyframes.tolist(), begins, ends)
        return [
            _Row(offset, event.pid, pts, dts, keyframe, bytes(memory[begin:end]), header, its)
            for (offset, pts, dts, keyframe, begin, end), header, its in zip(
                zip(*columns, strict=True), headers, starts, strict=False
            )
        ]

    def _delimiter(self, head: bytes) -> int:
        """How many bytes of a frame that begins so are its delimiter; none of audio."""
        return delimiter_bytes(head, self.codec) if self._counter is not None else 0

    def units(self, row: _Row) -> Iterator[Coded]:
        """The units of a PES packet."""
        if row.dts <= self._last:
            raise NotSimpleError(f"the times of stream {self._index} go back at byte {row.offset:,}")
        self._last = row.dts
        if self._format is not None and self.codec.is_video:
            # Before the first keyframe no decoder could start.
            self._has_begun |= row.keyframe
            if self._has_begun:
                unit = AccessUnit(
                    self._index,
                    row.pts,
                    row.dts,
                    row.data,
                    random_access=row.keyframe,
                    discontinuity=row.breaks,
                    header=row.header,
                    nal_starts=row.starts,
                )
                yield Coded(self._format, unit)
            return
        yield from self._sound(row)

    def _sound(self, row: _Row) -> Iterator[Coded]:
        at, heard, later = 0, 0, 0  # of this packet, in bytes, samples and ticks
        while at < len(row.data):
            begin, end, samples, rate, channels = self._frame(row, at)
            if begin >= end or end > len(row.data) or not samples:
                raise NotSimpleError(f"audio at byte {row.offset:,} is not made of whole frames")
            data = row.data[begin:end]
            if self._format is None or self._stated != (rate, channels):
                self._follow(rate, channels, row.data[at:end])
            heard += samples
            until = nearest(heard * TICKS_PER_SECOND, rate)
            header = row.data[at:begin]
            unit = AccessUnit(
                self._index,
                row.pts + later,
                row.dts + later,
                data,
                random_access=True,
                discontinuity=row.breaks and not at,
                duration=until - later,
                header=header,
            )
            self._last = row.dts + later
            at, later = end, until
            if self._format is not None:
                yield Coded(self._format, unit)

    def _frame(self, row: _Row, at: int) -> tuple[int, int, int, int, int]:
        """Where the frame at ``at`` begins behind its header and ends, its samples, rate and channels."""
        data = row.data
        if self.codec is Codec.OPUS:
            opus = parse_opus_control_header(data, at)
            if opus is None:
                raise NotSimpleError(f"no Opus at byte {row.offset:,}")
            begin, size = opus
            samples = opus_samples(data[begin : begin + size])
            return begin, begin + size, samples, OPUS_RATE, self._mapped.channels or 2
        if self.codec is Codec.AAC:
            adts, length = self._adts.read(data, at)
            if adts is None or not adts.channels:
                raise NotSimpleError(f"no plain ADTS at byte {row.offset:,}")
            return at + adts.header_length, at + length, adts.samples, adts.sample_rate, adts.channels
        found = parse_ac3(data, at) if self.codec in (Codec.AC3, Codec.EAC3) else parse_mp3(data, at)
        if found is None:
            raise NotSimpleError(f"no {self.codec} at byte {row.offset:,}")
        return at, at + found.frame_length, found.samples, found.sample_rate, found.channels

    def _follow(self, rate: int, channels: int, framed: bytes) -> None:
        self._stated = rate, channels
        configured = CONFIGURATIONS.get(self.codec)
        config = b"" if configured is None else configured(framed)
        language = three_letters(self._mapped.language)
        self._format = StreamFormat(
            self.codec, sample_rate=rate, channels=channels or 2, language=language, config=config
        )
