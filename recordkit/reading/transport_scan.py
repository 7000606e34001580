"""A scan of a transport stream for its first video and audio: which frames there are, and where their bytes lie."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ..bitstream.captured import HEAD_BYTES, captured_in
from ..bitstream.counter import PictureCounter, Pictures
from ..model import Captured, Codec
from ..mpegts.report import Event, PesColumns, PesEvent, ProblemKind, TablesEvent
from ..mpegts.scanner import Scanner
from ..mpegts.sync import PIECE_BYTES, STAMP_BYTES, STAMPED_BYTES
from ..mpegts.tables import MappedStream
from ..ticks import TICK, TICKS_PER_SECOND
from .growing import Growing
from .index import Unit
from .store import Store

MOST_HEAD_BYTES = 1 << 20
_HEAD_PIECE_BYTES = 64 * 1024
_VIDEO = (Codec.H264, Codec.H265)
_ANY_VIDEO = ("mpeg1video", "mpeg2video", "mpeg4", "vvc", *_VIDEO)
_AUDIO = ("aac", "mp3", "opus", "ac3", "eac3", "dts", "aac_latm", "s302m")
_MISSTATED = (ProblemKind.PES_TOO_LONG, ProblemKind.MALFORMED_PES)
_LOSSES = (ProblemKind.CONTINUITY, ProblemKind.SYNC_LOST, ProblemKind.TRANSPORT_ERROR)


class Streams:
    """The first video in H.264 or H.265 and the first audio that the tables name, and their first times."""

    def __init__(self) -> None:
        self.codec: Codec | None = None
        self.audio_codec: Codec | None = None
        """None, too, for audio of which frames cannot be cut out."""
        self.pid = self.audio_pid = -1
        self.is_only = True
        """Whether the tables name no other video."""
        self.is_told = True
        """Whether the tables tell of all that is beside the video what it is coded in."""
        self._video_named, self._audio_named = 0, dict[int, tuple[int, int]]()
        self._starts: dict[int, int] = {}

    @property
    def is_known(self) -> bool:
        """Whether each of them has a first time."""
        return self.pid in self._starts and (self.audio_pid < 0 or self.audio_pid in self._starts)

    @property
    def start_s(self) -> Fraction:
        """The first time of any of them."""
        known = [self._starts[pid] for pid in (self.pid, self.audio_pid) if pid in self._starts]
        return min(known, default=0) * TICK

    def note_start(self, pid: int, pts: int) -> None:
        """A frame of a stream is shown at ``pts``."""
        self._starts[pid] = min(pts, self._starts.get(pid, pts))

    def lead(self, store: Store, packet_bytes: int) -> bytes:
        """The tables, if video stands before them: with these in front it is read from the beginning once more.

        What is cut out of a broadcast may begin so.
        """
        if self.codec is None or not packet_bytes:
            return b""
        data = store.read(0, min(self._video_named, MOST_HEAD_BYTES))
        packets = [data[at : at + packet_bytes] for at in range(0, len(data) - packet_bytes + 1, packet_bytes)]
        begin = STAMP_BYTES if packet_bytes == STAMPED_BYTES else 0
        if any(one[begin : begin + 1] != b"\x47" for one in packets):
            return b""
        pids = [int.from_bytes(one[begin + 1 : begin + 3]) & 0x1FFF for one in packets]
        media = {self.pid, *self._audio_named}
        tables = b"".join(one for one, pid in zip(packets, pids, strict=True) if pid not in media)
        return tables if self.pid in pids else b""

    def may_hear(self, pid: int) -> bool:
        """Whether it is the audio, or may be: that is known once the tables name the video beside it."""
        return pid == self.audio_pid or (self.audio_pid < 0 and pid in self._audio_named)

    def head(self, store: Store) -> tuple[bytes, int]:
        """What of a file names its streams, and where that ends: of whole packets, whatever is read behind it."""
        begin, end = self._audio_named[self.audio_pid]
        if end <= MOST_HEAD_BYTES:
            return store.read(0, end), end
        return store.read(0, self._video_named) + store.read(begin, end), end

    def take(self, streams: Sequence[MappedStream], begin: int, end: int, *, audio: bool) -> None:
        """A table whose last packet lies from byte ``begin`` to ``end`` names these.

        ``audio`` says whether audio that is new counts.
        """
        videos = [one for one in streams if one.codec in _ANY_VIDEO]
        video = next((one for one in videos if one.codec in _VIDEO), None)
        if self.codec is None and video is not None:
            self.codec, self.pid = Codec(video.codec), video.pid
            # Of whole packets, too.
            self._video_named = end - max(0, -(-(end - MOST_HEAD_BYTES) // (end - begin))) * (end - begin)
        self.is_only = self.is_only and all(one.pid == self.pid for one in videos)
        if not audio or self.audio_pid >= 0:
            return
        sounds = [one for one in streams if one.codec in _AUDIO]
        for one in sounds:
            self._audio_named.setdefault(one.pid, (begin, end))
        if self.pid in [one.pid for one in streams]:
            self.is_told = all(one.is_told for one in streams)
            if sounds:
                self.audio_pid = sounds[0].pid
                self.audio_codec = Codec(sounds[0].codec) if sounds[0].codec in set(Codec) else None


class AudioPlaces:
    """Where the PES packets of audio lie: their times in ticks, and the bytes at which they begin."""

    def __init__(self) -> None:
        self.times, self.offsets = array("q"), array("q")

    def __len__(self) -> int:
        return len(self.times)

    def add(self, times: list[int], offsets: list[int]) -> None:
        """These follow."""
        self.times.extend(times)
        self.offsets.extend(offsets)

    def between(self, begin: int, end: int) -> tuple[int, int] | None:
        """From which byte to which audio from ``begin`` to ``end`` ticks lies; None if there is none.

        Of the last PES packet nobody knows where it ends: not far behind its beginning.
        """
        if not self.times or begin > self.times[-1] + TICKS_PER_SECOND:
            return None
        # One PES packet earlier: a frame may begin in it and end in the next.
        first = max(bisect_right(self.times, begin) - 2, 0)
        last = bisect_left(self.times, end) + 1
        stop = self.offsets[last] if last < len(self.times) else self.offsets[-1] + MOST_HEAD_BYTES
        return self.offsets[first], stop


class TransportScan:
    """Learns units and audio places from byte ``begin`` on, as if ``lead`` stood before it.

    ``epoch`` is what times lack there, ``units`` those that are known before it, and ``beside`` has times of
    capture, by PTS, of some that are found. ``is_simple`` turns False if PES packets are not one frame each
    with a time.
    """

    def __init__(
        self,
        store: Store,
        streams: Streams,
        *,
        begin: int = 0,
        lead: bytes = b"",
        epoch: int = 0,
        units: Growing | None = None,
        beside: dict[int, Captured | None] | None = None,
    ) -> None:
        self.is_simple = True
        self.streams = streams
        self.units = Growing(TICK) if units is None else units
        self._heard: dict[int, AudioPlaces] = {}
        self.has_keyframe = units is not None
        self._store = store
        self._finds_audio = units is None
        self._scanner = Scanner(columns=True)
        self._scanner.feed(lead)
        self._counter = None if streams.codec is None else PictureCounter(streams.codec)
        self._scanned, self._shift, self._epoch = begin, begin - len(lead), epoch
        self._beside = beside or {}
        self._lost_at: int | None = None
        self._has_lost = self._is_misstated = False
        self._unaligned = 0
        self._says_when: bool | None = None

    @property
    def is_plain(self) -> bool:
        """Whether PES packets begin with a frame, and are as long as they say.

        Some multiplexers begin them in the midst of one, and some count 65,536 bytes too few, or one. Where packets
        are missing that is no wonder.
        """
        return self._has_lost or not (self._is_misstated or self._unaligned > 1)

    @property
    def audio(self) -> AudioPlaces:
        """Where the audio lies."""
        return self._heard.get(self.streams.audio_pid, AudioPlaces())

    def recall(self, event: PesEvent | None) -> None:
        """Take what came before the scan and is known already."""
        if event is not None and self._counter is not None:
            self._counter.feed(event.data)

    @property
    def packet_bytes(self) -> int:
        """How far its packets lie apart; 0 while unknown."""
        return self._scanner.packet_bytes

    def read_head(self) -> None:
        """Scan until all streams are known, if that is soon."""
        end = min(self._store.size, MOST_HEAD_BYTES)
        while self._scanned < end and not self.streams.is_known and self._read(_HEAD_PIECE_BYTES, end):
            pass

    def read_on(self) -> None:
        """Scan what there is by now."""
        end = self._store.size
        while self._scanned < end and self._read(PIECE_BYTES, end):
            pass

    def finish(self) -> None:
        """Nothing follows: what has begun is the last frame."""
        self._take(self._scanner.close())

    def _read(self, count: int, end: int) -> bool:
        data = self._store.read(self._scanned, min(self._scanned + count, end))
        self._scanned += len(data)
        self._take(self._scanner.feed(data))
        return bool(data)

    def _take(self, events: list[Event]) -> None:
        streams = self.streams
        for event in events:
            if isinstance(event, TablesEvent):
                begin = event.offset + self._shift
                end = begin + self._scanner.packet_bytes
                streams.take(event.program.streams, begin, end, audio=self._finds_audio)
                if self._counter is None and streams.codec is not None:
                    self._counter = PictureCounter(streams.codec)
            elif isinstance(event, PesColumns):
                streams.note_start(event.pid, int(event.pts.min()) + self._epoch)
                if event.pid == streams.pid:
                    self._take_columns(event)
                elif streams.may_hear(event.pid):
                    self._hear(event.pid, event.pts.tolist(), event.offset.tolist())
            elif isinstance(event, PesEvent):
                if event.pts is not None:
                    streams.note_start(event.pid, event.pts + self._epoch)
                if event.pid == streams.pid and self._counter is not None:
                    self._take_one(event, self._counter.feed(event.data))
                elif event.pts is not None and streams.may_hear(event.pid):
                    self._hear(event.pid, [event.pts], [event.offset])
            elif event.pid in (streams.pid, None) and event.kind in _LOSSES:
                self._lost_at = event.offset
                self._has_lost = True
            elif event.pid == streams.pid and event.kind in _MISSTATED:
                self._is_misstated = True

    def _hear(self, pid: int, times: list[int], offsets: list[int]) -> None:
        self._heard.setdefault(pid, AudioPlaces()).add(times, offsets)

    def _take_columns(self, columns: PesColumns) -> None:
        found = None
        if self._counter is not None and self._lost_at is None:
            found = self._counter.feed_many(columns.payload, columns.begin, columns.end)
        if found is None:
            for event in columns.events():
                self._take_one(event, None if self._counter is None else self._counter.feed(event.data))
            return
        self.is_simple = self.is_simple and found.are_single
        self._unaligned += int(np.count_nonzero(~found.is_aligned))
        keyframes = found.is_begin(columns.random_access)
        self.has_keyframe = self.has_keyframe or bool(keyframes.any())
        times = self._times(columns)
        hidden = found.is_second_field
        rows = (columns.pts, columns.dts, columns.offset, columns.end - columns.begin, keyframes, hidden)
        self.units.extend(
            [
                Unit(
                    pts + self._epoch,
                    dts + self._epoch,
                    offset + self._shift,
                    size,
                    keyframe,
                    hidden=is_hidden,
                    captured=(times[at] if times else None) or self._beside.get(pts + self._epoch),
                )
                for at, (pts, dts, offset, size, keyframe, is_hidden) in enumerate(
                    zip(*(one.tolist() for one in rows), strict=True)
                )
            ]
        )

    def _times(self, columns: PesColumns) -> list[Captured | None]:
        """When each was taken, if the stream says so at all: where the first frame does not, none is looked at."""
        codec = self.streams.codec
        if codec is None or self._says_when is False:
            return []
        ends = np.minimum(columns.end, columns.begin + HEAD_BYTES)
        found = [
            captured_in(columns.payload.bytes(begin, end), codec)
            for begin, end in zip(columns.begin.tolist(), ends.tolist(), strict=True)
        ]
        self._says_when = self._says_when or any(found)
        return found

    def _take_one(self, event: PesEvent, found: Pictures | None) -> None:
        if event.pts is None:
            self.is_simple = False
            return
        self._unaligned += found is not None and not found.is_aligned
        keyframe = event.random_access if found is None else found.is_begin(event.random_access)
        is_after_loss = self._lost_at is not None and event.offset >= self._lost_at
        if is_after_loss:
            self._lost_at = None
        captured, codec = None, self.streams.codec
        if codec is not None and self._says_when is not False:
            captured = captured_in(event.data[:HEAD_BYTES], codec)
            self._says_when = self._says_when or captured is not None or (None if len(self.units) < 2 else False)
        self.has_keyframe = self.has_keyframe or keyframe
        self.units.extend(
            [
                Unit(
                    event.pts + self._epoch,
                    None if event.dts is None else event.dts + self._epoch,
                    event.offset + self._shift,
                    event.payload_bytes,
                    keyframe,
                    event.discontinuity or is_after_loss,
                    is_after_loss or not event.complete,
                    hidden=found is not None and found.is_second_field,
                    captured=captured or self._beside.get(event.pts + self._epoch),
                )
            ]
        )
