"""Frames at a constant rate."""

from __future__ import annotations

from fractions import Fraction

import av
import av.filter
from av.video.frame import VideoFrame


class FrameRate:
    """Gives frames at ``fps`` a second, by libavfilter's filter of that name; a new size starts a new one."""

    def __init__(self, fps: Fraction) -> None:
        self._fps = fps
        self._graph: av.filter.Graph | None = None
        self._kind: tuple[int, int, str] | None = None

    def paced(self, frame: VideoFrame) -> list[VideoFrame]:
        """The pictures that ``frame`` makes due: none, one or several."""
        kind = (frame.width, frame.height, frame.format.name)
        pictures: list[VideoFrame] = []
        if kind != self._kind or self._graph is None:
            pictures = self.flush()
            self._graph, self._kind = av.filter.Graph(), kind
            self._graph.link_nodes(
                self._graph.add_buffer(
                    width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
                ),
                self._graph.add("fps", f"{self._fps.numerator}/{self._fps.denominator}"),
                self._graph.add("buffersink"),
            ).configure()
        self._graph.push(frame)
        return pictures + self._pulled(self._graph)

    def flush(self) -> list[VideoFrame]:
        """The pictures that the last frame makes due until its end."""
        graph, self._graph = self._graph, None
        if graph is None:
            return []
        graph.push(None)
        return self._pulled(graph)

    @staticmethod
    def _pulled(graph: av.filter.Graph) -> list[VideoFrame]:
        pictures: list[VideoFrame] = []
        while True:
            try:
                picture = graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return pictures
            if isinstance(picture, VideoFrame):
                pictures.append(picture)
