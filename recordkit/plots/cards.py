"""Cards: what a result shows of itself in a notebook, in the colours of the page, without a style sheet."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

from ..printable import for_page

T = TypeVar("T")

MOST_LISTED = 50


class Tone(StrEnum):
    """What a verdict means, as the colour behind its white words; each has a contrast over 4.5 to 1."""

    GOOD = "#1a7f37"
    WARN = "#8a5a00"
    BAD = "#b42318"
    PLAIN = "#57606a"


def card(title: str, verdict: str, tone: Tone, rows: Iterable[tuple[str, str]] = (), below: str = "") -> str:
    """A name, a verdict and rows of what is known, as HTML; ``below`` is HTML that follows them."""
    cell = "text-align:left;padding:2px 14px 2px 0;background:transparent;vertical-align:top"
    body = "".join(
        f'<tr style="background:transparent"><th scope="row" style="{cell};font-weight:600">{for_page(name)}</th>'
        f'<td style="{cell};overflow-wrap:anywhere">{for_page(words)}</td></tr>'
        for name, words in rows
        if words
    )
    table = f'<table style="border-collapse:collapse;border:0;margin:6px 0 0;font-size:13px">{body}</table>'
    return (
        '<div style="max-width:1000px;color:inherit;background:none;border:1px solid #8888;border-radius:6px;'
        'padding:8px 12px;margin:2px 0">'
        '<div style="display:flex;flex-wrap:wrap;gap:4px 12px;align-items:center">'
        f'<b style="overflow-wrap:anywhere">{for_page(title)}</b>{badge(verdict, tone)}</div>'
        f"{table if body else ''}{below}</div>"
    )


def badge(words: str, tone: Tone) -> str:
    """A verdict in its colour."""
    return (
        f'<span style="background:{tone.value};color:#fff;border-radius:10px;padding:1px 10px;font-size:12px;'
        f'font-weight:600;white-space:nowrap">{for_page(words)}</span>'
    )


class Listed(list[T]):
    """A list whose members show themselves in a notebook, one card below the other; else a list like any."""

    def _repr_html_(self) -> str:
        if not self:
            return card("nothing", "none found", Tone.PLAIN)
        shown = "".join(one._repr_html_() for one in self[:MOST_LISTED])  # type: ignore[attr-defined]
        more = len(self) - MOST_LISTED
        return shown + (f"<p>and {more:,} more</p>" if more > 0 else "")
