"""How many threads the encoder of frames is given: one, if that has time to spare."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import av
from av.video.frame import VideoFrame

from ..system import Clock
from .coded import CodedPacket

_COSTS: Mapping[str, float] = {"ultrafast": 1.0, "superfast": 2.1, "veryfast": 2.7}
"""What a macroblock costs libx264, by its preset; the other presets cost several times as much."""
_ENOUGH = 300_000
"""Macroblocks a second, by that: 1080p30 with "ultrafast", 720p30 with "veryfast"; a fifth of a Xeon's core."""
_MACROBLOCK = 16
_MOST_BUSY = 0.5


class Effort:
    """Decides that, and sees whether it was right.

    Several threads share each frame between them, so that it comes out sooner. That takes more processor time, and
    bits for the seams, only for all of them to wait for the next frame. What counts is the processor time of the
    one thread: on a machine that others keep busy several are no help.
    """

    def __init__(self, preset: str, clock: Clock) -> None:
        self._cost = _COSTS.get(preset)
        self._clock = clock
        self._has_one = False
        self._busy_s = 0.0
        self._since_s = clock.monotonic()

    def threads(self, width: int, height: int, rate: Fraction) -> int:
        """For a new encoder of frames of this size and rate; 0 stands for as many as there are processors."""
        blocks = -(-width // _MACROBLOCK) * -(-height // _MACROBLOCK) * rate
        self._has_one = self._cost is not None and blocks * self._cost <= _ENOUGH
        return 1 if self._has_one else 0

    def encode(self, context: av.VideoCodecContext, picture: VideoFrame) -> list[CodedPacket]:
        """What ``context`` makes of ``picture``, on the account of its group. Raises av.FFmpegError."""
        begun_s = self._clock.thread_s()
        packets = context.encode(picture)
        self._busy_s += self._clock.thread_s() - begun_s
        return packets

    def begin_group(self) -> bool:
        """The next frame is a keyframe; whether one thread was too busy since the last, and several are due.

        So it is on a slow machine, and where frames come as fast as they are taken.
        """
        now_s = self._clock.monotonic()
        is_busy = self._has_one and self._busy_s > _MOST_BUSY * (now_s - self._since_s)
        self._busy_s, self._since_s = 0.0, now_s
        if is_busy:
            self._cost = None
        return is_busy
