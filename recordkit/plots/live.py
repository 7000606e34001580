"""Charts of a running recording, cheap enough to draw again every second for days."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from ..model import FlushRecord, Sample
from ..telemetry.words import count_text, size_text
from .style import BLUE, INK, ORANGE, VERMILLION, dress, size_unit, time_axis, time_unit

MOST_POINTS = 512
"""A trace never holds twice as many: beyond, every two become the higher one."""
MOST_MARKS = 60
_WIDTH, _HEIGHT = 5.2, 2.1
_SHORTEST_S = 10.0
_BOX = (0.115, 0.145, 0.845, 0.68)


class Drawn(NamedTuple):
    """A chart as a PNG file, and what it shows in words."""

    png: bytes
    words: str


class Trace:
    """A line of figures over time, bounded: of each run of ``stride`` figures the highest is kept."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._values: list[float] = []
        self._run: tuple[float, float] | None = None
        self._run_length = 0
        self._stride = 1
        self.last: tuple[float, float] | None = None
        self.highest = 0.0

    def add(self, time_s: float, value: float) -> None:
        """Note ``value`` at ``time_s``, which does not go back."""
        self.last = (time_s, value)
        self.highest = max(self.highest, value)
        if self._run is None or value >= self._run[1]:
            self._run = self.last
        self._run_length += 1
        if self._run_length < self._stride:
            return
        self._times.append(self._run[0])
        self._values.append(self._run[1])
        self._run, self._run_length = None, 0
        if len(self._times) >= 2 * MOST_POINTS:
            keep = [at + (self._values[at + 1] >= self._values[at]) for at in range(0, len(self._values), 2)]
            self._times = [self._times[at] for at in keep]
            self._values = [self._values[at] for at in keep]
            self._stride *= 2

    def points(self) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
        """Times and values; the newest figure is always among them."""
        run = [] if self._run is None else [self._run]
        if self.last is not None and (not run or run[-1] != self.last) and self._times[-1:] != [self.last[0]]:
            run.append(self.last)
        return (
            np.array([*self._times, *(one[0] for one in run)], np.float64),
            np.array([*self._values, *(one[1] for one in run)], np.float64),
        )


class _Chart:
    """One small chart, made once; a redraw moves its lines, and makes new axes only where they must change."""

    def __init__(self) -> None:
        self._figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=100, facecolor="none")
        self._canvas: Any = FigureCanvasAgg(self._figure)  # which carries no types
        self.ax: Axes = self._figure.add_axes(_BOX)
        self._frame: tuple[float, float, str] | None = None
        self._title = ""

    def frame(self, title: str, unit: str, top: float, end_s: float) -> bool:
        """Put the title up; True if the axes were made again, for a top and an end that leave some room."""
        wanted = (_roomy(top), _roomy(max(end_s, _SHORTEST_S)), unit)
        if is_new := wanted != self._frame:
            self._frame = wanted
            self.ax.clear()
            dress(self.ax, "", unit, wanted[0] / 1.12)
            time_axis(self.ax, wanted[1])
        self._title = title
        self.ax.set_title(title, loc="left", fontsize=9.5, color=INK, pad=7, parse_math=False)
        return is_new

    @property
    def divisor(self) -> float:
        """What seconds are divided by along the axis."""
        return time_unit(self._frame[1] if self._frame else 0.0)[0]

    def line(self, **style: Any) -> Line2D:  # noqa: ANN401 - matplotlib's own
        """An empty line."""
        (line,) = self.ax.plot([], [], **style)
        return line

    def drawn(self) -> Drawn:
        """The chart, its background transparent."""
        self._canvas.draw()
        out = io.BytesIO()
        # The lightest compression: the image goes no further than to the browser, and right away.
        Image.fromarray(np.asarray(self._canvas.buffer_rgba())).save(out, "PNG", compress_level=1)
        return Drawn(out.getvalue(), f"Chart over time. {self._title}")


def _roomy(value: float) -> float:
    """``value`` rounded up to two digits of which the second is even or 0: axes that change seldom."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit / 2) * 2 * unit


class LiveCharts:
    """Memory of the recording process, and growth of its file; each ``draw`` returns both.

    ``memory_limit_bytes`` is the alert's threshold, None for no line. Not thread-safe.
    """

    def __init__(self, memory_limit_bytes: float | None) -> None:
        self._limit = (memory_limit_bytes or 0.0) / 1e6
        self._memory, self._growth = Trace(), Trace()
        self._flush_count = 0
        self._memory_chart, self._growth_chart = _Chart(), _Chart()
        self._memory_line = self._growth_line = self._marks = Line2D([], [])

    def add(self, records: Iterable[FlushRecord | Sample]) -> None:
        """Note what came since, in the order of its times."""
        for record in records:
            if isinstance(record, FlushRecord):
                self._flush_count += 1
                self._growth.add(record.elapsed_s, record.file_bytes)
            elif record.rss_bytes is not None:
                self._memory.add(record.elapsed_s, record.rss_bytes)

    def draw(self) -> tuple[Drawn, Drawn]:
        """The memory chart and the growth chart."""
        ends = [trace.last[0] for trace in (self._memory, self._growth) if trace.last is not None]
        now_s = max(ends, default=0.0)
        self._draw_memory(now_s)
        self._draw_growth(now_s)
        return self._memory_chart.drawn(), self._growth_chart.drawn()

    def _draw_memory(self, now_s: float) -> None:
        chart, last, top = self._memory_chart, self._memory.last, self._memory.highest / 1e6
        title = f"Memory: {last[1] / 1e6:.0f} MB now, {top:.0f} MB at most" if last else "Memory: no sample yet"
        # The alert's line is always in sight: how far away it is, is what one looks for.
        if chart.frame(title, "MB", max(top * 1.12, self._limit * 1.14), now_s):
            self._memory_line = chart.line(color=BLUE, linewidth=1.6)
            if self._limit:
                chart.ax.axhline(self._limit, color=VERMILLION, linewidth=1, linestyle=(0, (4, 3)))
                chart.ax.annotate(
                    "alert", (1, self._limit), xycoords=("axes fraction", "data"), xytext=(-2, 3),
                    textcoords="offset points", color=VERMILLION, fontsize=8, ha="right",
                )  # fmt: skip
        times, values = self._memory.points()
        self._memory_line.set_data(times / chart.divisor, values / 1e6)

    def _draw_growth(self, now_s: float) -> None:
        chart, last, top = self._growth_chart, self._growth.last, self._growth.highest
        scale, unit = size_unit(max(top, 1.0))
        flushes = count_text(self._flush_count, "flush", "flushes")
        title = f"File: {size_text(last[1])} in {flushes}" if last else "File: no flush yet"
        if chart.frame(title, unit, top / scale * 1.12, now_s):
            self._growth_line = chart.line(color=BLUE, linewidth=1.6, drawstyle="steps-post")
            self._marks = chart.line(
                color=BLUE, marker="o", linestyle="", markersize=3.6, markeredgecolor=ORANGE, clip_on=False
            )
        times, values = self._growth.points()
        times, values = times / chart.divisor, values / scale
        now = [now_s / chart.divisor]
        self._growth_line.set_data(
            np.concatenate(([0.0], times, now)), np.concatenate(([0.0], values, values[-1:] if last else [0.0]))
        )
        marked = slice(None) if self._flush_count <= MOST_MARKS else slice(-1, None)
        self._marks.set_data(times[marked], values[marked])
