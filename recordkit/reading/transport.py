"""The video of a transport stream, ours or not, finished or growing, by one scan and by reads of single groups."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from ..demux import demux, open_media
from ..errors import SourceError
from ..model import Codec, StreamFormat
from ..mpegts.report import PesEvent
from ..mpegts.sync import PACKET_BYTES
from ..telemetry.table import HIDDEN, KEYFRAME, Rows, taken_of
from ..ticks import TICK, TICKS_PER_SECOND, WRAP, fraction
from .cache import TRANSPORT, Found
from .elementary import pes_packets, tables
from .growing import Growing
from .index import DAMAGED, Index
from .lately import Lately
from .located import StoredFile
from .packets import decoder_of, packet_of
from .sound import Heard, SoundCutter
from .store import Store
from .track import TableMisfitError
from .transport_scan import MOST_HEAD_BYTES, Streams, TransportScan

if TYPE_CHECKING:
    Packet = av.Packet[Any]

_PROBE_BYTES = 4096
"""Here the header of a PES packet ends."""
_AUDIO_LEAD = TICKS_PER_SECOND // 2
_APART = TICKS_PER_SECOND * 3 // 2
"""So far audio may lie from the video of its time."""
_MOST_BESIDE = 16
"""Rows of a table of which the times of capture are taken over, if the frames are scanned."""
_MOST_RECALLED = 1000
"""So many rows before the first frame that is scanned tell of single fields."""


class TransportTrack:
    """The first video in H.264 or H.265 of a transport stream.

    What ``rows`` of a frame table say of it is believed where the file has these frames at these places; only what
    lies behind the last is scanned, and ``is_from_table`` is True. So is what an earlier scan of the whole file has
    ``found``.
    """

    def __init__(
        self, store: Store, *, is_growing: bool, rows: Rows | None = None, found: Found | None = None
    ) -> None:
        self._store = store
        self._found = found
        if found is not None:
            rows = found.units
        self._is_growing = is_growing
        self.is_from_table = False
        self._lately: Lately | None = None
        self._without_audio_bytes = 0
        """So far its tables were seen to name none."""
        self._scan = self._new_scan()
        if rows is not None and len(rows):
            self._adopt(rows)
        self.refresh()
        if self.is_from_table and not is_growing and rows is not None and self._is_all(rows):
            # Nothing has to be copied to add the last one.
            self._scan.units = Growing(TICK, rows)

    def _adopt(self, rows: Rows) -> None:
        """Begin with a frame table, if the file has its frames."""
        # The last one may have had no end yet.
        count = bisect_left(range(len(rows)), self._store.size, key=lambda at: int(rows[at]["offset"])) - 1
        streams = self._scan.streams
        if count < 1 or streams.codec is None or not all(self._has(rows[at]) for at in (0, count // 2, count)):
            self._scan = self._new_scan()
            return
        last = rows[count]
        self.is_from_table = True
        self._scan = TransportScan(
            self._store,
            streams,
            begin=int(last["offset"]),
            lead=tables(streams.pid, StreamFormat(streams.codec)),
            epoch=int(last["pts"]) // WRAP * WRAP,
            units=Growing(TICK, rows[:count]),
            beside={int(row["pts"]): taken_of(row) for row in rows[count : count + _MOST_BESIDE]},
        )
        self._recall_fields(rows[max(count - _MOST_RECALLED, 0) : count])

    def _recall_fields(self, rows: Rows) -> None:
        """Whether the frame that is scanned next completes the one before shows only what came before."""
        if not (rows["flags"] & HIDDEN).any():
            return
        for place in (*np.flatnonzero(rows["flags"] & KEYFRAME)[-1:].tolist(), -1):
            begin = int(rows[place]["offset"])
            self._scan.recall(next(self._pes_packets(begin, begin + _PROBE_BYTES), None))

    def _new_scan(self) -> TransportScan:
        """A scan from the beginning."""
        scan = TransportScan(self._store, Streams())
        scan.read_head()
        lead = scan.streams.lead(self._store, scan.packet_bytes)
        return TransportScan(self._store, scan.streams, lead=lead) if lead else scan

    def _has(self, row: np.void) -> bool:
        """Whether the frame of a row begins where it says."""
        begin = int(row["offset"])
        if self._store.read(begin, begin + 1) != b"\x47":
            return False
        first = next(self._pes_packets(begin, begin + _PROBE_BYTES), None)
        return first is not None and first.pts is not None and (first.pts - int(row["pts"])) % WRAP == 0

    def _is_all(self, rows: Rows) -> bool:
        """Whether the frames that were scanned are the last rows."""
        found = self._scan.units.found_since()
        names = ["pts", "offset", "bytes", "flags", "delay"]
        last = rows[len(rows) - len(found) :]
        return len(self._scan.units) == len(rows) and all((found[name] == last[name]).all() for name in names)

    def rescan(self) -> None:
        """Believe no table, and scan the whole file."""
        self._lately = None
        self.is_from_table = False
        self._scan = self._new_scan()
        self.refresh()

    @property
    def name(self) -> str:
        """The file's path."""
        return self._store.name

    @property
    def is_readable(self) -> bool:
        """Whether there is video here that this can read.

        Not if its PES packets are not one frame each with a time, are longer than they say, or say nowhere where
        decoding can begin, or if what may be its audio is found by a look at its bytes only: then libavformat has
        to take it apart. Nor if there is another video: it may be the larger one.
        """
        scan, streams = self._scan, self._scan.streams
        if not streams.is_only or (streams.audio_pid < 0 and not streams.is_told):
            return False
        return (
            streams.codec is not None
            and len(scan.units) > 0
            and scan.is_simple
            and scan.is_plain
            and scan.has_keyframe
        )

    @property
    def has_no_frame_yet(self) -> bool:
        """Whether there is nothing at all, or only tables that name video which this reads."""
        return not len(self._scan.units) and (self._scan.streams.codec is not None or not self._store.size)

    @property
    def index(self) -> Index:
        """Its frames so far."""
        return self._scan.units.index

    @property
    def start_s(self) -> Fraction:
        """The first time of any stream, in seconds of the file's clock."""
        if self._found is not None and self.is_from_table:
            return self._found.start_s
        return self._scan.streams.start_s

    @property
    def found(self) -> Found:
        """What a scan of all of it found, to be kept for the next time."""
        index = self.index
        has_audio = self._scan.streams.audio_pid >= 0
        return Found(TRANSPORT, index.time_base, index.units, self.start_s, has_audio=has_audio)

    def refresh(self) -> bool:
        """Scan what was written meanwhile."""
        known = len(self._scan.units)
        self._scan.read_on()
        if not self._is_growing:
            self._scan.finish()
        return len(self._scan.units) != known

    def finish(self) -> bool:
        """The file grows no more: what is left of it counts, too."""
        self._is_growing = False
        return self.refresh()

    def decoder(self) -> VideoCodecContext:
        """A decoder that takes its parameter sets from the keyframes."""
        return decoder_of(self._scan.streams.codec, self.name)

    def packets(self, first: int) -> Iterator[Packet]:
        """The coded frames from unit ``first`` on."""
        units = self.index.units
        if first >= len(units):
            return
        unit = first
        for event in self._pes_packets(int(units["offset"][first])):
            if unit >= len(units):
                return
            if event.pts is None or (event.pts - int(units["pts"][unit])) % WRAP:
                if self.is_from_table:
                    raise TableMisfitError(self.name)
                raise SourceError(self.name, f"has other frames than when it was opened, at unit {unit}")
            if not event.complete and self.is_from_table and not units["flags"][unit] & DAMAGED:
                raise TableMisfitError(self.name)
            yield packet_of(event.data)
            unit += 1

    def audio(self, begin: Fraction, end: Fraction) -> Iterator[av.AudioFrame]:
        """Decoded audio around the times from ``begin`` to ``end``, in seconds of the file's clock."""
        first, last = int(begin / TICK) - _AUDIO_LEAD, int(end / TICK) + _AUDIO_LEAD
        places = self._audio_places(first, last)
        if places is None:
            return
        start, stop = places
        streams = self._scan.streams
        head, named = streams.head(self._store)
        media = StoredFile(self._store, max(start, named), stop, head=head)
        with open_media(cast("BinaryIO", media), kind="mpegts") as container:
            found = [one for one in container.streams.audio if one.id == streams.audio_pid]
            for packet in demux(container, found):
                try:
                    frames = cast("list[av.AudioFrame]", packet.decode())
                except av.FFmpegError:
                    continue  # damaged, or cut at the edge of what was read
                for frame in frames:
                    base = fraction(frame.time_base)
                    if frame.pts is not None and base:
                        # libavformat counts from whatever turn of the 33 bits it likes (ISO/IEC 13818-1, 2.4.3.7).
                        turn = int(WRAP * TICK / base)
                        frame.pts += round((int(begin / base) - frame.pts) / turn) * turn
                    yield frame

    def _audio_places(self, begin: int, end: int) -> tuple[int, int] | None:
        """The bytes between which audio of these ticks lies; None if there is none at all."""
        if self.is_from_table and self._scan.streams.audio_pid < 0:
            if not self._has_late_audio():
                return None
            self.rescan()
        if self.is_from_table:
            # By the frames around it: the table has no places of audio.
            index, size = self.index, self._store.size
            first = bisect_left(range(len(index.units)), begin - _APART, key=index.dts_of) - 1
            last = bisect_left(range(len(index.units)), end + _APART, key=index.dts_of)
            start = int(index.offset[first]) if first > 0 else 0
            return start, int(index.offset[last]) if last < len(index.units) else size
        return self._scan.audio.between(begin, end)

    def _has_late_audio(self) -> bool:
        """Whether audio begins late: recordkit's tables go on naming it, anybody else's were all read once."""
        if self._found is not None:
            return self._found.has_audio
        begin, size = self._without_audio_bytes, self._store.size
        last = max(begin, (size - MOST_HEAD_BYTES) // PACKET_BYTES * PACKET_BYTES)
        scan = TransportScan(self._store, Streams(), begin=last)
        scan.read_on()
        if scan.streams.codec is None:
            return begin == 0  # no tables came: those of the end so far hold
        self._without_audio_bytes = size // PACKET_BYTES * PACKET_BYTES
        return scan.streams.audio_pid >= 0

    def coded_audio(self, begin: int, end: int) -> Iterator[Heard]:
        """Coded audio that is heard from ``begin`` on and before ``end``."""
        lately = self._lately
        if lately is not None and lately.begin <= begin:
            if lately.read():
                return lately.between(begin, end)
            self._lately = None
        return self._cut_out(begin, end)

    def _cut_out(self, begin: int, end: int) -> Iterator[Heard]:
        places = self._audio_places(begin, end)
        streams = self._scan.streams
        codec = streams.audio_codec
        if places is None or codec is None:
            return
        start, stop = places
        # The tables only say that it is audio; what it is has been told.
        carried = StreamFormat(Codec.AAC, sample_rate=48_000, channels=2)
        if self._is_growing and stop >= self._store.size:
            lately = Lately(self._store, streams.audio_pid, codec, carried, begin, start)
            if lately.read():
                self._lately = lately
                yield from lately.between(begin, end)
                return
        cutter = SoundCutter(codec)
        for event in pes_packets(self._store, streams.audio_pid, carried, start, stop):
            if event.pts is None or not event.complete:
                continue
            turns = round((begin - event.pts) / WRAP)
            for one in cutter.feed(event.data, event.pts + turns * WRAP):
                if begin <= one.pts < end:
                    yield one

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def _pes_packets(self, begin: int, end: int | None = None) -> Iterator[PesEvent]:
        streams = self._scan.streams
        carried = StreamFormat(streams.codec or Codec.H264)
        return pes_packets(self._store, streams.pid, carried, begin, end)
