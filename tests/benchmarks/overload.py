"""A consumer too slow by a factor of three, for a while: memory, what is lost, and how long it takes to recover.

    python tests/benchmarks/overload.py [--quick] [--seconds N] [--json PATH]

Both MediaRecorders get the same 720p30 in real time while each picture costs their encoder 100 ms, where there
are 33; after that it is as fast as ever. Memory is watched from outside, its slope while it is slow. ``lost``
are pictures that cannot be decoded from the file, ``recovery_s`` is from the relief until a picture is encoded
within 0.2 s of being handed over.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from figures import Figures, command_line
from judging import pictures_in
from lag import LagMeter
from observing import Watched, script, slope
from ways import AiortcToTs, OurMediaRecorder, Tracks, files
from work import FPS, Work, cpu_s, say

SIZE, BIT_RATE = "1280x720", 2_500_000
QUICK_SIZE, QUICK_BIT_RATE = "320x180", 400_000
SECONDS, QUICK_SECONDS = 12.0, 1.5
AFTER_S, QUICK_AFTER_S = 6.0, 0.5
PICTURE_S = 3 / FPS
IN_TIME_S = 0.2


class Pace:
    """Makes each picture cost its time until it is relieved, and follows how late they are."""

    def __init__(self) -> None:
        self.relieved_s: float | None = None
        self.recovered_s: float | None = None
        self._handed: dict[int, float] = {}
        self._lock = threading.Lock()

    def handed(self, number: int) -> None:
        with self._lock:
            self._handed[number] = time.monotonic()

    def relieve(self) -> None:
        self.relieved_s = time.monotonic()

    def encoding(self, number: int) -> None:
        if self.relieved_s is None:
            time.sleep(PICTURE_S)
            return
        now_s = time.monotonic()
        with self._lock:
            late_s = now_s - self._handed[number]
        if self.recovered_s is None and late_s <= IN_TIME_S:
            self.recovered_s = now_s


class OurSlowed(OurMediaRecorder):
    pace: Pace

    def make(self) -> Any:
        from recordkit.encode.video import VideoEncoder

        encode: Callable[..., Any] = VideoEncoder.encode

        def slowed(encoder: Any, frame: Any, *arguments: Any, **named: Any) -> Any:
            self.pace.encoding(frame.pts)
            return encode(encoder, frame, *arguments, **named)

        VideoEncoder.encode = slowed  # type: ignore[method-assign]
        return super().make()


class SlowStream:
    """In the place of a PyAV stream, which takes no other ``encode``."""

    def __init__(self, stream: Any, pace: Pace) -> None:
        self._stream = stream
        self._pace = pace

    def encode(self, frame: Any) -> Any:
        if frame is not None:
            self._pace.encoding(frame.pts)
        return self._stream.encode(frame)


class AiortcSlowed(AiortcToTs):
    pace: Pace

    def settle(self) -> None:
        super().settle()
        for track, context in self.recorder._MediaRecorder__tracks.items():
            if track.kind == "video":
                # aiortc does so itself at the first frame, of a stream that it knows.
                context.stream.width, context.stream.height = self.work.width, self.work.height
                context.stream = SlowStream(context.stream, self.pace)


WAYS: dict[str, type[OurSlowed] | type[AiortcSlowed]] = {
    "recordkit MediaRecorder": OurSlowed,
    "aiortc MediaRecorder, ts": AiortcSlowed,
}


async def record(way: Tracks, pace: Pace, slow_s: float) -> None:
    frames = way.work.source.frames()
    given = 0

    def pump() -> None:
        nonlocal given
        begun_s = time.monotonic()
        for frame in frames:
            due_s = way.work.source.due_s(frame)
            time.sleep(max(0.0, begun_s + due_s - time.monotonic()))
            if due_s >= slow_s and pace.relieved_s is None:
                pace.relieve()
            if hasattr(frame, "pict_type"):
                pace.handed(frame.pts)
                given += 1
            way.write(frame)

    await way.start()
    say("begin", seconds=way.work.seconds)
    begun_cpu_s = cpu_s()
    async with LagMeter() as lag:
        await asyncio.to_thread(pump)
        await way.finish()
    took_s = None if pace.recovered_s is None or pace.relieved_s is None else pace.recovered_s - pace.relieved_s
    say("end", cpu_s=cpu_s() - begun_cpu_s, frames=given, recovery_s=took_s, **lag.figures())


def child(arguments: list[str]) -> None:
    """The process that records."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=list(WAYS))
    parser.add_argument("path", type=Path)
    parser.add_argument("size")
    for name in ("bit_rate", "slow_s", "after_s"):
        parser.add_argument(name, type=float)
    options = parser.parse_args(arguments)
    width, height = map(int, options.size.split("x"))
    seconds = options.slow_s + options.after_s
    way = WAYS[options.way](Work(options.path, width, height, seconds, int(options.bit_rate)))
    way.pace = Pace()
    asyncio.run(record(way, way.pace, options.slow_s))


def run(quick: bool, seconds: int | None = None) -> Figures:
    """For each of the two, what the slow time cost it."""
    slow_s = seconds or (QUICK_SECONDS if quick else SECONDS)
    after_s = QUICK_AFTER_S if quick else AFTER_S
    size, bit_rate = (QUICK_SIZE, QUICK_BIT_RATE) if quick else (SIZE, BIT_RATE)
    rows: Figures = {}
    for name in WAYS:
        with tempfile.TemporaryDirectory() as work:
            path, grown = files(name, Path(work))
            command = script("overload.py", "--child", name, path, size, bit_rate, slow_s, after_s)
            seen = Watched(command, grown).watch()
            said = seen.said
            slowly = [(at, size) for at, size in seen.memory if slow_s / 6 < at < slow_s]
            rows[name] = {
                **seen.memory_figures(),
                "rss_slope_mb_per_s": round(slope(slowly) / 1e6, 2),
                **{key: said[key] for key in ("lag_ms_p50", "lag_ms_p99", "lag_ms_max")},
                "recovery_s": None if said["recovery_s"] is None else round(said["recovery_s"], 3),
                "pictures": said["frames"],
                "lost": said["frames"] - pictures_in(path),
            }
    return {"slow_s": slow_s, "after_s": after_s, "size": size, "rows": rows}


def table(figures: Figures) -> str:
    lines = [
        f"{figures['size']} at 30 frames per second; for {figures['slow_s']:g} s each takes three times as long",
        f"{'':<26}{'MB/s':>8}{'peak MB':>9}{'lost':>6}{'of':>6}"
        f"{'recovery s':>12}{'lag p50':>9}{'p99':>8}{'max':>8}",
    ]
    for name, row in figures["rows"].items():
        took = "never" if row["recovery_s"] is None else f"{row['recovery_s']:.2f}"
        lags = "".join(f"{row[key]:>{width}.0f}" for key, width in _LAGS)
        lines.append(
            f"{name:<26}{row['rss_slope_mb_per_s']:>8.1f}{row['rss_peak_mb']:>9.0f}{row['lost']:>6}"
            f"{row['pictures']:>6}{took:>12}{lags}"
        )
    return "\n".join(lines)


_LAGS = (("lag_ms_p50", 9), ("lag_ms_p99", 8), ("lag_ms_max", 8))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
    else:
        command_line(__doc__ or "", run, table, seconds="how long the encoder is slow")
