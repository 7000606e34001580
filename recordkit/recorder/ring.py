"""A ring: the newest media, in files that are never committed; which of them may go, and which are to be kept.

The files are those of a recording in segments (see ``Files``), each with a tail, so that a kill leaves the whole
ring to be recovered. What somebody asks to keep is copied out of them, see ``kept``.
"""

from __future__ import annotations

import logging
import os
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter

from ..encode.routing import VIDEO
from ..keeping.pins import pin_path
from ..model import AccessUnit
from ..names import ring_pattern
from ..settings import RecordingSettings, Segments
from ..settings import Ring as RingSettings
from ..system import Clock, System
from ..telemetry.table import table_path
from ..ticks import TICKS_PER_SECOND
from .piece import Entry, Piece, Span
from .segment import Segment

log = logging.getLogger("recordkit")

_PARTS = 6
"""A file of the ring has about this part of its seconds, so that little more than these is held."""
_SHORTEST_S, _LONGEST_S = 0.5, 60.0
_BYTE_PARTS = 8
SMALL_BUFFER = 1024 * 1024
"""Three of its files may be open at a time: each has a smaller buffer than a recording has."""
_ENTRIES = 10_000
"""Places where what is kept may begin, of the whole ring: of video of keyframes alone not each one is noted."""
_NEVER = -(1 << 62)
_LONGEST_LAG = 10 * TICKS_PER_SECOND
"""A stream that is so far behind the others has ended, or pauses."""


def files_of(settings: RecordingSettings) -> RecordingSettings:
    """The settings of the files that the ring of a recording is made of; as they are if it has none."""
    ring = settings.ring
    if ring is None:
        return settings
    return replace(
        settings,
        path=ring_pattern(str(settings.path)),
        ring=None,
        segments=Segments(
            every=min(max(ring.seconds / _PARTS, _SHORTEST_S), _LONGEST_S),
            max_bytes=None if ring.max_bytes is None else ring.max_bytes // _BYTE_PARTS,
        ),
        flush_threshold=min(settings.flush_threshold, SMALL_BUFFER),
    )


class Ring:
    """Keeps account of the files of the ring, and deletes the oldest.

    ``expected`` are the streams that may come. ``laid`` is called by the encoding thread, ``over`` by the writers'
    threads, the rest by any. ``on_reached`` is called, by the encoding thread, when all up to the time given to
    ``reach`` is laid. Times that are asked for are ticks from the ``origin`` on, the earliest time of all.
    ``on_short`` is called with why the ring has not its seconds, and with None when it has them again.
    """

    def __init__(
        self,
        settings: RingSettings,
        clock: Clock,
        system: System,
        on_reached: Callable[[], None],
        on_short: Callable[[str | None], None],
        *,
        expected: frozenset[int],
    ) -> None:
        self._seconds = round(settings.seconds * TICKS_PER_SECOND)
        self._step = max(TICKS_PER_SECOND // 10, self._seconds // _ENTRIES)
        self._most_bytes = settings.max_bytes
        self._clock = clock
        self._system = system
        self._laid_s = clock.monotonic()
        self._on_reached = on_reached
        self._on_short = on_short
        self._has_video = VIDEO in expected
        self._reached = dict.fromkeys(expected, _NEVER)
        size = settings.max_bytes
        self._short = f"the ring holds less than {settings.seconds:g} s: max_bytes={size} is too little for that"
        self._lock = threading.Lock()
        self._pieces: deque[Piece] = deque()
        self._out: list[Piece] = []
        self._ends: dict[int, int] = {}
        self.origin: int | None = None
        self._newest: int | None = None
        self._goal: int | None = None
        self._kept_from: int | None = None
        self._is_short = False

    def laid(self, segment: Segment, unit: AccessUnit) -> None:
        """A unit was laid into a file of the ring, the newest one or one that begins with it."""
        with self._lock:
            self._laid_s = self._clock.monotonic()
            if not self._pieces or self._pieces[-1].segment is not segment:
                self._pieces.append(Piece(segment))
            piece = self._pieces[-1]
            if self._may_begin(unit, piece):
                ends = [unit.pts, *(end for stream, end in self._ends.items() if stream != unit.stream)]
                heard = min(end for end in ends if end > unit.pts - TICKS_PER_SECOND)
                piece.entries.append(Entry(unit.pts, max(ends), heard, dict(piece.counts)))
            piece.add(unit)
            self.origin = unit.pts if self.origin is None else min(self.origin, unit.pts)
            end = self._ends[unit.stream] = unit.pts + unit.duration
            # Of video all that is shown before this time has been laid.
            self._reached[unit.stream] = unit.dts if unit.stream == VIDEO else end
            self._newest = end if self._newest is None else max(self._newest, end)
            is_reached = self._goal is not None and self._has_reached(self._goal)
            if is_reached:
                self._goal = None
        if is_reached:
            self._on_reached()

    def _may_begin(self, unit: AccessUnit, piece: Piece) -> bool:
        if not self._ends:
            is_entry = True  # what the recording begins with
        elif unit.stream == VIDEO:
            is_entry = unit.random_access and not unit.is_second_field
        else:
            behind = unit.pts - self._ends.get(VIDEO, unit.pts - _LONGEST_LAG)
            is_entry = not self._has_video or (behind >= _LONGEST_LAG and VIDEO in self._ends)
        return is_entry and (not piece.entries or unit.pts - piece.entries[-1].pts >= self._step)

    def has_reached(self, goal: int) -> bool:
        """Whether all up to that time is laid."""
        with self._lock:
            return self._has_reached(goal)

    @property
    def silent_s(self) -> float:
        """Seconds since anything was laid."""
        return self._clock.monotonic() - self._laid_s

    def _has_reached(self, goal: int) -> bool:
        if self.origin is None or self._found(0) is None:
            return False
        goal += self.origin
        reached = [max(one, self.origin) for one in self._reached.values()]
        return max(reached) >= goal and all(one >= goal or max(reached) - one >= _LONGEST_LAG for one in reached)

    def over(self, segment: Segment) -> None:
        """A file of the ring is closed, and another one begins: here, where nothing waits, the oldest goes."""
        with self._lock:
            for piece in (*self._pieces, *self._out):
                if piece.segment is segment:
                    piece.is_over = True
                    piece.hold(self._system)
        self._trim()

    def reach(self, begin: int, goal: int) -> Entry | None:
        """Let nothing go from ``begin`` on, and tell when all up to ``goal`` is laid; both may be set again.

        Returns where what is kept begins by now; None if nothing has come.
        """
        with self._lock:
            self._kept_from, self._goal = begin, goal
            found = self._found(begin)
            return None if found is None else found[1]

    def span(self, begin: int) -> Span | None:
        """All from ``begin`` on up to what has been laid by now, not to be deleted before ``done``."""
        with self._lock:
            self._kept_from = self._goal = None
            found = self._found(begin)
            if found is None:
                return None
            pieces = tuple(self._pieces)[found[0] :]
            for piece in pieces:
                piece.uses += 1
            return Span(pieces, found[1], dict(pieces[-1].counts))

    def done(self, span: Span) -> None:
        """What ``span`` gave has been copied."""
        with self._lock:
            for piece in span.pieces:
                piece.uses -= 1
        self._trim()

    def leave(self) -> None:
        """All files of the ring stay, for whoever recovers them."""
        with self._lock:
            for piece in (*self._pieces, *self._out):
                piece.let_go(self._system)

    def clear(self) -> None:
        """The recording has ended well: nothing more is asked for, and what is left of the ring is deleted."""
        with self._lock:
            self._out += self._pieces
            self._pieces.clear()
        self._trim()

    def _found(self, begin: int) -> tuple[int, Entry] | None:
        """The last place from which on all from ``begin`` on is there, or the first one; and in which file."""
        begin += self.origin or 0
        best: tuple[int, Entry] | None = None
        for number, piece in enumerate(self._pieces):
            if not piece.entries:
                continue
            if best is not None and piece.entries[0].whole > begin:
                break
            place = bisect_right(piece.entries, begin, key=attrgetter("whole"))
            best = number, piece.entries[max(0, place - 1)]
        return best

    def _trim(self) -> None:
        """Take out of the ring what is beyond its bounds, and delete the files of what is not used."""
        with self._lock:
            kept_from = None if self._kept_from is None else self._found(self._kept_from)
            least = 1 if kept_from is None else len(self._pieces) - kept_from[0]
            was_short = self._is_short
            while len(self._pieces) > least and self._newest is not None:
                entries = self._pieces[1].entries
                is_old = bool(entries) and entries[0].whole <= self._newest - self._seconds
                if not is_old and not self._has_too_much():
                    break
                self._is_short = not is_old
                piece = self._pieces.popleft()
                self._out.append(piece)
            is_short = self._is_short
            ready = [piece for piece in self._out if piece.is_over and not piece.uses]
            self._out = [piece for piece in self._out if piece not in ready]
        if is_short != was_short:
            self._on_short(self._short if is_short else None)
        for piece in ready:
            self._remove(piece.segment)
            piece.let_go(self._system)

    def _has_too_much(self) -> bool:
        if self._most_bytes is None:
            return False
        held = sum(piece.segment.writer.laid_bytes for piece in self._pieces if not piece.uses)
        return held + self._most_bytes // _BYTE_PARTS > self._most_bytes

    def _remove(self, segment: Segment) -> None:
        partial = segment.writer.temp_output_path
        if os.path.lexists(pin_path(partial)):
            log.info("%s is pinned, and stays", partial)
            return
        for path in (partial, table_path(partial)):
            try:
                self._system.unlink(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                log.warning("%s: could not be removed: %s", path, error.strerror)
        if segment.log is not None:
            segment.log.close()
            segment.log.remove()
