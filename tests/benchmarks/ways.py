"""Ways to record frames, ours and those that people use today, all with the same encoder settings.

    python tests/benchmarks/ways.py WAY --out FILE [--size 1280x720] [--seconds N] [--told FILE]

records the synthetic source in real time, and says as JSON when it begins, when it has ended, and what that
cost. A thread paints each picture when it is due and hands it over; an event loop runs beside it, whose lag
is measured. The frames handed over are counted in a small mapped file, which a kill leaves as it is.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import os
import queue
import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from lag import LagMeter

import recordkit as rk
from recordkit.sources.synthetic import Synthetic

FPS, SAMPLE_RATE = 30, 48_000
KEY_FRAMES = 2 * FPS
AUDIO_BIT_RATE = 128_000
# What is compared is what happens to coded media: with a quick encoder it is not lost in the noise of a slow one.
PRESET = "ultrafast"
X264 = {"preset": PRESET, "tune": "zerolatency"}


@dataclass(frozen=True)
class Work:
    """What is to be recorded, and where to; ``bit_rate`` is the video's."""

    path: Path
    width: int
    height: int
    seconds: float
    bit_rate: int

    @property
    def source(self) -> Synthetic:
        return Synthetic(
            width=self.width, height=self.height, fps=FPS, sample_rate=SAMPLE_RATE, seconds=self.seconds
        )


class Way:
    """Records nothing: what the source and the measuring alone cost."""

    program: str | None = None
    suffix = ".ts"

    def __init__(self, work: Work) -> None:
        self.work = work
        self.pids: tuple[int, ...] = ()

    def load(self) -> None:
        """Import what this way needs: that is not what a recording costs."""

    async def start(self) -> None:
        """Begin, in the event loop."""

    def write(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        """Take a frame, in the thread that paints."""

    async def finish(self) -> None:
        """Bring the file to its end."""


def _settings(work: Work) -> dict[str, Any]:
    video = rk.VideoSettings(preset=PRESET, bit_rate=work.bit_rate, frame_rate=Fraction(FPS))
    return {"video": video, "audio": rk.AudioSettings(bit_rate=AUDIO_BIT_RATE)}


class OurRecorder(Way):
    def load(self) -> None:
        importlib.import_module("recordkit.recorder")

    async def start(self) -> None:
        self.recorder = rk.Recorder(self.work.path, **_settings(self.work))
        self.recorder.start()

    def write(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        self.recorder.write(frame)

    async def finish(self) -> None:
        await asyncio.to_thread(self.recorder.stop)


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
        importlib.import_module("recordkit.media_recorder")

    def make(self) -> Any:
        return rk.MediaRecorder(self.work.path, **_settings(self.work))


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


def set_up(stream: Any, work: Work) -> None:
    if stream.type == "video":
        stream.codec_context.bit_rate = work.bit_rate
        stream.codec_context.gop_size = KEY_FRAMES
        stream.codec_context.options = X264
    else:
        stream.codec_context.bit_rate = AUDIO_BIT_RATE


class InThread(Way):
    """A thread of its own that takes frames out of a queue, codes them and puts the packets somewhere."""

    async def start(self) -> None:
        self.open()
        self._frames: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="coder")
        self._thread.start()

    def write(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        self._frames.put(frame)

    async def finish(self) -> None:
        self._frames.put(None)
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self.close)

    def _run(self) -> None:
        while (frame := self._frames.get()) is not None:
            self.code(frame)

    def open(self) -> None:
        raise NotImplementedError

    def code(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class PyAV(InThread):
    def open(self) -> None:
        self._container = av.open(str(self.work.path), "w", format="mpegts")
        self._video = self._container.add_stream("libx264", rate=FPS)
        self._video.width, self._video.height, self._video.pix_fmt = self.work.width, self.work.height, "yuv420p"
        self._audio = self._container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        for stream in (self._video, self._audio):
            set_up(stream, self.work)

    def code(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        stream = self._video if isinstance(frame, av.VideoFrame) else self._audio
        for packet in stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        for stream in (self._video, self._audio):
            self._container.mux(stream.encode(None))
        self._container.close()


class Pipe:
    """A pipe that a thread writes to: a program that waits for its other input reads none of this one."""

    def __init__(self) -> None:
        self.reading, self._writing = os.pipe()
        self._data: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="pipe")

    def begin(self) -> None:
        os.close(self.reading)
        self._thread.start()

    def write(self, data: Any) -> None:
        self._data.put(data)

    def close(self) -> None:
        self._data.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (data := self._data.get()) is not None:
            rest = memoryview(data).cast("B")
            while rest:
                rest = rest[os.write(self._writing, rest) :]
        os.close(self._writing)


class Program:
    """A program that reads pictures from one pipe and sound from another."""

    def __init__(self, command: Callable[[int, int], list[str]]) -> None:
        self.video, self.audio = Pipe(), Pipe()
        ends = (self.video.reading, self.audio.reading)
        self._words = command(*ends)
        self._process = subprocess.Popen(self._words, pass_fds=ends, stdout=subprocess.DEVNULL)
        self.pid = self._process.pid
        for pipe in (self.video, self.audio):
            pipe.begin()

    def close(self) -> None:
        for pipe in (self.video, self.audio):
            pipe.close()
        if self._process.wait():
            raise RuntimeError(f"{self._words[0]} ended with status {self._process.returncode}")


class Ffmpeg(Way):
    program = "ffmpeg"

    async def start(self) -> None:
        work = self.work

        def command(video: int, audio: int) -> list[str]:
            # Without the two it waits for 5 s of input before it writes a byte.
            probe = ("-probesize", "32", "-analyzeduration", "0", "-thread_queue_size", "256")
            pictures = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{work.width}x{work.height}", "-r", FPS)
            sound = ("-f", "s16le", "-ar", SAMPLE_RATE, "-ac", 2)
            coding = ("-c:v", "libx264", "-preset", PRESET, "-tune", "zerolatency", "-g", KEY_FRAMES)
            rates = ("-b:v", work.bit_rate, "-c:a", "aac", "-b:a", AUDIO_BIT_RATE)
            inputs = (*probe, *pictures, "-i", f"pipe:{video}", *probe, *sound, "-i", f"pipe:{audio}")
            words = ("ffmpeg", "-nostdin", "-v", "error", *inputs, *coding, *rates, "-f", "mpegts", work.path)
            return [str(word) for word in words]

        self._program = Program(command)
        self.pids = (self._program.pid,)

    def write(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        if isinstance(frame, av.VideoFrame):
            for plane in frame.planes:
                if plane.line_size == plane.width:
                    self._program.video.write(plane)
                else:
                    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                    self._program.video.write(np.ascontiguousarray(rows[:, : plane.width]))
        else:
            self._program.audio.write(frame.to_ndarray())

    async def finish(self) -> None:
        await asyncio.to_thread(self._program.close)


class GStreamer(InThread):
    """Coded here by the same encoders, as GStreamer's own are others; muxed and written by GStreamer."""

    program = "gst-launch-1.0"

    def open(self) -> None:
        path = self.work.path

        def command(video: int, audio: int) -> list[str]:
            # The muxer takes the stream that is behind; what the other has waits for it without a limit in time.
            wait = "queue max-size-time=0 max-size-buffers=0 ! mux."
            pictures = f"video/x-h264,stream-format=byte-stream,framerate={FPS}/1 ! h264parse ! {wait}"
            sound = f"audio/mpeg,mpegversion=4,stream-format=adts ! aacparse ! {wait}"
            sources = f"fdsrc fd={video} ! {pictures} fdsrc fd={audio} ! {sound}"
            line = f"gst-launch-1.0 -q mpegtsmux name=mux ! filesink location={path} {sources}"
            return line.split()

        self._program = Program(command)
        self.pids = (self._program.pid,)
        self._video = av.VideoCodecContext.create("libx264", "w")
        self._video.width, self._video.height, self._video.pix_fmt = self.work.width, self.work.height, "yuv420p"
        self._video.time_base, self._video.framerate = Fraction(1, FPS), Fraction(FPS)
        self._video.bit_rate, self._video.gop_size = self.work.bit_rate, KEY_FRAMES
        self._video.options = X264 | {"x264-params": "aud=1:repeat-headers=1:annexb=1"}
        self._audio = av.AudioCodecContext.create("aac", "w")
        self._audio.sample_rate, self._audio.layout, self._audio.format = SAMPLE_RATE, "stereo", "fltp"
        self._audio.time_base, self._audio.bit_rate = Fraction(1, SAMPLE_RATE), AUDIO_BIT_RATE
        self._resampler = av.AudioResampler("fltp", "stereo", SAMPLE_RATE, 1024)

    def code(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        if isinstance(frame, av.VideoFrame):
            for packet in self._video.encode(frame):
                self._program.video.write(bytes(packet))
            return
        for part in self._resampler.resample(frame):
            for packet in self._audio.encode(part):
                self._program.audio.write(_adts(packet.size) + bytes(packet))

    def close(self) -> None:
        for packet in self._video.encode(None):
            self._program.video.write(bytes(packet))
        self._program.close()


def _adts(size: int) -> bytes:
    """The header before an AAC-LC frame at 48 kHz in stereo (ISO/IEC 14496-3, 1.A.2.2)."""
    length = size + 7
    return bytes([0xFF, 0xF1, 0x4C, 0x80 | length >> 11, length >> 3 & 255, (length & 7) << 5 | 31, 252])


WAYS: dict[str, type[Way]] = {
    "the source alone": Way,
    "recordkit Recorder": OurRecorder,
    "recordkit MediaRecorder": OurMediaRecorder,
    "aiortc MediaRecorder, ts": AiortcToTs,
    "aiortc MediaRecorder, mp4": AiortcToMp4,
    "aiortc MediaRecorder, mkv": AiortcToMkv,
    "PyAV container.mux": PyAV,
    "ffmpeg": Ffmpeg,
    "GStreamer": GStreamer,
}


def missing(name: str) -> str | None:
    """The program that this way needs and that is not installed."""
    program = WAYS[name].program
    return program if program is not None and shutil.which(program) is None else None


def files(name: str, folder: Path) -> tuple[Path, tuple[Path, ...]]:
    """Where this way records to, and the files that are seen to grow."""
    path = folder / f"talk{WAYS[name].suffix}"
    partial = path.with_name("talk.recording.ts")
    return path, ((partial, path) if name.startswith("recordkit") else (path,))


def cpu_s() -> float:
    """CPU of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, "at": time.monotonic(), **fields}), flush=True)


async def record(way: Way, told: np.ndarray[Any, Any]) -> None:
    """Hand the source's frames over in real time, and say what that cost."""
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
    told = np.zeros(1, np.int64)
    if options.told is not None:
        options.told.write_bytes(bytes(8))
        told = np.memmap(options.told, np.int64, "r+", shape=(1,))
    work = Work(options.out, width, height, options.seconds, options.bit_rate)
    asyncio.run(record(WAYS[options.way](work), told))


if __name__ == "__main__":
    main()
