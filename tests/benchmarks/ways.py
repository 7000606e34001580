"""Ways to record frames, ours and those that people use today, all with the same encoder settings.

    python tests/benchmarks/ways.py WAY --out FILE [--size 1280x720] [--seconds N] [--told FILE]

records the synthetic source in real time, and says as JSON when it begins, when it has ended, and what that
cost. A thread paints each picture when it is due and hands it over; an event loop runs beside it, whose lag
is measured. Pictures handed over, and packetised where that is told, are counted in a small mapped file, which
a kill leaves as it is.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import os
import shutil
import subprocess
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from lag import LagMeter
from programs import Ffmpeg, FfmpegFragments, GStreamer
from work import AUDIO_BIT_RATE, FPS, PRESET, SAMPLE_RATE, InThread, Way, Work, cpu_s, say, set_up

import recordkit as rk


def _settings(work: Work) -> dict[str, Any]:
    video = rk.VideoSettings(preset=PRESET, bit_rate=work.bit_rate, frame_rate=Fraction(FPS))
    return {"video": video, "audio": rk.AudioSettings(bit_rate=AUDIO_BIT_RATE)}


class OurRecorder(Way):
    def load(self) -> None:
        importlib.import_module("recordkit.recorder.recorder")

    async def start(self) -> None:
        self.recorder = rk.Recorder(self.work.path, **_settings(self.work))
        self.recorder.start()

    def write(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        self.recorder.write(frame)

    def packetised(self) -> int:
        return int(self.recorder.counters.video_units)

    async def finish(self) -> None:
        await asyncio.to_thread(self.recorder.stop)


class OurRecorderToMp4(OurRecorder):
    suffix = ".mp4"


class Tracks(Way):
    """Frames as two tracks, each with a queue without a bound, as aiortc's own remote tracks have."""

    def make(self) -> Any:
        raise NotImplementedError

    async def start(self) -> None:
        from aiortc import MediaStreamTrack

        class Track(MediaStreamTrack):
            def __init__(self, kind: str) -> None:
                self.kind = kind
                super().__init__()
                self.queue: asyncio.Queue[Any] = asyncio.Queue()

            async def recv(self) -> Any:
                return await self.queue.get()

        self._loop = asyncio.get_running_loop()
        self.tracks = {kind: Track(kind) for kind in ("video", "audio")}
        self.recorder = self.make()
        for track in self.tracks.values():
            self.recorder.addTrack(track)
        self.settle()
        await self.recorder.start()

    def settle(self) -> None:
        """Last settings before the start."""

    def write(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        kind = "video" if isinstance(frame, av.VideoFrame) else "audio"
        self._loop.call_soon_threadsafe(self.tracks[kind].queue.put_nowait, frame)

    async def finish(self) -> None:
        # What is in the queues is still to be recorded: who stops at once loses it with any recorder.
        while any(track.queue.qsize() for track in self.tracks.values()):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        await self.recorder.stop()


class OurMediaRecorder(Tracks):
    def load(self) -> None:
        importlib.import_module("recordkit.recorder.media_recorder")

    def make(self) -> Any:
        return rk.MediaRecorder(self.work.path, **_settings(self.work))

    def packetised(self) -> int:
        return int(self.recorder.counters.video_units)


class AiortcToTs(Tracks):
    def load(self) -> None:
        importlib.import_module("aiortc.contrib.media")

    def make(self) -> Any:
        from aiortc.contrib.media import MediaRecorder

        return MediaRecorder(str(self.work.path))

    def settle(self) -> None:
        for context in self.recorder._MediaRecorder__tracks.values():  # it has no settings of its own
            set_up(context.stream, self.work)


class AiortcToMp4(AiortcToTs):
    suffix = ".mp4"


class AiortcToMkv(AiortcToTs):
    suffix = ".mkv"


class PyAV(InThread):
    form: tuple[str, dict[str, str]] = ("mpegts", {})

    def open(self) -> None:
        form, options = self.form
        self._container = av.open(self.target(), "w", format=form, options=options)
        self._video = self._container.add_stream("libx264", rate=FPS)
        self._video.width, self._video.height, self._video.pix_fmt = self.work.width, self.work.height, "yuv420p"
        self._audio = self._container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        for stream in (self._video, self._audio):
            set_up(stream, self.work)

    def target(self) -> Any:
        """Where the container goes."""
        return str(self.work.path)

    def code(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        stream = self._video if isinstance(frame, av.VideoFrame) else self._audio
        for packet in stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        for stream in (self._video, self._audio):
            self._container.mux(stream.encode(None))
        self._container.close()


class PyAVInOneThread(PyAV):
    """Ours gives libx264 one thread where that is enough; the others leave it as many as there are processors."""

    def open(self) -> None:
        super().open()
        self._video.codec_context.thread_count = 1


class HybridMp4(PyAV):
    """Fragments that become a plain MP4 at the end, which libavformat has known since 7.1."""

    suffix = ".mp4"
    form = ("mp4", {"movflags": "hybrid_fragmented"})


class GStreamerFragments(PyAV):
    """A fragment a second. It is handed coded frames in Matroska: it has no times for those of a bare stream."""

    program = "gst-launch-1.0"
    suffix = ".mp4"
    form = ("matroska", {"live": "1", "cluster_time_limit": "30", "flush_packets": "1"})

    def target(self) -> Any:
        reading, writing = os.pipe()
        streams = "all.video_0 ! queue ! h264parse ! mux. all.audio_0 ! queue ! aacparse ! mux."
        source = f"fdsrc fd={reading} ! matroskademux name=all {streams}"
        sink = f"mp4mux fragment-duration=1000 name=mux ! filesink location={self.work.path}"
        line = f"gst-launch-1.0 -q {sink} {source}"
        self._process = subprocess.Popen(line.split(), pass_fds=(reading,), stdout=subprocess.DEVNULL)
        os.close(reading)
        self.pids = (self._process.pid,)
        self._pipe = os.fdopen(writing, "wb", 0)
        return self._pipe

    def close(self) -> None:
        super().close()
        self._pipe.close()
        if self._process.wait():
            raise RuntimeError(f"gst-launch-1.0 ended with status {self._process.returncode}")


PYAV_IN_ONE_THREAD = "PyAV container.mux, libx264 in one thread"
WAYS: dict[str, type[Way]] = {
    "the source alone": Way,
    "recordkit Recorder": OurRecorder,
    "recordkit Recorder, mp4": OurRecorderToMp4,
    "recordkit MediaRecorder": OurMediaRecorder,
    "aiortc MediaRecorder, ts": AiortcToTs,
    "aiortc MediaRecorder, mp4": AiortcToMp4,
    "aiortc MediaRecorder, mkv": AiortcToMkv,
    "PyAV container.mux": PyAV,
    PYAV_IN_ONE_THREAD: PyAVInOneThread,
    "ffmpeg": Ffmpeg,
    "GStreamer": GStreamer,
    "libavformat hybrid_fragmented, mp4": HybridMp4,
    "ffmpeg frag_keyframe, mp4": FfmpegFragments,
    "GStreamer fragments, mp4": GStreamerFragments,
}


def missing(name: str) -> str | None:
    """The program that this way needs and that is not installed."""
    program = WAYS[name].program
    return program if program is not None and shutil.which(program) is None else None


def files(name: str, folder: Path) -> tuple[Path, tuple[Path, ...]]:
    """Where this way records to, and the files that are seen to grow."""
    path = folder / f"talk{WAYS[name].suffix}"
    partial = path.with_name(f"talk.recording{path.suffix}")
    return path, ((partial, path) if name.startswith("recordkit") else (path,))


async def record(way: Way, told: np.ndarray[Any, Any], *, tells: bool) -> None:
    """Hand the source's frames over in real time, and say what that cost.

    ``tells`` asks after each how many have been packetised: ours alone can say it, which has its cost.
    """
    frames = way.work.source.frames()
    first = next(frames)
    worst_s = 0.0

    def pump() -> None:
        nonlocal worst_s
        begun_s = time.monotonic()
        way.write(first)
        told[0] += isinstance(first, av.VideoFrame)
        for frame in frames:
            wait_s = begun_s + way.work.source.due_s(frame) - time.monotonic()
            time.sleep(max(0.0, wait_s))
            worst_s = max(worst_s, -wait_s)
            way.write(frame)
            told[0] += isinstance(frame, av.VideoFrame)
            if tells:
                told[1] = way.packetised()

    way.load()
    gc.collect()
    begun_cpu_s = cpu_s()
    await way.start()
    say("begin", seconds=way.work.seconds, pids=way.pids)
    async with LagMeter() as lag:
        await asyncio.to_thread(pump)
        await way.finish()
    spent_s = cpu_s() - begun_cpu_s
    say("end", cpu_s=spent_s, media_s=way.work.seconds, frames=int(told[0]), late_s=worst_s, **lag.figures())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=list(WAYS))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--bit-rate", type=int, default=2_500_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--told", type=Path)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    told = np.zeros(2, np.int64)
    if options.told is not None:
        options.told.write_bytes(bytes(16))
        told = np.memmap(options.told, np.int64, "r+", shape=(2,))
    work = Work(options.out, width, height, options.seconds, options.bit_rate)
    asyncio.run(record(WAYS[options.way](work), told, tells=options.told is not None))


if __name__ == "__main__":
    main()
