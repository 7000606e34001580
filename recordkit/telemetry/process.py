"""What the system tells of this process: measured once for all the recordings in it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import process_time, thread_time
from typing import TypeVar

import psutil

from ..system import Clock

_USS_SHARE = 0.0003
"""Of a core, to read the USS: the system counts every page, 9 ms for a gigabyte."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """One measurement, ``measured_s`` by the clock.

    ``uss_bytes`` is None if it was not read this time; any other is None if the system did not tell it, such as
    when no file descriptor is left to ask with.
    """

    measured_s: float
    cpu_s: float
    rss_bytes: int | None
    uss_bytes: int | None
    peak_rss_bytes: int | None
    threads: int | None
    open_files: int | None


class ProcessProbe:
    """Measures this process; may be asked from any thread.

    ``uss_bytes`` is left out at times in a process so large that reading it each time would take
    more than 0.03% of a core. ``on_measured`` is called with each new ``rss_bytes``, by one thread at a time.
    """

    def __init__(self, clock: Clock, on_measured: Callable[[int | None], object] = lambda rss_bytes: None) -> None:
        self._clock = clock
        self._on_measured = on_measured
        self._process = psutil.Process()
        self._measuring = threading.Lock()
        self._newest: ProcessFigures | None = None
        self._peak_bytes = 0
        self._uss_due_s = clock.monotonic()

    def figures(self, oldest_s: float = 0.0) -> ProcessFigures:
        """The figures of this moment, or those that another recording had at most ``oldest_s`` ago."""
        newest = self._newest
        if newest is not None and self._clock.monotonic() - newest.measured_s < oldest_s:
            return newest
        # Nobody waits for somebody else's measurement: it reads from the system, which may take its time.
        is_mine = self._measuring.acquire(blocking=newest is None)
        try:
            if is_mine or newest is None:
                newest = self._newest = self._measure()
                self._on_measured(newest.rss_bytes)
            return newest
        finally:
            if is_mine:
                self._measuring.release()

    def cpu_s(self) -> float:
        """Processor time of this process until now, in seconds; the clock of it needs no file."""
        return process_time()

    def _measure(self) -> ProcessFigures:
        now = self._clock.monotonic()
        rss_bytes = resident_bytes(self._process)
        return ProcessFigures(
            measured_s=now,
            cpu_s=self.cpu_s(),
            rss_bytes=rss_bytes,
            uss_bytes=self._uss(now),
            peak_rss_bytes=self._peak(rss_bytes),
            threads=measured(self._process.num_threads),
            open_files=measured(self._open_files),
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

    def _peak(self, rss_bytes: int | None) -> int | None:
        """The highest resident memory until now; Linux sums it up from several counters, and may take some back."""
        told = _proc_kilobytes("/proc/self/status", (b"VmHWM:",))
        if told is None:
            return None
        self._peak_bytes = max(self._peak_bytes, told, rss_bytes or 0)
        return self._peak_bytes


def measured(figure: Callable[[], T]) -> T | None:
    """What ``figure`` returns, or None: a figure that cannot be had is missing, whatever it was for goes on."""
    try:
        return figure()
    except (OSError, psutil.Error, MemoryError):
        return None


def resident_bytes(process: psutil.Process) -> int | None:
    """The resident memory of ``process``; None if the system does not tell it at this moment."""
    found = measured(process.memory_info)
    return None if found is None else int(found.rss)


def _proc_kilobytes(path: str, names: tuple[bytes, ...]) -> int | None:
    """The sum of the lines of a file of /proc that begin with ``names``, in bytes; None without /proc."""
    try:
        with Path(path).open("rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) for line in lines if line.startswith(names)]
    return sum(found) * 1024 if found else None
