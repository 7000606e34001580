"""How fast many files are checked: ``verify_all`` by two processes and by one, beside ``xargs -P2 ffprobe``.

    python tests/benchmarks/fleet.py [--quick] [--files N] [--json PATH]

Files of 1 MB, hard links to a few, so that the disk has no part in it; in turn, wall clock, starting included.
ffprobe counts packets and says no more than that.
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
PROBE = "ffprobe -v quiet -count_packets -show_streams -of json"


def commands(folder: Path) -> dict[str, list[str]]:
    probe = f"find {folder} -name '*.ts' -print0 | xargs -0 -P2 -n1 {PROBE}"
    return {
        "two processes": [sys.executable, "-c", VERIFY, str(folder), "2"],
        "one process": [sys.executable, "-c", VERIFY, str(folder), "1"],
        "xargs -P2 ffprobe": ["sh", "-c", probe],
    }


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
