"""How many streams of 720p30 two cores carry: coded packets passed through, and aiortc's MediaRecorder beside it.

    python tests/benchmarks/streams.py [--quick] [--seconds N] [--json PATH]

The same clip (2.5 Mbit/s of video, AAC) goes in real time to one recorder, to two, to four, until a frame is
lost, the feeder falls a second behind, or the cores are full. ``one process``: as many Recorders, by
``write_packet``. ``workers``: as many background recordings (``start``), each reading a pipe. aiortc's
MediaRecorder takes no packets: it is handed decoded frames, decoded once for all, and encodes them. Memory is
what each further stream adds; RSS counts the mapped buffer, which the kernel can write out, USS is private.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import av
import psutil
from figures import Figures, command_line, doubled
from observing import Watched, script
from ways import AiortcToTs
from work import FPS, PRESET, X264, Work, cpu_s, say

import recordkit as rk
from recordkit.sources.synthetic import Synthetic

SIZE, BIT_RATE = (1280, 720), 2_500_000
QUICK_SIZE, QUICK_BIT_RATE = (320, 180), 200_000
SECONDS, QUICK_SECONDS = 10.0, 1.5
LONGEST_DELAY_S = 1.0
FULL = 0.95
MOST = 256


def make_clip(path: Path, size: tuple[int, int], bit_rate: int, seconds: float) -> None:
    """A clip that really has its bit rate: the encoder fills up what the simple picture does not take."""
    rate = f"nal-hrd=cbr:vbv-maxrate={bit_rate // 1000}:vbv-bufsize={bit_rate // 1000}"
    with av.open(str(path), "w", format="mpegts") as container:
        video: Any = container.add_stream("libx264", rate=FPS, options=X264 | {"x264-params": rate})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.bit_rate, video.codec_context.gop_size = bit_rate, 2 * FPS
        audio: Any = container.add_stream("aac", rate=48_000, layout="stereo")
        for frame in Synthetic(width=size[0], height=size[1], fps=FPS, seconds=seconds).frames():
            container.mux((video if isinstance(frame, av.VideoFrame) else audio).encode(frame))
        for stream in (video, audio):
            container.mux(stream.encode(None))


def paced(items: Iterable[tuple[float, Any]], give: Callable[[Any], None]) -> float:
    """Give each item when it is due; how late the latest was, in seconds."""
    begun_s = time.monotonic()
    worst_s = 0.0
    for due_s, item in items:
        wait_s = begun_s + due_s - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        worst_s = max(worst_s, -wait_s)
        give(item)
    return worst_s


def timed(container: Any, frames: bool) -> list[tuple[float, Any]]:
    """All packets or frames of a clip, each with when it is due."""
    items = container.decode() if frames else (packet for packet in container.demux() if packet.size)
    listed = [(float((item.pts if frames else item.dts) * item.time_base), item) for item in items]
    first = min(due_s for due_s, _ in listed)
    return sorted(((due_s - first, item) for due_s, item in listed), key=lambda pair: pair[0])


def memory_of(pids: Iterable[int]) -> Figures:
    """What processes hold together; those that have just ended hold nothing."""
    full = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            full.append(psutil.Process(pid).memory_full_info())
    return {f"{kind}_mb": round(sum(getattr(one, kind) for one in full) / 1e6, 1) for kind in ("rss", "uss", "pss")}


def video_units(paths: Iterable[Path]) -> list[int]:
    """Access units of video in each file."""
    return [next(stream.access_units for stream in rk.verify(path).streams if stream.sizes) for path in paths]


def intervals(recordings: Iterable[Any]) -> Figures:
    """Seconds between flushes, of all streams."""
    all_s = [one.interval_s for recording in recordings for one in recording.flush_records]
    return {"flush_interval_s": round(median(all_s), 2), "longest_flush_interval_s": round(max(all_s), 2)}


def in_one_process(clip: Path, folder: Path, streams: int) -> Figures:
    """So many Recorders here, fed by one thread."""
    paths = [folder / f"{number}.ts" for number in range(streams)]
    with av.open(str(clip)) as container:
        items = timed(container, frames=False)
        recorders = [rk.Recorder(path, overflow="drop") for path in paths]
        begun_s = cpu_s()
        for recorder in recorders:
            recorder.start()

        def give(packet: Any) -> None:
            for recorder in recorders:
                recorder.write_packet(packet)

        late_s = paced(items, give)
        spent_s = cpu_s() - begun_s
        memory = memory_of([os.getpid()])
        for recorder in recorders:
            recorder.stop()
        pictures = sum(packet.stream.type == "video" for _, packet in items)
    lost = sum(pictures - units for units in video_units(paths))
    return {"cpu_s": spent_s, "late_s": late_s, "lost": lost, **memory, **intervals(recorders)}


def in_workers(clip: Path, folder: Path, streams: int) -> Figures:
    """So many sessions, each of which reads the clip from a named pipe."""
    paths = [folder / f"{number}.ts" for number in range(streams)]
    pipes = [folder / f"{number}.pipe" for number in range(streams)]
    with av.open(str(clip)) as container:
        items = timed(container, frames=False)
        seconds = items[-1][0]
        pictures = sum(packet.stream.type == "video" for _, packet in items)
    data = clip.read_bytes()
    ticks = round(seconds * FPS)
    size = -(-len(data) // ticks)
    chunks = [(number / FPS, data[number * size : (number + 1) * size]) for number in range(ticks)]
    late: list[float] = []

    def feed(pipe: Path) -> None:
        with pipe.open("wb", buffering=0) as file:
            late.append(paced(chunks, file.write))

    for pipe in pipes:
        os.mkfifo(pipe)
    feeders = [threading.Thread(target=feed, args=(pipe,)) for pipe in pipes]
    for feeder in feeders:
        feeder.start()
    begun_s = time.process_time()
    # Without these it looks at 5 s of the stream before it gives anything.
    options = {"probesize": "200000", "analyzeduration": "300000"}

    def begin(pipe: Path, path: Path) -> rk.Session:
        return rk.start(rk.MediaFile(url=str(pipe), format="mpegts", options=options), path)

    with ThreadPoolExecutor(streams) as pool:
        sessions = list(pool.map(begin, pipes, paths))
    # Where the first have ended before the last begin, the machine is too slow by the whole clip.
    here = set(psutil.pids())
    pids = [session.worker_pid for session in sessions]
    workers = [psutil.Process(pid) for pid in pids if pid in here]
    if len(workers) < streams:
        late.append(seconds)
    started = [sum(one.cpu_times()[:2]) for one in workers]
    time.sleep(max(0.0, seconds / 2))
    half = [
        sum(one.cpu_times()[:2]) if one.is_running() else before
        for one, before in zip(workers, started, strict=True)
    ]
    memory = memory_of(one.pid for one in workers if one.is_running())
    for feeder in feeders:
        feeder.join()
    for session in sessions:
        session.wait()
    # Their start is not what a stream costs; what feeds and follows them takes its share of the processors too.
    own_s = time.process_time() - begun_s
    spent_s = own_s + 2 * sum(after - before for before, after in zip(started, half, strict=True))
    lost = sum(pictures - units for units in video_units(paths))
    return {"cpu_s": spent_s, "late_s": max(late), "lost": lost, **memory, **intervals(sessions)}


async def by_aiortc(clip: Path, folder: Path, streams: int) -> Figures:
    """So many of aiortc's MediaRecorders in one event loop; what a second after the end still waits is lost."""
    with av.open(str(clip)) as container:
        width, height = container.streams.video[0].width, container.streams.video[0].height
        items = timed(container, frames=True)
    # A file of its that begins with sound gets no pictures.
    while not isinstance(items[0][1], av.VideoFrame):
        del items[0]
    ways = [AiortcToTs(Work(folder / f"{n}.ts", width, height, 0, BIT_RATE)) for n in range(streams)]
    begun_s = cpu_s()
    for way in ways:
        await way.start()

    def give(frame: Any) -> None:
        for way in ways:
            way.write(frame)

    late_s = await asyncio.to_thread(paced, items, give)
    await asyncio.sleep(LONGEST_DELAY_S)
    spent_s = cpu_s() - begun_s
    lost = sum(way.tracks["video"].queue.qsize() for way in ways)
    memory = memory_of([os.getpid()])
    for way in ways:
        await way.recorder.stop()
    return {"cpu_s": spent_s, "late_s": late_s, "lost": lost, **memory}


WAYS: dict[str, Callable[[Path, Path, int], Figures]] = {
    "one process": in_one_process,
    "workers": in_workers,
    "aiortc MediaRecorder": lambda clip, folder, streams: asyncio.run(by_aiortc(clip, folder, streams)),
}


def child(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=list(WAYS))
    parser.add_argument("clip", type=Path)
    parser.add_argument("streams", type=int)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.clip.parent) as folder:
        say("begin", seconds=120)
        say("end", **WAYS[options.way](options.clip, Path(folder), options.streams))


def is_carried(row: Figures) -> bool:
    cores = len(os.sched_getaffinity(0))
    return row["lost"] == 0 and row["late_s"] < LONGEST_DELAY_S and row["cores"] < FULL * cores


def carried_by(way: str, clip: Path, seconds: float, most: int) -> Figures:
    """1, 2, 4 … streams until they are not carried."""

    def measure(streams: int) -> Figures:
        row = Watched(script("streams.py", "--child", way, clip, streams)).watch().said
        cores = row.pop("cpu_s") / seconds
        row = {"streams": streams, "cores": round(cores, 3)} | row
        row["late_s"] = round(row["late_s"], 3)
        row.pop("at")
        return row | {"carried": is_carried(row)}

    rows, carried = doubled(measure, most)
    found: Figures = {"carried": carried[-1]["streams"] if carried else 0, "rows": rows}
    if len(carried) > 1:
        first, last = carried[0], carried[-1]
        for kind in ("rss_mb", "uss_mb", "pss_mb"):
            added = (last[kind] - first[kind]) / (last["streams"] - first["streams"])
            found[f"added_{kind}_a_stream"] = round(added, 1)
        found["cores_a_stream"] = round(last["cores"] / last["streams"], 4)
    return found


def run(quick: bool, seconds: int | None = None) -> Figures:
    """For each way how many streams it carried, and what the last of them cost."""
    long = seconds or (QUICK_SECONDS if quick else SECONDS)
    size, bit_rate = (QUICK_SIZE, QUICK_BIT_RATE) if quick else (SIZE, BIT_RATE)
    with tempfile.TemporaryDirectory() as work:
        clip = Path(work) / "clip.ts"
        make_clip(clip, size, bit_rate, long)
        found = {way: carried_by(way, clip, long, 1 if quick else MOST) for way in WAYS}
    return {"seconds": long, "size": size, "bit_rate": bit_rate, "preset": PRESET, "ways": found}


def table(figures: Figures) -> str:
    width, height = figures["size"]
    lines = [
        f"streams of {width}x{height}, {figures['bit_rate'] / 1e6:g} Mbit/s, {figures['seconds']:g} s in real time",
        f"{'':<22}{'streams':>8}{'cores':>7}{'RSS MB':>8}{'USS':>7}"
        f"{'lost':>6}{'late s':>8}{'flush s':>9}{'worst':>7}",
    ]
    for way, found in figures["ways"].items():
        for row in found["rows"]:
            flush, worst = row.get("flush_interval_s", "-"), row.get("longest_flush_interval_s", "-")
            lines.append(
                f"{way:<22}{row['streams']:>8}{row['cores']:>7.2f}{row['rss_mb']:>8.0f}{row['uss_mb']:>7.0f}"
                f"{row['lost']:>6}{row['late_s']:>8.2f}{flush:>9}{worst:>7}"
            )
        added = found.get("added_rss_mb_a_stream")
        if added is not None:
            lines.append(
                f"{'':<22}{found['carried']} carried; each further stream adds {added:.1f} MB RSS, "
                f"{found['added_uss_mb_a_stream']:.1f} MB USS; {found['cores_a_stream']:.3f} of a core"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
    else:
        command_line(__doc__ or "", run, table, seconds="how long the clip is")
