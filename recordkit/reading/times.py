"""The three times of a frame, and how each follows from another.

- ``pts``, the time in the file, in units of its time base (a transport stream's and our own files' are ticks of
  1/90,000 s), counted on without the wraps of 33 bits (ISO/IEC 13818-1, 2.4.3.7);
- ``media_s``, seconds of media: ``pts`` times the time base, less ``start_s``, the first time of any of the file's
  streams. So it is 0 where the recording begins, and what a player shows;
- ``captured``, when it was taken, in UTC: each frame states its own. Between two frames time goes on evenly,
  before the first and behind the last as fast as ``media_s``.
"""

from __future__ import annotations

import math
import numbers
from bisect import bisect_right
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import SettingsError
from .index import Index, Integers
from .track import Track

Seconds = npt.NDArray[np.float64]
_CLOSE_S = 1e-6
"""A time that was rounded on its way counts as the frame's own."""
_LATELY = 1001
_SECOND_NS = 1_000_000_000
_MOST_S = 1e12
"""Longer than any recording, and short enough to be counted in units of any time base."""


class Dated(NamedTuple):
    """The frames of which it is known when they were taken, in that order."""

    numbers: Integers
    times_ns: Integers
    errors_us: npt.NDArray[np.uint32]


def dated(index: Index) -> Dated:
    """The frames of which it is known when they were taken, in that order."""
    by = index.taken_by[index.order]
    numbers = np.flatnonzero(by > 0)
    times, errors = index.taken_ns[index.order][numbers], index.taken_error_us[index.order][numbers]
    sorting = np.argsort(times, kind="stable")
    return Dated(numbers[sorting], times[sorting], errors[sorting])


def usual_step(times: Seconds) -> float:
    """How long a frame is usually shown, in seconds; 0 if there is only one."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def moment(name: str, value: Any) -> float:  # noqa: ANN401 - whatever a caller gives
    """``value`` as seconds of media; infinity is beyond any recording. Raises SettingsError for no number."""
    if not isinstance(value, numbers.Real) or math.isnan(value):
        raise SettingsError(name, value, "give seconds of media")
    return min(max(float(value), -_MOST_S), _MOST_S)


class Times:
    """The times of a track as it is at this moment (``is_of``)."""

    def __init__(self, track: Track) -> None:
        self._index, self._name, self._start_s = track.index, track.name, track.start_s
        start, base = track.start_s, track.index.time_base
        self._base = float(base)
        # In two parts: as a float a large PTS would lose its last digits.
        self._shift = int(start / base)
        self._rest = float(start - self._shift * base)
        self._all: Seconds | None = None
        self._dated: Dated | None = None

    def is_of(self, track: Track) -> bool:
        """Whether these are the times of ``track`` as it is now."""
        return track.index is self._index and track.start_s == self._start_s

    @property
    def all(self) -> Seconds:
        """When each frame is shown, in seconds of media."""
        if self._all is None:
            self._all = self.media_s(self._index.shown_pts)
        return self._all

    def media_s(self, pts: npt.ArrayLike) -> Seconds:
        """PTS as seconds of media."""
        return np.asarray((np.asarray(pts, np.int64) - self._shift) * self._base - self._rest, np.float64)

    def pts(self, media_s: npt.ArrayLike) -> Integers:
        """Seconds of media as PTS, rounded to whole ones."""
        seconds = np.asarray(media_s, np.float64)
        if not (np.abs(seconds) <= _MOST_S).all():
            raise SettingsError("media_s", media_s, "give seconds of media, each a number")
        found = np.round((seconds + self._rest) / self._base).astype(np.int64) + self._shift
        return np.asarray(found, np.int64)

    def of(self, number: int) -> float:
        """When frame ``number`` is shown, in seconds of media. Raises IndexError."""
        pts = int(self._index.units["pts"][self._index.order[number]])
        return (pts - self._shift) * self._base - self._rest

    @property
    def end_s(self) -> float:
        """When the last frame ends, which is shown as long as those before it usually were."""
        count = len(self._index)
        if not count:
            return 0.0
        lately = self._index.order[max(count - _LATELY, 0) :]
        return self.of(count - 1) + usual_step(self.media_s(self._index.units["pts"][lately]))

    def before(self, media_s: float) -> int:
        """How many frames begin to be shown before ``media_s``."""
        return self._index.shown_before(math.ceil((media_s - 1e-9 + self._rest) / self._base) + self._shift)

    def showing(self, media_s: float) -> int:
        """The number of the frame that is showing at ``media_s``, the first or last one outside of the video."""
        pts = math.floor((moment("media_s", media_s) + _CLOSE_S + self._rest) / self._base) + self._shift
        return max(self._index.shown_before(pts + 1) - 1, 0)

    def taken_at(self, time_ns: int) -> int:
        """The number of the frame that was taken last before ``time_ns``.

        Raises IndexError if none is known to have been, or for a time after the last one's.
        """
        _, times, _ = known = self._known
        count = len(self._index)
        step_s = (self.of(count - 1) - self.of(0)) / max(count - 1, 1)
        first, last = int(times[0]), int(times[-1])
        if not first <= time_ns <= last + int((step_s or 1) * _SECOND_NS):
            asked, begin, end = map(_text, (time_ns, first, last))
            raise IndexError(f"{self._name} has no frame of {asked}: they were taken from {begin} to {end}")
        return int(known.numbers[bisect_right(times, time_ns) - 1])

    def captured_ns(self, media_s: float) -> int:
        """When what is shown at ``media_s`` was taken. Raises IndexError if nothing says so."""
        media_s, known = moment("media_s", media_s), self._in_order
        return _along(media_s, self.media_s(self._index.shown_pts[known.numbers]), known.times_ns)

    def of_captured(self, time_ns: int) -> float:
        """When what was taken at ``time_ns`` is shown, in seconds of media. Raises IndexError."""
        known = self._known
        shown = self.media_s(self._index.shown_pts[known.numbers])
        origin = int(known.times_ns[0])
        found = _along((time_ns - origin) / _SECOND_NS, (known.times_ns - origin) / _SECOND_NS, shown * 1e9)
        return found / 1e9

    @property
    def _known(self) -> Dated:
        if self._dated is None:
            self._dated = dated(self._index)
        if not len(self._dated.numbers):
            raise IndexError(f"{self._name} does not say when its frames were taken")
        return self._dated

    @property
    def _in_order(self) -> Dated:
        """The same in the order in which they are shown."""
        numbers, times_ns, errors_us = self._known
        sorting = np.argsort(numbers)
        return Dated(numbers[sorting], times_ns[sorting], errors_us[sorting])


def _text(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat()


def _along(at: float, marks: Seconds, values: npt.NDArray[np.int64] | Seconds) -> int:
    """``at`` among ``marks`` (seconds), as one of ``values`` (nanoseconds): even between two, else 1 s a second."""
    after = int(np.searchsorted(marks, at, "right"))
    before = max(after - 1, 0)
    share = 1.0
    if 0 < after < len(marks) and marks[after] > marks[before]:
        share = float(values[after] - values[before]) / float(marks[after] - marks[before]) / _SECOND_NS
    return int(values[before]) + round((at - float(marks[before])) * share * _SECOND_NS)
