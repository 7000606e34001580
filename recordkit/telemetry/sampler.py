"""Measures the recording process; each figure comes from the system, not from our own counters."""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import thread_time
from typing import TYPE_CHECKING

import psutil

from ..model import Sample
from ..system import Clock, System

if TYPE_CHECKING:
    import asyncio

_RATE_WINDOW_S = 60.0
_USS_SHARE = 0.003
"""Of a core, to read the USS: the system counts every page, 9 ms for a gigabyte."""


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

    ``uss_bytes`` is None in some samples of a process so large that reading it each time would
    take more than 0.3% of a core.
    """

    def __init__(
        self, standing: Callable[[], Standing], clock: Clock, system: System, loop: asyncio.AbstractEventLoop | None
    ) -> None:
        self._standing = standing
        self._clock = clock
        self._system = system
        self._process = psutil.Process()
        self._loop = LoopProbe(loop, clock) if loop is not None else None
        self._started_s = self._last_s = clock.monotonic()
        self._cpu_s = self._cpu_seconds()
        self._peak_bytes = 0
        self._uss_due_s = self._started_s
        self._disk: deque[tuple[float, int, int]] = deque()

    def sample(self, last_flush_s: float) -> Sample:
        """A sample now; ``last_flush_s`` is when the last flush was, in seconds since the start."""
        now = self._clock.monotonic()
        standing = self._standing()
        cpu_s = self._cpu_seconds()
        share = (cpu_s - self._cpu_s) / (now - self._last_s) if now > self._last_s else 0.0
        self._cpu_s, self._last_s = cpu_s, now
        file_bytes = _size(standing.path)
        free_bytes = self._free(standing.path.parent)
        elapsed_s = now - self._started_s
        rss_bytes = self._process.memory_info().rss
        return Sample(
            time_ns=self._clock.time_ns(),
            elapsed_s=elapsed_s,
            rss_bytes=rss_bytes,
            uss_bytes=self._uss(now),
            peak_rss_bytes=self._peak(rss_bytes),
            cpu_share=share,
            threads=self._process.num_threads(),
            open_files=self._open_files(),
            file_bytes=file_bytes,
            buffer_bytes=standing.buffer_bytes,
            queue_bytes=standing.queue_bytes,
            dropped_units=standing.dropped_units,
            since_flush_s=max(0.0, elapsed_s - last_flush_s),
            silent_s=standing.silent_s,
            free_bytes=free_bytes,
            full_in_s=self._full_in_s(now, file_bytes, free_bytes),
            loop_lag_s=self._loop.lag_s() if self._loop is not None else None,
        )

    def _open_files(self) -> int | None:
        if not hasattr(self._process, "num_fds"):
            return None
        # On Linux they are listed from a folder, which is open for the moment and counts itself.
        return self._process.num_fds() - (sys.platform == "linux")

    def _uss(self, now: float) -> int | None:
        if now < self._uss_due_s:
            return None
        begun = thread_time()
        uss_bytes = _proc_kilobytes("/proc/self/smaps_rollup", (b"Private_Clean:", b"Private_Dirty:"))
        self._uss_due_s = now + (thread_time() - begun) / _USS_SHARE
        return uss_bytes

    def _peak(self, rss_bytes: int) -> int | None:
        """The highest resident memory so far; Linux sums it up from several counters, and may take some back."""
        told = _proc_kilobytes("/proc/self/status", (b"VmHWM:",))
        if told is None:
            return None
        self._peak_bytes = max(self._peak_bytes, told, rss_bytes)
        return self._peak_bytes

    def _cpu_seconds(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system

    def _free(self, folder: Path) -> int | None:
        try:
            return self._system.free_bytes(folder)
        except OSError:
            return None

    def _full_in_s(self, now: float, file_bytes: int | None, free_bytes: int | None) -> float | None:
        """Seconds until the disk is full, at the rate at which it filled, or we wrote, in the last minute."""
        if file_bytes is None or free_bytes is None:
            return None
        self._disk.append((now, file_bytes, free_bytes))
        while len(self._disk) > 2 and now - self._disk[0][0] > _RATE_WINDOW_S:
            self._disk.popleft()
        then, file_then, free_then = self._disk[0]
        if now <= then:
            return None
        rate = max(file_bytes - file_then, free_then - free_bytes) / (now - then)
        return free_bytes / rate if rate > 0 else None


class LoopProbe:
    """How late an event loop runs what it is given: one callback a sample."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self._question: _Question | None = None

    def lag_s(self) -> float | None:
        """The lag of the callback asked for last, so far; None where the loop does not run. Asks for the next."""
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


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _proc_kilobytes(path: str, names: tuple[bytes, ...]) -> int | None:
    """The sum of the lines of a file of /proc that begin with ``names``, in bytes; None without /proc."""
    try:
        with Path(path).open("rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) for line in lines if line.startswith(names)]
    return sum(found) * 1024 if found else None
