"""What a crash leaves: a recording killed with SIGKILL, and how much of it can be decoded afterwards.

    python tests/benchmarks/crash.py [--quick] [--jobs N] [--json PATH]

The same recording of 15 s in real time, 720p30, is killed at the same ten moments with each way (see
ways.py), with all processes that belong to it; ours is then given to ``recover``. ``share`` is pictures that
can be decoded, of those handed over until then; what is missing of ours had not been encoded, or was dropped
by MediaRecorder because the machine was too slow.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from figures import Figures, command_line, spread
from judging import pictures_in
from observing import Watched, script
from ways import WAYS, files, missing

import recordkit as rk

SIZE, BIT_RATE = "1280x720", 2_500_000
QUICK_SIZE, QUICK_BIT_RATE = "320x180", 400_000
SECONDS = 15.0
MOMENTS = tuple(1.45 * number for number in range(1, 11))  # up to 14.5 s, none on a whole second
QUICK_MOMENTS = (1.2,)
ALONE = "the source alone"
QUICK_WAYS = ("recordkit Recorder", "aiortc MediaRecorder, mp4")
JOBS = 3


def share_left(name: str, moment_s: float, size: str, bit_rate: int) -> Figures:
    """Kill at this moment of the recording; what was handed over, and what can be decoded."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        path, grown = files(name, folder)
        told = folder / "told"
        options = ("--out", path, "--size", size, "--bit-rate", bit_rate, "--seconds", SECONDS, "--told", told)
        child = Watched(script("ways.py", name, *options), grown)
        child.watch(until=lambda now_s: now_s >= moment_s)
        child.kill()
        handed, packetised = np.fromfile(told, np.int64).tolist()
        if name.startswith("recordkit"):
            rk.recover(path)
        left = pictures_in(path)
        counts = {"handed": handed, "packetised": packetised, "decoded": left}
        return {"moment_s": round(moment_s, 2), **counts, "share": round(left / handed, 4)}


def run(quick: bool, jobs: int | None = None) -> Figures:
    """For each way the shares at all moments."""
    size, bit_rate = (QUICK_SIZE, QUICK_BIT_RATE) if quick else (SIZE, BIT_RATE)
    moments = QUICK_MOMENTS if quick else MOMENTS
    jobs = jobs or JOBS
    rows: Figures = {}
    with ThreadPoolExecutor(jobs) as several:
        trials = {
            name: [several.submit(share_left, name, moment_s, size, bit_rate) for moment_s in moments]
            for name in (QUICK_WAYS if quick else WAYS)
            if name != ALONE and missing(name) is None
        }
        for name, waiting in trials.items():
            ended = [one.result() for one in waiting]
            rows[name] = {"share": spread([one["share"] for one in ended], 4), "trials": ended}
    rows |= {name: {"missing": f"{missing(name)} is not installed"} for name in WAYS if missing(name)}
    return {"seconds": SECONDS, "size": size, "bit_rate": bit_rate, "at_once": jobs, "rows": rows}


def table(figures: Figures) -> str:
    lines = [
        f"{figures['size']}, killed within a recording of {figures['seconds']:g} s; share that can be decoded",
        f"{'':<26}{'median':>8}{'worst':>8}{'best':>8}   at each moment, %",
    ]
    for name, row in figures["rows"].items():
        if "missing" in row:
            lines.append(f"{name:<26} {row['missing']}")
            continue
        share = row["share"]
        each = " ".join(f"{100 * one['share']:.0f}" for one in row["trials"])
        lines.append(f"{name:<26}{share['median']:>8.1%}{share['low']:>8.1%}{share['high']:>8.1%}   {each}")
    return "\n".join(lines)


if __name__ == "__main__":
    command_line(__doc__ or "", run, table, jobs=f"how many record at once ({JOBS})")
