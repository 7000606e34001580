"""What a page's player asks of a recording, and the answers: how much there is, chunks of MP4, frames as images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import SourceError
from .film import Film

_THUMBNAIL = 640
Answer = tuple[dict[str, Any], list[bytes]]
"""What is told, and the bytes that go with it."""


def answer(film: Film, asked: Mapping[str, Any]) -> Answer:
    """The answer to ``asked``, whose ``ask`` is open, look, media or image; ``view`` is who asks.

    Raises RecordkitError, and IndexError for a frame that is not there.
    """
    ask = asked.get("ask")
    if ask == "open":
        return film.status(), []
    if ask == "look":
        film.refresh()
        return extent(film), []
    if ask == "media":
        return _media(film, asked)
    if ask == "image":
        return _image(film, asked)
    raise SourceError(film.title, f"was asked for {ask!r}, which no player knows")


def extent(film: Film) -> dict[str, Any]:
    """How much there is by now."""
    video = film.video
    return {
        "count": len(video),
        "units": video.coded_count,
        "duration": video.duration_s,
        "growing": film.is_growing,
        "words": film.amiss(),
    }


def _media(film: Film, asked: Mapping[str, Any]) -> Answer:
    piece = film.piece(str(asked.get("view")), asked)
    content = extent(film) | {
        "first": piece.first,
        "next": piece.next,
        "fresh": piece.is_fresh,
        "over": piece.is_over,
    }
    number = film.asked_for(asked)
    if number is not None and not asked.get("after"):
        is_end = asked.get("number") == -1
        content["goal"] = {"number": number, "media_s": film.video.time_of(number), "isEnd": is_end}
    return content, [piece.data, *piece.tables]


def _image(film: Film, asked: Mapping[str, Any]) -> Answer:
    film.refresh()
    number = film.asked_for(asked) or 0
    is_whole = asked.get("kind") == "png"
    width = None if is_whole else int(asked.get("width", _THUMBNAIL))
    data = film.image(number, width, kind="png" if is_whole else "jpeg")
    taken = film.video.taken(number)  # not a Timestamp: who serves pages need not load pandas for it
    content = extent(film) | {
        "number": number,
        "media_s": film.video.time_of(number),
        "captured": None if taken is None else taken.time_ns / 1e6,
    }
    return content, [data]
