"""What has been laid so far: how many units, how far each stream goes, and what of this is worth telling."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from operator import attrgetter

from ..encode.routing import VIDEO
from ..model import AccessUnit, EventKind, Field, StreamFormat
from ..system import Clock
from ..ticks import TICKS_PER_SECOND

log = logging.getLogger("recordkit")

EARLY_END_S = 2.0
"""A stream that ends so long before the others is told."""


def _end_of(unit: AccessUnit) -> int:
    return unit.pts + unit.duration


class Tally:
    """Counts the units of one recording. ``on_event`` is called with an EventKind and its fields by name.

    Attributes:
        video_units, audio_units: access units laid.
        first_pts: the earliest beginning of a unit in 90 kHz ticks, None before the first.
        end_pts: the latest end of one.

    """

    def __init__(self, clock: Clock, on_event: Callable[..., object]) -> None:
        self.video_units = 0
        self.audio_units = 0
        self.first_pts: int | None = None
        self.end_pts = 0
        self._newest_pts = 0
        self._clock = clock
        self._on_event = on_event
        self._laid_s: dict[int, float] = {}
        self._ends: dict[int, int] = {}
        self._is_paused = False

    def told(self, kind: EventKind, **fields: Field) -> None:
        """A pause begins, or is over: nothing is silent because of it. Passed on to ``on_event``."""
        if kind in (EventKind.PAUSE, EventKind.RESUME):
            self._is_paused = kind is EventKind.PAUSE
            self._laid_s = dict.fromkeys(self._laid_s, self._clock.monotonic())
        self._on_event(kind, **fields)

    @property
    def duration_s(self) -> float:
        """Seconds of media, from the first unit's beginning to the last one's end."""
        return 0.0 if self.first_pts is None else max(0.0, (self.end_pts - self.first_pts) / TICKS_PER_SECOND)

    @property
    def newest_s(self) -> float:
        """When the newest unit begins, in seconds of media."""
        return 0.0 if self.first_pts is None else max(0.0, (self._newest_pts - self.first_pts) / TICKS_PER_SECOND)

    @property
    def silent_s(self) -> float:
        """How long nothing came of the stream that was silent longest; 0 before the first unit and in a pause."""
        laid = () if self._is_paused else tuple(self._laid_s.values())
        return self._clock.monotonic() - min(laid) if laid else 0.0

    def begin(self, ticks: int) -> None:
        """Media is seen or heard from this tick on, unless a unit that is laid later begins before it."""
        self.first_pts = ticks

    def add(
        self,
        unit: AccessUnit,
        offset: int,
        *,
        heard: Callable[[AccessUnit], int] = attrgetter("pts"),
        until: Callable[[AccessUnit], int] = _end_of,
        is_filler: bool = False,
    ) -> None:
        """Count a unit that was laid at byte ``offset`` of the recording; ``is_filler`` is that of ``Coded``.

        ``heard`` and ``until`` are those of the packager: the media begins with what is seen or heard first.
        """
        if not is_filler:
            self._laid_s[unit.stream] = self._clock.monotonic()
        if self.first_pts is None or unit.pts < self.first_pts:
            begins = heard(unit)
            self.first_pts = begins if self.first_pts is None else min(begins, self.first_pts)
        if unit.pts > self._newest_pts:
            self._newest_pts = unit.pts
        end = self._ends[unit.stream] = until(unit)
        if end > self.end_pts:
            self.end_pts = end
        if unit.stream == VIDEO:
            self.video_units += 1
        else:
            self.audio_units += 1
        if unit.discontinuity:
            self._on_event(EventKind.DISCONTINUITY, stream=unit.stream, media_s=self._media_s(unit))
        if unit.random_access:
            media_s, size = self._media_s(unit), len(unit.data)
            self._on_event(EventKind.KEYFRAME, stream=unit.stream, media_s=media_s, offset=offset, bytes=size)

    def tell_late(self, first: AccessUnit, stream_format: StreamFormat) -> None:
        """A stream is declared; if others are there already it begins late, with the unit ``first``."""
        if self.first_pts is None:
            return
        log.warning(
            "Stream %d (%s) begins late, %.1f s after the others: players that go by the first tables do not "
            "find it, and ffmpeg finds it with -analyzeduration 100M -probesize 100M before -i",
            first.stream,
            stream_format.codec,
            self._media_s(first),
        )
        self._on_event(EventKind.LATE_STREAM, stream=first.stream, media_s=self._media_s(first))

    def tell_early_ends(self, filled_s: Mapping[int, float]) -> None:
        """Say which streams end well before the others; ``filled_s`` is how long each only went on by itself."""
        for index, end in self._ends.items():
            missing_s = (self.end_pts - end) / TICKS_PER_SECOND + filled_s.get(index, 0.0)
            if missing_s > EARLY_END_S:
                log.warning("Stream %d ends before the others, by %.1f s", index, missing_s)
                self._on_event(EventKind.EARLY_END, stream=index, missing_s=missing_s)

    def _media_s(self, unit: AccessUnit) -> float:
        return 0.0 if self.first_pts is None else (unit.pts - self.first_pts) / TICKS_PER_SECOND
