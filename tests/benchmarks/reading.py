"""Single frames out of a recording, by recordkit and by what people use today.

    python tests/benchmarks/reading.py [--quick] [--json PATH]

``frames``: opening a recording of five minutes of 1080p30 and taking three frames at random as RGB arrays, in
turns, with the time of opening in it; how many frames were others than were asked for is read from the number in
each. PyAV seeks to the time of the frame, as recordkit's table tells it, decodes until it comes, and begins
earlier if it has been passed; OpenCV,
decord and torchcodec are asked for its number. Those that are not installed are left out. ``order``: the frames of
the first ten seconds one after the other, without conversion, by recordkit and by PyAV. ``opening``: a recording
of ten hours by its frame table, ready to give frames; and one without a table, by a scan.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import av
import numpy as np
from figures import Figures, command_line, spread
from packetiser import FLUSH_PACKETS, PACKET_BYTES

import recordkit as rk
from recordkit.model import AccessUnit, Codec, StreamFormat
from recordkit.mpegts.laying import PacketBuffer
from recordkit.mpegts.packetiser import Packetiser
from recordkit.reading.units import Source
from recordkit.sources.marks import read_frame_number
from recordkit.system import System
from recordkit.telemetry.table import FrameTable, table_path
from recordkit.ticks import TICKS_PER_SECOND

SECONDS = 10
FRAMES = SECONDS * 30
ROUNDS, QUICK_ROUNDS = 9, 2
ASKED = 3
LEADS_S = (0, 3, 10)
"""A seek in a transport stream may lead beyond the frame that is wanted: then it begins so much earlier."""

Image = Any
Reader = Callable[[Path, list[int], list[int]], list[Image]]
"""Opens a file, and returns the frames of these numbers and times (PTS)."""


def by_recordkit(path: Path, numbers: list[int], _: list[int]) -> list[Image]:
    with rk.open(path) as video:
        return [video[number].image for number in numbers]


def by_pyav(path: Path, _: list[int], times: list[int]) -> list[Image]:
    found = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for pts in times:
            frame = next((one for lead_s in LEADS_S if (one := _exactly(container, stream, pts, lead_s))), None)
            if frame is not None:
                found.append(frame.to_ndarray(format="rgb24"))
    return found


def _exactly(container: Any, stream: Any, pts: int, lead_s: int) -> Any:
    """The frame of time ``pts`` by a seek to so much earlier; None if that still leads beyond it."""
    container.seek(max(pts - lead_s * TICKS_PER_SECOND, 0), stream=stream)
    for frame in container.decode(stream):
        if frame.pts is not None and frame.pts >= pts:
            return frame if frame.pts == pts else None
    return None


def by_opencv(path: Path, numbers: list[int], _: list[int]) -> list[Image]:
    cv2 = import_module("cv2")
    capture, found = cv2.VideoCapture(str(path)), []
    for number in numbers:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        done, image = capture.read()
        if done:
            found.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    capture.release()
    return found


def by_decord(path: Path, numbers: list[int], _: list[int]) -> list[Image]:
    reader = import_module("decord").VideoReader(str(path))
    return [reader[number].asnumpy() for number in numbers]


def by_torchcodec(path: Path, numbers: list[int], _: list[int]) -> list[Image]:
    decoder = import_module("torchcodec.decoders").VideoDecoder(str(path), dimension_order="NHWC")
    return [decoder[number].numpy() for number in numbers]


READERS: dict[str, tuple[str, Reader]] = {
    "recordkit": ("recordkit", by_recordkit),
    "PyAV": ("av", by_pyav),
    "OpenCV": ("cv2", by_opencv),
    "decord": ("decord", by_decord),
    "torchcodec": ("torchcodec.decoders", by_torchcodec),
}


def encoded(folder: Path, width: int, height: int, audio: bool) -> list[AccessUnit]:
    """Ten seconds of the synthetic source, coded."""
    path = folder / "few.ts"
    settings = rk.VideoSettings(preset="ultrafast", crf=18)
    rk.record(rk.Synthetic(width, height, audio=audio, seconds=SECONDS, realtime=False), path, video=settings)
    source = Source(path)
    units = [coded.unit for coded in source.units()]
    source.close()
    path.unlink()
    return units


def write(path: Path, units: list[AccessUnit], turns: int) -> int:
    """A recording of so many turns of ``units``, with its frame table; how many bytes it has."""
    packetiser = Packetiser()
    packetiser.declare(0, StreamFormat(Codec.H264))
    if any(unit.stream for unit in units):
        packetiser.declare(1, StreamFormat(Codec.AAC, sample_rate=48_000, channels=2))
    buffer = PacketBuffer(np.empty((FLUSH_PACKETS + 8192, PACKET_BYTES), np.uint8))
    frames, made = FrameTable(table_path(path), System(), durable=False), 0
    last: dict[int, int] = {}
    with path.open("wb", buffering=0) as file:
        for turn in range(turns):
            shift = turn * SECONDS * TICKS_PER_SECOND
            for one in units:
                unit = replace(one, pts=one.pts + shift, dts=one.dts + shift)
                if unit.dts <= last.get(unit.stream, -1):
                    continue  # ten seconds are no whole number of frames of audio
                last[unit.stream] = unit.dts
                before = made + buffer.used_bytes
                packetiser.lay(unit, buffer)
                if unit.stream == 0:
                    frames.add(unit, before + packetiser.lead_bytes, packetiser.unit_bytes)
                if buffer.used >= FLUSH_PACKETS:
                    made += file.write(buffer.bytes[: buffer.used_bytes])
                    buffer.used = 0
            frames.flushed(made)
        made += file.write(buffer.bytes[: buffer.used_bytes])
    frames.flushed(made)
    frames.close()
    return made


def frames(path: Path, rounds: int) -> Figures:
    """Seconds, and how many frames were wrong or missing, by reader."""
    chance = random.Random(1)
    with rk.open(path) as video:
        count, times = len(video), video.frames["pts"].tolist()
    rows: Figures = {}
    seconds: dict[str, list[float]] = {}
    for name, (module, _) in READERS.items():
        try:
            import_module(module)
        except (ImportError, OSError, RuntimeError) as error:
            rows[name] = {"missing": str(error).splitlines()[0][:120]}
        else:
            seconds[name], rows[name] = [], {"wrong": 0}
    for turn in range(rounds + 1):  # the first warms up and does not count
        numbers = chance.sample(range(count), ASKED)
        for name in seconds:
            begun_s = time.perf_counter()
            images = READERS[name][1](path, numbers, [times[number] for number in numbers])
            if turn:
                seconds[name].append(time.perf_counter() - begun_s)
            shown = [read_frame_number(av.VideoFrame.from_ndarray(np.ascontiguousarray(one))) for one in images]
            shown += [None] * (ASKED - len(shown))
            rows[name]["wrong"] += sum(a != b % FRAMES for a, b in zip(shown, numbers, strict=True))
    for name, spent in seconds.items():
        rows[name] |= {"seconds": spread(spent, 4), "asked": (rounds + 1) * ASKED}
    return {"count": count, "rows": rows}


def _ours_in_order(path: Path) -> int:
    with rk.open(path) as video:
        return sum(1 for _ in video[:FRAMES])


def _pyavs_in_order(path: Path) -> int:
    count = 0
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for _ in container.decode(video=0):
            count += 1
            if count == FRAMES:
                break
    return count


def order(path: Path, rounds: int) -> Figures:
    """Frames a second, and recordkit's share of PyAV's, round by round."""
    rates: dict[str, list[float]] = {"recordkit": [], "PyAV": []}
    for turn in range(rounds + 1):
        for name, read in (("recordkit", _ours_in_order), ("PyAV", _pyavs_in_order)):
            begun_s = time.perf_counter()
            count = read(path)
            if turn:
                rates[name].append(count / (time.perf_counter() - begun_s))
    shares = [ours / theirs for ours, theirs in zip(*rates.values(), strict=True)]
    return {**{name: spread(rate, 1) for name, rate in rates.items()}, "ratio": spread(shares, 3)}


def opened_s(path: Path, rounds: int) -> float:
    """Seconds until a recording is open and knows how many frames it has."""
    spent = []
    for _ in range(rounds):
        begun_s = time.perf_counter()
        with rk.open(path) as video:
            len(video)
            spent.append(time.perf_counter() - begun_s)
    return statistics.median(spent)


def run(quick: bool) -> Figures:
    """All three parts."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large, long = folder / "large.ts", folder / "long.ts"
        size = write(large, encoded(folder, *((320, 180) if quick else (1920, 1080)), True), 2 if quick else 30)
        figures: Figures = {"rounds": rounds, "frames": frames(large, rounds), "order": order(large, rounds)}
        table_path(large).unlink()
        scanned_s = opened_s(large, 1 if quick else 3)
        large.unlink()
        turns = 6 if quick else 3600
        write(long, encoded(folder, 64, 48, False), turns)
        figures["opening"] = {
            "media_s": turns * SECONDS,
            "with_table_ms": round(1000 * opened_s(long, rounds), 1),
            "scanned_bytes": size,
            "scan_s_per_gb": round(scanned_s / size * 1e9, 2),
        }
    return figures


def table(figures: Figures) -> str:
    lines = [f"{'three frames':<14}{'s':>8}{'wrong':>8}"]
    for name, row in figures["frames"]["rows"].items():
        if "missing" in row:
            lines.append(f"{name:<14}  {row['missing']}")
        else:
            lines.append(f"{name:<14}{row['seconds']['median']:>8.3f}{row['wrong']:>5} of {row['asked']}")
    one, opening = figures["order"], figures["opening"]
    lines += [
        f"in order: {one['recordkit']['median']:.0f} frames/s, PyAV {one['PyAV']['median']:.0f}, "
        f"ratio {one['ratio']['median']:.2f}",
        f"opening {opening['media_s'] / 3600:.2g} h: {opening['with_table_ms']:.0f} ms; "
        f"a scan: {opening['scan_s_per_gb']:.2f} s a GB",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    command_line(__doc__ or "", run, table)
