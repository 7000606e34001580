"""Access units in, chunks out: each a ``moof`` of one sample and its ``mdat``, laid into lent memory.

So a unit is whole in the buffer the moment it was laid, as in a transport stream. The file begins
with ``ftyp``, a ``free`` box of sixteen bytes, and a ``moov`` without samples. At the end a ``moov``
of all samples comes behind the last chunk, and the ``free`` box becomes an ``mdat`` that holds
everything before it: a plain MP4, with nothing rewritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..container import Finish, Memory, listed
from ..errors import MediaError
from ..model import AccessUnit, Codec, StreamFormat
from .entries import Entry, media_rate, priming, sample_entry
from .movie import (
    BREAK_FLAG,
    FRONT,
    KEYFRAME_FLAGS,
    MOVIE_RATE,
    OTHER_FLAGS,
    finished,
    fragmented_movie,
    keyframe_index,
    scaled,
)
from .nal import Cut, cuts, lay_cuts, length_of, parameter_sets
from .records import beginning
from .track import StreamTrack

MOST_STREAMS = 32
CARRIED = frozenset(Codec) - {Codec.PCM}
_NO_CUTS: tuple[Cut, ...] = ()
_MARGIN = MOVIE_RATE // 2
"""Where the first unit's time is put. tfdt has no sign: video may begin so much earlier than what is shown first.

It counts as part of the duration in FFmpeg's programs, until the file is finished; see ``decode_from``.
"""

_MOOF, _MDAT = int.from_bytes(b"moof"), int.from_bytes(b"mdat")
# moof, mfhd, traf, tfhd with default-base-is-moof, tfdt version 1, then trun and mdat.
_HEAD = ">II II4xI II IIII IIIQ "
_VIDEO = Struct(f"{_HEAD} IIIII IIII II")
_AUDIO = Struct(f"{_HEAD} IIIII I II")
_AUDIO_TIMED = Struct(f"{_HEAD} IIIII II II")
_MFHD, _TRAF, _TFHD, _TFDT, _TRUN = (int.from_bytes(kind) for kind in (b"mfhd", b"traf", b"tfhd", b"tfdt", b"trun"))
_BASE_IS_MOOF = 0x2_0000
_TIMES_64 = 1 << 24
_VIDEO_FLAGS, _SIZE_FLAGS, _DURATION_FLAGS = 0xF01, 0x201, 0x301
"""What a trun has: data offset, and of the sample duration, size, flags and composition offset."""
VIDEO_HEAD_BYTES = _VIDEO.size


class _Plan(NamedTuple):
    """How a unit is laid: what comes before it, the NAL units of video, and its size."""

    unit: AccessUnit
    front: bytes
    cuts: Sequence[Cut]
    size: int
    sets: bytes = b""
    entry: Entry | None = None


class Packager:
    """Lays access units as MP4 chunks. Not thread-safe; does no I/O and reads no clock.

    With ``fragmented`` the finished file stays as it grew, and has an index of its keyframes
    (``mfra``) at its end. ``origin`` is the tick that is shown at 0; that of the first unit if it is None.
    ``late_units`` is always 0: in MP4 no unit comes too late.
    """

    packet_bytes = 1

    def __init__(self, *, fragmented: bool = False, origin: int | None = None) -> None:
        self.late_units = 0
        self.lead_bytes = self.unit_bytes = 0
        self.order: tuple[int, ...] = ()
        self._fragmented = fragmented
        self._tracks: dict[int, StreamTrack] = {}
        self._movie_due = True
        self._laid_bytes = 0
        self._number = 0
        self._given_origin = origin
        self._least_dts: int | None = None
        self._shift = 0
        self._origin = 0
        self._plan: _Plan | None = None
        self._shown: tuple[int, int] | None = None

    @property
    def streams(self) -> dict[int, StreamFormat]:
        """The streams declared so far, by index."""
        return {index: track.format for index, track in self._tracks.items()}

    def format(self, index: int) -> StreamFormat | None:
        """The format of stream ``index``, None when it was not declared."""
        track = self._tracks.get(index)
        return None if track is None else track.format

    def is_video(self, index: int) -> bool:
        """Whether stream ``index``, which was declared, carries video."""
        return self._tracks[index].is_video

    def declare(self, index: int, stream_format: StreamFormat) -> None:
        """Add a stream, or set a new format; the next unit is preceded by a new ``moov``.

        Raises MediaError for more than 32 streams, a change of the codec or of an audio stream's
        rate, and for what MP4 has no place for.
        """
        known = self._tracks.get(index)
        if known is None:
            if not 0 <= index < MOST_STREAMS:
                raise MediaError(f"streams are numbered from 0 to {MOST_STREAMS - 1}", index)
            self._tracks[index] = StreamTrack(index, stream_format)
        elif known.codec is not stream_format.codec:
            raise MediaError(f"cannot change from {known.codec} to {stream_format.codec}", index)
        elif known.rate != media_rate(stream_format):
            raise MediaError(f"cannot change from {known.rate:,} Hz to {stream_format.sample_rate:,} Hz", index)
        else:
            known.enter(sample_entry(stream_format, known.sets))
            known.format = stream_format
        self._movie_due = True
        self._plan = None

    def show(self, begin: int, end: int) -> bool:
        """Let the finished file show only what lies between two ticks (edit lists, ISO/IEC 14496-12, 8.6.6)."""
        self._shown = begin, end
        return not self._fragmented

    @property
    def _listed(self) -> list[StreamTrack]:
        return [self._tracks[index] for index in listed(self._tracks, self.order)]

    def begin_at(self, ticks: int) -> None:
        """Show this tick at 0, in place of the first unit's."""
        self._given_origin = ticks

    def decode_from(self, ticks: int) -> None:
        """No unit that is laid is decoded before this tick; what is nevertheless lies right only in the finish."""
        self._least_dts = ticks

    def lend(self, rows: NDArray[np.uint8]) -> Memory:
        """Memory to lay into: a packet is a byte here."""
        return Memory(rows.data)

    def packets_for(self, unit: AccessUnit) -> int:
        """How many bytes ``lay`` needs for ``unit`` at the most, ``moov`` and heads included."""
        track = self._tracks.get(unit.stream)
        if not self._movie_due and (track is None or not track.is_video):
            return len(unit.data) + VIDEO_HEAD_BYTES
        plan = self._plan = self._planned(unit)
        return len(plan.front) + VIDEO_HEAD_BYTES + plan.size

    def lay(self, unit: AccessUnit, memory: Memory) -> None:
        """Lay ``unit`` at the end of ``memory``, which must have room for ``packets_for(unit)``.

        Raises MediaError, with nothing laid, for a stream that was not declared, a DTS that does
        not increase, or video that is no Annex B byte stream.
        """
        plan, track = self._plan, self._tracks.get(unit.stream)
        if plan is None or plan.unit is not unit:
            plan = self._planned(unit)
        self._plan = None
        if track is None or unit.dts < track.least_dts or (track.has_nal_units and not plan.cuts):
            raise _refusal(unit, track)
        if not self._laid_bytes:
            self._shift, self._origin = self._begun(unit)
        if track.laid < 0:
            track.show_from(self._origin)
        if plan.entry is not None:
            track.sets = plan.sets
            track.enter(plan.entry)
        at = begin = memory.used
        self.lead_bytes, self.unit_bytes = len(plan.front), plan.size
        if plan.front:
            at += len(plan.front)
            memory.bytes[begin:at] = plan.front
            self._movie_due = False
        time, shift, duration = track.place(unit, unit.dts + self._shift)
        data = self._lay_head(plan, track, at, (track.laid, shift, duration), memory.bytes)
        end = data + plan.size
        if track.has_nal_units:
            lay_cuts(plan.cuts, memory.bytes, data)
        else:
            memory.bytes[data:end] = unit.data
        is_keyframe = unit.random_access or not track.is_video
        offset = self._laid_bytes + data - begin
        breaks = unit.discontinuity and track.is_video
        track.table.add(offset, plan.size, time, shift, duration, is_keyframe, track.description, breaks=breaks)
        self._laid_bytes += end - begin
        memory.used = end

    def _planned(self, unit: AccessUnit) -> _Plan:
        track = self._tracks.get(unit.stream)
        if track is None or not track.is_video:
            due = track is not None and self._movie_due
            return _Plan(unit, self._front(unit) if due else b"", _NO_CUTS, len(unit.data))
        found: Sequence[Cut] = _NO_CUTS
        size, sets = len(unit.data), b""
        if track.has_nal_units:
            found = cuts(unit.data, track.codec, unit.nal_starts)
            if unit.prefix:
                found = cuts(unit.prefix, track.codec) + found
            size = length_of(found)
        if unit.random_access:
            sets = parameter_sets(found, track.codec) if found else beginning(unit.data, track.codec)
        if sets and sets != track.sets:
            entry = sample_entry(track.format, sets)
            return _Plan(unit, self._front(unit, track, entry, due=True), found, size, sets, entry)
        return _Plan(unit, self._front(unit) if self._movie_due else b"", found, size)

    def _front(
        self, unit: AccessUnit, changed: StreamTrack | None = None, entry: Entry | None = None, *, due: bool = False
    ) -> bytes:
        """What comes before a unit: nothing, a new ``moov``, or the beginning of the file."""
        if not (due or self._movie_due):
            return b""
        origin = self._origin if self._laid_bytes else self._begun(unit)[1]
        heads = [
            track.head([entry if track is changed and entry is not None else track.entry]) for track in self._listed
        ]
        if self._laid_bytes:
            return fragmented_movie(heads, origin)
        spare = [index + 1 for index in range(MOST_STREAMS) if index not in self._tracks]
        return FRONT + fragmented_movie(heads, origin, spare)

    def _begun(self, unit: AccessUnit) -> tuple[int, int]:
        """How far ticks are shifted in a file that begins with ``unit``, and which tick is then shown first."""
        shown, first = self.heard(unit), unit.dts
        if self._given_origin is not None:
            shown = first = self._given_origin
        shift = _MARGIN - first if self._least_dts is None else -self._least_dts
        return shift, shown + shift

    def heard(self, unit: AccessUnit) -> int:
        """The tick at which the first of a stream's units is seen or heard: behind its priming."""
        track = self._tracks.get(unit.stream)
        return unit.pts if track is None else unit.pts + scaled(priming(track.format), track.rate, MOVIE_RATE)

    def until(self, unit: AccessUnit) -> int:
        """The tick at which the unit's time in the file ends; see ``StreamTrack.place``."""
        end, track = unit.pts + unit.duration, self._tracks.get(unit.stream)
        return end - scaled(unit.end_trim, track.rate, MOVIE_RATE) if unit.end_trim and track is not None else end

    def _lay_head(
        self, plan: _Plan, track: StreamTrack, at: int, times: tuple[int, int, int], memory: memoryview
    ) -> int:
        """Lay ``moof`` and the head of ``mdat``; returns where the sample's bytes begin."""
        time, shift, duration = times
        size = plan.size
        number = self._number = self._number + 1 & 0xFFFF_FFFF
        if track.is_video:
            flags = KEYFRAME_FLAGS if plan.unit.random_access else OTHER_FLAGS
            if plan.unit.discontinuity:
                flags |= BREAK_FLAG
            _VIDEO.pack_into(
                memory, at, 104, _MOOF, 16, _MFHD, number, 80, _TRAF, 16, _TFHD, _BASE_IS_MOOF, track.number,
                20, _TFDT, _TIMES_64, time, 36, _TRUN, _VIDEO_FLAGS, 1, 112,
                duration, size, flags, shift, size + 8, _MDAT,
            )  # fmt: skip
            return at + 112
        if duration == track.usual_duration:
            _AUDIO.pack_into(
                memory, at, 92, _MOOF, 16, _MFHD, number, 68, _TRAF, 16, _TFHD, _BASE_IS_MOOF, track.number,
                20, _TFDT, _TIMES_64, time, 24, _TRUN, _SIZE_FLAGS, 1, 100, size, size + 8, _MDAT,
            )  # fmt: skip
            return at + 100
        _AUDIO_TIMED.pack_into(
            memory, at, 96, _MOOF, 16, _MFHD, number, 72, _TRAF, 16, _TFHD, _BASE_IS_MOOF, track.number,
            20, _TFDT, _TIMES_64, time, 28, _TRUN, _DURATION_FLAGS, 1, 104, duration, size, size + 8, _MDAT,
        )  # fmt: skip
        return at + 104

    def finish(self, file_bytes: int) -> Finish:
        """What makes a partial of ``file_bytes`` the final file.

        Raises MediaError when that is not what was laid: then its tables would point elsewhere.
        """
        if not self._laid_bytes and not file_bytes:
            return Finish()
        if file_bytes != self._laid_bytes:
            raise MediaError(f"{self._laid_bytes:,} bytes were laid, and the file has {file_bytes:,}: recover it")
        tracks = [(track.head(track.entries), track.table) for track in self._listed]
        if self._fragmented:
            return Finish((keyframe_index(tracks, VIDEO_HEAD_BYTES),))
        shown = None if self._shown is None else (self._shown[0] + self._shift, self._shown[1] + self._shift)
        return finished(tracks, file_bytes, shown=shown)


def _refusal(unit: AccessUnit, track: StreamTrack | None) -> MediaError:
    if track is None:
        return MediaError("was never declared", unit.stream)
    if unit.dts < track.least_dts:
        return MediaError(f"DTS {unit.dts} does not come after {track.least_dts - 1}", unit.stream)
    return MediaError("is no Annex B byte stream", unit.stream)
