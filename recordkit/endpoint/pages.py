"""The two pages that people see: what is being recorded, and one to publish from."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.parse import quote

from aiohttp import web

from ..printable import for_page
from ..recorder.state import State
from ..telemetry.words import count_text, size_text, time_text
from .present import Present, Stage
from .settings import WhipSettings
from .shelf import Entry, is_audio_alone

_HERE = Path(__file__).parent

MOST_SHOWN = 100
"""Finished recordings on the page, the newest ones."""


@dataclass(frozen=True, slots=True)
class Row:
    """A publisher as it is shown; ``state`` is a word such as connecting, recording, committed or failed."""

    stream: str
    file_name: str
    state: str
    duration_s: float
    file_bytes: int
    drops: int
    reason: str
    is_over: bool

    @classmethod
    def of(cls, publisher: Present) -> Self:
        """How ``publisher`` stands now."""
        sink = publisher.sink
        return cls(
            publisher.stream,
            sink.file_name,
            _state(publisher),
            sink.duration_s,
            sink.file_bytes,
            sink.drops,
            publisher.reason,
            publisher.stage is Stage.ENDED,
        )


def _state(publisher: Present) -> str:
    if publisher.sink.state is State.FAILED:
        return "failed"
    return {
        Stage.CONNECTING: "connecting",
        Stage.LIVE: "degraded" if publisher.sink.state is State.DEGRADED else "recording",
        Stage.ENDING: "committing",
        Stage.ENDED: _ended(publisher),
    }[publisher.stage]


def _ended(publisher: Present) -> str:
    if publisher.sink.file_bytes:
        return "committed"
    return "no media" if publisher.was_live else "not connected"


def status(
    rows: Sequence[Row],
    settings: WhipSettings,
    *,
    free_bytes: int | None,
    shelf: tuple[Sequence[Entry], int] | None = None,
) -> web.Response:
    """The page that shows what is being recorded, what has been lately, and what lies on the ``shelf``.

    ``shelf`` are the newest finished recordings, and how many there are in all; None if nothing can be played.
    """
    present = [row for row in rows if not row.is_over]
    over = {row.file_name: row for row in rows if row.is_over}
    head = count_text(len(present), "recording")
    has_video = shelf is not None
    parts = [
        _section("live", _live(present, has_video=has_video)) if present else _section("none", _nothing(settings))
    ]
    if shelf is not None and shelf[0]:
        parts.append(_section("finished", _finished(*shelf, over)))
        over = {name: row for name, row in over.items() if name not in {entry.name for entry in shelf[0]}}
    if over:
        words = "Recently ended without a file" if has_video else "Recently finished"
        parts.append(_section("over", f"<h2>{words}</h2>{_rows(list(over.values()))}"))
    link = '<a class="push button" href="publish">Publish</a>' if settings.publish_page else ""
    return _page(
        "status.html",
        title=f"{'● ' if present else ''}{head} · recordkit",
        dot="on" if present else "",
        head=f"{head[0].upper()}{head[1:]}" if present else "",
        publish=link,
        styles='<link rel="stylesheet" href="player.css">\n' if has_video else "",
        body="\n".join(parts),
        disk="" if free_bytes is None else f" {size_text(free_bytes)} free on the disk.",
    )


def publish(*, needs_token: bool) -> web.Response:
    """The page that publishes the camera or the screen of the browser that shows it."""
    return _page("publish.html", needs_token="yes" if needs_token else "no")


def look() -> web.Response:
    """The style of both."""
    return web.Response(text=(_HERE / "look.css").read_text("utf-8"), content_type="text/css")


def _section(kind: str, html: str) -> str:
    return f'<section data-kind="{kind}">{html}</section>'


def _rows(rows: Sequence[Row]) -> str:
    return f'<ul class="rows card">{"".join(f"<li>{_about(row)}</li>" for row in rows)}</ul>'


def _live(rows: Sequence[Row], *, has_video: bool) -> str:
    """A card for each publisher, with its video if there can be one."""
    if not has_video:
        return _rows(rows)
    cards = []
    for row in rows:
        name = for_page(row.file_name)
        screen = "" if is_audio_alone(row.file_name) else f'<div class="screen" data-live="{name}"></div>'
        cards.append(f'<li class="card" data-key="{name}">{screen}<div class="about">{_about(row)}</div></li>')
    return f'<ul class="live" data-keyed aria-label="Being recorded">{"".join(cards)}</ul>'


def _about(row: Row) -> str:
    dot = "on" if row.state == "recording" else ""
    drops = f'<span class="drops">{row.drops:,}</span>' if row.drops else "0"
    return (
        f'<span class="name">{for_page(row.stream)}<span class="file">{for_page(row.file_name)}</span></span>'
        f'<span class="state {row.state.split()[0]}"><span class="dot {dot}"></span>{for_page(row.state)}</span>'
        f'<span class="figure">{time_text(row.duration_s)}<small>duration</small></span>'
        f'<span class="figure">{size_text(row.file_bytes)}<small>on disk</small></span>'
        f'<span class="figure">{drops}<small>dropped</small></span>{_why(row)}'
    )


def _why(row: Row) -> str:
    return f'<span class="why">{for_page(row.reason[:1].upper() + row.reason[1:])}.</span>' if row.reason else ""


def _finished(entries: Sequence[Entry], count: int, over: Mapping[str, Row]) -> str:
    """A row for each file, to be played and downloaded."""
    items = "".join(_shelved(entry, over.get(entry.name)) for entry in entries)
    rest = count - len(entries)
    more = f"{rest:,} older ones lie in the folder." if rest else ""
    return (
        f'<h2>Finished recordings</h2><ul class="rows shelf card" data-keyed>{items}</ul>'
        f'<p class="soft" data-part="more">{more}</p>'
    )


def _shelved(entry: Entry, row: Row | None) -> str:
    name, moment = for_page(entry.name), datetime.fromtimestamp(entry.changed_ns / 1e9, UTC)
    told = (
        f'<span class="why"><span class="{row.state.split()[0]}">{row.state}</span> {_why(row)}</span>'
        if row
        else ""
    )
    duration = "" if entry.duration_s is None else f"{time_text(entry.duration_s)}<small>duration</small>"
    kind = "audio" if entry.is_audio_alone else "video"
    return (
        f'<li data-key="{name}"><div class="about"><span class="name">{name}{told}</span>'
        f'<time class="figure" datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">{moment:%Y-%m-%d %H:%M} UTC</time>'
        f'<span class="figure">{duration}</span>'
        f'<span class="figure">{size_text(entry.size_bytes)}<small>on disk</small></span>'
        f'<span class="acts"><button class="quiet button" type="button" data-open="{name}" data-kind="{kind}" '
        f'hidden aria-expanded="false" aria-label="Play {name}">Play</button>'
        f'<a class="quiet button" href="recordings/{quote(entry.name, safe="")}" download '
        f'aria-label="Download {name}">Download</a></span></div><div class="screen" hidden></div></li>'
    )


def _nothing(settings: WhipSettings) -> str:
    hint = (
        "Press the button above, or point a WHIP client here."
        if settings.publish_page
        else "Point a WHIP client here."
    )
    return f'<div class="card none"><p><b>Nothing is being recorded.</b></p><p class="soft">{hint}</p></div>'


def _page(file_name: str, **values: str) -> web.Response:
    nonce = secrets.token_urlsafe(12)
    values["nonce"] = nonce
    template = (_HERE / file_name).read_text("utf-8")
    text = re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], template)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; connect-src 'self'; "
        "img-src data: blob:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": policy})
