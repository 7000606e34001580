"""When a recording goes on in its next file, and with which unit that begins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from math import inf
from typing import Any

from ..encode.routing import VIDEO
from ..encode.streams import Streams
from ..errors import AdmissionError, RecordkitError
from ..intake import Item
from ..model import AccessUnit
from ..settings import Segments
from ..system import Clock
from ..threads import begin
from ..ticks import TICKS_PER_SECOND
from .files import Files
from .segment import Segment

NOW = -(1 << 62)
LEAD_S = 10.0
"""So long before it is due the next file is opened."""
_NEAR_BYTES = 0.75
"""From this part of ``max_bytes`` on the next file is open."""
_LONGEST_PAUSE = 10 * TICKS_PER_SECOND
"""A video that is so far behind the audio keeps it from nothing."""
_KEY_LEAD_S = 1.0
"""Frames come and are coded in another order than that of their times."""
_RETRY_S = 5.0
_LONGEST_CLOSE_S = 5.0
_STALE_S = 60.0
"""A file whose name tells of another time than this is not begun."""
_SECOND_NS = 1_000_000_000
_DAY = timedelta(days=1)


def next_at_clock(time_ns: int, every_s: float, zone: tzinfo | None = None) -> int:
    """The next time of day (ns since 1970), behind ``time_ns``, that is a multiple of ``every_s`` since midnight.

    Midnight is that of ``zone``, without one the machine's. When clocks are put back or forth the multiples are
    those that clocks on the wall show.
    """

    def shown(at_ns: int) -> datetime:
        whole_s, rest_ns = divmod(at_ns, _SECOND_NS)
        moment = datetime.fromtimestamp(whole_s, zone).astimezone(zone).replace(tzinfo=None)
        return moment + timedelta(microseconds=rest_ns // 1000)

    def since_midnight_s(moment: datetime) -> float:
        return (moment - moment.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()

    def moved_ns(begin: datetime, end: datetime) -> int:
        return round((end - begin) / timedelta(microseconds=1)) * 1000

    time_ns -= time_ns % 1000
    now = shown(time_ns)
    since_s = since_midnight_s(now)
    steps = min((since_s // every_s + 1) * every_s, _DAY.total_seconds())
    wanted = now + timedelta(seconds=steps - since_s)
    found_ns = time_ns + moved_ns(now, wanted)
    seen = shown(found_ns)
    if seen != wanted and since_midnight_s(seen) % every_s:
        # The clocks are changed meanwhile, and do not show another multiple then.
        return max(found_ns + moved_ns(seen, wanted), time_ns + 1000)
    return found_ns


class CutHere:
    """Stands in the queue where a cut was asked for."""


class Cutting:
    """Decides where files end.

    ``ask``, ``look`` and ``begun_by`` are called by the encoding thread, the rest from any.
    ``opens`` makes a file and opens it: with its number, and the time of day when it is planned to begin. It is
    called ahead of time in a thread of its own, so that laying never waits for a disk; while there is no next file
    the one in hand goes on. Only what does not come live waits for it. ``on_trouble`` is told why none can be
    opened, and None when one can be again. ``wants_entry`` says that a live source had better send a keyframe.
    """

    def __init__(
        self,
        segments: Segments,
        files: Files,
        opens: Callable[[int, int], Segment],
        streams: Streams,
        clock: Clock,
        on_trouble: Callable[[str | None], None],
        *,
        has_video: bool,
    ) -> None:
        self.wants_entry = False
        self._segments = segments
        self._opens = opens
        self._streams = streams
        self._clock = clock
        self._on_trouble = on_trouble
        self._has_video = has_video
        self._files = files
        self._begun: Segment | None = None
        self._step = None if segments.every is None else round(segments.every * TICKS_PER_SECOND)
        self._due: int | None = None
        self._planned: int | None = None
        self._due_s: float | None = None
        self._end_ns: int | None = None
        self._begun_ns = 0
        self._time_ns = 0
        self._is_live = self._has_items = self._is_key_coming = self._is_by_clock = False
        self._newest: int | None = None
        self._video_end = 0
        self._group_bytes = self._largest_bytes = 0
        self._is_asked = False
        self._lock = threading.Lock()
        self._spare: Segment | None = None
        self._opener: threading.Thread | None = None
        self._retry_s = 0.0
        self._is_closed = False

    def ask(self) -> None:
        """Begin a file with what comes next, as soon as one is open; nothing if no item has come."""
        self._is_asked = self._has_items

    @property
    def overdue_s(self) -> float:
        """How long the next file has been due by now."""
        due_s = self._due_s
        return 0.0 if due_s is None else self._clock.monotonic() - due_s

    def look(self, item: Item[Any]) -> None:
        """An item is about to be coded: see what is due."""
        self._is_live, self._has_items = item.arrival is not None, True
        now_s, self._time_ns = self._clock.monotonic(), self._clock.time_ns()
        if item.arrival is not None:
            self._time_ns -= max(0, round((now_s - item.arrival / TICKS_PER_SECOND) * _SECOND_NS))
        if self._segments.at_clock and self._segments.every is not None:
            if self._end_ns is None or self._time_ns < self._begun_ns - _SECOND_NS:
                # The first item; or the clock was set back.
                self._end_at_clock(self._time_ns)
            if self._end_ns is not None and self._time_ns >= self._end_ns:
                self._is_by_clock = True
                self._be_due()
        most_bytes = self._segments.max_bytes
        laid_bytes = self._newest_file.writer.laid_bytes
        if self._is_asked or (most_bytes is not None and laid_bytes + self._largest_bytes >= most_bytes > 0):
            self._be_due()
        if self._is_near(laid_bytes):
            self._open_ahead(now_s)
        if self._due is not None and self._left_s <= _KEY_LEAD_S:
            if not self._is_key_coming and (self._spare is not None or not self._is_live):
                self._is_key_coming = self._streams.want_keyframe(self._due)
            if not self._left_s:
                self._due_s = now_s if self._due_s is None else self._due_s
                self.wants_entry = self._spare is not None and not self._is_key_coming

    def begun_by(self, unit: AccessUnit) -> Segment | None:
        """The file that begins with ``unit``; None if that is laid behind the one before."""
        self._count(unit)
        if self._newest is None:
            self._video_end = unit.pts
            self._begin(unit)
        self._newest = max(unit.pts, self._newest or unit.pts)
        if not self._fits(unit):
            return None
        if not self._is_live and self._spare is None:
            self._open_ahead(self._clock.monotonic())
            self._wait_for_spare()
        with self._lock:
            spare = self._spare
            if spare is None:
                self._is_key_coming = False
                return None
            self._spare = None
        if self._is_live and abs(self._time_ns - spare.planned_ns) > _STALE_S * _SECOND_NS:
            spare.drop()
            self._is_key_coming = False
            self._open_ahead(self._clock.monotonic())
            return None
        self._begun, self._is_asked = spare, False
        self._begin(unit)
        return spare

    def _be_due(self) -> None:
        """The next file is due now; a keyframe that is to come later, for one that was due then, is too late."""
        if self._due != NOW:
            self._due, self._is_key_coming = NOW, False

    @property
    def _newest_file(self) -> Segment:
        """The one that units that are coded now go into; what was coded before may still be laid into others."""
        return self._begun or self._files.in_hand

    def close(self) -> None:
        """No file is begun any more; what was opened for that is removed. A disk that hangs is not waited for."""
        with self._lock:
            self._is_closed = True
            opener, spare, self._spare = self._opener, self._spare, None
        if opener is not None:
            opener.join(_LONGEST_CLOSE_S)
        if spare is not None:
            _removed(spare)

    def _is_near(self, laid_bytes: int) -> bool:
        """Whether the next file is to be opened, since it is due soon."""
        most_bytes, lead_s = self._segments.max_bytes, LEAD_S
        if self._segments.every is not None:
            lead_s = min(lead_s, self._segments.every / 2)
        if self._end_ns is not None and self._end_ns - self._time_ns <= lead_s * _SECOND_NS:
            return True
        if self._due is not None and self._left_s <= lead_s:
            return True
        return most_bytes is not None and laid_bytes >= most_bytes * _NEAR_BYTES

    @property
    def _left_s(self) -> float:
        """Seconds of media until the next file is due, if it is known when that is."""
        if self._due is None or self._newest is None:
            return inf
        return max(0.0, (self._due - self._newest) / TICKS_PER_SECOND)

    def _fits(self, unit: AccessUnit) -> bool:
        if self._due is None or unit.pts < self._due:
            return False
        if unit.stream == VIDEO:
            return unit.random_access and not unit.is_second_field
        return not self._has_video or unit.pts - self._video_end > _LONGEST_PAUSE

    def _count(self, unit: AccessUnit) -> None:
        if unit.stream == VIDEO:
            self._video_end = unit.pts
            if unit.random_access:
                self._group_bytes = 0
        self._group_bytes += len(unit.data)
        self._largest_bytes = max(self._largest_bytes, self._group_bytes)

    def _begin(self, unit: AccessUnit) -> None:
        """A file begins with ``unit``: when it ends."""
        by_time = self._due is not None and self._due != NOW
        base = self._planned if by_time and self._planned is not None else unit.pts
        self._due = self._planned = self._due_s = None
        self.wants_entry = self._is_key_coming = False
        if self._end_ns is not None:
            # An item that came earlier may be coded later: the moment that has passed comes no second time.
            self._end_at_clock(max(self._time_ns, self._end_ns) if self._is_by_clock else self._time_ns)
            self._is_by_clock = False
        self._largest_bytes = self._group_bytes = len(unit.data)
        if self._step is not None and not self._segments.at_clock:
            # From when it was planned on: what is passed through does not drift.
            steps = max(1, (unit.pts - base) // self._step + 1)
            self._due = self._planned = base + steps * self._step
            self._is_key_coming = self._streams.want_keyframe(self._due)

    def _end_at_clock(self, after_ns: int) -> None:
        self._begun_ns = self._time_ns
        self._end_ns = next_at_clock(after_ns, self._segments.every or _DAY.total_seconds())

    def _open_ahead(self, now_s: float) -> None:
        with self._lock:
            is_busy = self._opener is not None or self._spare is not None or self._is_closed
            if is_busy or now_s < self._retry_s:
                return
            planned_ns = self._time_ns
            if self._end_ns is not None:
                planned_ns = max(planned_ns, self._end_ns)
            elif self._is_live and self._due is not None:
                planned_ns += round(self._left_s * _SECOND_NS)
            number = self._newest_file.number + 1
            thread = threading.Thread(
                target=self._open, args=(number, planned_ns), name="recordkit-open", daemon=True
            )
            self._opener = thread
        try:
            begin(thread, self._newest_file.writer.final_output_path.name)
        except AdmissionError as error:
            self._opened(None, error)

    def _open(self, number: int, planned_ns: int) -> None:
        try:
            spare = self._opens(number, planned_ns)
        except RecordkitError as error:
            self._opened(None, error)
            return
        spare.planned_ns = planned_ns
        self._opened(spare, None)

    def _opened(self, spare: Segment | None, error: RecordkitError | None) -> None:
        self._on_trouble(None if error is None else f"the next file cannot be opened: {error}")
        with self._lock:
            self._opener = None
            if error is not None:
                self._retry_s = self._clock.monotonic() + _RETRY_S
            if not self._is_closed:
                self._spare, spare = spare, None
        if spare is not None:
            _removed(spare)

    def _wait_for_spare(self) -> None:
        opener = self._opener
        if opener is not None:
            opener.join()


def _removed(spare: Segment) -> None:
    spare.drop()
    spare.writer.join(_LONGEST_CLOSE_S)
