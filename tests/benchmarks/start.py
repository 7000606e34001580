"""How long it takes to begin: the import, a recording in its own process, the redraw of a live plot.

    python tests/benchmarks/start.py [--quick] [--json PATH]

``import`` is a new interpreter that imports something, less one that imports nothing, round by round. ``start``
is from the call of ``recordkit.start`` until it returns, and until the first byte of the recording is on disk.
``redraw`` is both live charts of a recording of an hour drawn anew, as the panel does once a second.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from figures import Figures, command_line, spread

import recordkit as rk
from recordkit.plots.live import LiveCharts

STATEMENTS = (
    "import recordkit",
    "from recordkit import Recorder",
    "from recordkit import MediaRecorder",
    "from aiortc.contrib.media import MediaRecorder",
    "import av",
)
"""``import recordkit`` loads next to nothing: what is used is loaded when it is asked for."""
ROUNDS, QUICK_ROUNDS = 15, 1
STEP_S = 0.002
GUARD_S = 60.0
HOUR_S = 3600


def children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def interpreter(statement: str) -> tuple[float, float]:
    """CPU and wall seconds of a new interpreter."""
    cpu_s, wall_s = children_cpu_s(), time.monotonic()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return children_cpu_s() - cpu_s, time.monotonic() - wall_s


def imports(rounds: int) -> Figures:
    """CPU and wall milliseconds of each import."""
    spent: dict[str, list[tuple[float, float]]] = {one: [] for one in STATEMENTS}
    for number in range(rounds + 1):  # the first round warms up and does not count
        bare = interpreter("pass")
        for one in STATEMENTS:
            taken = interpreter(one)
            if number:
                spent[one].append((1000 * (taken[0] - bare[0]), 1000 * (taken[1] - bare[1])))
    return {
        name: {"cpu_ms": spread([cpu for cpu, _ in rows], 1), "wall_ms": spread([wall for _, wall in rows], 1)}
        for name, rows in spent.items()
    }


def starts(rounds: int) -> Figures:
    """Milliseconds from ``start`` until it returns, and until the first byte is on disk."""
    returned, first = [], []
    with tempfile.TemporaryDirectory() as work:
        for number in range(rounds):
            path = Path(work) / f"{number}.ts"
            partial = path.with_suffix(".recording.ts")
            begun_s = time.monotonic()
            source = rk.Synthetic(width=320, height=180)
            session = rk.start(source, path)
            returned.append(1000 * (time.monotonic() - begun_s))
            while not partial.stat().st_size:
                if time.monotonic() - begun_s > GUARD_S:
                    raise RuntimeError("no byte of the recording came to the disk")
                time.sleep(STEP_S)
            first.append(1000 * (time.monotonic() - begun_s))
            session.stop()
    return {"returned_ms": spread(returned, 1), "first_byte_ms": spread(first, 1)}


def redraws(rounds: int) -> Figures:
    """CPU milliseconds of a redraw; the figures are those of a real recording, over and over."""
    seen: list[rk.FlushRecord | rk.Sample] = []
    with tempfile.TemporaryDirectory() as work:
        recorder = rk.Recorder(Path(work) / "talk.ts", flush_interval=0.05, sample_interval=0.05, audio=None)
        with recorder:
            recorder.follow(lambda record: seen.append(record), lambda log: None)
            for frame in rk.Synthetic(width=320, height=180, seconds=1, audio=False).frames():
                recorder.write(frame)
    flush = next(one for one in seen if isinstance(one, rk.FlushRecord))
    sample = next(one for one in seen if isinstance(one, rk.Sample))
    charts = LiveCharts(300e6)
    taken = []
    for second in range(HOUR_S + rounds + 1):
        at: Figures = {"elapsed_s": float(second)}
        charts.add([replace(sample, rss_bytes=sample.rss_bytes + second % 60 * 10_000, **at)])
        charts.add([replace(flush, file_bytes=flush.file_bytes * second, **at)])
        if second >= HOUR_S:
            begun_s = time.process_time()
            charts.draw()
            taken.append(1000 * (time.process_time() - begun_s))
    return {"cpu_ms": spread(taken[1:], 1)}  # the first draws all that stays


def run(quick: bool) -> Figures:
    """Milliseconds of imports, starts and redraws."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    return {"rounds": rounds, "imports": imports(rounds), "start": starts(rounds), "redraw": redraws(rounds)}


def table(figures: Figures) -> str:
    lines = [f"milliseconds, median of {figures['rounds']}{'':<28}{'CPU':>8}{'wall':>8}{'low':>8}{'high':>8}"]
    for name, row in figures["imports"].items():
        wall = row["wall_ms"]
        lines.append(
            f"{name:<52}{row['cpu_ms']['median']:>8.0f}"
            f"{wall['median']:>8.0f}{wall['low']:>8.0f}{wall['high']:>8.0f}"
        )
    for name, words in (("returned_ms", "start() returns"), ("first_byte_ms", "start() to first byte")):
        row = figures["start"][name]
        lines.append(f"{words:<60}{row['median']:>8.0f}{row['low']:>8.0f}{row['high']:>8.0f}")
    lines.append(f"{'both charts of the panel drawn anew':<52}{figures['redraw']['cpu_ms']['median']:>8.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    command_line(__doc__ or "", run, table)
