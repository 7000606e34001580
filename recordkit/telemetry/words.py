"""Sizes, times and counts in words, for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

_CODECS = {
    "h264": "H.264",
    "hevc": "H.265",
    "vp8": "VP8",
    "vp9": "VP9",
    "av1": "AV1",
    "aac": "AAC",
    "mp3": "MP3",
    "mp2": "MP2",
    "ac3": "AC-3",
    "eac3": "E-AC-3",
    "dts": "DTS",
    "opus": "Opus",
    "flac": "FLAC",
    "pcm_s16le": "PCM",
}


def size_text(size: float) -> str:
    """A count of bytes, in units of 1,000: ``4.2 MB``, three digits that matter."""
    units = iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    while abs(size) >= 999.5 and unit != "TB":
        size /= 1000
        unit = next(units, "TB")
    digits = 0 if unit == "B" or abs(size) >= 99.95 else 1 if abs(size) >= 9.995 else 2
    return f"{size:.{digits}f} {unit}"


def time_text(seconds: float) -> str:
    """Seconds as ``0:12``, ``12:30`` or ``3:04:05``, rounded to whole ones."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def span_text(seconds: float) -> str:
    """A short span in the unit that suits it: ``0.21 ms``, ``4.9 ms``, ``2.0 s``, ``31 s``."""
    if seconds < 0.9995:
        milliseconds = seconds * 1000
        return f"{milliseconds:.{0 if milliseconds >= 99.5 else 1 if milliseconds >= 0.995 else 2}f} ms"
    return f"{seconds:.{1 if seconds < 9.95 else 0}f} s"


def count_text(count: int, word: str, words: str | None = None) -> str:
    """``no drops``, ``1 drop``, ``1,200 drops``; ``words`` is the plural if it is not the word with an s."""
    number = f"{count:,}" if count else "no"
    return f"{number} {word if count == 1 else words or word + 's'}"


def times_text(count: int) -> str:
    """``once``, ``1,200 times``."""
    return "once" if count == 1 else f"{count:,} times"


def codec_text(codec: str) -> str:
    """What people call a coding that libavcodec calls ``codec``: ``H.264`` for ``h264``; others as they are."""
    return _CODECS.get(codec, codec)


def json_text(document: object, **options: Any) -> str:  # noqa: ANN401 - those of json.dumps
    """``document`` as JSON, in which there is no NaN and no Infinity: what is none of its numbers is null."""
    try:
        return json.dumps(document, default=str, allow_nan=False, **options)
    except ValueError:
        return json.dumps(_finite(document), default=str, allow_nan=False, **options)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
