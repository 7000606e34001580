"""Resident memory of a recording: does it grow, and what is its peak.

    python tests/benchmarks/memory.py growth [--minutes N] [--json]
    python tests/benchmarks/memory.py peak [--size 1920x1080] [--seconds N] [--realtime] [--own] [--json]

``growth`` records small pictures and sound as fast as it can, on a clock that runs with the media,
and gives the resident memory after the first minute and after the last. ``peak`` records with the
default settings on the real clock; ``imported`` is what the libraries alone take, ``frames`` what
the source adds to that. ``--own`` sets the allocator as a process that only records does.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from threading import Condition

import av
import psutil

from recordkit.recorder.recorder import Recorder
from recordkit.settings import VideoSettings
from recordkit.sources.synthetic import Synthetic
from recordkit.system import Clock, give_back_freed_memory

_PROCESS = psutil.Process()


class MediaClock(Clock):
    """Runs as the media do; who waits for a time looks at it again and again."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time_ns(self) -> int:
        # A wall clock that did not run with it would be one that is set all the time.
        return round(self.now * 1e9)

    def wait(self, condition: Condition, timeout_s: float | None) -> None:
        condition.wait(None if timeout_s is None else 0.005)


def rss() -> int:
    """Resident memory of this process, in bytes."""
    return int(_PROCESS.memory_info().rss)


def growth(minutes: int, folder: Path) -> dict[str, float]:
    """Resident memory after each minute of media."""
    clock = MediaClock()
    source = Synthetic(width=64, height=48, fps=5, seconds=60 * minutes, sample_rate=8000, channels=1)
    marks = []
    recorder = Recorder(
        folder / "growth.ts", video=VideoSettings(preset="ultrafast"), queue_bytes=256 * 1024, _clock=clock
    )
    with recorder:
        for frame in source.frames():
            time_s = float(frame.pts * frame.time_base)
            if time_s >= 60 * (len(marks) + 1) and isinstance(frame, av.VideoFrame):
                recorder.flush()
                marks.append(rss())
            clock.now = max(clock.now, time_s)
            recorder.write(frame)
    marks.append(rss())
    return {
        "minutes": minutes,
        "first_minute_rss": marks[0],
        "last_minute_rss": marks[-1],
        "growth_bytes": marks[-1] - marks[0],
        "file_bytes": recorder.file_bytes,
        "flushes": len(recorder.flush_records),
    }


def peak(width: int, height: int, seconds: float, folder: Path, *, realtime: bool) -> dict[str, float]:
    """The peak while recording, and what was there before."""
    imported = rss()
    source = Synthetic(width=width, height=height, fps=30, seconds=seconds)
    frames = source.frames()
    first = next(frames)
    with_source = rss()
    recorder = Recorder(folder / "peak.ts")
    begun = time.monotonic()
    queued = 0
    with recorder:
        recorder.write(first)
        for frame in frames:
            if realtime:
                time.sleep(max(0.0, begun + source.due_s(frame) - time.monotonic()))
            recorder.write(frame)
            queued = max(queued, recorder.queue_bytes)
    return {
        "imported_rss": imported,
        "frames_rss": with_source,
        "peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "end_rss": rss(),
        "most_queued_bytes": queued,
        "seconds": time.monotonic() - begun,
        "cpu_seconds": time.process_time(),
        "file_bytes": recorder.file_bytes,
    }


def main(arguments: list[str]) -> None:
    """Runs one of the two and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["growth", "peak"])
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--realtime", action="store_true")
    parser.add_argument("--own", action="store_true")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    if chosen.own:
        give_back_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        if chosen.what == "growth":
            figures = growth(chosen.minutes, Path(folder))
        else:
            width, height = map(int, chosen.size.split("x"))
            figures = peak(width, height, chosen.seconds, Path(folder), realtime=chosen.realtime)
    if chosen.json:
        print(json.dumps(figures))
    else:
        for name, figure in figures.items():
            print(f"{name:>18} {figure:>15,.6g}")


if __name__ == "__main__":
    main(sys.argv[1:])
