"""What a recording remembers of itself: bounded in memory over days, safe to read from any thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import merge

from ..model import Event, EventKind, Field, FlushRecord, Sample
from ..onlooker import Onlooker
from ..printable import discreet
from ..system import Clock
from .schema import RECORDS, Packing, Record

NEWEST_FLUSHES = 20_000
"""Eleven hours of one every two seconds; the log on disk keeps all."""
NEWEST_EVENTS = 5_000
"""Of all kinds but keyframes, which come every two seconds and would push the rest out, and those of
``KEPT_FOR_GOOD``."""
NEWEST_KEYFRAMES = 2_000
"""An hour of one every two seconds."""
KEPT_FOR_GOOD = (EventKind.START, EventKind.STREAM)
"""One, and one a stream: what they say is needed to the end."""
NEWEST_SAMPLES = 3_600
"""Samples kept one by one: the newest hour at one a second."""
THINNED_SAMPLES = 4_096
"""Older samples kept at the most. Of each run of ``stride`` samples the one with the highest
resident memory is kept, so that no peak is lost; when they are too many, every two are merged
into the higher one and the stride doubles. A day keeps one in 32 or better."""
_FIRST_STRIDE = 8
_PACKING: Packing[FlushRecord] = Packing(RECORDS["flush"])


@dataclass(frozen=True, slots=True)
class Contents:
    """A copy of what the journal holds, oldest first."""

    flushes: tuple[FlushRecord, ...]
    samples: tuple[Sample, ...]
    events: tuple[Event, ...]


def in_order(events: Iterable[Event]) -> tuple[Event, ...]:
    """Events by when they happened: some are noted only later."""
    return tuple(sorted(events, key=lambda event: event.elapsed_s))


def _discreet(fields: dict[str, Field]) -> dict[str, Field]:
    """``fields`` without what is secret in URLs: events are shown, logged and kept."""
    return {name: discreet(value) if isinstance(value, str) else value for name, value in fields.items()}


class Journal:
    """Takes flushes, samples and events as they happen, and passes them to its followers."""

    def __init__(self, clock: Clock) -> None:
        self._followers: list[tuple[Callable[[Record], None], Onlooker]] = []
        self._clock = clock
        self._started_s = clock.monotonic()
        self._lock = threading.Lock()
        # Packed: as objects they would take four times as much, more than a megabyte an hour.
        self._flushes: deque[bytes] = deque(maxlen=NEWEST_FLUSHES)
        self._last_flush: FlushRecord | None = None
        # Numbered, to be put in order again: several may have happened at one reading of the clock.
        self._event_count = 0
        self._kept: list[tuple[int, Event]] = []
        self._events: deque[tuple[int, Event]] = deque(maxlen=NEWEST_EVENTS)
        self._keyframes: deque[tuple[int, Event]] = deque(maxlen=NEWEST_KEYFRAMES)
        self._newest: deque[Sample] = deque()
        self._thinned: list[Sample] = []
        self._peak: Sample | None = None
        self._run_length = 0
        self._stride = _FIRST_STRIDE

    def begin(self) -> None:
        """Count the seconds from now on."""
        self._started_s = self._clock.monotonic()

    def follow(
        self,
        follower: Callable[[Record], None],
        so_far: Callable[[Contents], None] | None = None,
    ) -> None:
        """Call ``follower`` with each record from now on, after ``so_far`` was called with those before.

        In the order in which they are held, none twice and none left out; both must be quick, and must
        not call the journal.
        """
        with self._lock:
            if so_far is not None:
                so_far(self._contents())
            self._followers.append((follower, Onlooker("A follower of the recording's log")))

    def unfollow(self, follower: Callable[[Record], None]) -> None:
        """Call ``follower`` no more."""
        with self._lock:
            self._followers = [one for one in self._followers if one[0] != follower]

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start, monotonic."""
        return self._clock.monotonic() - self._started_s

    @property
    def last_flush(self) -> FlushRecord | None:
        """The newest flush."""
        with self._lock:
            return self._last_flush

    @property
    def flushes(self) -> tuple[FlushRecord, ...]:
        """The newest flushes, oldest first."""
        with self._lock:
            packed = tuple(self._flushes)
        return _unpacked(packed)

    def event(self, kind: EventKind, **fields: Field) -> Event:
        """Note that something happened now."""
        with self._lock:
            # The time is taken inside, so that the events stand in the order of their times.
            event = Event(self._clock.time_ns(), self.elapsed_s, kind, _discreet(fields))
            self._hold(event)
        return event

    def event_at(self, time_ns: int, elapsed_s: float, kind: EventKind, **fields: Field) -> Event:
        """Note that something happened before; it is held in its place among the others."""
        event = Event(time_ns, elapsed_s, kind, _discreet(fields))
        self.add(event)
        return event

    def add(self, record: Record, *, without: Callable[[Record], None] | None = None) -> None:
        """Note a record, and tell all followers but ``without``."""
        with self._lock:
            self._hold(record, without)

    def contents(self) -> Contents:
        """A copy of all that is held."""
        with self._lock:
            return self._contents()

    def _contents(self) -> Contents:
        run = () if self._peak is None else (self._peak,)
        events = [event for _, event in merge(self._kept, self._events, self._keyframes, key=_number)]
        return Contents(_unpacked(self._flushes), (*self._thinned, *run, *self._newest), in_order(events))

    def _hold(self, record: Record, without: Callable[[Record], None] | None = None) -> None:
        if isinstance(record, FlushRecord):
            self._flushes.append(_PACKING.pack(record))
            self._last_flush = record
        elif isinstance(record, Sample):
            self._newest.append(record)
            if len(self._newest) > NEWEST_SAMPLES:
                self._thin(self._newest.popleft())
        else:
            self._event_count += 1
            self._queue_of(record.kind).append((self._event_count, record))
        for follower, onlooker in self._followers:
            if follower != without:
                onlooker.tell(follower, record)

    def _queue_of(self, kind: EventKind) -> list[tuple[int, Event]] | deque[tuple[int, Event]]:
        if kind in KEPT_FOR_GOOD:
            return self._kept
        return self._keyframes if kind is EventKind.KEYFRAME else self._events

    def _thin(self, sample: Sample) -> None:
        self._peak = sample if self._peak is None else max(self._peak, sample, key=_memory)
        self._run_length += 1
        if self._run_length < self._stride:
            return
        self._thinned.append(self._peak)
        self._peak, self._run_length = None, 0
        if len(self._thinned) >= THINNED_SAMPLES:
            pairs = zip(self._thinned[::2], self._thinned[1::2], strict=True)
            self._thinned = [max(pair, key=_memory) for pair in pairs]
            self._stride *= 2


def _unpacked(packed: Iterable[bytes]) -> tuple[FlushRecord, ...]:
    return tuple(map(_PACKING.unpack, packed))


def _memory(sample: Sample) -> int:
    return sample.rss_bytes or 0


def _number(numbered: tuple[int, Event]) -> int:
    return numbered[0]
