"""The files of a recording in segments as one: one time line, one index, one decoder over all of them."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import SourceError
from ..model import Event, EventKind
from ..names import SUFFIXES, segment_fields, segment_glob
from ..telemetry.logfile import log_path, parse_line
from ..telemetry.table import DISCONTINUITY
from ..ticks import TICKS_PER_SECOND
from .growing import Growing
from .index import Index
from .marking import Mark, MarksRead
from .sound import Heard
from .times import Times
from .track import Track

if TYPE_CHECKING:
    import av
    from av.video.codeccontext import VideoCodecContext

    from .video import Video

    Packet = av.Packet[Any]

_TICK = Fraction(1, TICKS_PER_SECOND)
_HEAD_BYTES = 256 * 1024
"""A log says in its first lines where its file lies in the recording."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a segment lies: its recording, its number in that, when its first frame is shown and was laid.

    ``pts`` is in ticks of the recording, ``time_ns`` the time of day; both None if the log does not say it.
    """

    path: Path
    recording_id: str
    number: int
    pts: int | None = None
    time_ns: int | None = None


def place_of(path: Path) -> Place | None:
    """What the log beside ``path`` says; None if that is no segment's."""
    place: Place | None = None
    try:
        with os.fdopen(os.open(log_path(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            lines = file.read(_HEAD_BYTES).split(b"\n")
    except OSError:
        return None
    for line in lines[:-1]:
        found = parse_line(line)
        if place is None:
            if not isinstance(found, dict) or type(found.get("segment")) is not int:
                return None
            place = Place(path, str(found.get("recording_id")), found["segment"])
        elif isinstance(found, Event) and found.kind is EventKind.SEGMENT:
            pts = found.fields.get("pts")
            return replace(place, pts=pts if isinstance(pts, int) else None, time_ns=found.time_ns)
    return place


def segments_of(source: Any) -> list[Path] | None:  # noqa: ANN401 - whatever may be opened
    """The files that ``source`` stands for, in their order; None if it is one file.

    A folder, a pattern of names, a list of paths, or a Recording in segments. Raises SourceError if a folder or a
    pattern has none.
    """
    if segments := getattr(source, "segments", ()):
        return [one.path for one in segments]
    if isinstance(source, list | tuple):
        return [Path(os.fspath(one)).expanduser() for one in source]
    given = getattr(source, "path", source)
    if not isinstance(given, str | os.PathLike) or "://" in str(given):
        return None
    path = Path(os.fspath(given)).expanduser()
    if _is(path.is_dir):
        names = [one for one in path.iterdir() if one.name.endswith(SUFFIXES)]
        missing = "is a folder without a recording in segments: name a file in it"
    elif not _is(path.exists) and _is_pattern(str(path)):
        # From the first folder on that has no field in its name.
        root = next(one for one in path.parents if not _is_pattern(str(one)))
        names = list(root.glob(segment_glob(str(path.relative_to(root)))))
        missing = "no file of this pattern is there"
    else:
        return None
    # Without its first frame it was opened ahead of time, or only just begun.
    found = [place for place in map(place_of, names) if place is not None and place.pts is not None]
    if not found:
        raise SourceError(str(path), missing)
    begun: dict[str, int] = {}
    for one in found:
        begun[one.recording_id] = min(begun.get(one.recording_id, 1 << 62), one.time_ns or 0)
    return [one.path for one in sorted(found, key=lambda one: (begun[one.recording_id], one.number))]


def _is(what: Callable[[], bool]) -> bool:
    try:
        return what()
    except OSError:
        return False  # whoever opens it will say so


def _is_pattern(path: str) -> bool:
    try:
        return bool(segment_fields(path))
    except ValueError:
        return False


class JoinedTrack:
    """The track of several files, one behind the other. ``parts`` are open, and closed with it.

    Files of one recording lie where their logs say, to the tick; those of another one where the time of day puts
    them, behind a discontinuity. A file whose log is gone begins where the one before ends.
    """

    def __init__(self, name: str, parts: Sequence[Video]) -> None:
        self.name = name
        self._parts = parts
        self._tracks: list[Track] = [one._track for one in parts]
        self._places = [place_of(one.path) or Place(one.path, str(one.path), 0) for one in parts]
        self._index, self._firsts, self._shifts = self._joined()

    @property
    def index(self) -> Index:
        """The frames of all files."""
        return self._index

    @property
    def start_s(self) -> Fraction:
        """The first time of any stream of the first file."""
        return self._tracks[0].start_s

    def marks(self) -> list[Mark]:
        """The marks of all logs, in seconds of the whole."""
        found = []
        for part, track, shift in zip(self._parts, self._tracks, self._shifts, strict=True):
            later_s = float(track.start_s + shift * _TICK - self.start_s)
            found += [replace(one, media_s=one.media_s + later_s) for one in MarksRead(part.path).more()]
        return found

    def decoder(self) -> VideoCodecContext:
        """A new decoder: each file begins with a keyframe, with what a decoder must know."""
        return self._tracks[0].decoder()

    def packets(self, first: int) -> Iterator[Packet]:
        """The coded frames from unit ``first`` on, of its file and those behind."""
        number = bisect_right(self._firsts, first) - 1
        first -= self._firsts[number]
        for track in self._tracks[number:]:
            yield from track.packets(first)
            first = 0

    def audio(self, begin: Fraction, end: Fraction) -> Iterator[av.AudioFrame]:
        """Decoded audio that covers what there is from ``begin`` to ``end``."""
        for track, shift_s in self._between(begin, end):
            for frame in track.audio(begin - shift_s, end - shift_s):
                own = frame.pts
                if own is not None and frame.time_base is not None:
                    frame.pts = own + round(shift_s / frame.time_base)
                yield frame
                # The file that it comes from still looks at it.
                frame.pts = own

    def coded_audio(self, begin: int, end: int) -> Iterator[Heard]:
        """The coded frames of the first audio stream between two ticks."""
        for track, shift_s in self._between(begin * _TICK, end * _TICK):
            shift = round(shift_s / _TICK)
            for one in track.coded_audio(begin - shift, end - shift):
                yield one._replace(pts=one.pts + shift)

    def refresh(self) -> bool:
        """Look for what was written to the last file meanwhile."""
        return self._again(self._tracks[-1].refresh())

    def finish(self) -> bool:
        """It grows no more."""
        return self._again(self._tracks[-1].finish())

    def rescan(self) -> None:
        """Believe no table any more."""
        for track in self._tracks:
            track.rescan()
        self._again(True)

    def close(self) -> None:
        """Close all files."""
        for one in self._parts:
            one.close()

    def _again(self, has_changed: bool) -> bool:
        if has_changed:
            self._index, self._firsts, self._shifts = self._joined()
        return has_changed

    def _between(self, begin: Fraction, end: Fraction) -> Iterator[tuple[Track, Fraction]]:
        """The files that may have something between two times, and how much later each lies than it says."""
        begins = [track.start_s + shift * _TICK for track, shift in zip(self._tracks, self._shifts, strict=True)]
        for number, (track, shift) in enumerate(zip(self._tracks, self._shifts, strict=True)):
            is_before = number + 1 < len(begins) and begins[number + 1] + 1 < begin
            if begins[number] <= end and not is_before:
                yield track, shift * _TICK

    def _joined(self) -> tuple[Index, list[int], list[int]]:
        rows: list[npt.NDArray[np.void]] = []
        firsts: list[int] = []
        shifts: list[int] = []
        count = 0
        before: Place | None = None
        for track, place in zip(self._tracks, self._places, strict=True):
            units = track.index.units.copy()
            scale = track.index.time_base / _TICK
            if scale != 1:
                for name in ("pts", "delay"):
                    units[name] = [round(int(one) * scale) for one in units[name]]
            local = int(units["pts"][0]) if len(units) else 0
            shift = self._shift(place, before, local, shifts)
            units["pts"] += shift
            if before is not None and before.recording_id != place.recording_id and len(units):
                units["flags"][0] |= DISCONTINUITY
            rows.append(units)
            firsts.append(count)
            shifts.append(shift)
            count += len(units)
            before = place
        growing = Growing(_TICK, np.concatenate(rows))
        return growing.index, firsts, shifts

    def _shift(self, place: Place, before: Place | None, local: int, shifts: list[int]) -> int:
        """By how many ticks a file, whose first frame has the PTS ``local`` in it, lies later than it says."""
        if before is None:
            return 0
        first, first_local = self._places[0], self._local_of(0)
        if place.pts is not None and before.recording_id == place.recording_id and before.pts is not None:
            return shifts[-1] + (place.pts - before.pts) - (local - self._local_of(len(shifts) - 1))
        track = self._tracks[len(shifts) - 1]
        end = round((Fraction(Times(track).end_s) + track.start_s) / _TICK) + shifts[-1]
        begin = end
        if place.time_ns is not None and first.time_ns is not None:
            begin = max(
                end, first_local + round((place.time_ns - first.time_ns) * TICKS_PER_SECOND / 1_000_000_000)
            )
        return begin - local

    def _local_of(self, number: int) -> int:
        """The PTS of a file's first frame, as the file has it, in ticks."""
        index = self._tracks[number].index
        return round(int(index.units["pts"][0]) * (index.time_base / _TICK)) if len(index.units) else 0
