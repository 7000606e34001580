"""What the files of a recording are called: the suffix of its path chooses the container."""

from __future__ import annotations

import re
from datetime import datetime
from glob import escape
from string import Formatter

AUDIO_ALONE = {".m4a": "aac", ".wav": "pcm", ".mp3": "mp3", ".ogg": "opus", ".opus": "opus"}
"""Suffixes of files of audio alone, and what it is coded in."""
WITHOUT_TIMES = (".wav", ".mp3", ".ogg", ".opus")
"""Of these those whose units have no times of their own."""
SUFFIXES = (".ts", ".mp4", *AUDIO_ALONE)
PARTIAL_SUFFIXES = tuple(f".recording{suffix}" for suffix in SUFFIXES)
TAIL_SUFFIX = ".recording.tail"
LOG_SUFFIX = ".flushes.jsonl"
OLD_LOG_SUFFIX = f"{LOG_SUFFIX}.old"
TABLE_SUFFIX = ".frames"
REJECTED_SUFFIX = ".rejected"
PIN_SUFFIX = ".pinned"
MARKS_SUFFIX = ".marks.jsonl"
"""Behind the whole name of a copy: its stem may be that of its original."""
COMPANION_SUFFIXES = (
    *(LOG_SUFFIX, OLD_LOG_SUFFIX, TABLE_SUFFIX, REJECTED_SUFFIX, PIN_SUFFIX),
    *(suffix + MARKS_SUFFIX for suffix in (".ts", ".mp4")),
)
"""What lies beside a recording and belongs to it, behind the stem of its name."""
DELETED_SUFFIX = ".rk-deleted"
"""Behind the whole name of a recording whose deletion has begun."""

RING_INFIX = ".ring-"
"""Stands in the stem of a file of a ring, before its number: of media that nobody has asked to keep."""


def suffix_of(name: str) -> str:
    """The suffix of a name that recordkit writes, or nothing."""
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")


def is_partial(name: str) -> bool:
    """Whether it is the name of an unfinished recording."""
    return name.endswith(PARTIAL_SUFFIXES)


def stem_of(name: str) -> str:
    """What all files of a recording begin with; ``name`` is that of any of them but a log."""
    for suffix in (*PARTIAL_SUFFIXES, TAIL_SUFFIX, *SUFFIXES):
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return name


def partial_of(name: str) -> str:
    """The name of the partial of a recording with this final name."""
    return f"{stem_of(name)}.recording{suffix_of(name)}"


def final_of(name: str) -> str:
    """The final name of the recording whose partial or final file has this name."""
    return stem_of(name) + suffix_of(name)


def is_of_ring(name: str) -> bool:
    """Whether it is the name of a file of a ring."""
    return RING_INFIX in stem_of(name)


def ring_pattern(pattern: str) -> str:
    """The pattern of a ring's files, if that of what is kept of it is ``pattern``."""
    suffix = suffix_of(pattern)
    return f"{pattern.removesuffix(suffix)}{RING_INFIX}{{number:06d}}{suffix}"


SEGMENT_FIELDS = {"start": "%Y-%m-%d_%H-%M-%S", "number": "d"}
"""What may stand in the names of a recording's segments, and how it is written if nothing is said of that."""


def segment_fields(pattern: str) -> frozenset[str]:
    """Which fields are in a pattern of names, such as ``cam/{start:%H-%M}.ts``. Raises ValueError for any other."""
    found = {name: conversion for _, name, _, conversion in Formatter().parse(pattern) if name is not None}
    strange = sorted(name for name, conversion in found.items() if name not in SEGMENT_FIELDS or conversion)
    if strange:
        raise ValueError(f"{{{strange[0]}}} is no field of it")
    return frozenset(found)


def is_pattern(path: str) -> bool:
    """Whether it is a pattern of the names of several files."""
    try:
        return bool(segment_fields(path))
    except ValueError:
        return False


def shown_name(name: str) -> str:
    """``name`` for people: in a pattern a dot leader stands for what tells the files apart."""
    if not is_pattern(name):
        return name
    return "".join(text + ("…" if field is not None else "") for text, field, _, _ in Formatter().parse(name))


def segment_name(pattern: str, start: datetime, number: int) -> str:
    """The path of the segment that begins at ``start``. Raises ValueError if its fields cannot be written so."""
    values, parts = {"start": start, "number": number}, []
    for text, name, spec, _ in Formatter().parse(pattern):
        parts.append(text)
        if name is not None:
            word = format(values[name], spec or SEGMENT_FIELDS[name])
            if not word.strip() or "/" in word or "\0" in word:
                raise ValueError(f"{{{name}:{spec}}} gives {word!r}, which is no part of a name")
            parts.append(word)
    return "".join(parts)


def segment_glob(pattern: str) -> str:
    """What finds the names of a pattern, those that were numbered on and partials among them (see ``glob``)."""
    stem = pattern.removesuffix(suffix_of(pattern))
    parts = []
    for text, name, _, _ in Formatter().parse(stem):
        parts += [escape(text), "*" if name is not None else ""]
    return re.sub(r"\*+", "*", "".join(parts) + "*") + suffix_of(pattern)
