"""A process that records, watched from outside: its memory, its files, and what it says of itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from figures import spread

FOLDER = Path(__file__).parent
FILE_STEP_S = 0.02
MEMORY_STEP_S = 0.25
CPU_SPAN_S = 5.0
GUARD_S = 60.0


@dataclass
class Observation:
    """What there was to see. Times are seconds from the first frame handed over.

    ``memory`` are (time, bytes) and ``cpu`` (time, seconds) of the process and those that it named,
    ``growth`` (time, bytes) of the file each time it had grown, ``said`` what the process said at its end.
    """

    memory: list[tuple[float, int]] = field(default_factory=list)
    cpu: list[tuple[float, float]] = field(default_factory=list)
    growth: list[tuple[float, int]] = field(default_factory=list)
    said: dict[str, Any] = field(default_factory=dict)
    ended_s: float = 0.0

    def cpu_figures(self) -> dict[str, Any]:
        """CPU seconds a media second: of the whole run, and the spread over spans of it."""
        span = max(1, round(CPU_SPAN_S / MEMORY_STEP_S))
        ends = self.cpu[:: min(span, max(1, (len(self.cpu) - 1) // 3))]
        rates = [
            (spent - before) / (end - begin) for (begin, before), (end, spent) in pairwise(ends) if end > begin
        ]
        total = round(self.said["cpu_s"] / self.said["media_s"], 4)
        return {"cpu_s_per_media_s": total, "cpu_spans": spread(rates or [total], 4)}

    def memory_figures(self) -> dict[str, float]:
        """Start, peak and slope of resident memory; the slope is taken from the second half."""
        sizes = [size / 1e6 for _, size in self.memory]
        return {
            "rss_start_mb": round(sizes[0], 1),
            "rss_peak_mb": round(max(sizes), 1),
            "rss_slope_mb_per_min": round(60 * slope(self.memory[len(self.memory) // 2 :]) / 1e6, 2),
        }

    def file_figures(self) -> dict[str, float | None]:
        """When the first byte was on disk, and the longest time without a further one."""
        if not self.growth:
            return {"first_byte_s": None, "longest_still_s": round(self.ended_s, 2)}
        times = [at for at, _ in self.growth]
        still = [after - before for before, after in pairwise([0.0, *times, self.ended_s])]
        return {"first_byte_s": round(times[0], 2), "longest_still_s": round(max(still), 2)}


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """Units a second by the Theil-Sen estimator, which a single jump does not bend."""
    step = max(1, len(samples) // 60)
    thin = samples[::step]
    found = [
        (after - before) / (end - begin)
        for number, (begin, before) in enumerate(thin)
        for end, after in thin[number + 1 :]
    ]
    return median(found) if found else 0.0


def script(name: str, *arguments: object) -> list[str]:
    """The command that runs a script of this folder."""
    return [sys.executable, str(FOLDER / name), *map(str, arguments)]


class Watched:
    """A child in a process group of its own that says ``begin`` and ``end`` as JSON, one object a line."""

    def __init__(self, command: Sequence[str], files: Sequence[Path] = ()) -> None:
        self.begin: dict[str, Any] | None = None
        self.end: dict[str, Any] | None = None
        self._files = files
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        self._reader = threading.Thread(target=self._read, name="reader", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            setattr(self, said.pop("event"), said)

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self, until: Callable[[float], bool] = lambda _: False, guard_s: float = GUARD_S) -> Observation:
        """Observe until the process has ended, or ``until`` (seconds since it began) says so.

        Raises RuntimeError where it fails, or says nothing for ``guard_s``.
        """
        seen = Observation()
        asked_s = time.monotonic()
        while self.begin is None:
            self._check(time.monotonic() - asked_s < guard_s)
            time.sleep(0.005)
        begun_s = self.begin["at"]
        processes = [psutil.Process(pid) for pid in (self.pid, *self.begin.get("pids", ()))]
        memory_due_s = 0.0
        while self._process.poll() is None and not until(time.monotonic() - begun_s):
            now_s = time.monotonic() - begun_s
            size = self._size()
            if size and (not seen.growth or size != seen.growth[-1][1]):
                seen.growth.append((now_s, size))
            if now_s >= memory_due_s and self.end is None:
                seen.memory.append((now_s, sum(map(_resident, processes))))
                seen.cpu.append((now_s, sum(map(_spent, processes))))
                memory_due_s += MEMORY_STEP_S
            # A child with nothing to say for long is stuck; a minute is more than any end takes.
            self._check(now_s < self.begin["seconds"] + guard_s)
            time.sleep(FILE_STEP_S)
        if self._process.poll() is not None:
            self._reader.join()
            if self._process.returncode or self.end is None:
                raise RuntimeError(f"a child ended with status {self._process.returncode}")
            seen.said, seen.ended_s = self.end, self.end["at"] - begun_s
        else:
            seen.ended_s = time.monotonic() - begun_s
        return seen

    def kill(self) -> None:
        """SIGKILL to it and all that it started."""
        if self._process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()

    def _size(self) -> int:
        for path in self._files:
            try:
                return path.stat().st_size
            except FileNotFoundError:
                continue
        return 0

    def _check(self, is_in_time: bool) -> None:
        if self._process.poll() not in (None, 0):
            raise RuntimeError(f"a child ended with status {self._process.returncode}")
        if not is_in_time:
            self.kill()
            raise RuntimeError("a child hangs")


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _spent(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
