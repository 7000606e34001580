"""What a saved notebook keeps of a player or panel: a card with a strip of frames, for viewers without a kernel.

It is an output of its own, which a page that shows the widget hides: a viewer without a kernel shows
this one, and JupyterLab without its kernel shows it above the line that says that the widget is gone.
"""

from __future__ import annotations

import base64
import io
import logging
from typing import Any
from uuid import uuid4

from IPython.display import HTML, DisplayHandle, display

from ..errors import RecordkitError
from ..playback.film import Film
from ..plots.cards import Tone, card
from ..printable import for_page
from ..telemetry.words import size_text, time_text
from ..verification.verify import kinds_text, verify

log = logging.getLogger("recordkit")

MOST_BYTES = 100_000
"""Of a card: a saved notebook holds it for each player."""
_FRAMES, _WIDTH, _QUALITY = 6, 152, 70
_SHORT_S = 12.0
_LARGEST_VERIFIED = 64_000_000
"""Bytes of a file that is judged for its card; of a larger one that would be waited for."""


class Kept:
    """The output that is kept; ``identity`` is what the page hides it by."""

    def __init__(self) -> None:
        self.identity = uuid4().hex[:12]
        self._handle: DisplayHandle | None = None

    def show(self, bundle: Any, words: str, films: list[Film]) -> None:  # noqa: ANN401 - as widgets give it
        """Show the widget whose ``bundle`` this is, and ``films`` to those who cannot."""
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        self._handle = display(HTML(self._wrapped(cards(films))), display_id=True)  # type: ignore[no-untyped-call]
        display(data | {"text/plain": words}, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]

    def update(self, films: list[Film]) -> None:
        """What is kept has become another."""
        if self._handle is not None:
            self._handle.update(HTML(self._wrapped(cards(films))))  # type: ignore[no-untyped-call]

    def _wrapped(self, html: str) -> str:
        return f'<div data-recordkit="{self.identity}">{html}</div>'


def cards(films: list[Film]) -> str:
    """The cards of recordings, together in no more than MOST_BYTES."""
    return "".join(_card(film, MOST_BYTES // max(len(films), 1)) for film in films)


def _card(film: Film, most_bytes: int) -> str:
    try:
        film.refresh()
        video = film.video
        count, duration_s = len(video), video.duration_s
    except RecordkitError:
        return card(film.title, "nothing to be seen", Tone.PLAIN)
    width, height = film.size
    taken = film.captured(0)
    rows = [
        ("length", f"{time_text(duration_s)}, {count:,} frames, {width}x{height}, {video.fps:.4g} fps"),
        ("size", size_text(film.size_bytes) if film.size_bytes else ""),
        ("taken", "" if taken is None else f"from {taken:%Y-%m-%d %H:%M:%S} UTC on"),
        ("marks", ", ".join(f"{one.name} ({time_text(one.media_s)})" for one in film.marks[:10])),
    ]
    verdict, tone = _verdict(film)
    made = card(film.title, verdict, tone, rows)
    strip, room = "", most_bytes - len(made) - 200
    for number in _places(film, count, duration_s):
        figure = _figure(film, number)
        if len(strip) + len(figure) > room:
            break
        strip += figure
    below = f'<div style="display:flex;flex-wrap:wrap;gap:6px;margin-top:8px">{strip}</div>' if strip else ""
    return card(film.title, verdict, tone, rows, below)


def _places(film: Film, count: int, duration_s: float) -> list[int]:
    """Frames spread over the recording; of a longer one keyframes, for which nothing else has to be decoded."""
    spread = [round(place * (count - 1) / _FRAMES) for place in range(_FRAMES)] if count else []
    if duration_s > _SHORT_S:
        spread = [film.keyframe(number) for number in spread]
    return list(dict.fromkeys(spread))


def _verdict(film: Film) -> tuple[str, Tone]:
    if film.is_growing:
        return "being recorded", Tone.PLAIN
    if not film.file.is_file() or film.size_bytes > _LARGEST_VERIFIED:
        return "not judged here", Tone.PLAIN
    try:
        found = verify(film.file)
    except RecordkitError as error:
        return str(error), Tone.BAD
    if found.ok:
        return "valid", Tone.GOOD
    return kinds_text(len(found.problems)), Tone.WARN


def _figure(film: Film, number: int) -> str:
    from PIL import Image

    try:
        image = Image.fromarray(film.frame(number).image)
    except RecordkitError as error:
        log.debug("%s: no image of frame %d: %s", film.title, number, error)
        return ""
    image.thumbnail((_WIDTH, _WIDTH))
    data = io.BytesIO()
    image.save(data, "jpeg", quality=_QUALITY)
    when = time_text(film.video.time_of(number))
    source = base64.b64encode(data.getvalue()).decode("ascii")
    return (
        '<figure style="margin:0;text-align:center;font-size:12px">'
        f'<img alt="the frame at {for_page(when)}" width="{image.width}" height="{image.height}" '
        f'style="display:block;border-radius:3px" src="data:image/jpeg;base64,{source}">'
        f"<figcaption>{for_page(when)}</figcaption></figure>"
    )
