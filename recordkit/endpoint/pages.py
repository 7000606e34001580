"""The two pages that people see: what is being recorded, and one to publish from."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiohttp import web

from ..printable import for_page
from ..recorder.state import State
from ..telemetry.words import count_text, size_text, time_text
from .publisher import Publisher, Stage
from .settings import WhipSettings

_HERE = Path(__file__).parent


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
    def of(cls, publisher: Publisher) -> Self:
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


def _state(publisher: Publisher) -> str:
    if publisher.sink.state is State.FAILED:
        return "failed"
    return {
        Stage.CONNECTING: "connecting",
        Stage.LIVE: "degraded" if publisher.sink.state is State.DEGRADED else "recording",
        Stage.ENDING: "committing",
        Stage.ENDED: _ended(publisher),
    }[publisher.stage]


def _ended(publisher: Publisher) -> str:
    if publisher.sink.file_bytes:
        return "committed"
    return "no media" if publisher.was_live else "not connected"


def status(rows: Sequence[Row], settings: WhipSettings, *, free_bytes: int | None) -> web.Response:
    """The page that lists what is being recorded, and what has been lately."""
    present = [row for row in rows if not row.is_over]
    over = [row for row in rows if row.is_over]
    head = count_text(len(present), "recording")
    parts = [_rows(present)] if present else [_nothing(settings)]
    if over:
        parts += ["<h2>Recently finished</h2>", _rows(over)]
    link = '<a class="push button" href="publish">Publish</a>' if settings.publish_page else ""
    return _page(
        "status.html",
        title=f"{'● ' if present else ''}{head} · recordkit",
        dot="on" if present else "",
        head=f"{head[0].upper()}{head[1:]}" if present else "",
        publish=link,
        body="\n".join(parts),
        disk="" if free_bytes is None else f" {size_text(free_bytes)} free on the disk.",
    )


def publish(*, needs_token: bool) -> web.Response:
    """The page that publishes the camera or the screen of the browser that shows it."""
    return _page("publish.html", needs_token="yes" if needs_token else "no")


def look() -> web.Response:
    """The style of both."""
    return web.Response(text=(_HERE / "look.css").read_text("utf-8"), content_type="text/css")


def _rows(rows: Sequence[Row]) -> str:
    return f'<ul class="rows card">{"".join(map(_row, rows))}</ul>'


def _row(row: Row) -> str:
    dot = "on" if row.state == "recording" else ""
    drops = f'<span class="drops">{row.drops:,}</span>' if row.drops else "0"
    why = f'<span class="why">{for_page(row.reason[:1].upper() + row.reason[1:])}.</span>' if row.reason else ""
    return (
        f'<li><span class="name">{for_page(row.stream)}<span class="file">{for_page(row.file_name)}</span></span>'
        f'<span class="state {row.state.split()[0]}"><span class="dot {dot}"></span>{for_page(row.state)}</span>'
        f'<span class="figure">{time_text(row.duration_s)}<small>duration</small></span>'
        f'<span class="figure">{size_text(row.file_bytes)}<small>on disk</small></span>'
        f'<span class="figure">{drops}<small>dropped</small></span>{why}</li>'
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
        "img-src data:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": policy})
