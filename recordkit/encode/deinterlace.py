"""Interlaced frames made progressive: a browser or slide program would show their lines as combs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import av
import av.filter
from av.video.frame import VideoFrame

from ..mpegts.clock import TICKS_PER_SECOND

_TIME_BASE = Fraction(1, TICKS_PER_SECOND)
_FILTER = "mode=send_frame:deint=interlaced"
"""A frame for a frame; those that say that they are progressive stay as they are."""


class Shown(NamedTuple):
    """A frame, when it is shown (ticks), and whether media is missing before it."""

    frame: VideoFrame
    ticks: int
    discontinuity: bool


class Deinterlacer:
    """Passes frames on as they are until one is interlaced; from then on each waits for the next one.

    ``on_altered`` is told of the first. Not thread-safe.
    """

    def __init__(self, on_altered: Callable[[str], None] | None = None) -> None:
        self._on_altered = on_altered
        self._is_told = False
        self._graph: av.filter.Graph | None = None
        self._kind: tuple[int, int, str] | None = None
        self._waiting: deque[tuple[int, bool]] = deque()

    def put(self, shown: Shown) -> list[Shown]:
        """Take a frame; returns those that are ready."""
        frame = shown.frame
        if self._graph is None and not frame.interlaced_frame:
            return [shown]
        if not self._is_told and self._on_altered is not None:
            self._on_altered("its frames are interlaced: they are deinterlaced, as not every player would do")
        self._is_told = True
        kind = (frame.width, frame.height, frame.format.name)
        ready: list[Shown] = []
        if self._graph is None or kind != self._kind:
            ready = self.flush()
            self._graph, self._kind = av.filter.Graph(), kind
            self._graph.link_nodes(
                self._graph.add_buffer(
                    width=frame.width,
                    height=frame.height,
                    format=frame.format,
                    time_base=Fraction(frame.time_base or _TIME_BASE),
                ),
                self._graph.add("bwdif", _FILTER),
                self._graph.add("buffersink"),
            ).configure()
        self._waiting.append((shown.ticks, shown.discontinuity))
        self._graph.push(frame)
        return ready + self._pulled(self._graph)

    def flush(self) -> list[Shown]:
        """The frame that waits."""
        graph, self._graph = self._graph, None
        if graph is None:
            return []
        graph.push(None)
        ready = self._pulled(graph)
        self._waiting.clear()
        return ready

    def _pulled(self, graph: av.filter.Graph) -> list[Shown]:
        ready: list[Shown] = []
        while self._waiting:
            try:
                frame = graph.pull()
            except (av.BlockingIOError, av.EOFError):
                break
            if isinstance(frame, VideoFrame):
                ready.append(Shown(frame, *self._waiting.popleft()))
        return ready
