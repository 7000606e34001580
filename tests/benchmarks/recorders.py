"""What it costs to record live frames: recordkit, and what people use today, with the same encoder settings.

    python tests/benchmarks/recorders.py [--quick] [--seconds N] [--json PATH]

Each way records the synthetic source in real time, in a process of its own, one after the other: see ways.py.
CPU is that of the process and all that it started, memory is theirs together; ``the source alone`` is what
painting and measuring take, and is in all others too. That is measured once more ``in turns``: short recordings
of each way, round by round, since a machine may be twice as fast a minute later. Calls that write are counted in a
further run under strace. ``lost`` are pictures handed over that cannot be decoded from the finished file.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from figures import Figures, command_line, spread
from judging import pictures_in
from observing import Observation, Watched, script
from ways import WAYS as EVERY_WAY
from ways import files, missing

SIZES = {"720p30": ("1280x720", 2_500_000), "1080p30": ("1920x1080", 5_000_000)}
QUICK_SIZES = {"quarter": ("320x180", 400_000)}
IN_FRAGMENTS = (
    "recordkit Recorder, mp4",
    "libavformat hybrid_fragmented, mp4",
    "ffmpeg frag_keyframe, mp4",
    "GStreamer fragments, mp4",
)
WAYS = tuple(name for name in EVERY_WAY if name not in IN_FRAGMENTS)
"""What is asked of those is what a crash leaves of them."""
OTHER_CONTAINERS = ("aiortc MediaRecorder, mp4", "aiortc MediaRecorder, mkv")
ALONE = "the source alone"
SECONDS, QUICK_SECONDS, ALONE_SECONDS, TRACED_SECONDS = 60, 1.5, 15, 10
ROUNDS, TURN_SECONDS = 5, 6
CALLS = ("write", "pwrite64", "writev", "pwritev", "pwritev2")
SYNCS = ("fsync", "fdatasync", "msync", "sync_file_range")


def recorded(name: str, folder: Path, size: str, bit_rate: int, seconds: float) -> tuple[Observation, Path]:
    path, grown = files(name, folder)
    options = ("--out", path, "--size", size, "--bit-rate", bit_rate, "--seconds", seconds)
    return Watched(script("ways.py", name, *options), grown).watch(), path


def calls_a_second(name: str, folder: Path, size: str, bit_rate: int, seconds: float) -> Figures:
    """Calls a second that write to the file, and calls that bring it to the disk."""
    if shutil.which("strace") is None:
        return {"traced": "strace is not installed"}
    path, grown = files(name, folder)
    trace = folder / "trace"
    options = ("--out", path, "--size", size, "--bit-rate", bit_rate, "--seconds", seconds)
    strace = ("strace", "-f", "-y", "-qq", "-s", "1", "--seccomp-bpf", "-e", "signal=none", "-o", str(trace))
    calls = ("-e", f"trace={','.join((*CALLS, *SYNCS))}")
    Watched([*strace, *calls, *script("ways.py", name, *options)], grown).watch()
    names = "|".join(re.escape(str(one)) for one in grown)
    made = re.findall(rf"^\d+ +(\w+)\(\d+<(?:{names})>", trace.read_text(errors="replace"), re.MULTILINE)
    return {
        "writes_per_s": round(sum(call in CALLS for call in made) / seconds, 2),
        "syncs_per_s": round(sum(call in SYNCS for call in made) / seconds, 2),
    }


def figures_of(name: str, size: str, bit_rate: int, seconds: float, traced_s: float | None) -> Figures:
    program = missing(name)
    if program is not None:
        return {"missing": f"{program} is not installed"}
    seconds = min(seconds, ALONE_SECONDS) if name == ALONE else seconds
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        seen, path = recorded(name, folder, size, bit_rate, seconds)
        said = seen.said
        row: Figures = {
            **seen.cpu_figures(),
            **seen.memory_figures(),
            **{key: said[key] for key in ("lag_ms_p50", "lag_ms_p99", "lag_ms_max")},
            "source_late_ms": round(1000 * said["late_s"], 1),
            "pictures": said["frames"],
        }
        if name != ALONE:
            row |= seen.file_figures() | {"lost": said["frames"] - pictures_in(path)}
            path.unlink()
            if traced_s is not None:
                row |= calls_a_second(name, folder, size, bit_rate, traced_s)
        return row


def in_turns(size: str, bit_rate: int) -> dict[str, Figures]:
    """CPU seconds per second of media of each way, the cost of the source in the same round taken off."""
    over: dict[str, list[float]] = {}
    names = [name for name in WAYS if name not in OTHER_CONTAINERS and missing(name) is None]
    for _ in range(ROUNDS):
        spent = {name: turn_of(name, size, bit_rate) for name in names}
        alone = spent.pop(ALONE)
        for name, cpu_s in spent.items():
            over.setdefault(name, []).append(cpu_s - alone)
    return {name: {"over": spread(rounds, 4), "rounds": rounds} for name, rounds in over.items()}


def turn_of(name: str, size: str, bit_rate: int) -> float:
    with tempfile.TemporaryDirectory() as work:
        seen, _ = recorded(name, Path(work), size, bit_rate, TURN_SECONDS)
        return float(seen.cpu_figures()["cpu_s_per_media_s"])


def run(quick: bool, seconds: int | None = None) -> Figures:
    """For each size, each way's figures; those of the source alone first."""
    long = seconds or (QUICK_SECONDS if quick else SECONDS)
    sizes = QUICK_SIZES if quick else SIZES
    found: Figures = {"seconds": long, "sizes": {}}
    for label, (size, bit_rate) in sizes.items():
        is_first = label == next(iter(sizes))
        # How containers differ, and how often it is written, does not hang on the size of the pictures.
        names = [name for name in WAYS if (is_first and not quick) or name not in OTHER_CONTAINERS]
        traced_s = min(TRACED_SECONDS, long) if is_first and not quick else None
        # The short version is not about figures: there all run at once.
        with ThreadPoolExecutor(len(names) if quick else 1) as several:
            rows = several.map(lambda name: figures_of(name, size, bit_rate, long, traced_s), names)  # noqa: B023
            found["sizes"][label] = {"bit_rate": bit_rate, "rows": dict(zip(names, rows, strict=True))}
        if not quick:
            found["sizes"][label]["turns"] = in_turns(size, bit_rate)
    return found


def table(figures: Figures) -> str:
    lines = []
    for label, size in figures["sizes"].items():
        rate, rows = size["bit_rate"], size["rows"]
        lines.append(f"{label}, {rate / 1e6:g} Mbit/s, {figures['seconds']:g} s in real time")
        lines.append(
            f"{'':<26}{'CPU/s':>7}{'over':>7}{'RSS MB':>8}{'peak':>6}{'MB/min':>8}{'1st byte':>9}{'still':>7}"
            f"{'writes/s':>9}{'lag p50':>8}{'p99':>7}{'max':>7}{'lost':>6}"
        )
        alone = rows[ALONE]["cpu_s_per_media_s"]
        for name, row in rows.items():
            if "missing" in row:
                lines.append(f"{name:<26} {row['missing']}")
                continue
            first, still, writes = (row.get(key) for key in ("first_byte_s", "longest_still_s", "writes_per_s"))
            lines.append(
                f"{name:<26}{row['cpu_s_per_media_s']:>7.3f}{row['cpu_s_per_media_s'] - alone:>7.3f}"
                f"{row['rss_start_mb']:>8.0f}{row['rss_peak_mb']:>6.0f}{row['rss_slope_mb_per_min']:>8.1f}"
                f"{_or_dash(first):>9}{_or_dash(still):>7}{_or_dash(writes):>9}"
                f"{row['lag_ms_p50']:>8.1f}{row['lag_ms_p99']:>7.1f}{row['lag_ms_max']:>7.0f}"
                f"{row.get('lost', '-'):>6}"
            )
        for name, turns in size.get("turns", {}).items():
            low, median, high = (turns["over"][key] for key in ("low", "median", "high"))
            lines.append(f"{name:<42} in turns, source taken off: {median:.3f} ({low:.3f} to {high:.3f})")
    return "\n".join(lines)


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


if __name__ == "__main__":
    command_line(__doc__ or "", run, table, seconds="how long each records")
