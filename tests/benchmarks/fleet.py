"""How fast many files are checked: ``verify_all`` by two processes, by one, and by two workers of a Dask cluster,
beside ``xargs -P2 ffprobe``.

    python tests/benchmarks/fleet.py [--quick] [--files N] [--json PATH]

Small files of 1 MB and big ones of 1 GB, hard links to a few, so that the disk has no part in it; in turn, wall
clock. A call is timed as whoever is in a session has it: pandas, which makes the table, is loaded, and the
processes are begun. The whole process, Python's start and pandas included, is what is held against ffprobe, which
counts packets and says no more than that, of one small file in five.

Processes of the pool are sessions of their own, and so are made Dask's workers here: on a busy machine Linux shares
out processors by session (autogroup, sched(7)), and who shares one with its caller gets less.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import Figures, command_line, spread
from packetiser import Case
from scanner import write_recording

SMALL, BIG = (640, 360, 600_000), (1280, 720, 4_000_000)
DIFFERENT = 8
MEGABYTE, GIGABYTE = 1_000_000, 1_000_000_000
PROBED_EACH = 5
CALL = """
import sys
import time
import pandas
import recordkit

begun = time.monotonic()
recordkit.verify_all(sys.argv[1], jobs=int(sys.argv[2]), progress=False)
print(time.monotonic() - begun)
"""
CLUSTER = """
import os
import sys
import time
import distributed
import recordkit

if __name__ == "__main__":
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as local,
        distributed.Client(local) as client,
    ):
        client.wait_for_workers(2)
        client.run(os.setsid)
        begun = time.monotonic()
        recordkit.verify_all(sys.argv[1], engine=client, progress=False)
        print(time.monotonic() - begun)
"""
"""Both say how long it took, the second once there was a cluster, as there is for whoever has one."""
PROBE = "ffprobe -v quiet -count_packets -show_streams -of json"


def lay(folder: Path, case: Case, size: int, count: int) -> int:
    """``count`` files of ``size`` bytes or more; how many it is exactly."""
    folder.mkdir()
    different = min(DIFFERENT if size == MEGABYTE else 1, count)
    for number in range(different):
        exact = write_recording(folder / f"{number}.ts", case, size)
    for number in range(different, count):
        os.link(folder / f"{number % different}.ts", folder / f"{number}.ts")
    return exact


def called_s(script: Path, *words: object) -> tuple[float, float]:
    """Seconds of the call in a program, as it says, and of the whole program."""
    begun = time.monotonic()
    command = [sys.executable, script, *map(str, words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout), time.monotonic() - begun


def probed_s(folder: Path, count: int) -> float:
    """Seconds that ffprobe takes for ``count`` files, by those of a part of them."""
    some = max(count // PROBED_EACH, 1)
    listed = "\0".join(str(folder / f"{number}.ts") for number in range(some))
    begun = time.monotonic()
    words = ["xargs", "-0", "-P2", "-n1", *PROBE.split()]
    subprocess.run(words, input=listed, text=True, check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - begun) * count / some


def compared(folder: Path, count: int, size: int, rounds: int, others: bool) -> Figures:
    """Seconds by program, and how they relate, round by round; ``others`` than one process and two as well."""
    call, cluster = folder.parent / "call.py", folder.parent / "cluster.py"
    call.write_text(CALL)
    cluster.write_text(CLUSTER)
    taken: dict[str, list[float]] = {}
    for _ in range(rounds):
        two_s, all_s = called_s(call, folder, 2)
        found = {"two processes": two_s, "one process": called_s(call, folder, 1)[0]}
        if others:
            found["two Dask workers"] = called_s(cluster, folder)[0]
            found["two processes, with their start"] = all_s
            found["xargs -P2 ffprobe"] = probed_s(folder, count)
        for program, seconds in found.items():
            taken.setdefault(program, []).append(seconds)
    two = taken["two processes"]
    ratios = {"one process": [one / both for one, both in zip(taken["one process"], two, strict=True)]}
    if others:
        ratios["two Dask workers"] = [
            one / two_s for one, two_s in zip(taken["two Dask workers"], two, strict=True)
        ]
        whole = taken["two processes, with their start"]
        ratios["xargs -P2 ffprobe"] = [
            one / all_s for one, all_s in zip(taken["xargs -P2 ffprobe"], whole, strict=True)
        ]
    rows = {program: {"s": spread(seconds, 3)} for program, seconds in taken.items()}
    return {
        "files": count,
        "bytes": size,
        "rounds": rounds,
        "rows": rows,
        "times": {program: spread(found, 3) for program, found in ratios.items()},
    }


def run(quick: bool, files: int | None = None) -> Figures:
    """What small files take, and big ones."""
    count = files or (16 if quick else 2000)
    big, big_bytes = (4, 4 * MEGABYTE) if quick else (20, GIGABYTE)
    with tempfile.TemporaryDirectory() as name:
        small = lay(Path(name, "small"), Case(*SMALL), MEGABYTE, count)
        found = {"small": compared(Path(name, "small"), count, small, 1 if quick else 3, others=True)}
        exact = lay(Path(name, "big"), Case(*BIG), big_bytes, big)
        return found | {"big": compared(Path(name, "big"), big, exact, 1 if quick else 2, others=False)}


def table(figures: Figures) -> str:
    lines = []
    for one in figures.values():
        lines += [
            f"{one['files']:,} files of {one['bytes'] / 1e6:,.1f} MB, median of {one['rounds']} rounds",
            f"{'program':<34}{'s':>9}{'files/s':>10}{'MB/s':>8}{'times':>8}",
        ]
        for program, row in one["rows"].items():
            median = row["s"]["median"]
            times = f"{one['times'][program]['median']:>8.2f}" if program in one["times"] else ""
            rate = one["files"] / median
            lines.append(f"{program:<34}{median:>9.2f}{rate:>10.1f}{rate * one['bytes'] / 1e6:>8.0f}{times}")
    return "\n".join(lines)


if __name__ == "__main__":
    command_line(__doc__ or "", run, table, files="how many files (2000; with --quick 16)")
