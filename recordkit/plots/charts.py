"""The plots: memory, growth of the file, flushes, and all of them on one page."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from ..telemetry.words import count_text, size_text, span_text, time_text
from .style import (
    BLUE,
    GREEN,
    INK,
    OCHRE,
    ORANGE,
    PURPLE,
    VERMILLION,
    Chart,
    Panels,
    dress,
    label_ends,
    limit_line,
    page,
    shade_alerts,
    size_unit,
    time_axis,
    time_unit,
)
from .tables import Numbers, Source, Tables, tables, thinned

MOST_MARKS = 80
"""Flushes are marked one by one up to here; beyond, marks would run together."""


def plot_memory(recording: Source, *, ax: Axes | None = None) -> Axes:
    """Resident memory (RSS) of the recording process in MB, and what only it uses (USS), over time.

    ``recording`` is a Recorder, Recording or Log, the path of a recording or of its log, or frames
    of one (``.samples``, or a sequence of frames). Flushes are ticks along the bottom, alerts are
    shaded, the alert's threshold is drawn if it is within sight. Returns ``ax``, or Axes in a
    figure of their own that pyplot knows nothing of: ``.figure.savefig(path)`` saves it.

    Raises LogError if a path has no log, SettingsError for anything that is not a recording.
    """
    found = tables(recording)
    ax = ax if ax is not None else _chart()
    _memory(ax, found)
    shade_alerts(ax, found, named=True)
    time_axis(ax, found.end_s)
    return ax


def plot_file_growth(recording: Source, *, ax: Axes | None = None) -> Axes:
    """The file's size over time: a step at each flush, and above it what a power cut would have cost.

    Arguments, result and errors as in ``plot_memory``; the frame is ``.flushes``.
    """
    found = tables(recording)
    ax = ax if ax is not None else _chart()
    _growth(ax, found)
    shade_alerts(ax, found, named=True)
    time_axis(ax, found.end_s)
    return ax


def plot_flushes(recording: Source, *, ax: Axes | None = None) -> tuple[Axes, ...]:
    """The flushes' sizes, the intervals between them, and how long writing and syncing took.

    Arguments and errors as in ``plot_memory``; the frame is ``.flushes``. Returns three Axes above
    each other, which stand inside ``ax`` if that is given.
    """
    found = tables(recording)
    if ax is None:
        panels = Panels(page(7, 5.2).subplots(3, 1))
    else:
        ax.set_axis_off()
        panels = Panels(ax.inset_axes((0, bottom, 1, 0.22)) for bottom in (0.78, 0.39, 0.0))
    _flush_panels(panels, found, named=True)
    return panels


def plot_overview(recording: Source, *, figure: Figure | SubFigure | None = None) -> tuple[Axes, ...]:
    """Memory, growth, and the flushes' sizes, intervals and times, on one page.

    Arguments and errors as in ``plot_memory``; ``figure`` is an empty figure to draw on. Returns the
    five Axes in that order; ``axes[0].figure.savefig(path)`` saves the page.
    """
    found = tables(recording)
    if figure is None:
        figure = page(10, 5.6)
    grid = figure.add_gridspec(6, 2, width_ratios=(1.15, 1))
    memory, growth = (figure.add_subplot(grid[rows, 0], axes_class=Chart) for rows in (slice(0, 3), slice(3, 6)))
    flushes = Panels(
        figure.add_subplot(grid[rows, 1], axes_class=Chart) for rows in (slice(0, 2), slice(2, 4), slice(4, 6))
    )
    _memory(memory, found)
    shade_alerts(memory, found, named=True)
    time_axis(memory, found.end_s)
    _growth(growth, found)
    shade_alerts(growth, found, named=False)
    time_axis(growth, found.end_s)
    _flush_panels(flushes, found, named=False)
    figure.suptitle(
        _heading(found), x=0.008, ha="left", color=INK, fontsize=11, fontweight="bold", parse_math=False
    )
    return Panels((memory, growth, *flushes))


def _chart() -> Axes:
    return page(7, 3.2).add_subplot(axes_class=Chart)


def _heading(found: Tables) -> str:
    parts = [str(found.attrs.get("recording", "recording")), f"{time_text(found.end_s)} elapsed"]
    if len(found.flushes):
        parts.append(size_text(found.flush("file_bytes")[-1]))
    newest = "the newest " if _is_cut(found) else ""
    parts.append(newest + count_text(len(found.flushes), "flush", "flushes"))
    dropped = [found.flush("dropped_units")[-1:], found.sample("dropped_units")[-1:]]
    parts.append(count_text(int(np.concatenate(dropped).max(initial=0)), "unit") + " dropped")
    parts.append(count_text(len(found.alerts), "alert"))
    return "  ·  ".join(parts)


def _is_cut(found: Tables) -> bool:
    """Whether the oldest flushes have made room for the newest."""
    return bool((found.flush("file_bytes")[:1] > found.flush("flush_bytes")[:1]).any())


def _memory(ax: Axes, found: Tables) -> None:
    divisor, _ = time_unit(found.end_s)
    rows = found.sample if len(found.samples) else found.flush
    times, rss = rows("elapsed_s") / divisor, rows("rss_bytes") / 1e6
    uss = found.sample("uss_bytes") / 1e6
    top = max(np.nanmax(rss, initial=0), np.nanmax(uss, initial=0))
    limit = found.limit("memory_bytes") / 1e6
    told = rss[~np.isnan(rss)]
    title = "Memory: no samples"
    if len(told):
        title = f"Memory: {told[-1]:.0f} MB at the end, {told.max():.0f} MB at most"
    dress(ax, title, "MB", max(top, limit) if top >= limit / 2 else top)
    ends = []
    for name, values, colour in (("USS", uss, GREEN), ("RSS", rss, BLUE)):
        if len(values) and not np.isnan(values).all():
            _line(ax, times, values, colour, name)
            known = np.flatnonzero(~np.isnan(values))
            ends.append((float(values[known[-1]]), name, colour))
    if 0 < len(found.flushes) <= MOST_MARKS:
        ax.plot(
            found.flush("elapsed_s") / divisor,
            np.full(len(found.flushes), 0.02),
            "|",
            transform=ax.get_xaxis_transform(),
            color=INK,
            markersize=7,
            markeredgewidth=1.2,
            label="flushes",
            clip_on=False,
        )
        ends.append((ax.get_ylim()[1] * 0.02, "flushes", INK))
    if limit_line(ax, limit, VERMILLION):
        ends.append((limit, "alert", VERMILLION))
    label_ends(ax, ends)


def _growth(ax: Axes, found: Tables) -> None:
    divisor, _ = time_unit(found.end_s)
    size, risk = found.flush("file_bytes"), found.flush("bytes_at_risk")
    if not len(size):
        dress(ax, "File: no flush yet", "MB", 0)
        return
    scale, unit = size_unit(size[-1])
    times = found.flush("elapsed_s") / divisor
    start_s = max(times[0] - found.flush("interval_s")[0] / divisor, 0.0)
    start_size = size[0] - found.flush("flush_bytes")[0]
    title = f"File: {size_text(size[-1])}, never more than {size_text(risk.max())} of it at risk"
    dress(ax, title, unit, size.max() / scale)
    steps = thinned(size)
    ax.plot(
        np.concatenate(([start_s], times[steps])),
        np.concatenate(([start_size], size[steps])) / scale,
        color=BLUE,
        linewidth=1.4,
        drawstyle="steps-post",
        label="on disk",
        marker="o" if len(size) <= MOST_MARKS else None,
        markersize=3,
        markevery=slice(1, None),
    )
    # From one flush to the next what is recorded grows, and what is safe stays.
    some = thinned(risk)
    before = np.maximum(some - 1, 0)
    begin_s = np.where(some > 0, times[before], start_s)
    begin_size = np.where(some > 0, size[before], start_size)
    safe = size[some] - risk[some]
    ax.fill_between(
        np.column_stack((begin_s, times[some])).ravel(),
        np.column_stack((np.minimum(safe, begin_size), safe)).ravel() / scale,
        np.column_stack((begin_size, size[some])).ravel() / scale,
        color=ORANGE,
        alpha=0.55,
        linewidth=0,
        label="at risk",
        zorder=1.8,
    )
    ends = [(size[-1] / scale, "on disk", BLUE)]
    if risk.max() > 0.01 * size.max():
        ends.append((float(size[-1] - 0.6 * risk[-1]) / scale * 0.9, "at risk", OCHRE))
    label_ends(ax, ends)


def _flush_panels(panels: tuple[Axes, ...], found: Tables, *, named: bool) -> None:
    sizes, intervals, spans = panels
    _sizes(sizes, found)
    _intervals(intervals, found)
    _spans(spans, found)
    for ax in panels:
        shade_alerts(ax, found, named=named and ax is sizes)
        time_axis(ax, found.end_s, labelled=ax is spans)


def _sizes(ax: Axes, found: Tables) -> None:
    size, limit = found.flush("flush_bytes"), found.setting("flush_threshold")
    if not len(size):
        dress(ax, "Flush sizes: no flush yet", "MB", 0)
        return
    scale, unit = size_unit(size.max())
    top = max(size.max(), limit) if size.max() >= limit / 2 else size.max()
    title = f"Flush sizes: {size_text(float(np.median(size)))} median, {size_text(size.max())} largest"
    dress(ax, title, unit, top / scale)
    _steps(ax, found, size / scale, BLUE, "size")
    if limit_line(ax, limit / scale, INK):
        label_ends(ax, [(limit / scale, "threshold", INK)])


def _intervals(ax: Axes, found: Tables) -> None:
    interval = found.flush("interval_s")
    if not len(interval):
        dress(ax, "Intervals between flushes", "s", 0)
        return
    longest = float(interval.max())
    dress(
        ax, f"Intervals: {span_text(float(np.median(interval)))} median, {span_text(longest)} longest", "s", longest
    )
    _steps(ax, found, interval, GREEN, "interval")


def _spans(ax: Axes, found: Tables) -> None:
    write, both = found.flush("write_s") * 1e3, (found.flush("write_s") + found.flush("sync_s")) * 1e3
    if not len(both):
        dress(ax, "Write and sync times", "ms", 0)
        return
    median, longest = span_text(float(np.median(both)) / 1e3), span_text(float(both.max()) / 1e3)
    dress(ax, f"Write and sync: {median} median, {longest} longest", "ms", float(both.max()))
    _stems(ax, found, write, both, PURPLE, "sync")
    _stems(ax, found, np.zeros(len(write)), write, BLUE, "write")
    label_ends(ax, [(float(write[-1]), "write", BLUE), (float(both[-1]), "sync", PURPLE)])


def _line(ax: Axes, times: Numbers, values: Numbers, colour: str, name: str) -> None:
    known = np.flatnonzero(~np.isnan(values))  # some figures are not measured at each sample
    some = known[thinned(values[known])]
    marker = "o" if len(some) == 1 else None
    ax.plot(times[some], values[some], color=colour, linewidth=1.5, label=name, marker=marker, markersize=4)


def _stems(ax: Axes, found: Tables, bottom: Numbers, top: Numbers, colour: str, name: str) -> None:
    """A stem with a dot a flush; thin stems without dots if there are many."""
    divisor, _ = time_unit(found.end_s)
    times = found.flush("elapsed_s") / divisor
    some, is_many = thinned(top), len(times) > MOST_MARKS
    width, alpha = (0.8, 1.0) if is_many else (1.6, 0.75)
    ax.vlines(times[some], bottom[some], top[some], color=colour, linewidth=width, alpha=alpha, label=name)
    if not is_many:
        ax.plot(times, top, "o", color=colour, markersize=3.2, label=name, clip_on=False)


def _steps(ax: Axes, found: Tables, values: Numbers, colour: str, name: str) -> None:
    """A stem a flush; if there are many a line, that has a flush's figure from the flush before on."""
    if len(values) <= MOST_MARKS:
        _stems(ax, found, np.zeros(len(values)), values, colour, name)
        return
    divisor, _ = time_unit(found.end_s)
    some = thinned(values)
    times = found.flush("elapsed_s")[some] / divisor
    ax.plot(times, values[some], color=colour, linewidth=0.9, drawstyle="steps-pre", label=name)
