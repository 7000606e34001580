"""How the plots look: one set of colours for light and dark pages, plain axes, few words."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator

from .tables import AlertSpan, Tables

INK = "#7b7b7b"
"""As far from white as from the near-black of a dark page: 4.3 to 1 on either."""
BLUE, GREEN, ORANGE, VERMILLION, PURPLE = "#0072B2", "#009E73", "#E69F00", "#D55E00", "#CC79A7"
"""Of Okabe and Ito's palette, which survives colour blindness."""
OCHRE = "#b47800"
"""Words about what is orange: that is too light for words on a white page."""

_FEWEST_SHARE = 0.004
_ALERT_WORDS = {
    "memory_bytes": "memory",
    "flush_gap_s": "no flush",
    "partial_age_s": "stale partial",
    "disk_full_s": "disk filling up",
    "dropped_units": "drops",
    "silent_s": "silence",
    "queue_share": "queue",
    "loop_lag_s": "loop lag",
}


class Page(Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        return png(self)


class Chart(Axes):
    """Axes that a notebook shows, as the figure that they stand in."""

    name = "recordkit chart"

    def _repr_png_(self) -> bytes:
        return png(self.get_figure(root=True))


class Panels(tuple[Axes, ...]):
    """Several Axes of one figure, which a notebook shows."""

    __slots__ = ()

    def _repr_png_(self) -> bytes:
        return png(self[0].get_figure(root=True))


def page(width: float, height: float) -> Page:
    """An empty figure of this size in inches, transparent, and unknown to pyplot."""
    figure = Page(
        figsize=(width, height), dpi=100, facecolor="none", layout=ConstrainedLayoutEngine(w_pad=0.07, h_pad=0.07)
    )
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure | None, dpi: float = 100) -> bytes:
    """The figure as a PNG file with its transparent background."""
    if figure is None:
        return b""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi, facecolor=figure.get_facecolor())
    return out.getvalue()


def time_unit(seconds: float) -> tuple[float, str]:
    """What to divide seconds by, and the unit's name, for an axis of that length."""
    return (1.0, "s") if seconds <= 180 else (60.0, "min") if seconds <= 180 * 60 else (3600.0, "h")


def size_unit(size: float) -> tuple[float, str]:
    """What to divide bytes by, and the unit's name, for an axis up to ``size``."""
    return (1e3, "kB") if size < 1e6 else (1e6, "MB") if size < 5e9 else (1e9, "GB")


def dress(ax: Axes, title: str, unit: str, top: float) -> None:
    """Plain axes from 0 to a little over ``top``, with a title and a few heights in ``unit``."""
    ax.set_facecolor("none")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(INK)
    ax.tick_params(colors=INK, labelcolor=INK, labelsize=8, length=0, which="both")
    ax.tick_params(axis="x", length=3)
    ax.grid(visible=True, axis="y", color=INK, alpha=0.22, linewidth=0.8)
    ax.grid(visible=False, axis="x")
    ax.set_axisbelow(True)
    ax.set_title(title, loc="left", fontsize=9.5, color=INK, pad=7, parse_math=False)
    ax.set_ylim(0, top * 1.12 if top > 0 else 1)
    if top <= 0:
        ax.set_yticks([0], [""])
        return
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g} {unit}" if value else "0"))


def time_axis(ax: Axes, end_s: float, *, labelled: bool = True) -> None:
    """The time since the start along the bottom, in the unit that suits its length."""
    divisor, unit = time_unit(end_s)
    end = end_s / divisor if end_s > 0 else 1.0
    ax.set_xlim(-0.01 * end, end * 1.01)
    if end_s <= 0:
        ax.set_xticks([0], ["0"] if labelled else [""])
        return
    steps = [1, 2, 3, 6, 10] if unit == "h" else [1, 2, 3, 5, 10]
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=steps))
    ax.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: (f"{value:,g} {unit}" if value else "0") if labelled else "")
    )


def label_ends(ax: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Words in the lines' colours right of their ends (height, words, colour), kept from overlapping."""
    bottom, top = ax.get_ylim()
    apart = (top - bottom) * 12.5 / max(_height_points(ax), 40)
    last = bottom - apart
    for height, words, colour in sorted(labels):
        last = max(height, last + apart)
        ax.annotate(
            words,
            (1, last),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            color=colour,
            fontsize=8,
            va="center",
            annotation_clip=False,
            parse_math=False,
        )


def limit_line(ax: Axes, height: float, colour: str) -> bool:
    """A dashed line across; False if it is out of sight."""
    if not 0 < height <= ax.get_ylim()[1]:
        return False
    ax.axhline(height, color=colour, linewidth=1, linestyle=(0, (4, 3)), label="limit", zorder=1.5)
    return True


def shade_alerts(ax: Axes, found: Tables, *, named: bool) -> None:
    """Shade the time during which alerts stood; ``named`` writes what they were over it."""
    divisor, _ = time_unit(found.end_s)
    spans = merged(found.alerts, found.end_s)
    for number, (start_s, end_s, rules) in enumerate(spans):
        ax.axvspan(
            start_s / divisor, end_s / divisor, color=VERMILLION, alpha=0.16, linewidth=0, zorder=0.5, label="alert"
        )
        if named and number < 3:
            is_late = start_s > 0.75 * found.end_s
            ax.annotate(
                ", ".join(_ALERT_WORDS.get(rule, rule[:24]) for rule in rules[:3]),
                ((end_s if is_late else start_s) / divisor, 1),
                xycoords=("data", "axes fraction"), xytext=(-3 if is_late else 3, -3),
                textcoords="offset points", color=VERMILLION, fontsize=7.5, va="top",
                ha="right" if is_late else "left", parse_math=False,
            )  # fmt: skip


def merged(alerts: Sequence[AlertSpan], end_s: float) -> list[tuple[float, float, list[str]]]:
    """Spans that overlap, or that nobody could tell apart, as one; none too narrow to be seen."""
    narrowest = end_s * _FEWEST_SHARE
    spans: list[tuple[float, float, list[str]]] = []
    for alert in sorted(alerts, key=lambda one: one.start_s):
        end = max(min(alert.end_s, end_s), alert.start_s + narrowest)
        if spans and alert.start_s <= spans[-1][1] + narrowest:
            start, before, rules = spans[-1]
            spans[-1] = (start, max(end, before), [*rules, *({alert.rule} - set(rules))])
        else:
            spans.append((alert.start_s, end, [alert.rule]))
    return spans


def _height_points(ax: Axes) -> float:
    figure: Any = ax.get_figure(root=True)
    return float(ax.get_position().height * figure.get_figheight() * 72)
