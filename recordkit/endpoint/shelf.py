"""The recordings that a folder holds, as visitors are told of them: by name, and by nothing else.

A name is looked up among those that the folder lists; no path that a visitor sends is ever followed, and no
link that lies in the folder.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ..model import Event, EventKind
from ..names import AUDIO_ALONE, final_of, is_partial, suffix_of
from ..telemetry.logfile import log_path, parse_line

_LOG_END_BYTES = 64 * 1024
_MEDIA_TYPES = {
    ".ts": "video/mp2t",
    ".mp4": "video/mp4",
    ".m4a": "audio/mp4",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording: ``name`` is that of its final file. ``duration_s`` is None where its log does not tell it."""

    name: str
    size_bytes: int
    changed_ns: int
    inode: int
    is_finished: bool
    duration_s: float | None = None

    @property
    def media_type(self) -> str:
        """What it is sent as (RFC 9110, 8.3)."""
        return _MEDIA_TYPES[suffix_of(self.name)]

    @property
    def is_audio_alone(self) -> bool:
        """Whether a page plays it by itself, without a player for video."""
        return is_audio_alone(self.name)


def is_audio_alone(name: str) -> bool:
    """Whether a recording of this name can have no video."""
    return suffix_of(name) in AUDIO_ALONE


class Shelf:
    """The recordings in ``folder``. One thread at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._durations: dict[tuple[int, int], float | None] = {}

    def entries(self) -> dict[str, Entry]:
        """By name, the newest first: those that are finished, and the partials of others. Raises OSError."""
        found: dict[str, Entry] = {}
        with os.scandir(self.folder) as files:
            for file in files:
                entry = _entry(file)
                if entry is not None and (entry.is_finished or entry.name not in found):
                    found[entry.name] = entry
        return dict(sorted(found.items(), key=lambda item: (-item[1].changed_ns, item[0])))

    def durations(self, entries: list[Entry]) -> list[Entry]:
        """``entries`` with their durations, as far as their logs tell them; a log's end is read once."""
        known = {
            (one.inode, one.changed_ns): self._durations.get((one.inode, one.changed_ns), ...) for one in entries
        }
        told = []
        for one in entries:
            key = (one.inode, one.changed_ns)
            seconds = known[key]
            if seconds is ...:
                seconds = known[key] = _logged_duration_s(self.folder / one.name)
            told.append(Entry(one.name, one.size_bytes, one.changed_ns, one.inode, one.is_finished, seconds))
        self._durations = {key: seconds for key, seconds in known.items() if seconds is not ...}
        return told


def _entry(file: os.DirEntry[str]) -> Entry | None:
    name = file.name
    if name.startswith(".") or not suffix_of(name):
        return None
    try:
        name.encode()
        status = file.stat(follow_symlinks=False)
    except (OSError, UnicodeEncodeError):
        return None  # gone meanwhile, or its name can stand in no address
    if not stat.S_ISREG(status.st_mode):
        return None
    return Entry(final_of(name), status.st_size, status.st_mtime_ns, status.st_ino, not is_partial(name))


def _logged_duration_s(path: Path) -> float | None:
    try:
        descriptor = os.open(log_path(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        size = os.fstat(descriptor).st_size
        lines = os.pread(descriptor, _LOG_END_BYTES, max(0, size - _LOG_END_BYTES)).split(b"\n")
    except OSError:
        return None
    finally:
        os.close(descriptor)
    for line in reversed(lines):
        record = parse_line(line) if b'"commit"' in line else None
        if isinstance(record, Event) and record.kind is EventKind.COMMIT:
            seconds = record.fields.get("duration_s")
            return float(seconds) if isinstance(seconds, int | float) else None
    return None
