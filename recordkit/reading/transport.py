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
from ..demux import demux, open_media
from ..errors import SourceError
from ..model import Captured, Codec, StreamFormat
from ..mpegts.report import Event, PesColumns, PesEvent, ProblemKind, TablesEvent
from ..mpegts.scanner import Scanner
from ..telemetry.table import Rows, taken_of
from ..ticks import TICKS_PER_SECOND, WRAP
from .elementary import GROUP_BYTES, pes_packets, tables
from .index import Columns, Index, Unit, indexed
from .packets import decoder_of, packet_of
from .sound import Heard, SoundCutter
from .store import Store
from .track import TableMisfitError

if TYPE_CHECKING:
    Packet = av.Packet[Any]

_CHUNK_BYTES = 188 * 192 * 204 // 4
"""Whole packets of each of the three sizes."""
_PROBE_BYTES = 64 * 1024
_MOST_HEAD_BYTES = 1 << 20
_AUDIO_LEAD = TICKS_PER_SECOND // 2
_APART = TICKS_PER_SECOND * 3 // 2
"""So far audio may lie from the video of its time."""
_HEAD_PIECE_BYTES = 64 * 1024
_MOST_BESIDE = 16
"""Rows of a table of which the times of capture are taken over, if the frames are scanned."""
_VIDEO = (Codec.H264, Codec.H265)
_LOSSES = (ProblemKind.CONTINUITY, ProblemKind.SYNC_LOST, ProblemKind.TRANSPORT_ERROR)
_TIME_BASE = Fraction(1, TICKS_PER_SECOND)


class TransportTrack:
    """The first video in H.264 or H.265 of a transport stream.

    What ``rows`` of a frame table say of it is believed where the file has these frames at these places; only what
    lies behind the last is scanned.

    ``is_simple`` is False if its PES packets are not one frame each with a time, or say nowhere where
    decoding can begin: then libavformat has to take it apart.
    """

    def __init__(self, store: Store, *, is_growing: bool, rows: Rows | None = None) -> None:
        self.is_simple = True
        self._store = store
        self._is_growing = is_growing
        self._scanner = Scanner(columns=True)
        self._scanned = 0
        self._shift = self._epoch = 0  # what the scanner's offsets and times lack, if it began in the middle
        self._known: Columns | None = None
        self._beside: dict[int, Captured | None] = {}
        self._codec: Codec | None = None
        self._pid = self._audio_pid = -1
        self._audio_codec: Codec | None = None
        self._counter: PictureCounter | None = None
        self._units: list[Unit] = []
        self._columns: Columns | None = None  # of the first so many units
        self._converted = 0
        self._audio: list[tuple[int, int]] = []
        self._audio_known = True
        self._starts: dict[int, int] = {}
        self._index: Index | None = None
        self._head_bytes = 0
        self._lost_at: int | None = None
        self._says_when: bool | None = None
        if rows is not None and len(rows):
            self._adopt(rows)
        self.refresh()

    def _adopt(self, rows: Rows) -> None:
        """Begin with a frame table, if the file has its frames."""
        size = self._store.size
        # The last one may have had no end yet.
        count = int(np.searchsorted(rows["offset"], size)) - 1
        while self._scanned < min(size, _MOST_HEAD_BYTES) and not self._knows_streams:
            data = self._store.read(self._scanned, min(self._scanned + _HEAD_PIECE_BYTES, size))
            if not data:
                break
            self._scanned += len(data)
            self._take(self._scanner.feed(data))
        last = rows[count] if count > 0 else None
        if last is None or self._codec is None or not all(self._has(rows[at]) for at in (0, count // 2, count)):
            self._restart()
            return
        lead = tables(self._pid, StreamFormat(self._codec))
        self._restart(int(last["offset"]), lead)
        self._epoch = int(last["pts"]) // WRAP * WRAP
        self._known = Columns.of_table(rows[:count])
        self._beside = {int(row["pts"]): taken_of(row) for row in rows[count : count + _MOST_BESIDE]}
        self._audio_known = False

    @property
    def _knows_streams(self) -> bool:
        return self._codec is not None and len(self._starts) == 1 + (self._audio_pid >= 0)

    def _has(self, row: np.void) -> bool:
        """Whether the frame of a row begins where it says."""
        begin = int(row["offset"])
        if self._store.read(begin, begin + 1) != b"\x47":
            return False
        first = next(self._pes_packets(begin, _PROBE_BYTES), None)
        return first is not None and first.pts is not None and (first.pts - int(row["pts"])) % WRAP == 0

    def _restart(self, begin: int = 0, lead: bytes = b"") -> None:
        """Scan from byte ``begin`` on, as if ``lead`` stood before it."""
        if not begin:
            self._codec, self._pid, self._audio_pid, self._starts = None, -1, -1, {}
        self._scanner = Scanner(columns=True)
        self._scanner.feed(lead)
        self._scanned, self._shift, self._epoch = begin, begin - len(lead), 0
        self._known, self._index, self._lost_at, self._beside = None, None, None, {}
        self._units, self._audio = [], []
        self._columns, self._converted = None, 0

    def rescan(self) -> None:
        """Believe no table, and scan the whole file."""
        self._restart()
        self._audio_known = True
        self.refresh()

    @property
    def name(self) -> str:
        """The file's path."""
        return self._store.name

    @property
    def has_video(self) -> bool:
        """Whether there is any video that this can read."""
        return self._codec is not None and bool(self._units or self._known)

    @property
    def is_transport_stream(self) -> bool:
        """Whether it is one at all."""
        return ProblemKind.NOT_TRANSPORT_STREAM not in self._scanner.report.problem_counts

    @property
    def index(self) -> Index:
        """Its frames so far."""
        if self._index is None:
            # Whoever follows a recording asks again and again: what was turned into columns stays that.
            new = Columns.of(self._units[self._converted :])
            self._columns = new if self._columns is None else self._columns + new
            self._converted = len(self._units)
            known = self._columns if self._known is None else self._known + self._columns
            self._index = indexed(known, _TIME_BASE)
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
        return decoder_of(self._codec, self.name)

    def packets(self, first: int) -> Iterator[Packet]:
        """The coded frames from unit ``first`` on."""
        index = self.index
        unit = first
        if first >= len(index.pts):
            return
        for event in self._pes_packets(int(index.offset[first])):
            if unit >= len(index.pts):
                return
            if event.pts is None or (event.pts - int(index.pts[unit])) % WRAP:
                if self._known is not None:
                    raise TableMisfitError(self.name)
                raise SourceError(self.name, f"has other frames than when it was opened, at unit {unit}")
            if not event.complete and self._known is not None:
                raise TableMisfitError(self.name)
            yield packet_of(event.data)
            unit += 1

    def audio(self, begin: Fraction, end: Fraction) -> Iterator[av.AudioFrame]:
        """Decoded audio around the times from ``begin`` to ``end``, in seconds of the file's clock."""
        if not self._audio_known:
            if self._audio_pid < 0:
                self.rescan()  # audio that begins late
            else:
                yield from self._decoded(*self._video_places(begin, end))
                return
        if not self._audio:
            return
        times = np.array([pts for pts, _ in self._audio])
        first = max(int(np.searchsorted(times, int(begin / _TIME_BASE) - _AUDIO_LEAD)) - 1, 0)
        last = min(int(np.searchsorted(times, int(end / _TIME_BASE) + _AUDIO_LEAD)) + 1, len(times) - 1)
        stop = self._audio[last][1] if last < len(times) - 1 else self._store.size
        yield from self._decoded(self._audio[first][1], stop)

    def _video_places(self, begin: Fraction, end: Fraction) -> tuple[int, int]:
        """The bytes between which audio from ``begin`` to ``end`` lies, by those of the frames around it."""
        index = self.index
        first = int(np.searchsorted(index.dts, int(begin / _TIME_BASE) - _APART)) - 1
        last = int(np.searchsorted(index.dts, int(end / _TIME_BASE) + _APART))
        start = int(index.offset[first]) if first > 0 else 0
        return start, int(index.offset[last]) if last < len(index.dts) else self._store.size

    def _decoded(self, start: int, stop: int) -> Iterator[av.AudioFrame]:
        data = self._store.read(0, self._head_bytes)
        data += self._store.read(max(start, self._head_bytes), stop)
        with open_media(io.BytesIO(data), kind="mpegts") as container:
            streams = [one for one in container.streams.audio if one.id == self._audio_pid]
            for packet in demux(container, streams):
                try:
                    yield from cast("list[av.AudioFrame]", packet.decode())
                except av.FFmpegError:
                    continue  # damaged, or cut at the edge of what was read

    def coded_audio(self, begin: int, end: int) -> Iterator[Heard]:
        """Coded audio that is heard from ``begin`` on and before ``end``."""
        if not self._audio_known and self._audio_pid < 0:
            self.rescan()  # audio that begins late
        if self._audio_codec is None:
            return
        if not self._audio_known:
            start, stop = self._video_places(Fraction(begin) * _TIME_BASE, Fraction(end) * _TIME_BASE)
        elif not self._audio or begin > self._audio[-1][0] + TICKS_PER_SECOND:
            return
        else:
            # One PES packet earlier: a frame may begin in it and end in the next.
            start = self._audio[max(bisect_right(self._audio, begin, key=_time_of) - 2, 0)][1]
            behind = bisect_left(self._audio, end, key=_time_of) + 1
            # Of a PES packet that no other follows nobody knows where it ends: not far behind its beginning.
            known = behind < len(self._audio)
            stop = self._audio[behind][1] if known else self._audio[-1][1] + _MOST_HEAD_BYTES
        cutter = SoundCutter(self._audio_codec)
        # The tables only say that it is audio; what it is has been told.
        carried = StreamFormat(Codec.AAC, sample_rate=48_000, channels=2)
        for event in pes_packets(self._store, self._audio_pid, carried, start, stop):
            if event.pts is None or not event.complete:
                continue
            turns = round((begin - event.pts) / WRAP)
            for one in cutter.feed(event.data, event.pts + turns * WRAP):
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
                self._note_start(event.pid, int(event.pts.min()) + self._epoch)
                if event.pid == self._pid:
                    self._take_columns(event)
                elif event.pid == self._audio_pid:
                    self._audio += zip(event.pts.tolist(), event.offset.tolist(), strict=True)
            elif isinstance(event, PesEvent):
                if event.pts is not None:
                    self._note_start(event.pid, event.pts + self._epoch)
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
        if (
            self._known is None
            and self._audio_pid < 0
            and self._pid in [mapped.pid for mapped in event.program.streams]
        ):
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
            unit = Unit(
                pts + self._epoch,
                dts + self._epoch,
                offset + self._shift,
                size,
                keyframe,
                captured=captured or self._beside.get(pts + self._epoch),
            )
            self._units.append(unit)

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
            Unit(
                event.pts + self._epoch,
                None if event.dts is None else event.dts + self._epoch,
                event.offset + self._shift,
                size,
                keyframe,
                breaks,
                damaged,
                captured=captured or self._beside.get(event.pts + self._epoch),
            )
        )

    def _pes_packets(self, begin: int, group_bytes: int = GROUP_BYTES) -> Iterator[PesEvent]:
        carried = StreamFormat(self._codec or Codec.H264)
        return pes_packets(self._store, self._pid, carried, begin, group_bytes=group_bytes)

    @property
    def can_begin(self) -> bool:
        """Whether any frame is known to be a keyframe."""
        return self._known is not None or any(unit.keyframe for unit in self._units)


def _time_of(one: tuple[int, int]) -> int:
    return one[0]
