"""The marks of a recording's log, read on as it grows: what was read before is not read again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingsError
from ..model import Event, EventKind
from ..telemetry.logfile import LONGEST_LINE_BYTES, log_of, log_path, parse_line, write_log_of_copy
from ..values import seconds

_ROUNDED_S = 1e-4
_TIME = seconds(0, 1e12, "give seconds of media, or the name of a mark")


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that somebody noted: ``media_s`` in seconds of media, ``time_ns`` since the epoch in UTC."""

    name: str
    media_s: float
    time_ns: int


def mark_of(record: object) -> Mark | None:
    """The mark that a record of a log is; None if it is none."""
    if not isinstance(record, Event) or record.kind is not EventKind.MARK:
        return None
    media_s = record.fields.get("media_s")
    if not isinstance(media_s, int | float):
        return None
    return Mark(str(record.fields.get("name", "")), float(media_s), record.time_ns)


class MarksRead:
    """The marks of the recording at ``path``; without a log there are none."""

    def __init__(self, path: Path) -> None:
        self._path = log_of(path)
        self._read = 0
        self._rest = b""

    def more(self) -> list[Mark]:
        """Those that were added since the last call, in the order of their places."""
        try:
            if self._path.stat().st_size <= self._read:
                return []
            with os.fdopen(os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
                file.seek(self._read)
                data = file.read()
        except OSError:
            return []
        self._read += len(data)
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest if len(rest) < LONGEST_LINE_BYTES else b""
        found = [mark_of(parse_line(line)) for line in lines if b'"mark"' in line]
        # One whose place was not known at first is noted behind those that were made later.
        return sorted((one for one in found if one is not None), key=lambda one: one.media_s)


def carry_marks(original: Path, copy: Path, moved_s: float, lasts_s: float) -> None:
    """Note the marks of ``original`` that lie in ``copy``, each ``moved_s`` later (earlier if negative)."""
    known = MarksRead(original).more()
    marks = [
        Event(one.time_ns, max(0.0, at_s), EventKind.MARK, {"name": one.name, "media_s": max(0.0, at_s)})
        for one in known
        if -_ROUNDED_S <= (at_s := one.media_s + moved_s) < lasts_s
    ]
    usual = log_path(copy)
    is_told = not known or (len(marks) == len(known) and abs(moved_s) < _ROUNDED_S)
    if is_told and log_of(copy) == log_of(original):
        return  # the log beside it tells them
    if marks or usual.exists():
        write_log_of_copy(copy, {"copy_of": str(original)}, marks)


def mark_at(path: Path, name: str, value: object) -> float:
    """Seconds of media: ``value`` itself, or the mark of that name. Raises SettingsError for setting ``name``."""
    if not isinstance(value, str):
        return _TIME(name, value)
    marks = MarksRead(path).more()
    for mark in marks:
        if mark.name == value:
            return mark.media_s
    try:
        return _TIME(name, value)
    except SettingsError:
        there = ", ".join(repr(mark.name) for mark in marks[:10]) or "none"
        raise SettingsError(name, value, f"{path.name} has no such mark: there are {there}") from None
