"""The log beside a recording, ``talk.flushes.jsonl``: one JSON object a line, readable after a crash.

The first line is the header, each further line a flush, a sample or an event, distinguished by
``"type"``. Lines are written whole, and together with the flush that they belong to.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import LogError
from ..names import LOG_SUFFIX, MARKS_SUFFIX, OLD_LOG_SUFFIX, final_of, stem_of
from ..system import FULL
from .schema import RECORDS, TYPE_NAMES, Record, sane
from .words import json_text

log = logging.getLogger("recordkit")

SUFFIX = LOG_SUFFIX
OLD_SUFFIX = OLD_LOG_SUFFIX.removeprefix(LOG_SUFFIX)
SCHEMA_VERSION = 1
LONGEST_LINE_BYTES = 1 << 20
_MOST_UNWRITTEN_BYTES = 4 << 20
"""Lines kept until the disk has room again, in bytes."""


def log_path(recording: Path) -> Path:
    """Where the log of ``recording`` (``talk.ts``, or its partial ``talk.recording.ts``) lies."""
    return recording.with_name(stem_of(recording.name) + SUFFIX)


def log_of(recording: Path) -> Path:
    """The log that tells of ``recording``: a copy's own, if there is one of this very file, else ``log_path``.

    If that tells of a later recording, of the same stem and another suffix, it is the one that this has put aside.
    """
    own = recording.with_name(recording.name + MARKS_SUFFIX)
    try:
        if _header(own).get("bytes") == recording.stat().st_size:
            return own
    except OSError:
        pass
    usual, name = log_path(recording), final_of(recording.name)
    older = usual.with_name(usual.name + OLD_SUFFIX)
    if _header(usual).get("recording", name) != name and _header(older).get("recording") == name:
        return older
    return usual


def _header(path: Path) -> dict[str, Any]:
    """The first line of a log; empty if there is none."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            header = parse_line(file.readline(LONGEST_LINE_BYTES))
    except OSError:
        return {}
    return header if isinstance(header, dict) else {}


def write_log_of_copy(copy: Path, facts: Mapping[str, Any], records: Iterable[Record]) -> None:
    """Write what is known of a finished ``copy`` beside it, in place of what another one of its name had.

    If it cannot be written there is a warning: it harms no copy.
    """
    path = copy.with_name(copy.name + MARKS_SUFFIX)
    header = {"recording": copy.name, "path": str(copy), "bytes": copy.stat().st_size, **facts}
    lines = [_line({"type": "header", "schema_version": SCHEMA_VERSION, **header}), *map(record_line, records)]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
            file.write(b"".join(lines))
    except OSError as error:
        log.warning("%s: the marks of the original are not kept: %s", path, error.strerror)


class LogFile:
    """Writes the log. A log that cannot be written is given up with a warning: it harms no recording.

    A log that lies there already, of an earlier recording of this name, is kept with ``.old``
    behind its name.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self._older: Path | None = None
        # Two locks, so that nobody who notes something waits for the disk.
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._lines: list[bytes] = [_line({"type": "header", "schema_version": SCHEMA_VERSION, **header})]
        self._descriptor: int | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file() and not path.is_symlink() and path.stat().st_size:
                older = path.with_name(path.name + OLD_SUFFIX)
                path.replace(older)
                self._older = older
            # Not waiting for somebody to read from it, should it be a pipe.
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
            if not path.is_char_device():
                # Through a link to a device, such as /dev/stderr; never into another's file.
                flags |= os.O_NOFOLLOW
            self._descriptor = os.open(path, flags, 0o666)
        except OSError as error:
            log.warning("%s: no log of the flushes is kept: %s", path, error.strerror)
        self._is_open = self._descriptor is not None
        self.write()

    def add(self, record: Record) -> None:
        """Keep ``record`` for the next ``write``."""
        if not self._is_open:
            return
        line = record_line(record)
        with self._lock:
            self._lines.append(line)

    def write(self, *, is_last: bool = False) -> None:
        """Write what is kept; on a full disk it is kept for the next time, unless this ``is_last``."""
        with self._writing:
            with self._lock:
                lines, self._lines = b"".join(self._lines), []
            if self._descriptor is None or not lines:
                return
            done = 0
            try:
                while done < len(lines):
                    done += os.write(self._descriptor, lines[done:])
            except OSError as error:
                if not is_last and error.errno in FULL and len(lines) - done <= _MOST_UNWRITTEN_BYTES:
                    # Continued later at the cut: what is noted about a full disk is worth reading.
                    with self._lock:
                        self._lines.insert(0, lines[done:])
                    return
                log.warning("%s: the log of the flushes ends here: %s", self.path, error.strerror)
                self._close(self._descriptor)

    def close(self) -> None:
        """Write what is kept and close the file. May be called again."""
        self.write(is_last=True)
        with self._writing:
            if self._descriptor is not None:
                self._close(self._descriptor)

    def _close(self, descriptor: int) -> None:
        self._is_open, self._descriptor = False, None
        try:
            os.close(descriptor)
        except OSError as error:
            log.warning("%s: closing failed: %s", self.path, error.strerror)

    def remove(self) -> None:
        """Remove the file, once it is closed; the older one gets its name back."""
        try:
            if self._older is not None:
                self._older.replace(self.path)
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: could not be removed: %s", self.path, error.strerror)


def record_line(record: Record) -> bytes:
    """The line that ``parse_line`` reads as ``record``."""
    name = TYPE_NAMES[type(record)]
    return _line({"type": name, **RECORDS[name].document(record)})


def _line(document: dict[str, Any]) -> bytes:
    # A file name that is no UTF-8 holds lone surrogates: replaced by a backslash and their number,
    # they are what JSON writes for them. What JSON has no form for is written as its words.
    text = json_text(document, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def read_log(path: Path) -> tuple[dict[str, Any], list[Record]]:
    """The header and the records of the log at ``path``; lines that are damaged are left out.

    Raises LogError if there is no log or it has no header that can be read.
    """
    header: dict[str, Any] | None = None
    records: list[Record] = []
    damaged = 0
    try:
        # Not waiting for somebody to write to it, should it be a pipe.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise LogError(path, "is no file: a device, a pipe or a folder has no end, or no log")
            for line in _whole_lines(file):
                parsed = parse_line(line) if line is not None else None
                if parsed is None:
                    damaged += 1
                elif isinstance(parsed, dict):
                    header = header or parsed
                else:
                    records.append(parsed)
    except OSError as error:
        raise LogError(path, f"cannot be read: {error.strerror}") from error
    except ValueError as error:  # a name with a NUL in it
        raise LogError(path, f"cannot be read: {error}") from error
    if header is None:
        raise LogError(path, "is not a log of a recording: it has no header")
    if header["schema_version"] > SCHEMA_VERSION:
        raise LogError(path, f"was written by a later recordkit (schema version {header['schema_version']})")
    if damaged:
        log.warning("%s: damaged lines were left out: %d", path, damaged)
    return header, records


def _whole_lines(file: BinaryIO) -> Iterator[bytes | None]:
    """The lines of a file, None for one that is too long.

    The last one is left out if it has no end: it was being written when the writer died.
    """
    while line := file.readline(LONGEST_LINE_BYTES):
        if line.endswith(b"\n"):
            yield line
        elif len(line) == LONGEST_LINE_BYTES:
            while (line := file.readline(LONGEST_LINE_BYTES)) and not line.endswith(b"\n"):
                file.seek(next_data(file.fileno(), file.tell()))
            yield None


def next_data(descriptor: int, offset: int) -> int:
    """``offset``, or the end of the hole that it lies in: a hole of a terabyte takes no time."""
    size = os.fstat(descriptor).st_size
    if offset >= size:
        return offset
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        # None from there on; else the system does not know of holes.
        return size if error.errno == errno.ENXIO else offset


def _no_constant(word: str) -> None:
    """NaN and Infinity, which are no JSON."""
    raise ValueError(word)


def parse_line(line: bytes) -> dict[str, Any] | Record | None:
    """A line of a log as its header (a dict) or a record; None if it is neither, or damaged."""
    try:
        document = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    if document.get("type") != "header":
        return read_record(document)
    document = sane(document)
    del document["type"]
    return document if type(document.get("schema_version")) is int else None


def read_record(document: Mapping[str, Any]) -> Record | None:
    """The record in a line's JSON object; None if it holds none, or a damaged one.

    Fields that a later version may add are passed over; a missing one makes the record damaged.
    """
    name = document.get("type")
    schema = RECORDS.get(name) if isinstance(name, str) else None
    if schema is None:
        return None
    try:
        record: Record = schema.record(document)
    except (ValueError, OverflowError, KeyError):
        return None
    return record
