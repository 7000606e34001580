"""Which units make a clip: without encoding, or with the frames up to the next keyframe encoded anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..bitstream.h264 import nal_units
from ..encode.coded import Coded
from ..model import AccessUnit, Codec
from ..ticks import TICKS_PER_SECOND
from .anew import Anew
from .units import Units

AUDIO_LEAD = TICKS_PER_SECOND // 10
"""What an audio decoder needs to settle is taken along where the file can say that it is not heard."""
_BEHIND = 2 * TICKS_PER_SECOND
"""So far behind its beginning the plan looks for streams."""
_NEVER = 1 << 62
_REFRESHES = {Codec.H264: frozenset({5}), Codec.H265: frozenset(range(16, 21))}
"""NAL units of IDR frames, and of BLA ones: behind them other parameter sets may hold."""
_HEAD_BYTES = 4096


@dataclass(slots=True)
class _Video:
    """One stream of video; times in ticks.

    ``entry`` is the DTS of the keyframe to decode from, ``first`` when the frame is shown that stands at the
    beginning; from the keyframe ``copied`` on (its DTS and PTS) nothing refers to what is before it.
    """

    entry: int = _NEVER
    entry_pts: int = _NEVER
    first: int = -_NEVER
    copied: int = _NEVER
    copied_pts: int = _NEVER
    anew: Anew | None = None
    held: list[Coded] = field(default_factory=list)
    closing: list[Coded] = field(default_factory=list)

    @property
    def is_cut(self) -> bool:
        """Whether the clip begins between two keyframes."""
        return self.entry_pts < self.first


class Plan:
    """Where a clip begins in each stream, found by reading ``units`` up to there.

    ``begin`` and ``end`` are ticks of the file; ``start`` and ``end`` were seconds from the first time of any
    stream. A file that ``hides`` nothing begins with the first frame that is decoded. ``encoded`` counts the
    frames that were encoded anew.
    """

    def __init__(
        self, units: Units, start_s: float, end_s: float | None, *, exact: bool, hides: bool, audio_alone: bool
    ) -> None:
        self.zero, self.newest = _NEVER, -_NEVER
        self.encoded = 0
        self._exact = exact
        self._audio_alone = audio_alone
        self._lead = AUDIO_LEAD if hides else 0
        self._videos: dict[int, _Video] = {}
        self._seen: dict[int, int] = {}
        start = round(start_s * TICKS_PER_SECOND)
        for coded in units:
            self.zero = min(self.zero, coded.unit.pts) if units.zero is None else units.zero
            self._look(coded, start)
            if self._is_done(start):
                break
        self._asked = self.zero + start
        self.begin = self._shown_from(self._asked, hides=hides)
        self.end = _NEVER if end_s is None else self.zero + round(end_s * TICKS_PER_SECOND)

    @property
    def is_empty(self) -> bool:
        """Whether the file ends before the clip begins."""
        return self.newest <= self._asked

    def _shown_from(self, begin: int, *, hides: bool) -> int:
        """The frame that is showing at ``begin`` is the first: half of a frame is none for some players."""
        if self._exact or hides:
            return min([begin, *(one.first for one in self._videos.values() if one.first > -_NEVER)])
        return min([begin, *(one.entry_pts for one in self._videos.values())])

    def _look(self, coded: Coded, start: int) -> None:
        unit, codec = coded.unit, coded.format.codec
        self.newest = max(self.newest, unit.pts + max(unit.duration, 1))
        begin = self.zero + start
        if codec.is_video and self._audio_alone:
            return
        if codec.is_video:
            video = self._videos.setdefault(unit.stream, _Video())
            if unit.random_access and (video.entry == _NEVER or unit.pts <= begin):
                video.entry, video.entry_pts = unit.dts, unit.pts
            if unit.pts <= begin:
                video.first = max(video.first, unit.pts)
            elif unit.random_access and video.copied == _NEVER and _refreshes(unit, codec):
                video.copied, video.copied_pts = unit.dts, unit.pts
        self._seen[unit.stream] = unit.dts

    def _is_done(self, start: int) -> bool:
        if self._exact and any(one.is_cut and one.copied == _NEVER for one in self._videos.values()):
            return False
        return min(self._seen.values(), default=-_NEVER) > self.zero + start + _BEHIND

    def clipped(self, units: Units) -> Iterator[Coded]:
        """The clip's units; of a keyframe's frames behind the end those that others may refer to come along."""
        over: set[int] = set()
        for coded in units:
            unit = coded.unit
            if unit.dts >= self.end:
                over.add(unit.stream)
                if over >= self._seen.keys():
                    break
            elif not coded.format.codec.is_video:
                if unit.pts + unit.duration > self.begin - self._lead:
                    yield coded
            elif not self._audio_alone:
                video = self._videos.setdefault(unit.stream, _Video(entry=unit.dts))
                if unit.dts >= video.entry:
                    yield from self._ended(self._begun(coded, video), video)
        for video in self._videos.values():
            yield from self._ended(self._rest(video), video)

    def _ended(self, coded: list[Coded], video: _Video) -> Iterator[Coded]:
        for one in coded:
            video.closing.append(one)
            if one.unit.pts < self.end:
                yield from video.closing
                video.closing.clear()

    def _begun(self, coded: Coded, video: _Video) -> list[Coded]:
        """The unit as it is, or, up to where it is copied, what its frames are encoded to."""
        unit = coded.unit
        if not (self._exact and video.is_cut):
            return [coded]
        if unit.dts < video.copied or (unit.dts > video.copied and unit.pts < video.copied_pts):
            if video.anew is None and unit.dts > video.copied:
                return []  # shown before the keyframe, and encoded anew already
            if video.anew is None:
                delay = video.copied_pts - video.copied
                video.anew = Anew(coded.format, unit.stream, video.first, video.copied_pts, delay)
            return video.anew.put(unit)
        if unit.dts == video.copied:
            # Frames that are shown before it may come behind it.
            video.held.append(coded)
            return video.anew.put(unit) if video.anew is not None else []
        return [*self._rest(video), coded]

    def _rest(self, video: _Video) -> list[Coded]:
        anew, video.anew = video.anew, None
        held, video.held = video.held, []
        if anew is None:
            return held
        made = anew.flush()
        self.encoded += anew.frames
        return made + held


def _refreshes(unit: AccessUnit, codec: Codec) -> bool:
    if not codec.has_nal_units:
        return unit.random_access
    for kind, _, _ in nal_units(unit.prefix + unit.data[:_HEAD_BYTES], codec):
        if kind in _REFRESHES[codec]:
            return True
        if (kind < 32) if codec is Codec.H265 else (1 <= kind <= 5):
            return False
    return False
