"""The synthetic source as WebRTC tracks, coded here: aiortc gets ready packets and only sends them.

aiortc would encode 720p30 itself at four times the cost, at 3 Mbit/s at most, and with its own idea of times.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from typing import Any, Literal, NamedTuple, cast

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from ..marks import plane_rows
from ..picture import Painter
from ..synthetic import CHUNKS_PER_SECOND, Sound, Synthetic

SAMPLE_RATE = 48_000
_BITS_PER_PIXEL = 0.1
_AUDIO_BIT_RATE = 96_000
_NTP_EPOCH_S = 2_208_988_800  # from 1900 to 1970 (RFC 5905, 6)

_ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1", "sc_threshold": "0"}),
    "vp8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
}
_ROUNDING_S = 1e-6
_NO_PERIODIC_KEYFRAMES = 1 << 20

SizeChange = tuple[float, int, int]
Span = tuple[float, float]


class SyntheticMedia:
    """A synthetic camera and microphone that begin together: ``video`` and ``audio`` are their tracks.

    ``source`` says what they show and sound like, and for how long. ``codec`` and ``bit_rate`` (bits a
    second; None: 0.1 bit a pixel) are the video's. ``sizes`` are (at_s, width, height): from then on the
    frames have that size, as when a browser's bandwidth estimation changes it. ``mutes`` are
    (start_s, duration_s) in which frames are black and the audio is silent. ``video_ends_s`` and
    ``audio_ends_s`` let one track end before the other. There are keyframes when one is asked for, and
    at the first frame and each new size; no others, as browsers do.

    Nothing is sent before ``begin``. Late frames are sent all the same, as fast as it goes.
    """

    def __init__(
        self,
        source: Synthetic,
        *,
        codec: Literal["h264", "vp8"] = "h264",
        bit_rate: int | None = None,
        sizes: tuple[SizeChange, ...] = (),
        mutes: tuple[Span, ...] = (),
        video_ends_s: float | None = None,
        audio_ends_s: float | None = None,
    ) -> None:
        self._start = _Start()
        # One thread a track, so that a frame in coding delays no audio; libav lets go of the interpreter.
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="recordkit-synthetic")
        video_s, audio_s = (
            min((s for s in (ends_s, source.seconds) if s is not None), default=None)
            for ends_s in (video_ends_s, audio_ends_s)
        )
        camera = _Camera(source, codec, bit_rate, sizes, mutes) if source.video else None
        microphone = _Microphone(source, mutes) if source.audio else None
        self.video = None if camera is None else _VideoTrack(self._start, self._workers, camera, video_s)
        self.audio = None if microphone is None else _AudioTrack(self._start, self._workers, microphone, audio_s)

    @property
    def tracks(self) -> tuple[MediaStreamTrack, ...]:
        """The tracks there are, video first."""
        return tuple(track for track in (self.video, self.audio) if track is not None)

    @property
    def keyframe_requests(self) -> int:
        """How often the receiver asked for a keyframe."""
        return self.video.keyframe_requests if self.video is not None else 0

    def begin(self, from_s: float = 0.0) -> None:
        """Let both tracks begin now, with what is due ``from_s`` seconds into the source; in the event loop."""
        if self.video is not None:
            self.video.skip(from_s)
        if self.audio is not None:
            self.audio.skip(from_s)
        self._start.begin(from_s)

    async def wait(self) -> None:
        """Wait until each track has come to its end."""
        for track in (self.video, self.audio):
            if track is not None:
                await track.over.wait()

    async def close(self) -> None:
        """End both tracks; what is being coded is waited for, outside the loop."""
        for track in self.tracks:
            track.stop()
        self._start.begin()
        await asyncio.to_thread(self._workers.shutdown)


class _Start:
    """The one moment that both tracks count from, on the loop's clock and as NTP time."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()
        self._loop_s = 0.0
        self._unix_s = 0.0

    def begin(self, from_s: float = 0.0) -> None:
        if not self._begun.is_set():
            self._loop_s = asyncio.get_running_loop().time() - from_s
            self._unix_s = time.time() - from_s
            self._begun.set()

    async def wait(self) -> None:
        await self._begun.wait()

    async def wait_until(self, time_s: float) -> None:
        await self._begun.wait()
        late_s = asyncio.get_running_loop().time() - self._loop_s - time_s
        await asyncio.sleep(max(0.0, -late_s))

    def ntp(self, time_s: float) -> int:
        return round((self._unix_s + time_s + _NTP_EPOCH_S) * (1 << 32))


class _Track(MediaStreamTrack):
    """Codes its next piece of media in a thread once it is due."""

    def __init__(self, start: _Start, workers: ThreadPoolExecutor, ends_s: float | None) -> None:
        super().__init__()
        self._start = start
        self._workers = workers
        self._ends_s = ends_s
        self._last_s: float | None = None
        self.over = asyncio.Event()

    def stop(self) -> None:
        """End the track: nothing more is sent."""
        super().stop()
        self.over.set()

    def ntp_of_last(self) -> int | None:
        """When what was sent last was captured, as NTP time; None before."""
        return None if self._last_s is None else self._start.ntp(self._last_s)

    async def _wait(self, from_s: float, due_s: float) -> None:
        """Wait until media from ``from_s`` on is due; raises MediaStreamError where the track ends before it."""
        if self._ends_s is not None and from_s >= self._ends_s - _ROUNDING_S:
            self.stop()
        if self.readyState == "live":
            await self._start.wait_until(due_s)
        if self.readyState != "live":
            raise MediaStreamError

    async def _coded(self, code: Callable[[], av.Packet[Any]]) -> av.Packet[Any]:
        packet = await asyncio.get_running_loop().run_in_executor(self._workers, code)
        self._last_s = float((packet.pts or 0) * packet.time_base)
        return packet


class _VideoTrack(_Track):
    kind = "video"

    def __init__(self, start: _Start, workers: ThreadPoolExecutor, camera: _Camera, ends_s: float | None) -> None:
        super().__init__(start, workers, ends_s)
        self.keyframe_requests = 0
        self._camera = camera
        self._number = 0
        self._keyframe = True

    def request_keyframe(self) -> None:
        """Make the next frame a keyframe."""
        self.keyframe_requests += 1
        self._keyframe = True

    def skip(self, seconds: float) -> None:
        """Leave out what is before; only at the beginning."""
        self._number = self._number or math.ceil(seconds * self._camera.rate)

    async def recv(self) -> av.Packet[Any]:
        await self._start.wait()
        time_s = float(self._number / self._camera.rate)
        await self._wait(time_s, time_s)
        keyframe, self._keyframe = self._keyframe, False
        packet = await self._coded(partial(self._camera.shoot, self._number, keyframe=keyframe))
        self._number += 1
        return packet


class _AudioTrack(_Track):
    kind = "audio"

    def __init__(
        self, start: _Start, workers: ThreadPoolExecutor, microphone: _Microphone, ends_s: float | None
    ) -> None:
        super().__init__(start, workers, ends_s)
        self._microphone = microphone
        self._chunk = 0

    def skip(self, seconds: float) -> None:
        """See _VideoTrack."""
        self._chunk = self._chunk or math.ceil(seconds * CHUNKS_PER_SECOND)

    async def recv(self) -> av.Packet[Any]:
        await self._start.wait()
        await self._wait(self._chunk / CHUNKS_PER_SECOND, (self._chunk + 1) / CHUNKS_PER_SECOND)
        packet = await self._coded(partial(self._microphone.listen, self._chunk))
        self._chunk += 1
        return packet


class _Stage(NamedTuple):
    """What makes frames of one size."""

    painter: Painter
    encoder: VideoCodecContext


class _Camera:
    """Paints and codes one frame after the other; works in one thread at a time."""

    def __init__(
        self,
        source: Synthetic,
        codec: str,
        bit_rate: int | None,
        sizes: tuple[SizeChange, ...],
        mutes: tuple[Span, ...],
    ) -> None:
        self.rate = source.rate
        self._source = source
        self._codec, self._options = _ENCODERS[codec]
        self._bit_rate = bit_rate
        self._sizes = sorted([(0.0, source.width, source.height), *sizes])
        self._mutes = mutes
        self._stage: _Stage | None = None

    def shoot(self, number: int, *, keyframe: bool) -> av.Packet[Any]:
        time_s = float(number / self.rate)
        width, height = next((w, h) for at_s, w, h in reversed(self._sizes) if at_s <= time_s + _ROUNDING_S)
        if self._stage is None or (self._stage.encoder.width, self._stage.encoder.height) != (width, height):
            self._stage = self._begin(width, height)
        frame = self._stage.painter.paint(number)
        if _within(self._mutes, time_s):
            for plane, black in zip(frame.planes, (16, 128, 128), strict=True):
                plane_rows(plane)[:] = black
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        # Both encoders are set to give each frame at once.
        (packet,) = self._stage.encoder.encode(frame)
        packet.time_base = 1 / self.rate
        return packet

    def _begin(self, width: int, height: int) -> _Stage:
        look = Synthetic(width=width, height=height, fps=self.rate, sample_rate=self._source.sample_rate)
        encoder = cast("VideoCodecContext", av.CodecContext.create(self._codec, "w"))
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.framerate, encoder.time_base = self.rate, 1 / self.rate
        encoder.bit_rate = self._bit_rate or round(_BITS_PER_PIXEL * width * height * self.rate)
        encoder.gop_size = _NO_PERIODIC_KEYFRAMES
        encoder.thread_count = 1
        encoder.options = self._options
        return _Stage(Painter(look), encoder)


class _Microphone:
    """Gives and codes one chunk of 20 ms after the other; works in one thread at a time."""

    def __init__(self, source: Synthetic, mutes: tuple[Span, ...]) -> None:
        self._sound = Sound(Synthetic(sample_rate=SAMPLE_RATE, channels=source.channels))
        self._mutes = mutes
        encoder = av.AudioCodecContext.create("libopus", "w")
        encoder.sample_rate, encoder.format, encoder.layout = SAMPLE_RATE, "s16", "stereo"
        encoder.time_base = Fraction(1, SAMPLE_RATE)
        encoder.bit_rate = _AUDIO_BIT_RATE
        self._encoder = encoder

    def listen(self, chunk: int) -> av.Packet[Any]:
        size = SAMPLE_RATE // CHUNKS_PER_SECOND
        frame = self._sound.chunk(chunk * size, (chunk + 1) * size)
        if _within(self._mutes, chunk / CHUNKS_PER_SECOND):
            plane_rows(frame.planes[0]).view(np.int16)[:] = 0
        (packet,) = self._encoder.encode(frame)
        return packet


def _within(spans: tuple[Span, ...], time_s: float) -> bool:
    return any(0 <= time_s + _ROUNDING_S - start_s < duration_s for start_s, duration_s in spans)
