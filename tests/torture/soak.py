"""A long recording, fed faster than real time: memory, descriptors and threads stay as they are.

python -m tests.torture.soak --hours N [--every SECONDS] FILE
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

from recordkit.recorder.recorder import Recorder
from recordkit.settings import AudioSettings, Segments, VideoSettings
from recordkit.sources.synthetic import Synthetic
from recordkit.system import give_back_freed_memory
from recordkit.verification.verify import verify

from ..benchmarks.memory import MediaClock
from .children import ROOT
from .outcome import Kind, Outcome, Trial, of

MARK_S = 60
SLOPE_LIMIT_BYTES = 1_000_000
_TABLE_BYTES = 14
"""What an MP4 must remember of each unit for its ``moov``: 12 bytes, in arrays that grow by an eighth."""
_WARM_SHARE = 0.25
_SHORT_HOURS, _LONG_HOURS = 0.05, 24.0
_FEWEST_HOURS_FOR_A_SLOPE = 1.0
_EVERY_S = 600.0
_SHORT_EVERY_S = 20.0


def soak(hours: float, path: Path, every_s: float | None) -> dict[str, Any]:
    """Record to ``path``, in files of ``every_s`` seconds if that is given, and look once a minute of media."""
    give_back_freed_memory()
    clock, process = MediaClock(), psutil.Process()
    # Audio, fifty units a second, takes nine tenths of the time: where it is the files that count it is left out.
    has_audio = every_s is None
    source = Synthetic(
        width=64, height=48, fps=2, seconds=3600 * hours, sample_rate=8000, channels=1, audio=has_audio
    )
    marks: list[tuple[float, int, int, int]] = []
    recorder = Recorder(
        path,
        video=VideoSettings(preset="ultrafast"),
        audio=AudioSettings() if has_audio else None,
        queue_bytes=64 * 1024,
        # Some 40,000 syncs would only measure the disk.
        durability="process",
        segments=None if every_s is None else Segments(every=every_s),
        _clock=clock,
    )
    with recorder:
        for frame in source.frames():
            time_s = float((frame.pts or 0) * (frame.time_base or 0))
            if isinstance(frame, av.VideoFrame) and time_s >= MARK_S * (len(marks) + 1):
                recorder.flush()
                memory = process.memory_info().rss
                marks.append((time_s / 3600, memory, process.num_fds(), process.num_threads()))
            clock.now = max(clock.now, time_s)
            recorder.write(frame)
    recording = recorder.stop()
    counters = recording.counters
    return {
        "marks": marks,
        "units": counters.video_units + counters.audio_units,
        "dropped": counters.dropped_items,
        "hours": recording.duration_s / 3600,
        "file_bytes": recording.bytes,
        "files": len(recording.segments) if every_s is not None else 1,
    }


def slope(marks: list[tuple[float, int, int, int]]) -> float:
    """Bytes of resident memory an hour, by least squares over all marks but the first quarter."""
    times, memory = np.array([one[:2] for one in marks[int(len(marks) * _WARM_SHARE) :]]).T
    return float(np.polyfit(times, memory, 1)[0])


@contextmanager
def soaking(_: Path, *, suffix: str = ".ts", is_cut: bool = False) -> Iterator[Trial]:
    """A trial is one recording of a day, in a file or in 144; of three minutes where the seed is negative."""

    def trial(seed: int, place: Path) -> Outcome:
        hours = _SHORT_HOURS if seed < 0 else float(os.environ.get("RECORDKIT_SOAK_HOURS", _LONG_HOURS))
        path = place / f"soak{' {number:04d}' if is_cut else ''}{suffix}"
        command = [sys.executable, "-m", "tests.torture.soak", "--hours", str(hours), str(path)]
        if is_cut:
            command += ["--every", str(_SHORT_EVERY_S if seed < 0 else _EVERY_S)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
        if done.returncode:
            return Outcome(seed, (done.stderr[-2000:],))
        told = json.loads(done.stdout)
        marks = told["marks"][int(len(told["marks"]) * _WARM_SHARE) :]
        grown = max(one[1] for one in marks) - marks[0][1]
        faults = []
        # A few minutes give no slope worth the name: then what was gained at all must be small.
        bytes_an_hour = slope(told["marks"]) if hours >= _FEWEST_HOURS_FOR_A_SLOPE else float(grown)
        tables = _TABLE_BYTES * told["units"] / told["hours"] if suffix == ".mp4" else 0
        if bytes_an_hour > SLOPE_LIMIT_BYTES + tables:
            faults.append(f"memory grows by {bytes_an_hour:,.0f} bytes an hour of media")
        half = len(marks) // 2
        for name, number in (("descriptors", 2), ("threads", 3)):
            values = [one[number] for one in marks]
            # Where files follow each other the next one is open before the one in hand is closed.
            low, high = (max(values[:half]), max(values[half:])) if is_cut else (min(values), max(values))
            if low < high:
                faults.append(f"{name} went from {low} to {high}")
        found = [verify(one) for one in sorted(place.glob(f"*{suffix}"))]
        units = sum(stream.access_units for one in found for stream in one.streams)
        if not all(one.ok for one in found) or units != told["units"] or told["dropped"]:
            problems = [one.problems for one in found if not one.ok]
            faults.append(f"{units} units of {told['units']}: {problems}")
        figures = {
            "media_hours": round(told["hours"], 2),
            "files": float(told["files"]),
            "memory_MB": round(max(one[1] for one in marks) / 1e6, 1),
            "memory_MB_an_hour": round(bytes_an_hour / 1e6, 3),
            "descriptors": float(marks[-1][2]),
            "threads": float(marks[-1][3]),
        }
        return Outcome(seed, tuple(faults), figures=figures)

    yield trial


KINDS = [
    Kind("soak" + of(suffix), "nothing", partial(soaking, suffix=suffix), 1, short)
    for suffix, short in ((".ts", (-1,)), (".mp4", ()))
] + [Kind("soak, a day in 144 files", "nothing", partial(soaking, is_cut=True), 1, ())]


def main() -> None:
    """Records and prints what was seen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=float, required=True)
    parser.add_argument("--every", type=float)
    parser.add_argument("path", type=Path)
    chosen = parser.parse_args()
    print(json.dumps(soak(chosen.hours, chosen.path, chosen.every)))


if __name__ == "__main__":
    main()
