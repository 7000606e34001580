"""``Recording.embed``: a recording, or as much of it as fits, as a playing clip inside a notebook's page."""

from __future__ import annotations

import base64
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import MediaError, SettingsError
from ..model import Codec, StreamFormat
from ..printable import for_page
from ..telemetry.words import size_text, time_text
from ..ticks import TICKS_PER_SECOND
from ..values import WholeLike, whole
from .clip import Plan
from .export import Exported, export
from .marking import mark_at
from .transport_units import NotSimpleError
from .units import Source

_LIMIT = whole(10_000, 1 << 30, "bytes")
_PLAYED = frozenset({Codec.H264, Codec.VP9, Codec.AV1, Codec.AAC, Codec.MP3, Codec.OPUS, Codec.FLAC})
"""What Chromium and Firefox play in an MP4 on every machine."""
_UNIT_BYTES = 150
"""What a unit takes beside its own bytes: its chunk's head, and its rows in the tables."""
_PAGE_BYTES = 2_000
_TRIES = 4
_SMALLER = 0.9
_SHORTEST_S = 0.1


@dataclass(frozen=True, slots=True, repr=False)
class Embedded:
    """A clip that plays in a notebook's page: a plain MP4 that stands in the page itself.

    ``html`` is what it adds to the page, ``bytes`` the size of the MP4. It shows the seconds of media from
    ``begins_s`` to ``ends_s``; ``words`` are what the page says of it. ``is_cut`` says that it ends earlier than
    was asked, since no more went into the bytes that were allowed.
    """

    html: str
    bytes: int
    begins_s: float
    ends_s: float
    is_cut: bool
    words: str

    def __repr__(self) -> str:
        return f"<Embedded {self.words}>"

    def _repr_html_(self) -> str:
        return self.html


def embed(
    source: Any,  # noqa: ANN401 - whatever has a path
    *,
    max_bytes: WholeLike,
    start: float | str | None,
    end: float | str | None,
) -> Embedded:
    """``source``, which is what ``export`` takes, as ``Recording.embed`` shows it; raises the same errors."""
    limit = _LIMIT("max_bytes", max_bytes)
    room = (limit - _PAGE_BYTES) * 3 // 4  # as text three bytes are four
    media = Source(source)
    try:
        begin_s = 0.0 if start is None else mark_at(media.path, "start", start)
        end_s = None if end is None else mark_at(media.path, "end", end)
        if end_s is not None and end_s <= begin_s:
            raise SettingsError("end", end, f"give a time behind the start, {begin_s:.3f} s")
        try:
            look = _Look(media, begin_s, end_s, room)
        except NotSimpleError as error:
            media.fall_back(error)
            look = _Look(media, begin_s, end_s, room)
    finally:
        media.close()
    until_s = end_s if look.fits_until_s is None else look.fits_until_s
    with tempfile.TemporaryDirectory(prefix="recordkit-") as folder:
        target = Path(folder) / "clip.mp4"
        for _ in range(_TRIES):
            if until_s is not None and until_s != end_s and until_s - begin_s < _SHORTEST_S:
                break
            # With neither start nor end it is the whole recording, which no clip's edit list needs.
            is_whole = start is None and until_s is None
            made = export(source, target, start=None if is_whole else begin_s, end=until_s)
            if made.bytes <= room:
                given = limit if until_s != end_s else None
                return _embedded(media.path.name, look, made, target.read_bytes(), given, is_whole=is_whole)
            target.unlink()
            until_s = begin_s + made.duration_s * room / made.bytes * _SMALLER
    raise SettingsError("max_bytes", max_bytes, f"the first frames of {media.path.name} do not fit: give more")


class _Look:
    """The clip's units read once: whether they fit into ``room`` bytes, up to when, and what they are."""

    def __init__(self, media: Source, begin_s: float, end_s: float | None, room: int) -> None:
        self.fits_until_s: float | None = None
        self.has_video = False
        self._name = media.path.name
        plan = Plan(media.units(), begin_s, end_s, exact=False, hides=True, audio_alone=False)
        taken = 0
        for coded in plan.clipped(media.units()):
            self._take(coded.format)
            taken += len(coded.unit.prefix) + len(coded.unit.data) + _UNIT_BYTES
            if taken > room:
                self.fits_until_s = (coded.unit.dts - plan.zero) / TICKS_PER_SECOND
                break

    def _take(self, coding: StreamFormat) -> None:
        codec = coding.codec
        if codec.is_video:
            self.has_video = True
        if codec not in _PLAYED:
            anew = "transcode" if codec.is_video else "transcode_audio"
            raise MediaError(
                f"{self._name} has {codec.value}, which not every browser plays: encode it anew with "
                f"rk.record(rk.MediaFile(path, {anew}=True), output), and embed that"
            )


def _embedded(
    name: str, look: _Look, made: Exported, data: bytes, limit: int | None, *, is_whole: bool
) -> Embedded:
    """``limit`` is given if it has cut the clip."""
    begins, ends = made.begins_s, made.begins_s + made.duration_s
    what = f"all {_at(made.duration_s)}" if is_whole else f"from {_at(begins)} to {_at(ends)}"
    more = "" if limit is None else f": what fits into {size_text(limit)}, the recording goes on"
    words = f"{name}, {what}{more}"
    kind = "video" if look.has_video else "audio"
    uri = f"data:{kind}/mp4;base64,{base64.b64encode(data).decode('ascii')}"
    html = (
        f'<figure style="margin:0;max-width:100%"><{kind} controls playsinline preload="metadata" '
        f'aria-label="{for_page(words)}" style="display:block;max-width:100%;min-width:min(320px, 100%)" '
        f'src="{uri}"></{kind}>'
        f'<figcaption style="font-size:12px;margin-top:4px;overflow-wrap:anywhere">{for_page(words)}</figcaption>'
        "</figure>"
    )
    return Embedded(html, len(data), begins, ends, limit is not None, words)


def _at(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else time_text(seconds)
