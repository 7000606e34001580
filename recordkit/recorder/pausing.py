"""A recording that pauses: what comes meanwhile is left out, what follows goes on behind a gap or without one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from ..encode.routing import VIDEO
from ..model import EventKind
from ..ticks import TICKS_PER_SECOND
from ..values import one_of
from .telling import Tell

Gap = Literal["mark", "close"]
GAP = one_of("mark", "close")
_LONGEST_WAIT = 10 * TICKS_PER_SECOND
"""So long other streams wait, by their own times, for video to go on with a keyframe."""


class Break(threading.Event):
    """Stands in the queue between what came before a pause and what comes after it.

    ``closed`` is how much time is closed up, in ticks; None if it stays as a gap.
    """

    def __init__(self, closed: int | None) -> None:
        super().__init__()
        self.closed = closed


class Pausing:
    """Judges each item before it is queued. Its methods may be called from any thread.

    All streams are cut at one time, by their source: that up to which the furthest had come at ``pause``. After
    ``resume`` all go on at one time, too: that of the first video frame that a decoder can start from, or of the
    first item if there is no video. So they stay in sync however often that is done. ``tell`` is told of each,
    ``put_break`` puts what stands between before and after into the queue.
    """

    def __init__(self, put_break: Callable[[Break], object], tell: Tell) -> None:
        self.left_out = 0
        self._put_break = put_break
        self._tell = tell
        self._lock = threading.Lock()
        self._gap: Gap | None = None
        self._is_resuming = False
        self._cut: int | None = None
        self._begin: int | None = None
        self._begin_pts: int | None = None
        self._waits_since: int | None = None
        self._before = 0
        self._last: dict[int, tuple[int, int]] = {}

    @property
    def is_paused(self) -> bool:
        """Whether what comes is left out; until a keyframe has come it still is after ``resume``."""
        return self._gap is not None

    @property
    def wants_entry(self) -> bool:
        """Whether a frame that a decoder can start from is waited for."""
        return self._is_resuming

    @property
    def judges_each(self) -> bool:
        """Whether there is, or was, a pause: what is recorded begins with one item."""
        return self._gap is not None or self._begin is not None

    def pause(self, gap: Gap) -> None:
        """Leave out what comes from now on; nothing if that is so already. Raises SettingsError."""
        GAP("gap", gap)
        with self._lock:
            self._is_resuming = False
            if self._gap is not None:
                return
            self._gap, self._waits_since, self._before = gap, None, self.left_out
            self._cut = max((ticks + step for ticks, step in self._last.values()), default=None)
        self._tell(EventKind.PAUSE, gap=gap)

    def resume(self) -> None:
        """Go on with what comes; nothing if there is no pause."""
        with self._lock:
            self._is_resuming = self._gap is not None

    def takes(self, stream: int, ticks: int | None, pts: int | None, *, entry: bool) -> bool:
        """Whether an item of ``stream`` is recorded; ``ticks`` is its source time, ``pts`` when it is shown."""
        with self._lock:
            if self._gap is not None and not self._goes_on(stream, ticks, pts, entry=entry):
                self.left_out += 1
                return False
            if ticks is None:
                return True
            if self._begin is not None and (
                ticks < self._begin or (stream == VIDEO and pts is not None and pts < (self._begin_pts or 0))
            ):
                self.left_out += 1
                return False
            last, step = self._last.get(stream, (ticks, 0))
            self._last[stream] = ticks, (ticks - last if 0 < ticks - last < TICKS_PER_SECOND else step)
            return True

    def _goes_on(self, stream: int, ticks: int | None, pts: int | None, *, entry: bool) -> bool:
        """Whether an item during a pause is recorded: it is of before, or the one with which all goes on."""
        if ticks is not None and self._cut is not None and ticks < self._cut and not self._is_resuming:
            return True
        if not self._is_resuming:
            return False
        if VIDEO in self._last and stream != VIDEO and ticks is not None:
            self._waits_since = ticks if self._waits_since is None else self._waits_since
            if ticks - self._waits_since < _LONGEST_WAIT:
                return False
        if stream == VIDEO and not entry:
            return False
        gap, self._gap, self._is_resuming = self._gap, None, False
        length = 0 if ticks is None or self._cut is None else max(0, ticks - self._cut)
        if ticks is not None:
            # Times may have begun anew meanwhile: then nothing is known of how long it was.
            self._begin, self._begin_pts = ticks, pts
        if self._cut is not None:
            self._put_break(Break(length if gap == "close" else None))
        self._told(stream, gap, length / TICKS_PER_SECOND)
        return True

    def _told(self, stream: int, gap: Gap | None, seconds: float) -> None:
        left_out = self.left_out - self._before
        if gap == "mark" and self._cut is not None:
            self._tell(EventKind.GAP, stream=stream, seconds=seconds, filled=False, because="paused")
        self._tell(EventKind.RESUME, gap=gap, seconds=seconds, left_out=left_out)
