"""A test source: frames that carry their number, a flash and a beep on each full second.

Each frame and each audio chunk is a pure function of its index, so two runs give the same bytes
and a finished recording can be judged to the unit by ``readback``. Nothing here sleeps or reads a
clock: whoever consumes the frames paces them with ``due_s``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from ..signatures import named
from ..values import DURATION, NumberLike, RateLike, Setting, WholeLike, flag, maybe, rate, whole
from .marks import BEEP_HZ, BEEP_S, RAMP_S, plane_rows
from .picture import Painter
from .source import OpenSource, SourceItem

CHUNKS_PER_SECOND = 50
_TONES_HZ = tuple(range(440, 440 + 8 * 110, 110))
_TONE_LEVEL, _BEEP_LEVEL = 0.04, 0.4
_LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1", "7.1")
_WIDTHS, _HEIGHTS = (64, 8192), (48, 8192)


@named
@dataclass(frozen=True)
class Synthetic:
    """A synthetic camera and microphone.

    ``width`` and ``height`` in pixels (64x48 to 8192x8192, odd ones too); ``fps`` in frames per
    second, as a Fraction, a number or a string such as ``"30000/1001"`` (29.97, 23.976 and their
    like mean the exact n/1001 rate); ``sample_rate`` in Hz; ``channels`` 1 to 8; ``seconds`` is
    how much to give (None: without end); ``realtime`` asks the consumer to pace the frames.

    The frame flashes and all channels beep for 0.1 s from each full second on, the first at 1 s.

    Raises SettingsError for values that cannot be used.
    """

    width: Setting[WholeLike, int] = Setting(whole(*_WIDTHS), 1280)
    height: Setting[WholeLike, int] = Setting(whole(*_HEIGHTS), 720)
    _: KW_ONLY
    fps: Setting[RateLike, Fraction] = Setting(rate, 30)
    sample_rate: Setting[WholeLike, int] = Setting(whole(8000, 192_000), 48_000)
    channels: Setting[WholeLike, int] = Setting(whole(1, len(_LAYOUTS)), 2)
    video: Setting[bool, bool] = Setting(flag, True)
    audio: Setting[bool, bool] = Setting(flag, True)
    seconds: Setting[NumberLike | None, float | None] = Setting(maybe(DURATION), None)
    realtime: Setting[bool, bool] = Setting(flag, True)

    def __post_init__(self) -> None:
        if not (self.video or self.audio):
            raise SettingsError("video", self.video, "neither video nor audio; switch on at least one")

    @property
    def rate(self) -> Fraction:
        """Frames per second, exactly: ``fps`` as it was understood."""
        return self.fps

    @property
    def picture_count(self) -> int | None:
        """How many frames ``frames`` gives: those whose time is below ``seconds``; None without end."""
        exact = self._exact_seconds() if self.video else Fraction(0)
        return None if exact is None else math.ceil(exact * self.rate)

    @property
    def sample_count(self) -> int | None:
        """How many samples (per channel) ``frames`` gives; None without end."""
        exact = self._exact_seconds() if self.audio else Fraction(0)
        return None if exact is None else math.floor(exact * self.sample_rate + Fraction(1, 2))

    def frames(self) -> Iterator[av.VideoFrame | av.AudioFrame]:
        """Frames (yuv420p) and audio chunks of 20 ms (s16), in the order in which they are due.

        A frame's ``pts`` is its number in units of 1/fps, a chunk's is its first sample's index.
        """
        pictures, samples = self.picture_count, self.sample_count
        rate = self.rate
        painter = Painter(self) if self.video else None
        sound = Sound(self) if self.audio else None
        number = chunk = 0
        while True:
            start, end = (i * self.sample_rate // CHUNKS_PER_SECOND for i in (chunk, chunk + 1))
            end = end if samples is None else min(end, samples)
            more_sound = sound is not None and start < end
            more_video = painter is not None and (pictures is None or number < pictures)
            # Both dues over one denominator. Audio goes first where they are equal: it began earlier.
            sound_first = end * rate.numerator <= number * rate.denominator * self.sample_rate
            if sound is not None and more_sound and (sound_first or not more_video):
                yield sound.chunk(start, end)
                chunk += 1
            elif painter is not None and more_video:
                yield painter.paint(number)
                number += 1
            else:
                return

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return f"synthetic {self.width}x{self.height}" if self.video else "synthetic audio"

    @contextmanager
    def open(self) -> Iterator[OpenSource]:
        """Begin to give frames, paced by their times where ``realtime`` asks for it."""
        items = (SourceItem(frame, 0, self.due_s(frame) if self.realtime else None) for frame in self.frames())
        yield OpenSource(items, self.video, self.audio, frame_rate=self.rate if self.video else None)

    def due_s(self, frame: av.VideoFrame | av.AudioFrame) -> float:
        """When a live device would have given out this frame, in seconds since its start.

        A frame is there at its own time, a chunk of audio when its last sample has been heard.
        """
        pts = frame.pts or 0
        if isinstance(frame, av.VideoFrame):
            return float(pts / self.rate)
        return (pts + frame.samples) / self.sample_rate

    def _exact_seconds(self) -> Fraction | None:
        # A float such as 0.1 * 3 lies a hair above 0.3 and would else give one frame too many.
        return None if self.seconds is None else Fraction(self.seconds).limit_denominator(1_000_000)


class Sound:
    """The audio as two tables of one second each: all frequencies are whole numbers of Hz."""

    def __init__(self, settings: Synthetic) -> None:
        self._rate, self._layout = settings.sample_rate, _LAYOUTS[settings.channels - 1]
        index = np.arange(self._rate, dtype=np.int64)
        tones = np.stack([self._sine(index, hz) for hz in _TONES_HZ[: settings.channels]], axis=1)
        time = index / self._rate
        rise, fall = np.clip(time / RAMP_S, 0, 1), np.clip((BEEP_S - time) / RAMP_S, 0, 1)
        beep = self._sine(index, BEEP_HZ) * np.minimum(rise, fall)
        self._quiet = self._table(_TONE_LEVEL * tones)
        self._beeping = self._table(_TONE_LEVEL * tones + _BEEP_LEVEL * beep[:, None])

    def _sine(self, index: NDArray[np.int64], hz: int) -> NDArray[np.float64]:
        wave: NDArray[np.float64] = np.sin((index * hz % self._rate).astype(np.float64) * (2 * np.pi / self._rate))
        return wave

    @staticmethod
    def _table(sound: NDArray[np.float64]) -> NDArray[np.int16]:
        return np.rint(sound * 32767).astype(np.int16)

    def chunk(self, start: int, end: int) -> av.AudioFrame:
        """The samples from ``start`` up to ``end``, which lie within one second, as a new frame."""
        second, offset = divmod(start, self._rate)
        table = self._beeping if second else self._quiet
        frame = av.AudioFrame(format="s16", layout=self._layout, samples=end - start)
        part = table[offset : offset + end - start]
        plane_rows(frame.planes[0]).view(np.int16)[0, : part.size] = part.ravel()
        frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), start
        return frame
