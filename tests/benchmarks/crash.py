"""What a crash leaves: a recording killed with SIGKILL, or by a power cut, and how much of it can be decoded.

    python tests/benchmarks/crash.py [--quick] [--jobs N] [--json PATH]

The same recording of 15 s in real time, 720p30, is killed at the same ten moments with each way (see
ways.py), with all processes that belong to it; ours is then given to ``recover``. ``share`` is pictures that
can be decoded, of those handed over until then; what is missing of ours had not been encoded, or was dropped
by MediaRecorder because the machine was too slow. The power is cut at three moments, under a disk with ext4 of
its own, which needs root.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from figures import Figures, command_line, spread
from judging import pictures_in
from observing import Watched, script
from ways import PYAV_IN_ONE_THREAD, files, missing
from ways import WAYS as EVERY_WAY

import recordkit as rk

sys.path.append(str(Path(__file__).parents[2]))
from tests.mounts import Disk, disk, no_disk
from tests.torture.child import cut_power

SIZE, BIT_RATE = "1280x720", 2_500_000
QUICK_SIZE, QUICK_BIT_RATE = "320x180", 400_000
SECONDS = 15.0
MOMENTS = tuple(1.45 * number for number in range(1, 11))  # up to 14.5 s, none on a whole second
QUICK_MOMENTS = (1.2,)
POWER_MOMENTS = (4.35, 7.25, 13.05)
FILE_SYSTEM = "ext4"
ALONE = "the source alone"
WAYS = tuple(name for name in EVERY_WAY if name != PYAV_IN_ONE_THREAD)
"""What a crash leaves does not hang on the threads."""
QUICK_WAYS = ("recordkit Recorder", "aiortc MediaRecorder, mp4")
JOBS = 3
_END_S = 10.0


def share_left(name: str, moment_s: float, size: str, bit_rate: int) -> Figures:
    """Kill at this moment of the recording; what was handed over, and what can be decoded."""
    with tempfile.TemporaryDirectory() as work:
        return _left(name, moment_s, size, bit_rate, Path(work), Path(work))


def share_on_the_disk(name: str, moment_s: float, size: str, bit_rate: int) -> Figures:
    """The same, and the power is cut a moment before."""
    with tempfile.TemporaryDirectory() as work, disk(Path(work), FILE_SYSTEM) as drive:
        return _left(name, moment_s, size, bit_rate, drive.place, Path(work), drive)


def _left(
    name: str, moment_s: float, size: str, bit_rate: int, folder: Path, aside: Path, drive: Disk | None = None
) -> Figures:
    path, grown = files(name, folder)
    told = aside / "told"
    options = ("--out", path, "--size", size, "--bit-rate", bit_rate, "--seconds", SECONDS, "--told", told)
    child = Watched(script("ways.py", name, *options), grown)
    child.watch(until=lambda now_s: now_s >= moment_s)
    started = [psutil.Process(pid) for pid in (child.begin or {}).get("pids", ())]
    if drive is not None:
        cut_power(folder)
    child.kill()
    handed, packetised = np.fromfile(told, np.int64).tolist()
    if drive is not None:
        psutil.wait_procs(started, _END_S)
        drive.unmount()
        drive.mount()
    if name.startswith("recordkit"):
        with suppress(rk.RecoveryError):  # nothing of it had come to the disk
            rk.recover(path)
    left = pictures_in(path)
    counts = {"handed": handed, "packetised": packetised, "decoded": left}
    return {"moment_s": round(moment_s, 2), **counts, "share": round(left / handed, 4)}


def _trials(
    names: list[str],
    share: Callable[[str, float, str, int], Figures],
    moments: tuple[float, ...],
    size: str,
    bit_rate: int,
    jobs: int,
) -> Figures:
    rows: Figures = {}
    with ThreadPoolExecutor(jobs) as several:
        trials = {
            name: [several.submit(share, name, moment_s, size, bit_rate) for moment_s in moments] for name in names
        }
        for name, waiting in trials.items():
            ended = [one.result() for one in waiting]
            rows[name] = {"share": spread([one["share"] for one in ended], 4), "trials": ended}
    return rows


def run(quick: bool, jobs: int | None = None) -> Figures:
    """For each way the shares at all moments, after a kill and after a power cut."""
    size, bit_rate = (QUICK_SIZE, QUICK_BIT_RATE) if quick else (SIZE, BIT_RATE)
    jobs = jobs or JOBS
    names = [name for name in (QUICK_WAYS if quick else WAYS) if name != ALONE and missing(name) is None]
    rows = _trials(names, share_left, QUICK_MOMENTS if quick else MOMENTS, size, bit_rate, jobs)
    rows |= {name: {"missing": f"{missing(name)} is not installed"} for name in WAYS if missing(name)}
    figures = {"seconds": SECONDS, "size": size, "bit_rate": bit_rate, "at_once": jobs, "rows": rows}
    if not quick and no_disk(FILE_SYSTEM) is None:
        figures["power_cut"] = _trials(names, share_on_the_disk, POWER_MOMENTS, size, bit_rate, jobs)
    return figures


def table(figures: Figures) -> str:
    lines = []
    for key, words in (("rows", "killed"), ("power_cut", f"the power cut on {FILE_SYSTEM}")):
        if key not in figures:
            continue
        lines += [
            f"{figures['size']}, {words} within a recording of {figures['seconds']:g} s; share that can be decoded",
            f"{'':<36}{'median':>8}{'worst':>8}{'best':>8}   at each moment, %",
        ]
        for name, row in figures[key].items():
            if "missing" in row:
                lines.append(f"{name:<36} {row['missing']}")
                continue
            share = row["share"]
            each = " ".join(f"{100 * one['share']:.0f}" for one in row["trials"])
            lines.append(f"{name:<36}{share['median']:>8.1%}{share['low']:>8.1%}{share['high']:>8.1%}   {each}")
    return "\n".join(lines)


if __name__ == "__main__":
    command_line(__doc__ or "", run, table, jobs=f"how many record at once ({JOBS})")
