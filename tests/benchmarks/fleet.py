"""How fast many files are checked: ``verify_all`` by two processes, by one, and by two workers of a Dask cluster,
beside ``xargs -P2 ffprobe``.

    python tests/benchmarks/fleet.py [--quick] [--files N] [--json PATH]

Files of 1 MB, hard links to a few, so that the disk has no part in it; in turn, wall clock, starting included.
ffprobe counts packets and says no more than that.

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

CASE = (640, 360, 600_000)
DIFFERENT = 8
MEGABYTE = 1_000_000
VERIFY = "import sys, recordkit; recordkit.verify_all(sys.argv[1], jobs=int(sys.argv[2]), progress=False)"
CLUSTER = """
import os
import sys
import time
import distributed
import recordkit

if __name__ == "__main__":
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as local,
        distributed.Client(local) as client,
    ):
        client.wait_for_workers(2)
        client.run(os.setsid)
        begun = time.monotonic()
        recordkit.verify_all(sys.argv[1], engine=client, progress=False)
        print(time.monotonic() - begun)
"""
"""Says how long it took once there was a cluster, as there is for whoever has one."""
PROBE = "ffprobe -v quiet -count_packets -show_streams -of json"


def commands(folder: Path) -> dict[str, list[str]]:
    probe = f"find {folder} -name '*.ts' -print0 | xargs -0 -P2 -n1 {PROBE}"
    return {
        "two processes": [sys.executable, "-c", VERIFY, str(folder), "2"],
        "one process": [sys.executable, "-c", VERIFY, str(folder), "1"],
        "xargs -P2 ffprobe": ["sh", "-c", probe],
    }


def cluster_s(folder: Path) -> float:
    """Seconds of a local Dask cluster of two workers, without its beginning and end."""
    script = folder.parent / f"{folder.name}.py"
    script.write_text(CLUSTER)
    try:
        done = subprocess.run([sys.executable, script, folder], check=True, capture_output=True, text=True)
    finally:
        script.unlink()
    return float(done.stdout)


def run(quick: bool, files: int | None = None) -> Figures:
    """Seconds and files a second, by program."""
    count, rounds = files or (16 if quick else 2000), 1 if quick else 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        case = Case(*CASE)
        for number in range(min(DIFFERENT, count)):
            size = write_recording(folder / f"{number}.ts", case, MEGABYTE)
        for number in range(DIFFERENT, count):
            os.link(folder / f"{number % DIFFERENT}.ts", folder / f"{number}.ts")
        seconds: dict[str, list[float]] = {}
        for _ in range(rounds):
            for program, words in commands(folder).items():
                begun = time.monotonic()
                subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
                seconds.setdefault(program, []).append(time.monotonic() - begun)
            if not quick:
                seconds.setdefault("two Dask workers", []).append(cluster_s(folder))
    rows = {program: {"s": spread(taken, 3)} for program, taken in seconds.items()}
    return {"files": count, "bytes": size, "rounds": rounds, "rows": rows}


def table(figures: Figures) -> str:
    first = figures["rows"]["two processes"]["s"]["median"]
    lines = [
        f"{figures['files']:,} files of {figures['bytes'] / 1e6:.1f} MB, median of {figures['rounds']} rounds",
        f"{'program':<20}{'s':>9}{'files/s':>10}{'times':>8}",
    ]
    for program, row in figures["rows"].items():
        median = row["s"]["median"]
        lines.append(f"{program:<20}{median:>9.2f}{figures['files'] / median:>10.0f}{median / first:>8.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    command_line(__doc__ or "", run, table, files="how many files (2000; with --quick 16)")
