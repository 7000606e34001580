"""Memory while a 1080p30 WebRTC sender runs against a consumer that is too slow: aiortc's path and ours.

    python -m tests.benchmarks.webrtc_memory [--seconds 20] [--json]

Each way runs in a process of its own, the sender included: ``aiortc`` reads ten decoded pictures a
second from the track, ``encoder`` records with an encoder that cannot keep up, ``disk`` with a disk
that takes ten seconds for each write. The growth is that of the resident set from the eighth second
on, when the encoder has filled its lookahead.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

import recordkit as rk
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc.peers import connected_peers
from recordkit.sources.webrtc.tracks import SyntheticMedia
from recordkit.system import System

WAYS = ("aiortc", "encoder", "disk")
_SETTLED_S = 8.0
_QUEUE_BYTES = 256 * 1024


class SlowDisk(System):
    """Takes ten seconds for each write."""

    def write_at(self, descriptor: int, data: memoryview, offset: int) -> int:
        time.sleep(10.0)
        return super().write_at(descriptor, data, offset)


async def watch(seconds: float) -> list[tuple[float, int]]:
    """The resident set, ten times a second, from the time on at which all has been set up."""
    process, began_s, taken = psutil.Process(), time.monotonic(), []
    while (elapsed_s := time.monotonic() - began_s) < seconds:
        if elapsed_s >= _SETTLED_S:
            taken.append((elapsed_s, process.memory_info().rss))
        await asyncio.sleep(0.1)
    return taken


async def read_slowly(track) -> None:
    while True:
        await track.recv()
        await asyncio.sleep(0.1)


async def run(way: str, seconds: float, folder: Path) -> dict[str, object]:
    media = SyntheticMedia(Synthetic(width=1920, height=1080), bit_rate=16_000_000)
    told: dict[str, object] = {"way": way}
    async with connected_peers(media.tracks) as peers:
        if way == "aiortc":
            readers = [asyncio.create_task(read_slowly(track)) for track in peers.tracks]
            media.begin()
            samples = await watch(seconds)
            for reader in readers:
                reader.cancel()
        else:
            slow = {
                "encoder": {"video": rk.VideoSettings(transcode=True, preset="slow")},
                "disk": {"_system": SlowDisk(), "flush_threshold": 64 * 1024},
            }[way]
            recorder = rk.MediaRecorder(folder / "slow.ts", queue_bytes=_QUEUE_BYTES, **slow)
            for track, receiver in zip(peers.tracks, peers.receivers, strict=True):
                recorder.addTrack(track, receiver=receiver)
            await recorder.start()
            media.begin()
            samples = await watch(seconds)
            counters = recorder.counters
            told |= {"dropped": counters.dropped_items, "taken": counters.taken_items}
            told["file_ok"] = bool(await recorder.stop())
    await media.close()
    times, sizes = np.array(samples, float).T
    told["growth_mb_s"] = round(float(np.polyfit(times, sizes, 1)[0]) / 1e6, 2)
    told["peak_mb"] = round(float(sizes.max()) / 1e6, 1)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--way", choices=WAYS, help="only this one, in this process")
    given = parser.parse_args()
    if given.way:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(asyncio.run(run(given.way, given.seconds, Path(folder)))))
        return
    for way in WAYS:
        command = [
            sys.executable,
            "-m",
            "tests.benchmarks.webrtc_memory",
            "--way",
            way,
            "--seconds",
            str(given.seconds),
        ]
        told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(json.dumps(told) if given.json else "  ".join(f"{name} {value}" for name, value in told.items()))


if __name__ == "__main__":
    main()
