"""What a recording remembers of itself: bounded in memory over days, safe to read from any thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..model import Event, EventKind, Field, FlushRecord, Sample
from ..system import Clock

NEWEST_FLUSHES = 20_000
"""Eleven hours of one every two seconds; the log on disk keeps all."""
NEWEST_EVENTS = 20_000
NEWEST_SAMPLES = 3_600
"""Samples kept one by one: the newest hour at one a second."""
THINNED_SAMPLES = 4_096
"""Older samples kept at the most. Of each run of ``stride`` samples the one with the highest
resident memory is kept, so that no peak is lost; when they are too many, every two are merged
into the higher one and the stride doubles. A day keeps one in 32 or better."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A copy of what the journal holds, oldest first."""

    flushes: tuple[FlushRecord, ...]
    samples: tuple[Sample, ...]
    events: tuple[Event, ...]


class Journal:
    """Takes flushes, samples and events as they happen.

    ``sinks`` are called with each record, in the thread that brought it, outside the lock.
    """

    def __init__(self, clock: Clock) -> None:
        self.sinks: tuple[Callable[[FlushRecord | Sample | Event], None], ...] = ()
        self._clock = clock
        self._started_s = clock.monotonic()
        self._lock = threading.Lock()
        self._flushes: deque[FlushRecord] = deque(maxlen=NEWEST_FLUSHES)
        self._events: deque[Event] = deque(maxlen=NEWEST_EVENTS)
        self._newest: deque[Sample] = deque()
        self._thinned: list[Sample] = []
        self._run: list[Sample] = []
        self._stride = 8

    def begin(self) -> None:
        """Count the seconds from now on."""
        self._started_s = self._clock.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start, monotonic."""
        return self._clock.monotonic() - self._started_s

    @property
    def last_flush(self) -> FlushRecord | None:
        """The newest flush."""
        with self._lock:
            return self._flushes[-1] if self._flushes else None

    @property
    def flushes(self) -> tuple[FlushRecord, ...]:
        """The newest flushes, oldest first."""
        with self._lock:
            return tuple(self._flushes)

    def event(self, kind: EventKind, **fields: Field) -> Event:
        """Note that something happened now."""
        event = Event(self._clock.time_ns(), self.elapsed_s, kind, fields)
        self.add(event)
        return event

    def add(self, record: FlushRecord | Sample | Event) -> None:
        """Note a record."""
        with self._lock:
            if isinstance(record, FlushRecord):
                self._flushes.append(record)
            elif isinstance(record, Event):
                self._events.append(record)
            else:
                self._newest.append(record)
                if len(self._newest) > NEWEST_SAMPLES:
                    self._thin(self._newest.popleft())
        for sink in self.sinks:
            sink(record)

    def contents(self) -> Contents:
        """A copy of all that is held."""
        with self._lock:
            samples = (*self._thinned, *self._run, *self._newest)
            return Contents(tuple(self._flushes), samples, tuple(self._events))

    def _thin(self, sample: Sample) -> None:
        self._run.append(sample)
        if len(self._run) < self._stride:
            return
        self._thinned.append(max(self._run, key=_memory))
        self._run.clear()
        if len(self._thinned) >= THINNED_SAMPLES:
            pairs = zip(self._thinned[::2], self._thinned[1::2], strict=True)
            self._thinned = [max(pair, key=_memory) for pair in pairs]
            self._stride *= 2


def _memory(sample: Sample) -> int:
    return sample.rss_bytes
