"""Which files a recording in segments has, and where their logs say that they lie."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import SourceError
from ..model import Event, EventKind
from ..names import SUFFIXES, final_of, is_partial, is_pattern, segment_glob
from ..telemetry.logfile import log_path, parse_line
from .located import named

_HEAD_BYTES = 256 * 1024
"""A log says in its first lines where its file lies in the recording."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a segment lies: its recording, its number in that, when its first frame is shown and was laid.

    ``pts`` is in ticks of the recording, ``time_ns`` the time of day; both None if the log does not say it.
    """

    path: Path
    recording_id: str
    number: int
    pts: int | None = None
    time_ns: int | None = None


def place_of(path: Path) -> Place | None:
    """What the log beside ``path`` says; None if that is no segment's."""
    place: Place | None = None
    try:
        with os.fdopen(os.open(log_path(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            lines = file.read(_HEAD_BYTES).split(b"\n")
    except OSError:
        return None
    for line in lines[:-1]:
        found = parse_line(line)
        if place is None:
            if not isinstance(found, dict) or type(found.get("segment")) is not int:
                return None
            place = Place(path, str(found.get("recording_id")), found["segment"])
        elif isinstance(found, Event) and found.kind is EventKind.SEGMENT:
            pts = found.fields.get("pts")
            return replace(place, pts=pts if isinstance(pts, int) else None, time_ns=found.time_ns)
    return place


def segments_of(source: Any) -> list[Path] | None:  # noqa: ANN401 - whatever may be opened
    """The files that ``source`` stands for, in their order; None if it is one file.

    A folder, a pattern of names, a list of paths, or a Recording in segments. Raises SourceError if a folder or a
    pattern has none.
    """
    if segments := getattr(source, "segments", ()):
        return [one.path for one in segments]
    if isinstance(source, list | tuple):
        return [Path(os.fspath(one)).expanduser() for one in source]
    path = several(source)
    if path is None:
        return None
    # Without its first frame it was opened ahead of time, or only just begun.
    found = [place for place in map(place_of, _names(path)) if place is not None and place.pts is not None]
    if not found:
        missing = "is a folder without a recording in segments: name a file in it"
        raise SourceError(str(path), missing if path.is_dir() else "no file of this pattern is there")
    begun: dict[str, int] = {}
    for one in found:
        begun[one.recording_id] = min(begun.get(one.recording_id, 1 << 62), one.time_ns or 0)
    return [one.path for one in sorted(found, key=lambda one: (begun[one.recording_id], one.number))]


def several(source: Any) -> Path | None:  # noqa: ANN401 - whatever may be opened
    """The folder or the pattern that stands for the files of a recording, further ones of which may come."""
    given = named(source)
    if not isinstance(given, str | os.PathLike) or "://" in str(given):
        return None
    path = Path(os.fspath(given)).expanduser()
    return path if _is(path.is_dir) or (not _is(path.exists) and is_pattern(str(path))) else None


def _names(path: Path) -> list[Path]:
    """The files of a folder or a pattern."""
    if _is(path.is_dir):
        return [one for one in path.iterdir() if one.name.endswith(SUFFIXES)]
    # From the first folder on that has no field in its name.
    root = next(one for one in path.parents if not is_pattern(str(one)))
    return list(root.glob(segment_glob(str(path.relative_to(root)))))


class Further:
    """The files that a recording in ``path``, a folder or a pattern, goes on in, as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: set[Path] = set()

    def behind(self, last: Place) -> list[Place]:
        """Those that follow ``last`` of the same recording, in their order; of the newest no frame may be there."""
        found = []
        for name in _names(self._path):
            final = name.with_name(final_of(name.name))
            if final in self._known:
                continue
            place = place_of(name)
            if place is None:
                if not is_partial(name.name):  # that has no log yet
                    self._known.add(final)
            elif place.recording_id != last.recording_id or place.number <= last.number:
                self._known.add(final)
            else:
                found.append(place)
        return sorted(found, key=lambda one: one.number)


def _is(what: Callable[[], bool]) -> bool:
    try:
        return what()
    except OSError:
        return False  # whoever opens it will say so
