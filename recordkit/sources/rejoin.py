"""The times of a source that comes back: each connection's media placed behind those of the one before."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from statistics import median_low
from typing import NamedTuple
from zlib import crc32

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from ..errors import SourceError
from ..model import EncodedUnit
from ..system import Clock
from ..ticks import TICKS_PER_SECOND, to_ticks
from .source import Media, SourceItem

log = logging.getLogger("recordkit")

HOLD_S = 0.5
"""So long what comes first is held: servers send what they have in store at once, and the newest tells the time."""
_LONGEST_HOLD_S = 3.0
"""So long what comes in segments is held, until what has come before is found among it."""
_MOST_HELD = 32 * 1024 * 1024
_LEAP = TICKS_PER_SECOND
"""A step of more within a connection, which has not taken its time, is a clock that begins anew."""
_MOST_REPEATED = 120 * TICKS_PER_SECOND
_LOOKED_AT = 4096
_FAR = 60 * TICKS_PER_SECOND
_LEAD_S = 10.0
"""The least delay of the last ten to twenty seconds counts: over hours two clocks drift apart by seconds."""
_SAME_S = 0.25
"""A clock that went on by itself while the connection was away agrees with this machine's by so much."""
_LEAST_GAP = TICKS_PER_SECOND // 200
_LONGEST_WAIT = 15 * TICKS_PER_SECOND
"""So long a keyframe is waited for: what comes of a stream that has none is better than nothing."""
Key = tuple[bool, int]
"""Whether it is video, and its number."""


class Gap(NamedTuple):
    """A stream that goes on after a gap: its key, and how long nothing of it is there, in seconds."""

    key: Key
    seconds: float


class Lead:
    """How far media is ahead of the monotonic clock when it comes, by the least delayed, in ticks."""

    def __init__(self) -> None:
        self._now: tuple[float, int] | None = None
        self._before: int | None = None

    def add(self, lead: int, now_s: float) -> None:
        """One more item has come, at ``now_s``."""
        if self._now is None or now_s - self._now[0] > _LEAD_S:
            self._before = None if self._now is None else self._now[1]
            self._now = now_s, lead
        elif lead > self._now[1]:
            self._now = self._now[0], lead

    @property
    def best(self) -> int | None:
        """That of the least delayed; None before the first."""
        if self._now is None:
            return None
        return self._now[1] if self._before is None else max(self._now[1], self._before)


class _Held(NamedTuple):
    item: SourceItem
    ticks: int | None
    now_s: float

    @property
    def now(self) -> int:
        return round(self.now_s * TICKS_PER_SECOND)


class _Seen(NamedTuple):
    """What tells one item from all others: its own time, and its bytes."""

    ticks: int | None
    size: int
    check: int

    @classmethod
    def of(cls, one: _Held) -> _Seen:
        media = one.item.media
        data = memoryview(media)[:_LOOKED_AT] if isinstance(media, av.Packet) else b""
        return cls(one.ticks, _size(media), crc32(data))


class Rejoin:
    """Makes one time line of the media of several connections, one after the other.

    Times of a clock that has gone on meanwhile (a camera's, a playlist's) stay as they are, and what was there
    already is left out. All others are placed by this machine's monotonic clock, by the least delayed item before
    the gap and the least delayed behind it: all streams by the same shift, so that they stay in sync. So is a
    sender that begins anew within a connection, as over UDP.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._shift = 0
        self._lead = Lead()
        self._ends: dict[Key, int] = {}
        self._last: dict[Key, int] = {}
        self._steps: dict[Key, int] = {}
        self._awaited: dict[Key, int | None] = {}
        self._repeated: set[Key] = set()
        self._seen: dict[Key, _Seen] = {}
        self._skipped = 0

    @property
    def reached_s(self) -> float | None:
        """How far the source would be by now, in seconds of its time line; None before its first media."""
        best = self._lead.best
        return None if best is None else best / TICKS_PER_SECOND + self._clock.monotonic()

    def joined(self, items: Iterator[SourceItem], segment_s: float = 0.0) -> Iterator[SourceItem | Gap]:
        """``items`` of the next connection, at their times; a Gap stands before the first item behind it.

        ``segment_s`` is how much comes at once. Raises what ``items`` raise, once all that came is given.
        """
        is_held = self._lead.best is not None
        leapt: set[Key] | None = None
        held: list[_Held] = []
        held_bytes = 0
        hold_s = _LONGEST_HOLD_S if segment_s else HOLD_S
        try:
            for item in items:
                one = _Held(item, _time(item.media), self._clock.monotonic())
                key = _key(item)
                if not is_held and self._leaps(key, one, segment_s):
                    is_held, leapt = True, set()
                elif not is_held or (
                    leapt is not None and key not in leapt and not self._leaps(key, one, segment_s)
                ):
                    yield from self._on(one)
                    continue
                if leapt is not None:
                    leapt.add(key)
                held.append(one)
                held_bytes += _size(item.media)
                is_enough = segment_s > 0 and self._is_known(one)
                if is_enough or one.now_s - held[0].now_s >= hold_s or held_bytes >= _MOST_HELD:
                    yield from self._placed(held, segment_s, leapt)
                    is_held, leapt, held, held_bytes = False, None, [], 0
        except SourceError:
            yield from self._placed(held, segment_s, leapt)
            raise
        yield from self._placed(held, segment_s, leapt)

    def _leaps(self, key: Key, one: _Held, segment_s: float) -> bool:
        """Whether the clock of the source has begun anew: it goes back, or further on than time has passed."""
        last, lead = self._last.get(key), self._lead.best
        if one.ticks is None or last is None or lead is None or key in self._awaited:
            return False
        place = one.ticks + self._shift
        if abs(place - last) <= _LEAP:
            return False
        ahead = place - one.now - lead
        return place < last or ahead > 2 * _LEAP + round(1.5 * segment_s * TICKS_PER_SECOND)

    def _placed(self, held: list[_Held], segment_s: float, leapt: set[Key] | None) -> Iterator[SourceItem | Gap]:
        held = self._timed(held)
        if held and (leapt is None or all(self._is_anew(key, held, segment_s) for key in leapt)):
            self._shift = self._found_shift(held, segment_s)
            self._awaited = dict.fromkeys(self._ends)
            self._repeated = set()
        for one in held:
            yield from self._on(one)

    def _is_anew(self, key: Key, held: list[_Held], segment_s: float) -> bool:
        """Whether a clock begins anew with the first of ``held``: what follows a damaged time is far from it."""
        own = [one for one in held if _key(one.item) == key and one.ticks is not None]
        if len(own) < 2:
            return bool(own) and self._leaps(key, own[0], segment_s)
        first, second = (one.ticks or 0 for one in own[:2])
        return abs(second - first) <= _LEAP

    def _timed(self, held: list[_Held]) -> list[_Held]:
        """``held``, in which what has no time has that of the next of its stream, less a step.

        Of a camera (RTSP) the first packet may be such a one. Placed where it comes, which is late, it would push
        all that follows it behind.
        """
        following: dict[Key, int] = {}
        found = []
        for one in reversed(held):
            key, ticks = _key(one.item), one.ticks
            if ticks is None and key in following:
                ticks = following[key] - (_length(one.item.media) or self._steps.get(key, 0))
                one = _Held(one.item._replace(media=timed(one.item.media, ticks)), ticks, one.now_s)
            if ticks is not None:
                following[key] = ticks
            found.append(one)
        return found[::-1]

    def _is_known(self, one: _Held) -> bool:
        return one.ticks is not None and self._seen.get(_key(one.item)) == _Seen.of(one)

    def _found_shift(self, held: list[_Held], segment_s: float) -> int:
        """What is to be added to the times of a connection that begins with ``held``, in ticks."""
        before = self._lead.best
        timed = [(one.ticks, one) for one in held if one.ticks is not None]
        if before is None or not timed:
            return self._shift
        middle = median_low(ticks for ticks, _ in timed)
        timed = [(ticks, one) for ticks, one in timed if abs(ticks - middle) <= _FAR]
        newest = max(ticks - one.now for ticks, one in timed)
        first: dict[Key, int] = {}
        for ticks, one in timed:
            first.setdefault(_key(one.item), ticks)
        is_further = all(ticks + self._shift > self._last.get(key, -_FAR) for key, ticks in first.items())
        is_near = abs(newest + self._shift - before) <= (_SAME_S + 1.5 * segment_s) * TICKS_PER_SECOND
        # Servers keep what they have sent for a while: what came last may be among it.
        is_known = any(self._is_known(one) for one in held)
        if (segment_s and is_known) or (is_near and (is_further or is_known or segment_s)):
            return self._shift
        shift = before - newest
        behind = [self._ends[key] - ticks - shift for key, ticks in first.items() if key in self._ends]
        return shift + max([0, *behind])

    def _on(self, one: _Held) -> Iterator[SourceItem | Gap]:
        item, ticks, _ = one
        if ticks is None:
            yield item
            return
        key, place = _key(item), ticks + self._shift
        if key in self._awaited:
            if self._last[key] - _MOST_REPEATED <= place <= self._last[key]:
                self._repeated.add(key)
                return
            gap = place - self._ends[key]
            is_missing = gap > _LEAST_GAP or key not in self._repeated
            if is_missing and self._waits_for_keyframe(key, item.media, place):
                return
            del self._awaited[key]
            if is_missing:
                item = item._replace(discontinuity=True)
                if gap > 0:
                    yield Gap(key, gap / TICKS_PER_SECOND)
        self._follow(key, item.media, place, one)
        yield item._replace(media=shifted(item.media, self._shift)) if self._shift else item

    def _waits_for_keyframe(self, key: Key, media: Media, place: int) -> bool:
        """Whether ``media`` refers to what is not there."""
        is_entry = media.is_entry if isinstance(media, EncodedUnit) else True
        if isinstance(media, av.Packet) and key[0]:
            is_entry = media.is_keyframe
        since = self._awaited[key]
        if since is None:
            since = self._awaited[key] = place
        if is_entry or place - since > _LONGEST_WAIT:
            if self._skipped:
                log.warning("%s: left out: %d frames before the first keyframe", self._name, self._skipped)
            self._skipped = 0
            return False
        self._skipped += 1
        return True

    def _follow(self, key: Key, media: Media, place: int, one: _Held) -> None:
        last, length = self._last.get(key), _length(media)
        if length:
            self._steps[key] = length
        elif last is not None and 0 < place - last < TICKS_PER_SECOND:
            self._steps[key] = place - last
        self._last[key], self._ends[key] = place, place + self._steps.get(key, 0)
        self._seen[key] = _Seen.of(one)
        self._lead.add(place - one.now, one.now_s)


def shifted(media: Media, ticks: int) -> Media:
    """``media``, whose times are later by ``ticks`` now."""
    if isinstance(media, EncodedUnit):
        return media if media.ticks is None else replace(media, ticks=media.ticks + ticks)
    base = media.time_base
    if not base:
        return media
    units = round(ticks * base.denominator / (TICKS_PER_SECOND * base.numerator))
    if media.pts is not None:
        media.pts += units
    if isinstance(media, av.Packet) and media.dts is not None:
        media.dts += units
    return media


def timed(media: Media, ticks: int) -> Media:
    """``media``, which has no time, at ``ticks``."""
    if isinstance(media, EncodedUnit):
        return replace(media, ticks=ticks)
    if media.time_base:
        media.pts = round(ticks * media.time_base.denominator / (TICKS_PER_SECOND * media.time_base.numerator))
        if isinstance(media, av.Packet):
            media.dts = media.pts
    return media


def _key(item: SourceItem) -> Key:
    media = item.media
    if isinstance(media, EncodedUnit):
        return media.is_video, item.stream
    return isinstance(
        media.stream if isinstance(media, av.Packet) else media, av.VideoStream | VideoFrame
    ), item.stream


def _time(media: Media) -> int | None:
    if isinstance(media, EncodedUnit):
        return media.ticks
    time = media.dts if isinstance(media, av.Packet) and media.dts is not None else media.pts
    return None if time is None or not media.time_base else to_ticks(time, media.time_base)


def _length(media: Media) -> int:
    if isinstance(media, EncodedUnit):
        return media.duration
    if isinstance(media, AudioFrame):
        return media.samples * TICKS_PER_SECOND // media.sample_rate
    if isinstance(media, av.Packet) and media.duration and media.time_base:
        return to_ticks(media.duration, media.time_base)
    return 0


def _size(media: Media) -> int:
    if isinstance(media, av.Packet):
        return media.size
    return 0 if isinstance(media, EncodedUnit) else sum(plane.buffer_size for plane in media.planes)
