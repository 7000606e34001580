"""What is read off the frames and the audio of a synthetic source: numbers, flashes, beeps and their times."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from fractions import Fraction

import av
import numpy as np

from ..encode.resampling import packed
from .marks import BEEP_S, FLASH_S, Mono, find_beeps, read_flash, read_frame_number

_WINDOW_S, _CARRY_S = 4.0, 0.4
_GAP_S = 0.005
_FPS_SAMPLE = 256
_COMMON_RATES = tuple(
    rate
    for n in (5, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120)
    for rate in (Fraction(n), Fraction(n * 1000, 1001))
)


class Numbers:
    """Which numbers have come, as disjoint ranges: small for any recording with few gaps."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.repeated = self.out_of_order = 0

    def add(self, number: int) -> None:
        """One more number."""
        starts, ends = self._starts, self._ends
        at = bisect_right(starts, number)
        if at and number < ends[at - 1]:
            self.repeated += 1
            return
        if at < len(starts) or (ends and number < ends[-1]):
            self.out_of_order += 1
        joins_left, joins_right = (
            at > 0 and ends[at - 1] == number,
            at < len(starts) and starts[at] == number + 1,
        )
        if joins_left and joins_right:
            ends[at - 1] = ends.pop(at)
            starts.pop(at)
        elif joins_left:
            ends[at - 1] = number + 1
        elif joins_right:
            starts[at] = number
        else:
            starts.insert(at, number)
            ends.insert(at, number + 1)

    @property
    def first(self) -> int | None:
        """The lowest."""
        return self._starts[0] if self._starts else None

    @property
    def last(self) -> int | None:
        """The highest."""
        return self._ends[-1] - 1 if self._ends else None

    @property
    def lost(self) -> int:
        """How many between them never came."""
        return sum(self._starts[1:]) - sum(self._ends[:-1])


class Frames:
    """Takes the frames of a file in the order of presentation."""

    def __init__(self, fps: Fraction | None) -> None:
        self.fps = fps
        self.numbers = Numbers()
        self.count = self.readable = 0
        self.sizes: dict[tuple[int, int], None] = {}
        self.flashes: dict[int, float] = {}
        self.jitter_s: float | None = None
        self._waiting: list[tuple[int, Fraction, bool]] = []
        self._origin: Fraction | None = None

    def add(self, frame: av.VideoFrame, time: Fraction | None) -> None:
        """One more frame, and when it is shown (s)."""
        self.count += 1
        self.sizes[frame.width, frame.height] = None
        number = read_frame_number(frame)
        if number is None:
            return
        self.readable += 1
        self.numbers.add(number)
        if time is None:
            return
        if self.fps is None:
            self._waiting.append((number, time, read_flash(frame)))
            if len(self._waiting) >= _FPS_SAMPLE:
                self.settle()
        else:
            self._measure(self.fps, number, time, read_flash(frame))

    def settle(self) -> None:
        """Estimates the rate from the frames that wait for it, then measures those."""
        if self.fps is None and self._waiting:
            self.fps = _estimate_fps([(number, time) for number, time, _ in self._waiting])
        if self.fps is not None:
            for number, time, flash in self._waiting:
                self._measure(self.fps, number, time, flash)
            self._waiting.clear()

    def _measure(self, fps: Fraction, number: int, time: Fraction, flash: bool) -> None:
        shift = time - number / fps
        if self._origin is None:
            self._origin = shift
        self.jitter_s = max(self.jitter_s or 0.0, abs(float(shift - self._origin)))
        second = number // fps
        if flash and number / fps - second < FLASH_S:
            self.flashes.setdefault(int(second), float(shift))


def _estimate_fps(marks: list[tuple[int, Fraction]]) -> Fraction | None:
    """Frames per second from (number, time) pairs by least squares, a common rate where one is near."""
    numbers = np.array([number - marks[0][0] for number, _ in marks], np.float64)
    times = np.array([float(time - marks[0][1]) for _, time in marks])
    numbers -= numbers.mean()
    times -= times.mean()
    slope = float(numbers @ times)
    if slope <= 0:
        return None
    measured = float(numbers @ numbers) / slope
    near = min(_COMMON_RATES, key=lambda rate: abs(measured / rate - 1))
    return near if abs(measured / near - 1) < 0.002 else Fraction(measured).limit_denominator(1001)


class Audio:
    """Takes the audio of a file in order and finds the beeps' times on the file's clock."""

    def __init__(self) -> None:
        self.samples = self.gaps = 0
        self.seconds = Fraction(0)
        self.beeps: list[float] = []
        self._rate = 0
        self._parts: deque[Mono] = deque()
        self._held = 0
        self._anchors: list[tuple[int, float]] = []
        self._next: float | None = None

    def add(self, frame: av.AudioFrame, time: Fraction | None) -> None:
        """The next samples, and when the first is heard (s); None: right behind those before."""
        self.samples += frame.samples
        self.seconds += Fraction(frame.samples, frame.sample_rate)
        start = float(time) if time is not None else self._next
        jump = start is not None and self._next is not None and abs(start - self._next) > _GAP_S
        self.gaps += jump
        if jump or frame.sample_rate != self._rate:
            self.search(final=True)
            self._rate = frame.sample_rate
        if start is None:
            return
        self._anchors.append((self._held, start))
        self._parts.append(_first_channel(frame))
        self._held += frame.samples
        self._next = start + frame.samples / frame.sample_rate
        if self._held >= _WINDOW_S * self._rate:
            self.search(final=False)

    def search(self, *, final: bool) -> None:
        """Finds the beeps in the audio held; keeps the last part for the next window unless ``final``."""
        if not self._held:
            return
        window = np.concatenate(self._parts)
        keep = 0 if final else round(_CARRY_S * self._rate)
        for onset in find_beeps(window, self._rate):
            # A beep near the end may be cut off there; the next window begins before it and has it whole.
            if final or onset * self._rate < window.size - keep / 2:
                time = self._time(onset)
                if not self.beeps or abs(time - self.beeps[-1]) > BEEP_S:
                    self.beeps.append(time)
        cut = window.size - keep
        earlier = [anchor for anchor in self._anchors if anchor[0] <= cut]
        later = [anchor for anchor in self._anchors if anchor[0] > cut]
        self._anchors = [] if final else [(at - cut, time) for at, time in earlier[-1:] + later]
        self._parts = deque([] if final else [window[cut:]])
        self._held = keep

    def _time(self, onset: float) -> float:
        """The file's time at ``onset`` seconds into the window, by the timestamp nearest before it."""
        position = onset * self._rate
        at = max(0, bisect_right(self._anchors, position, key=lambda anchor: anchor[0]) - 1)
        index, time = self._anchors[at]
        return time + (position - index) / self._rate


def _first_channel(frame: av.AudioFrame) -> Mono:
    frame = packed(frame)
    sound = frame.to_ndarray()
    mono = sound[0] if frame.format.is_planar else sound[0, :: frame.layout.nb_channels]
    if np.issubdtype(mono.dtype, np.unsignedinteger):
        return ((mono.astype(np.float32) - 128) / 128).astype(np.float32)
    scale = -float(np.iinfo(mono.dtype).min) if np.issubdtype(mono.dtype, np.integer) else 1.0
    return (mono / scale).astype(np.float32)
