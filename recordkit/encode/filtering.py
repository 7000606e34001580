"""One of libavfilter's filters over the frames of a stream, whatever their size and format."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
import av.filter
from av.filter.context import FilterContext
from av.video.frame import VideoFrame

from ..ticks import TICKS_PER_SECOND

_TIME_BASE = Fraction(1, TICKS_PER_SECOND)


class FrameFilter:
    """Gives frames as the filter ``name`` with ``options`` makes them; a new size or format starts a new one.

    ``threads`` are those that it is given, 0 for as many as there are processors.
    """

    def __init__(self, name: str, options: str, *, threads: int = 0) -> None:
        self._name = name
        self._options = options
        self._threads = threads
        self._graph: av.filter.Graph | None = None
        self._kind: tuple[int, int, str] | None = None
        self._ends: tuple[FilterContext, FilterContext]

    def put(self, frame: VideoFrame) -> list[VideoFrame]:
        """The frames that ``frame`` makes due: none, one or several."""
        kind = (frame.width, frame.height, frame.format.name)
        frames: list[VideoFrame] = []
        if kind != self._kind or self._graph is None:
            frames = self.flush()
            self._graph, self._kind = self._made(frame), kind
        self._graph.push(frame)
        return frames + self._pulled(self._graph)

    def put_one(self, frame: VideoFrame) -> VideoFrame:
        """The frame that comes of ``frame``, of a filter that gives one for each; nobody asks for another."""
        kind = (frame.width, frame.height, frame.format.name)
        if kind != self._kind or self._graph is None:
            self._graph, self._kind = self._made(frame), kind
        first, last = self._ends
        # Without asking the graph for them, which takes half as long again.
        first.push(frame)
        return cast(VideoFrame, last.pull())

    def _made(self, frame: VideoFrame) -> av.filter.Graph:
        graph, base = av.filter.Graph(), frame.time_base
        graph.threads = self._threads
        first = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=Fraction(base.numerator, base.denominator) if base else _TIME_BASE,
        )
        last = graph.add("buffersink")
        self._ends = first, last
        graph.link_nodes(first, graph.add(self._name, self._options), last).configure()
        return graph

    def flush(self) -> list[VideoFrame]:
        """The frames that are due until the end of the last one."""
        graph, self._graph = self._graph, None
        if graph is None:
            return []
        graph.push(None)
        return self._pulled(graph)

    @staticmethod
    def _pulled(graph: av.filter.Graph) -> list[VideoFrame]:
        frames: list[VideoFrame] = []
        while True:
            try:
                frame = graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return frames
            if isinstance(frame, VideoFrame):
                frames.append(frame)
