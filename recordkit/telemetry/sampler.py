"""Samples of a recording: its process, file and disk are measured by the system, not by our own counters."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..model import Sample
from ..names import TAIL_SUFFIX
from ..system import Clock, System
from .process import ProcessProbe

if TYPE_CHECKING:
    import asyncio

_RATE_WINDOW_S = 60.0
_LEAST_WINDOW_S = 10.0
_TAIL_STEP_BYTES = 1024 * 1024
"""Less than the smallest tail takes."""
_LISTINGS = 2
_BLOCK_BYTES = 512
"""The unit of ``st_blocks`` (stat(3type))."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What only the recorder knows: where its file is, and what waits.

    ``silent_s`` is how long the stream that has been silent longest has given no unit.
    """

    path: Path
    buffer_bytes: int = 0
    queue_bytes: int = 0
    dropped_units: int = 0
    silent_s: float = 0.0


class Sampler:
    """Takes samples of this process, of ``standing``'s file and of its disk; not thread-safe.

    The figures of the process are the same for all its recordings: ``probe`` may return those that it
    measured for another one, up to ``oldest_s`` ago. ``uss_bytes`` is None if it left that out.
    """

    def __init__(
        self,
        standing: Callable[[], Standing],
        probe: ProcessProbe,
        clock: Clock,
        system: System,
        loop: asyncio.AbstractEventLoop | None,
        oldest_s: float = 0.0,
    ) -> None:
        self._standing = standing
        self._clock = clock
        self._system = system
        self._probe = probe
        self._oldest_s = oldest_s
        self._loop = LoopProbe(loop, clock) if loop is not None else None
        self._started_s = self._cpu_until_s = clock.monotonic()
        self._cpu_s = probe.cpu_s()
        self._cpu_share = 0.0
        self._disk: deque[tuple[float, int, int]] = deque()
        self._free_bytes: int | None = None
        self._tails = _Tails()
        self._tails_bytes = 0

    def sample(self, last_flush_s: float) -> Sample:
        """A sample now; ``last_flush_s`` is when the last flush was, in seconds since the start."""
        now = self._clock.monotonic()
        standing = self._standing()
        process = self._probe.figures(self._oldest_s)
        if process.measured_s > self._cpu_until_s:
            self._cpu_share = (process.cpu_s - self._cpu_s) / (process.measured_s - self._cpu_until_s)
            self._cpu_s, self._cpu_until_s = process.cpu_s, process.measured_s
        file_bytes = _size(standing.path)
        free_bytes = self._free(standing.path.parent)
        room_bytes = self._room(standing.path.parent, free_bytes, now)
        elapsed_s = now - self._started_s
        return Sample(
            time_ns=self._clock.time_ns(),
            elapsed_s=elapsed_s,
            rss_bytes=process.rss_bytes,
            uss_bytes=process.uss_bytes,
            peak_rss_bytes=process.peak_rss_bytes,
            cpu_share=self._cpu_share,
            threads=process.threads,
            open_files=process.open_files,
            file_bytes=file_bytes,
            buffer_bytes=standing.buffer_bytes,
            queue_bytes=standing.queue_bytes,
            dropped_units=standing.dropped_units,
            since_flush_s=max(0.0, elapsed_s - last_flush_s),
            silent_s=standing.silent_s,
            free_bytes=free_bytes,
            full_in_s=self._full_in_s(now, file_bytes, free_bytes, room_bytes),
            loop_lag_s=self._loop.lag_s() if self._loop is not None else None,
        )

    def _free(self, folder: Path) -> int | None:
        try:
            return self._system.free_bytes(folder)
        except OSError:
            return None

    def _room(self, folder: Path, free_bytes: int | None, now_s: float) -> int | None:
        """What is free, and what the tails of the recordings there take: that does not grow, and is given back."""
        if free_bytes is None:
            return None
        before, self._free_bytes = self._free_bytes, free_bytes
        # Looked at only after a step that may be one.
        if before is None or abs(free_bytes - before) >= _TAIL_STEP_BYTES:
            self._tails_bytes = self._tails.bytes(folder, now_s)
        return free_bytes + self._tails_bytes

    def _full_in_s(
        self, now: float, file_bytes: int | None, free_bytes: int | None, room_bytes: int | None
    ) -> float | None:
        """Seconds until the disk is full, at the rate at which we wrote, or it filled, in the last minute.

        What others do in a moment says nothing yet of what they will do.
        """
        if file_bytes is None or free_bytes is None or room_bytes is None:
            return None
        self._disk.append((now, file_bytes, room_bytes))
        while len(self._disk) > 2 and now - self._disk[0][0] > _RATE_WINDOW_S:
            self._disk.popleft()
        then, file_then, room_then = self._disk[0]
        if now <= then:
            return None
        rate = max(
            (file_bytes - file_then) / (now - then), (room_then - room_bytes) / max(now - then, _LEAST_WINDOW_S)
        )
        return free_bytes / rate if rate > 0 else None


class LoopProbe:
    """How late an event loop runs what it is given: one callback a sample."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self._question: _Question | None = None

    def lag_s(self) -> float | None:
        """The lag of the callback asked for last, so far; None if the loop does not run. Asks for the next."""
        asked = self._question
        if not self._loop.is_running():
            self._question = None  # what it answers later says nothing of its lag
            return None
        if asked is None or asked.answered_s is not None:
            self._question = _Question(self._clock)
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(self._question.answer)
        return asked.lag_s() if asked is not None else None


class _Question:
    def __init__(self, clock: Clock) -> None:
        self.answered_s: float | None = None
        self._clock = clock
        self._asked_s = clock.monotonic()

    def answer(self) -> None:
        self.answered_s = self._clock.monotonic()

    def lag_s(self) -> float:
        return (self._clock.monotonic() if self.answered_s is None else self.answered_s) - self._asked_s


class _Tails:
    """The tails in a folder: listed when the folder has changed, since it may have many files."""

    def __init__(self) -> None:
        self._paths: list[str] = []
        self._seen: tuple[Path, int] | None = None
        self._listings = 0
        self._listed_s = 0.0

    def bytes(self, folder: Path, now_s: float) -> int:
        """The room that they take; 0 where that cannot be told."""
        try:
            seen = folder, folder.stat().st_mtime_ns
            if seen != self._seen:
                self._seen, self._listings = seen, 0
            # Twice: the clock of a file system may stand still for two seconds. And some never tell of a change.
            if self._listings < _LISTINGS or now_s - self._listed_s >= _RATE_WINDOW_S:
                with os.scandir(folder) as entries:
                    self._paths = [one.path for one in entries if one.name.endswith(TAIL_SUFFIX)]
                self._listings, self._listed_s = self._listings + 1, now_s
        except OSError:
            return 0
        taken = 0
        for path in self._paths:
            with contextlib.suppress(OSError):  # gone meanwhile
                taken += os.lstat(path).st_blocks * _BLOCK_BYTES
        return taken


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
