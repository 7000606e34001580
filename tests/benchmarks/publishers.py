"""How many WebRTC publishers of 720p30 one process records, and aiortc's MediaRecorder beside it.

    python tests/benchmarks/publishers.py [--quick] [--seconds N] [--json PATH]

Real publishers in other processes (``rtp_sender.py``) come by WHIP: H.264 of 2.5 Mbit/s and Opus. One, two, four,
until a picture is lost or the 99th percentile of the event loop's delay is over 20 ms, then half way back, twice.
``serve`` is recordkit's endpoint in one process, ``serve, earlier build`` that of ``earlier.py``, ``serve, two
workers`` the same with ``workers=2``; ``aiortc MediaRecorder`` is aiortc's as it comes, behind a page that takes
offers. It is not asked for the pictures of its first second, in which it waits for a keyframe. The delay of the
workers' own loops is what their recordings have noted of it once a second. CPU is that of all receiving processes
while media comes; the senders' stands beside it, since they share the processors.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import av
import psutil
from earlier import COMMIT, earlier_build, with_build
from endpoints import by_aiortc, serve, serve_by_workers
from figures import Figures, command_line, doubled
from lag import LagMeter
from observing import Watched, script
from work import FPS, X264, say

import recordkit as rk
from recordkit.sources.synthetic import Synthetic

SIZE, BIT_RATE = (1280, 720), 2_500_000
QUICK_SIZE, QUICK_BIT_RATE = (320, 180), 200_000
SECONDS, QUICK_SECONDS = 10.0, 1.5
CLIP_S = 2
LONGEST_LAG_MS = 20.0
SETTLED_S = 1.0
MOST = 256
A_SENDER = 32
"""So many publishers one sending process carries."""
GUARD_S = 300.0


def make_clip(path: Path, size: tuple[int, int], bit_rate: int) -> None:
    """A group of pictures as a browser codes it, with its bit rate, and Opus."""
    rate = f"nal-hrd=cbr:vbv-maxrate={bit_rate // 1000}:vbv-bufsize={bit_rate // 1000}"
    with av.open(str(path), "w", format="mpegts") as container:
        video: Any = container.add_stream(
            "libx264", rate=FPS, options=X264 | {"profile": "baseline", "x264-params": rate}
        )
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.bit_rate, video.codec_context.gop_size = bit_rate, CLIP_S * FPS
        audio: Any = container.add_stream("libopus", rate=48_000, layout="stereo")
        for frame in Synthetic(width=size[0], height=size[1], fps=FPS, seconds=CLIP_S).frames():
            container.mux((video if isinstance(frame, av.VideoFrame) else audio).encode(frame))
        for stream in (video, audio):
            container.mux(stream.encode(None))


Way = Callable[[Path, int], AbstractAsyncContextManager[str]]
BY_WORKERS, BY_EARLIER = "serve, two workers", "serve, earlier build"
WAYS: dict[str, Way] = {
    "serve": serve,
    BY_EARLIER: serve,
    BY_WORKERS: serve_by_workers,
    "aiortc MediaRecorder": by_aiortc,
}


class Senders:
    """The sending processes of one round."""

    def __init__(self, url: str, clip: Path, seconds: float, publishers: int) -> None:
        names = [f"p{number}" for number in range(publishers)]
        count = -(-publishers // A_SENDER)
        self._processes = [
            subprocess.Popen(
                script("rtp_sender.py", url, clip, seconds, *names[number::count]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(count)
        ]

    async def all_say(self, event: str) -> list[Figures]:
        """Wait for this word of each. Raises RuntimeError if one has failed."""
        found = []
        for process in self._processes:
            line = await asyncio.to_thread(process.stdout.readline)  # type: ignore[union-attr]
            said = json.loads(line) if line else {}
            if said.get("event") != event:
                raise RuntimeError(f"a sender failed instead of saying {event}")
            found.append(said)
        return found

    def go_on(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()

    async def end(self) -> None:
        self.go_on()
        for process in self._processes:
            await asyncio.to_thread(process.wait)


def receiving() -> list[psutil.Process]:
    """This process, and workers that it has."""
    own = psutil.Process()
    return [own, *(one for one in own.children() if "workers.worker" in " ".join(one.cmdline()))]


def spent_s(processes: list[psutil.Process]) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in processes)


async def record(way: str, clip: Path, folder: Path, publishers: int, seconds: float) -> Figures:
    async with WAYS[way](folder, publishers) as url:
        senders = Senders(url, clip, seconds, publishers)
        await senders.all_say("ready")
        gc.collect()
        processes = receiving()
        say("begin", seconds=seconds)
        before_s = spent_s(processes)
        async with LagMeter() as lag:
            senders.go_on()
            said = await senders.all_say("sent")
        used_s = spent_s(processes) - before_s
        rss_mb = sum(one.memory_info().rss for one in processes) / 1e6
        if way.startswith("serve"):  # who leaves is committed; of who stays silent the last picture would stand
            await senders.end()
        else:
            await asyncio.sleep(SETTLED_S)  # before its recorders are stopped
    if not way.startswith("serve"):
        await senders.end()
    pictures = sum(one["pictures"] for one in said)
    return {
        "publishers": publishers,
        "pictures": pictures,
        "cores": round(used_s / (seconds + CLIP_S), 3),
        "senders_cores": round(sum(one["cpu_s"] for one in said) / (seconds + CLIP_S), 3),
        "late_s": max(one["late_s"] for one in said),
        "unsent": sum(one["unsent"] for one in said),
        "rss_mb": round(rss_mb, 1),
        **lag.figures(),
    }


def noted_lags(folder: Path) -> Figures:
    """The delay of the event loops that recorded into this folder, as LagMeter tells it."""
    lags = LagMeter()
    for path in folder.glob("*.ts"):
        lags.lags += rk.read_flush_log(path).samples["loop_lag_s"].dropna().tolist()
    return lags.figures()


def lost(way: str, folder: Path, row: Figures) -> int:
    """Pictures that are in no file; each publisher has sent as many as the others."""
    each = row["pictures"] // row["publishers"] - (0 if way.startswith("serve") else FPS)
    recorded = {f"p{number}": 0 for number in range(row["publishers"])}
    for path in folder.glob("*.ts"):
        units = sum(stream.access_units for stream in rk.verify(path).streams if stream.sizes)
        recorded[path.stem.partition("-")[0]] += units
    return sum(max(0, each - units) for units in recorded.values())


def is_carried(row: Figures) -> bool:
    return row["lost"] == 0 and row["lag_ms_p99"] <= LONGEST_LAG_MS


def carried_by(way: str, clip: Path, seconds: float, most: int, build: Path | None) -> Figures:
    """1, 2, 4 … publishers until they are not carried, by this build or another."""

    def measure(publishers: int) -> Figures:
        with tempfile.TemporaryDirectory(dir=clip.parent) as folder:
            words = script("publishers.py", "--child", way, clip, folder, publishers, seconds)
            row = Watched(with_build(words, build)).watch(guard_s=GUARD_S).said
            row.pop("at")
            row["lost"] = lost(way, Path(folder), row)
            if way == BY_WORKERS:
                row |= noted_lags(Path(folder))
        return row | {"carried": is_carried(row)}

    rows, carried = doubled(measure, most)
    found: Figures = {"carried": carried[-1]["publishers"] if carried else 0, "rows": rows}
    if carried:
        found["cores_a_publisher"] = round(carried[-1]["cores"] / carried[-1]["publishers"], 4)
    if len(carried) > 1:
        first, last = carried[0], carried[-1]
        added = (last["rss_mb"] - first["rss_mb"]) / (last["publishers"] - first["publishers"])
        found["added_rss_mb_a_publisher"] = round(added, 2)
    return found


def run(quick: bool, seconds: int | None = None) -> Figures:
    """For each way how many publishers it carried, and what they cost."""
    long = seconds or (QUICK_SECONDS if quick else SECONDS)
    size, bit_rate = (QUICK_SIZE, QUICK_BIT_RATE) if quick else (SIZE, BIT_RATE)
    with tempfile.TemporaryDirectory() as work, earlier_build() as build:
        clip = Path(work) / "clip.mpegts"
        make_clip(clip, size, bit_rate)
        builds = {way: build if way == BY_EARLIER else None for way in WAYS}
        if build is None:
            del builds[BY_EARLIER]
        found = {way: carried_by(way, clip, long, 1 if quick else MOST, one) for way, one in builds.items()}
    return {"seconds": long, "size": size, "bit_rate": bit_rate, "ways": found}


def table(figures: Figures) -> str:
    width, height = figures["size"]
    lines = [
        f"publishers of {width}x{height}, {figures['bit_rate'] / 1e6:g} Mbit/s and Opus, {figures['seconds']:g} s; "
        f"the earlier build is {COMMIT}",
        f"{'':<22}{'publishers':>11}{'cores':>7}{'senders':>9}{'RSS MB':>8}{'lag p99':>9}{'max':>7}"
        f"{'lost':>6}{'of':>7}{'late s':>8}",
    ]
    for way, found in figures["ways"].items():
        for row in found["rows"]:
            lines.append(
                f"{way:<22}{row['publishers']:>11}{row['cores']:>7.2f}{row['senders_cores']:>9.2f}"
                f"{row['rss_mb']:>8.0f}{row['lag_ms_p99']:>9.1f}{row['lag_ms_max']:>7.0f}{row['lost']:>6}"
                f"{row['pictures']:>7}{row['late_s']:>8.2f}"
            )
        if "added_rss_mb_a_publisher" in found:
            lines.append(
                f"{'':<22}{found['carried']} carried; each further publisher adds "
                f"{found['added_rss_mb_a_publisher']:.1f} MB, and takes {found['cores_a_publisher']:.3f} of a core"
            )
    return "\n".join(lines)


def child(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=list(WAYS))
    parser.add_argument("clip", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("publishers", type=int)
    parser.add_argument("seconds", type=float)
    options = parser.parse_args(arguments)
    figures = asyncio.run(record(options.way, options.clip, options.folder, options.publishers, options.seconds))
    say("end", **figures)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
    else:
        command_line(__doc__ or "", run, table, seconds="how long each records")
