"""The video of a transport stream, ours or not, finished or growing, by one scan and by reads of single groups."""

from __future__ import annotations

import io
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from ..bitstream.captured import HEAD_BYTES, captured_in
from ..bitstream.counter import PictureCounter
from ..demux import bounded, demux, open_media
from ..errors import SourceError
from ..model import Captured, Codec, StreamFormat
from ..mpegts.laying import section_packets
from ..mpegts.report import Event, PesColumns, PesEvent, ProblemKind, TablesEvent
from ..mpegts.scanner import Scanner
from ..mpegts.sync import PacketFramer
from ..mpegts.tables import PAT_PID, PMT_PID, build_pat, build_pmt
from ..ticks import TICKS_PER_SECOND, WRAP
from .index import Index, Unit, build
from .sound import Heard, SoundCutter
from .store import Store

if TYPE_CHECKING:
    Packet = av.Packet[Any]

_CHUNK_BYTES = 188 * 192 * 204 // 4
"""Whole packets of each of the three sizes."""
_GROUP_BYTES = 512 * 1024
_MOST_HEAD_BYTES = 1 << 20
_AUDIO_LEAD = TICKS_PER_SECOND // 2
_VIDEO = (Codec.H264, Codec.H265)
_LOSSES = (ProblemKind.CONTINUITY, ProblemKind.SYNC_LOST, ProblemKind.TRANSPORT_ERROR)
_TIME_BASE = Fraction(1, TICKS_PER_SECOND)


class TransportTrack:
    """The first video in H.264 or H.265 of a transport stream.

    ``is_simple`` is False if its PES packets are not one frame each with a time, or say nowhere where
    decoding can begin: then libavformat has to take it apart.
    """

    def __init__(self, store: Store, *, is_growing: bool) -> None:
        self.is_simple = True
        self._store = store
        self._is_growing = is_growing
        self._scanner = Scanner(columns=True)
        self._scanned = 0
        self._codec: Codec | None = None
        self._pid = self._audio_pid = -1
        self._audio_codec: Codec | None = None
        self._counter: PictureCounter | None = None
        self._units: list[Unit] = []
        self._audio: list[tuple[int, int]] = []
        self._starts: dict[int, int] = {}
        self._index: Index | None = None
        self._head_bytes = 0
        self._lost_at: int | None = None
        self._says_when: bool | None = None
        self.refresh()

    @property
    def name(self) -> str:
        """The file's path."""
        return self._store.name

    @property
    def has_video(self) -> bool:
        """Whether there is any video that this can read."""
        return self._codec is not None and bool(self._units)

    @property
    def is_transport_stream(self) -> bool:
        """Whether it is one at all."""
        return ProblemKind.NOT_TRANSPORT_STREAM not in self._scanner.report.problem_counts

    @property
    def index(self) -> Index:
        """Its frames so far."""
        if self._index is None:
            self._index = build(self._units, _TIME_BASE)
        return self._index

    @property
    def start_s(self) -> Fraction:
        """The first time of any stream, in seconds of the file's clock."""
        return min(self._starts.values(), default=0) * _TIME_BASE

    def refresh(self) -> bool:
        """Scan what was written meanwhile."""
        known, size = len(self._units), self._store.size
        while self._scanned < size:
            data = self._store.read(self._scanned, min(self._scanned + _CHUNK_BYTES, size))
            if not data:
                break
            self._scanned += len(data)
            self._take(self._scanner.feed(data))
        if not self._is_growing:
            self._take(self._scanner.close())
        if len(self._units) != known:
            self._index = None
        return len(self._units) != known

    def finish(self) -> bool:
        """The file grows no more: what is left of it counts, too."""
        self._is_growing = False
        return self.refresh()

    def decoder(self) -> VideoCodecContext:
        """A decoder that takes its parameter sets from the keyframes."""
        context = av.CodecContext.create(str(self._codec), "r")
        if not isinstance(context, VideoCodecContext):
            raise SourceError(self.name, f"there is no decoder for {self._codec}")
        return bounded(context)

    def packets(self, first: int) -> Iterator[Packet]:
        """The coded frames from unit ``first`` on."""
        index = self.index
        unit = first
        tables = (self._pid, StreamFormat(self._codec or Codec.H264))
        for event in self._events(int(index.offset[first]), *tables):
            if unit >= len(index.pts):
                return
            if event.pts is None or (event.pts - int(index.pts[unit])) % WRAP:
                raise SourceError(self.name, f"has other frames than when it was opened, at unit {unit}")
            yield _packet(event.data)
            unit += 1

    def _events(self, begin: int, pid: int, carried: StreamFormat, end: int | None = None) -> Iterator[PesEvent]:
        """The PES packets of ``pid`` from byte ``begin`` to ``end``, of a stream that is made of them alone."""
        scanner, framer = Scanner(), PacketFramer()
        tables = build_pmt([(pid, carried)], 0x1FFF, 0)
        scanner.feed(bytes(section_packets(PAT_PID, build_pat(), 0) + section_packets(PMT_PID, tables, 0)))
        at, size = begin, self._store.size if end is None else min(end, self._store.size)
        while at < size:
            data = self._store.read(at, min(at + _GROUP_BYTES, size))
            if not data:
                break
            at += len(data)
            for item in framer.feed(data):
                yield from self._of_one(scanner, item, pid)
        for item in framer.close():
            yield from self._of_one(scanner, item, pid)
        yield from (event for event in scanner.close() if isinstance(event, PesEvent))

    @staticmethod
    def _of_one(scanner: Scanner, item: object, pid: int) -> Iterator[PesEvent]:
        if not isinstance(item, tuple):
            return
        rows = item[1]
        pids = (rows[:, 1].astype(np.uint16) & 0x1F) << 8 | rows[:, 2]
        for event in scanner.feed(rows[pids == pid].tobytes()):
            if isinstance(event, PesEvent):
                yield event

    def audio(self, begin: Fraction, end: Fraction) -> Iterator[av.AudioFrame]:
        """Decoded audio around the times from ``begin`` to ``end``, in seconds of the file's clock."""
        if not self._audio:
            return
        times = np.array([pts for pts, _ in self._audio])
        first = max(int(np.searchsorted(times, int(begin / _TIME_BASE) - _AUDIO_LEAD)) - 1, 0)
        last = min(int(np.searchsorted(times, int(end / _TIME_BASE) + _AUDIO_LEAD)) + 1, len(times) - 1)
        start, stop = self._audio[first][1], self._audio[last][1]
        data = self._store.read(0, self._head_bytes)
        data += self._store.read(max(start, self._head_bytes), stop if last < len(times) - 1 else self._store.size)
        with open_media(io.BytesIO(data), kind="mpegts") as container:
            streams = [one for one in container.streams.audio if one.id == self._audio_pid]
            for packet in demux(container, streams):
                try:
                    yield from cast("list[av.AudioFrame]", packet.decode())
                except av.FFmpegError:
                    continue  # damaged, or cut at the edge of what was read

    def coded_audio(self, begin: int, end: int) -> Iterator[Heard]:
        """Coded audio that is heard from ``begin`` on and before ``end``."""
        if self._audio_codec is None or not self._audio or begin > self._audio[-1][0] + TICKS_PER_SECOND:
            return
        # One PES packet earlier: a frame may begin in it and end in the next.
        first = max(bisect_right(self._audio, begin, key=_time_of) - 2, 0)
        behind = bisect_left(self._audio, end, key=_time_of) + 1
        known = behind < len(self._audio)
        # Of a PES packet that no other follows nobody knows where it ends: not far behind its beginning.
        stop = self._audio[behind][1] if known else self._audio[-1][1] + _MOST_HEAD_BYTES
        shift = None
        cutter = SoundCutter(self._audio_codec)
        # The tables only say that it is audio; what it is has been told.
        carried = StreamFormat(Codec.AAC, sample_rate=48_000, channels=2)
        for event in self._events(self._audio[first][1], self._audio_pid, carried, stop):
            if event.pts is None or not event.complete:
                continue
            if shift is None:
                shift = self._audio[first][0] - event.pts
            for one in cutter.feed(event.data, event.pts + shift):
                if begin <= one.pts < end:
                    yield one

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, TablesEvent):
                self._take_tables(event)
            elif isinstance(event, PesColumns):
                self._note_start(event.pid, int(event.pts.min()))
                if event.pid == self._pid:
                    self._take_columns(event)
                elif event.pid == self._audio_pid:
                    self._audio += zip(event.pts.tolist(), event.offset.tolist(), strict=True)
            elif isinstance(event, PesEvent):
                if event.pts is not None:
                    self._note_start(event.pid, event.pts)
                if event.pid == self._pid and self._counter is not None:
                    self._take_one(event, self._counter.feed(event.data).random_access > 0)
                elif event.pid == self._audio_pid and event.pts is not None:
                    self._audio.append((event.pts, event.offset))
            elif event.pid in (self._pid, None) and event.kind in _LOSSES:
                self._lost_at = event.offset

    def _note_start(self, pid: int, pts: int) -> None:
        if pid == self._pid or pid == self._audio_pid:
            self._starts[pid] = min(pts, self._starts.get(pid, pts))

    def _take_tables(self, event: TablesEvent) -> None:
        if self._codec is None:
            for mapped in event.program.streams:
                if mapped.codec in _VIDEO and self._codec is None:
                    self._codec, self._pid = Codec(mapped.codec), mapped.pid
                    self._counter = PictureCounter(self._codec)
            self._head_bytes = min(event.offset + 204, _MOST_HEAD_BYTES) if self._codec is not None else 0
        if self._audio_pid < 0 and self._pid in [mapped.pid for mapped in event.program.streams]:
            for mapped in event.program.streams:
                if mapped.codec in ("aac", "mp3", "opus", "ac3", "eac3", "dts", "aac_latm") and self._audio_pid < 0:
                    self._audio_pid = mapped.pid
                    self._audio_codec = Codec(mapped.codec) if mapped.codec in set(Codec) else None
                    self._head_bytes = min(event.offset + 204, _MOST_HEAD_BYTES)

    def _take_columns(self, columns: PesColumns) -> None:
        found = None
        if self._counter is not None and self._lost_at is None:
            found = self._counter.feed_many(columns.payload, columns.begin, columns.end)
        if found is None:
            for event in columns.events():
                keyframe = self._counter is not None and self._counter.feed(event.data).random_access > 0
                self._take_one(event, keyframe)
            return
        self.is_simple = self.is_simple and bool((found.pictures == 1).all())
        keyframes = columns.random_access | (found.random_access > 0)
        times = self._times(columns)
        rows = (columns.pts, columns.dts, columns.offset, columns.end - columns.begin, keyframes)
        for at, (pts, dts, offset, size, keyframe) in enumerate(zip(*(one.tolist() for one in rows), strict=True)):
            captured = times[at] if times else None
            self._units.append(Unit(pts, dts, offset, size, keyframe, captured=captured))

    def _times(self, columns: PesColumns) -> list[Captured | None]:
        """When each was taken, if the stream says so at all: where the first frame does not, none is looked at."""
        if self._codec is None or self._says_when is False:
            return []
        ends = np.minimum(columns.end, columns.begin + HEAD_BYTES)
        found = [
            captured_in(columns.payload.bytes(begin, end), self._codec)
            for begin, end in zip(columns.begin.tolist(), ends.tolist(), strict=True)
        ]
        self._says_when = self._says_when or any(found)
        return found

    def _take_one(self, event: PesEvent, is_random_access: bool) -> None:
        if event.pts is None:
            self.is_simple = False
            return
        keyframe = is_random_access or event.random_access
        is_after_loss = self._lost_at is not None and event.offset >= self._lost_at
        if is_after_loss:
            self._lost_at = None
        breaks, damaged = event.discontinuity or is_after_loss, is_after_loss or not event.complete
        size = event.payload_bytes
        captured = None
        if self._codec is not None and self._says_when is not False:
            captured = captured_in(event.data[:HEAD_BYTES], self._codec)
            self._says_when = self._says_when or captured is not None or (None if len(self._units) < 2 else False)
        self._units.append(
            Unit(event.pts, event.dts, event.offset, size, keyframe, breaks, damaged, captured=captured)
        )

    @property
    def can_begin(self) -> bool:
        """Whether any frame is known to be a keyframe."""
        return any(unit.keyframe for unit in self._units)


def _time_of(one: tuple[int, int]) -> int:
    return one[0]


def _packet(data: bytes) -> Packet:
    """A packet whose memory libavcodec owns.

    Of one that refers to Python's bytes the decoder's threads let go under the interpreter's lock, which
    whoever throws the decoder away holds while it waits for those threads.
    """
    packet: Packet = av.Packet(len(data))
    packet.update(data)
    return packet
