"""Programs that record what comes through pipes."""

from __future__ import annotations

import asyncio
import os
import queue
import subprocess
import threading
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
from work import AUDIO_BIT_RATE, FPS, KEY_FRAMES, PRESET, SAMPLE_RATE, X264, InThread, Way


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
    form: tuple[str, ...] = ("-f", "mpegts")

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
            words = ("ffmpeg", "-nostdin", "-v", "error", *inputs, *coding, *rates, *self.form, work.path)
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


class FfmpegFragments(Ffmpeg):
    """A fragment for each group of frames."""

    suffix = ".mp4"
    form = ("-f", "mp4", "-movflags", "+frag_keyframe+empty_moov+default_base_moof")


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
