"""The files of a recording in segments as one: one time line, one index, one decoder over all of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..bitstream.lengths import parse_configuration, with_start_codes
from ..model import Codec
from ..mp4.nal import cuts, parameter_sets
from ..names import final_of
from ..telemetry.table import DISCONTINUITY
from ..ticks import TICKS_PER_SECOND
from .growing import Growing
from .index import Index
from .marking import Mark, MarksRead
from .packets import decoder_of, packet_of
from .places import Further, Place, place_of
from .sound import Heard
from .times import Times
from .track import Track

if TYPE_CHECKING:
    import av
    from av.video.codeccontext import VideoCodecContext

    from .video import Video

    Packet = av.Packet[Any]

_TICK = Fraction(1, TICKS_PER_SECOND)
_MOST_OPEN = 4
"""So many files of a recording that goes on are open besides the newest: what is open cannot be deleted."""


@dataclass
class _Part:
    """One of the files: from which unit on it lies in the whole, by how much later than it says, in ticks."""

    place: Place
    video: Video | None
    first: int = 0
    shift: int = 0
    known: int = 0
    start_s: Fraction = Fraction(0)
    users: int = 0

    @property
    def path(self) -> Path:
        return self.place.path


class _Form(NamedTuple):
    """The NAL units of a file that states their lengths, and its parameter sets beside them (ISO/IEC 14496-15)."""

    codec: Codec
    length_bytes: int
    parameter_sets: bytes

    @classmethod
    def of(cls, track: Track) -> _Form | None:
        """That of ``track``; None if its packets are what a decoder takes without any."""
        decoder = track.decoder()
        codec = _with_nal_units(decoder)
        found = None if codec is None else parse_configuration(decoder.extradata or b"", codec)
        return None if codec is None or found is None else cls(codec, *found)

    def byte_stream(self, packet: Packet, *, is_key: bool) -> Packet:
        """``packet`` with start codes, before a keyframe with the parameter sets (ITU-T H.264, B.1)."""
        data, starts = with_start_codes(bytes(packet), self.length_bytes)
        if is_key and not parameter_sets(cuts(data, self.codec, starts), self.codec):
            data = self.parameter_sets + data
        return packet_of(data)


def _with_nal_units(decoder: VideoCodecContext) -> Codec | None:
    """Its coding, if that is made of NAL units."""
    name = decoder.codec.canonical_name
    return Codec(name) if name in (Codec.H264, Codec.H265) else None


class JoinedTrack:
    """The track of several files, one behind the other. ``parts`` are open, and closed with it.

    Files of one recording lie where their logs say, to the tick; those of another one where the time of day puts
    them, behind a discontinuity. A file whose log is gone begins where the one before ends.

    With ``further`` those in which the recording goes on are followed, too, and opened by ``reopen``; then those
    behind are closed, and opened again when they are needed.
    """

    def __init__(
        self,
        name: str,
        parts: Sequence[Video],
        reopen: Callable[[Path], Video],
        further: Further | None = None,
    ) -> None:
        self.name = name
        self._reopen = reopen
        self._further = further
        self._parts: list[_Part] = []
        self._recent: list[_Part] = []
        self._units = Growing(_TICK)
        for video in parts:
            self._append(place_of(video.path) or Place(video.path, str(video.path), 0), video)

    @property
    def index(self) -> Index:
        """The frames of all files."""
        return self._units.index

    @property
    def start_s(self) -> Fraction:
        """The first time of any stream of the first file."""
        return self._parts[0].start_s

    @property
    def is_growing(self) -> bool:
        """Whether the newest file grows, or the recording goes on in another one."""
        last = self._parts[-1]
        if last.video is not None and last.video.is_growing:
            return True
        if self._further is not None and self._further.behind(last.place):
            return True
        self._further = None
        return False

    def marks(self) -> list[Mark]:
        """The marks of all logs, in seconds of the whole."""
        found = []
        for part in self._parts:
            later_s = float(part.start_s + part.shift * _TICK - self.start_s)
            found += [replace(one, media_s=one.media_s + later_s) for one in MarksRead(part.path).more()]
        return found

    def decoder(self) -> VideoCodecContext:
        """A new decoder: each file begins with a keyframe, with what a decoder must know."""
        # Of a recording that goes on the first file may have been deleted.
        with self._held(self._parts[0 if self._further is None else -1]) as track:
            decoder = track.decoder()
        codec = _with_nal_units(decoder)
        return decoder if codec is None else decoder_of(codec, self.name)

    def packets(self, first: int) -> Iterator[Packet]:
        """The coded frames from unit ``first`` on, of its file and those behind.

        Those that are made of NAL units are byte streams: a file that is being written has no other form.
        """
        number = bisect_right(self._parts, first, key=lambda one: one.first) - 1
        first -= self._parts[number].first
        while number < len(self._parts):
            part, before = self._parts[number], first
            with self._held(part) as track:
                form = _Form.of(track)
                for packet in track.packets(first):
                    is_key = first < part.known and self.index.is_keyframe(part.first + first)
                    yield packet if form is None else form.byte_stream(packet, is_key=is_key)
                    first += 1
            if before == first or first >= part.known:
                number, first = number + 1, 0
            # Else it has grown since, and another one may have followed.

    def audio(self, begin: Fraction, end: Fraction) -> Iterator[av.AudioFrame]:
        """Decoded audio that covers what there is from ``begin`` to ``end``."""
        for part, shift_s in self._between(begin, end):
            with self._held(part) as track:
                for frame in track.audio(begin - shift_s, end - shift_s):
                    own = frame.pts
                    if own is not None and frame.time_base is not None:
                        frame.pts = own + round(shift_s / frame.time_base)
                    yield frame
                    # The file that it comes from still looks at it.
                    frame.pts = own

    def coded_audio(self, begin: int, end: int) -> Iterator[Heard]:
        """The coded frames of the first audio stream between two ticks."""
        for part, shift_s in self._between(begin * _TICK, end * _TICK):
            shift = round(shift_s / _TICK)
            with self._held(part) as track:
                for one in track.coded_audio(begin - shift, end - shift):
                    yield one._replace(pts=one.pts + shift)

    def refresh(self) -> bool:
        """Look for what was written to the newest file meanwhile, and for those that came behind it."""
        has_more = self._grown()
        while self._further is not None:
            last = self._parts[-1]
            if last.video is None or last.video.is_growing:
                break
            # What was written between the last look and its end.
            has_more |= self._grown()
            following = self._further.behind(last.place)
            if not following or following[0].pts is None:
                break
            self._append(following[0], self._reopen(following[0].path))
            self._let_go()
            has_more = True
        return has_more

    def finish(self) -> bool:
        """It grows no more."""
        return self._grown()

    def rescan(self) -> None:
        """Believe no table any more."""
        parts, self._parts, self._units = self._parts, [], Growing(_TICK)
        for part in parts:
            with self._held(part) as track:
                track.rescan()
            # It stays open: whoever opens it again believes its table.
            part.users += 1
            if part.video is not None:
                self._append(part.place, part.video, part)

    def close(self) -> None:
        """Close all files."""
        for part in self._parts:
            if part.video is not None:
                part.video.close()

    def _grown(self) -> bool:
        """Whether the newest file has more by now."""
        last = self._parts[-1]
        if last.video is None:
            return False
        track = last.video._track
        has_more = track.refresh() if last.video.is_growing else track.finish()
        if has_more:
            self._take(last, track)
        return has_more

    @contextmanager
    def _held(self, part: _Part) -> Iterator[Track]:
        """The track of a file, which stays open meanwhile. Raises SourceError if it has been deleted."""
        if part.video is None:
            part.video = self._reopen(part.path.with_name(final_of(part.path.name)))
        part.users += 1
        try:
            yield part.video._track
        finally:
            part.users -= 1
            if part is not self._parts[-1]:
                self._recent = [*(one for one in self._recent if one is not part), part]
                self._let_go()

    def _let_go(self) -> None:
        """Close the files that are not needed, if they may be deleted meanwhile."""
        if self._further is None:
            return
        kept = self._recent[-_MOST_OPEN:]
        for part in self._parts[:-1]:
            if part.video is not None and not part.users and part not in kept:
                part.video.close()
                part.video = None

    def _between(self, begin: Fraction, end: Fraction) -> Iterator[tuple[_Part, Fraction]]:
        """The files that may have something between two times, and how much later each lies than it says."""
        begins = [one.start_s + one.shift * _TICK for one in self._parts]
        for number, part in enumerate(self._parts):
            is_before = number + 1 < len(begins) and begins[number + 1] + 1 < begin
            if begins[number] <= end and not is_before:
                yield part, part.shift * _TICK

    def _append(self, place: Place, video: Video, part: _Part | None = None) -> None:
        """One more file."""
        track, before = video._track, self._parts[-1] if self._parts else None
        part = part or _Part(place, video)
        part.first, part.known, part.start_s = len(self._units), 0, track.start_s
        part.shift = 0 if before is None else self._shift(part, _first_pts(track), before)
        self._parts.append(part)
        self._take(part, track)

    def _take(self, part: _Part, track: Track) -> None:
        """What is new in a file, into the index of all."""
        part.start_s = track.start_s
        units = track.index.units[part.known :].copy()
        scale = track.index.time_base / _TICK
        if scale != 1:
            for name in ("pts", "delay"):
                units[name] = [round(int(one) * scale) for one in units[name]]
        units["pts"] += part.shift
        at = self._parts.index(part)
        is_other = at > 0 and self._parts[at - 1].place.recording_id != part.place.recording_id
        if is_other and not part.known and len(units):
            units["flags"][0] |= DISCONTINUITY
        part.known += len(units)
        self._units.extend_rows(units)

    def _shift(self, part: _Part, local: int, before: _Part) -> int:
        """By how many ticks a file, whose first frame has the PTS ``local`` in it, lies later than it says."""
        place, its = part.place, before.place
        if place.pts is not None and its.recording_id == place.recording_id and its.pts is not None:
            return before.shift + (place.pts - its.pts) - (local - self._first_of(before))
        with self._held(before) as track:
            end = round((Fraction(Times(track).end_s) + track.start_s) / _TICK) + before.shift
        begin, first = end, self._parts[0]
        if place.time_ns is not None and first.place.time_ns is not None:
            passed = round((place.time_ns - first.place.time_ns) * TICKS_PER_SECOND / 1_000_000_000)
            begin = max(end, self._first_of(first) + passed)
        return begin - local

    def _first_of(self, part: _Part) -> int:
        """The PTS of a file's first frame, as the file has it, in ticks."""
        units = self._units.index.units
        return int(units["pts"][part.first]) - part.shift if part.known else 0


def _first_pts(track: Track) -> int:
    """The PTS of a file's first frame, in ticks."""
    index = track.index
    return round(int(index.units["pts"][0]) * (index.time_base / _TICK)) if len(index.units) else 0
