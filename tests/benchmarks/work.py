"""What is to be recorded, with which settings, and what a way to record it has to do."""

from __future__ import annotations

import asyncio
import json
import queue
import resource
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

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

    def packetised(self) -> int:
        """How many pictures have been packetised; 0 where that is not told."""
        return 0

    async def finish(self) -> None:
        """Bring the file to its end."""


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


def cpu_s() -> float:
    """CPU of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, "at": time.monotonic(), **fields}), flush=True)
