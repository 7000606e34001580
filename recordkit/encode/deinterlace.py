"""Interlaced frames made progressive: a browser or slide program would show their lines as combs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from av.video.frame import VideoFrame

from ..model import Captured
from .filtering import FrameFilter

_OPTIONS = "mode=send_frame:deint=interlaced"
"""A frame for a frame; those that say that they are progressive stay as they are."""


class Shown(NamedTuple):
    """A frame, when it is shown (ticks), whether media is missing before it, and when it was taken."""

    frame: VideoFrame
    ticks: int
    discontinuity: bool
    captured: Captured | None = None


class Deinterlacer:
    """Passes frames on as they are until one is interlaced; from then on each waits for the next one.

    ``on_altered`` is told of the first. Not thread-safe.
    """

    def __init__(self, on_altered: Callable[[str], None] | None = None) -> None:
        self._on_altered = on_altered
        self._filter: FrameFilter | None = None
        self._waiting: deque[tuple[int, bool, Captured | None]] = deque()

    def put(self, shown: Shown) -> list[Shown]:
        """Take a frame; returns those that are ready."""
        frame = shown.frame
        if self._filter is None:
            if not frame.interlaced_frame:
                return [shown]
            self._filter = FrameFilter("bwdif", _OPTIONS)
            if self._on_altered is not None:
                self._on_altered("its frames are interlaced: they are deinterlaced, as not every player would do")
        self._waiting.append((shown.ticks, shown.discontinuity, shown.captured))
        return self._ready(self._filter.put(frame))

    def flush(self) -> list[Shown]:
        """The frame that waits."""
        ready = self._ready(self._filter.flush()) if self._filter is not None else []
        self._waiting.clear()
        return ready

    def _ready(self, frames: list[VideoFrame]) -> list[Shown]:
        return [Shown(frame, *self._waiting.popleft()) for frame in frames if self._waiting]
