"""How fast a recording is verified and recovered, against ``ffprobe -count_packets`` on the same file.

    python tests/benchmarks/scanner.py [--quick] [--megabytes N] [--json PATH]

Each runs as a process of its own, in turn, on a file that the cache holds; its CPU seconds and its
largest memory are what the kernel counted for it, so that starting Python is in ours. ``verify``
does not decode; ``recover`` is of a recording whose process died, tail and all else gone. ``ratio``
is CPU time to that of ffprobe, round by round: below 1 is faster than it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from figures import Figures, command_line, spread
from packetiser import FLUSH_PACKETS, SECONDS, Case, declared

from recordkit.mpegts.laying import PACKET_BYTES, PacketBuffer
from recordkit.ticks import TICKS_PER_SECOND

CASES = {
    "360p 1.5 Mbit/s": (640, 360, 1_500_000),
    "720p 4 Mbit/s": (1280, 720, 4_000_000),
    "1080p 16 Mbit/s": (1920, 1080, 16_000_000),
    "audio only": (0, 0, 0),
}
QUICK = ("720p 4 Mbit/s",)
MEGABYTES, QUICK_MEGABYTES = 1000, 8
ROUNDS, QUICK_ROUNDS = 5, 1

VERIFY = "import sys, recordkit; sys.exit(not recordkit.verify(sys.argv[1]).ok)"
RECOVER = "import sys, recordkit; sys.exit(recordkit.recover(sys.argv[1]).outcome != 'recovered')"

LAUNCH = """
import os, sys
quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
process = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(process, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""
"""Starts the process from a small one: what it is started from counts as memory of its own."""


def write_recording(path: Path, case: Case, size: int) -> int:
    """A recording of at least ``size`` bytes: the units of ``case`` over and over, with times that go on."""
    packetiser, shift, made = declared(case), 0, 0
    buffer = PacketBuffer(np.empty((FLUSH_PACKETS + 8192, PACKET_BYTES), np.uint8))
    with path.open("wb", buffering=0) as file:
        while made + buffer.used_bytes < size:
            for unit in case.units:
                packetiser.lay(replace(unit, pts=unit.pts + shift, dts=unit.dts + shift), buffer)
                if buffer.used >= FLUSH_PACKETS:
                    made += file.write(buffer.bytes[: buffer.used_bytes])
                    buffer.used = 0
            shift += SECONDS * TICKS_PER_SECOND
        return made + file.write(buffer.bytes[: buffer.used_bytes])


def spent(command: list[str]) -> tuple[float, float]:
    """CPU seconds and largest memory (MB) of a process, which has to succeed."""
    launched = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCH, *command], capture_output=True, text=True, check=True
    )
    status, cpu_s, largest = launched.stdout.split()
    if int(status):
        raise RuntimeError(f"{command[0]} failed with exit status {status}")
    return float(cpu_s), float(largest) * 1024 / 1e6


def measure(folder: Path, case: Case, size: int, rounds: int) -> Figures:
    path = folder / "talk.ts"
    size = write_recording(path, case, size)
    counting = ["ffprobe", "-v", "quiet", "-count_packets", "-show_entries", "stream=nb_read_packets", str(path)]
    commands = {
        "verify": [sys.executable, "-c", VERIFY, str(path)],
        "recover": [sys.executable, "-c", RECOVER, str(path)],
        "ffprobe": counting,
    }

    def lie_there(name: str) -> None:
        if name == "recover":
            path.rename(folder / "talk.recording.ts")

    figures = compared(commands, size, rounds, "ffprobe", lie_there)
    path.unlink()
    return figures


def compared(
    commands: dict[str, list[str]], size: int, rounds: int, against: str, before: Callable[[str], object]
) -> Figures:
    """Run the commands in turn on ``size`` bytes, ``before`` with each name; ratios to that of ``against``."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    memory: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):  # the first round warms up and does not count
        for name, command in commands.items():
            before(name)
            cpu_s, largest = spent(command)
            if number:
                seconds[name].append(cpu_s)
                memory[name].append(largest)
    figures: Figures = {"bytes": size}
    for name in commands:
        figures[name] = {
            "cpu_s": spread(seconds[name], 3),
            "mb_per_cpu_s": round(size / 1e6 / spread(seconds[name])["median"], 1),
            "peak_rss_mb": spread(memory[name], 1),
            "ratio": spread([a / b for a, b in zip(seconds[name], seconds[against], strict=True)], 3),
        }
    return figures


def run_cases(
    cases: dict[str, tuple[int, int, int]],
    measured: Callable[[Path, Case, int, int], Figures],
    quick: bool,
    megabytes: int | None,
) -> Figures:
    """Measure each case, or with ``quick`` one, on files of so many megabytes."""
    for program in ("ffmpeg", "ffprobe"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed")
    rounds = QUICK_ROUNDS if quick else ROUNDS
    size = (megabytes or (QUICK_MEGABYTES if quick else MEGABYTES)) * 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        found = {
            name: measured(Path(folder), Case(*cases[name]), size, rounds) for name in (QUICK if quick else cases)
        }
    return {"rounds": rounds, "cases": found}


def run(quick: bool, megabytes: int | None = None) -> Figures:
    """CPU seconds, MB per CPU second, memory and ratios to ffprobe, by case."""
    return run_cases(CASES, measure, quick, megabytes)


def table(figures: Figures) -> str:
    lines = [
        f"median of {figures['rounds']} rounds; MB/s is per second of CPU",
        f"{'case':<18}{'MB':>6}  {'program':<9}{'CPU s':>8}{'MB/s':>8}"
        f"{'ratio':>8}{'low':>7}{'high':>7}{'RSS MB':>8}",
    ]
    for name, case in figures["cases"].items():
        for program in ("verify", "recover", "ffprobe"):
            row, ratio = case[program], case[program]["ratio"]
            lines.append(
                f"{name:<18}{case['bytes'] / 1e6:>6.0f}  {program:<9}{row['cpu_s']['median']:>8.2f}"
                f"{row['mb_per_cpu_s']:>8.0f}{ratio['median']:>8.2f}{ratio['low']:>7.2f}{ratio['high']:>7.2f}"
                f"{row['peak_rss_mb']['median']:>8.0f}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    command_line(__doc__ or "", run, table, megabytes="size of the files (1000; with --quick 8)")
