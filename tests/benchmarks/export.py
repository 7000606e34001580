"""How fast a recording is exported from MPEG-TS to MP4, against ``ffmpeg -c copy`` on the same file.

    python tests/benchmarks/export.py [--quick] [--megabytes N] [--json PATH]

Each runs as a process of its own, in turn, on a file that the cache holds; its CPU seconds are what the
kernel counted for it, so that starting Python is in ours, and so is reading the copy back and comparing each
unit. ffmpeg copies the video alone: in made-up audio it finds no parameters. ``ratio`` is CPU time to that of
ffmpeg, round by round: below 1 is faster than it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from figures import Figures, command_line
from packetiser import Case
from scanner import compared, run_cases, write_recording

CASES = {"720p 4 Mbit/s": (1280, 720, 4_000_000), "1080p 16 Mbit/s": (1920, 1080, 16_000_000)}
EXPORT = "import sys, recordkit; recordkit.export(*sys.argv[1:])"


def measure(folder: Path, case: Case, size: int, rounds: int) -> Figures:
    source, target = folder / "talk.ts", folder / "talk.mp4"
    size = write_recording(source, case, size)
    commands = {
        "recordkit": [sys.executable, "-c", EXPORT, str(source), str(target)],
        "ffmpeg": [
            "ffmpeg",
            "-nostdin",
            "-v",
            "quiet",
            "-i",
            str(source),
            "-map",
            "0:v",
            "-c",
            "copy",
            str(target),
        ],
    }
    figures = compared(commands, size, rounds, "ffmpeg", lambda _: target.unlink(missing_ok=True))
    source.unlink()
    return figures


def run(quick: bool, megabytes: int | None = None) -> Figures:
    """CPU seconds, MB per CPU second, memory and ratios to ffmpeg, by case."""
    return run_cases(CASES, measure, quick, megabytes)


def table(figures: Figures) -> str:
    lines = [
        f"median of {figures['rounds']} rounds; MB/s is per second of CPU",
        f"{'case':<18}{'MB':>6}  {'program':<10}{'CPU s':>8}{'MB/s':>8}{'ratio':>8}{'RSS MB':>8}",
    ]
    for name, case in figures["cases"].items():
        for program in ("recordkit", "ffmpeg"):
            row = case[program]
            lines.append(
                f"{name:<18}{case['bytes'] / 1e6:>6.0f}  {program:<10}{row['cpu_s']['median']:>8.2f}"
                f"{row['mb_per_cpu_s']:>8.0f}{row['ratio']['median']:>8.2f}{row['peak_rss_mb']['median']:>8.0f}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    command_line(__doc__ or "", run, table, megabytes="size of the files (1000; with --quick 8)")
