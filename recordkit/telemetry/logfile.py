"""The log beside a recording, ``talk.flushes.jsonl``: one JSON object a line, readable after a crash.

The first line is the header, each further line a flush, a sample or an event, told apart by
``"type"``. Lines are written whole, and together with the flush that they belong to.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ..errors import LogError
from ..model import Event, EventKind, FlushReason, FlushRecord, Sample

log = logging.getLogger("recordkit")

SUFFIX = ".flushes.jsonl"
SCHEMA_VERSION = 1
LONGEST_LINE_BYTES = 1 << 20
Record = FlushRecord | Sample | Event


def log_path(recording: Path) -> Path:
    """Where the log of ``recording`` (``talk.ts``, or its partial ``talk.recording.ts``) lies."""
    name = recording.name.removesuffix(".ts").removesuffix(".recording")
    return recording.with_name(name + SUFFIX)


class LogFile:
    """Writes the log. A log that cannot be written is given up with a warning: it harms no recording."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._lines: list[bytes] = [_line({"type": "header", "schema_version": SCHEMA_VERSION, **header})]
        self._descriptor: int | None = None
        try:
            if path.exists():  # of an earlier recording of this name, which may be somewhere else now
                path.replace(path.with_name(path.name + ".old"))
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, 0o666)
        except OSError as error:
            log.warning("%s: no log of the flushes is kept: %s", path, error.strerror)
        self.write()

    def add(self, record: Record) -> None:
        """Keep ``record`` for the next ``write``; a flush writes at once."""
        with self._lock:
            if self._descriptor is not None:
                self._lines.append(_line({"type": _TYPES[type(record)], **asdict(record)}))
        if isinstance(record, FlushRecord):
            self.write()

    def write(self) -> None:
        """Write what is kept."""
        with self._lock:
            lines, self._lines = b"".join(self._lines), []
            if self._descriptor is None or not lines:
                return
            try:
                done = 0
                while done < len(lines):
                    done += os.write(self._descriptor, lines[done:])
            except OSError as error:
                log.warning("%s: the log of the flushes ends here: %s", self.path, error.strerror)
                os.close(self._descriptor)
                self._descriptor = None

    def close(self) -> None:
        """Write what is kept and close the file. May be called again."""
        self.write()
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def remove(self) -> None:
        """Remove the file, once it is closed."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: could not be removed: %s", self.path, error.strerror)


_TYPES: dict[type[Record], str] = {FlushRecord: "flush", Sample: "sample", Event: "event"}


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def read_log(path: Path) -> tuple[dict[str, Any], list[Record]]:
    """The header and the records of the log at ``path``; lines that are damaged are left out.

    Raises LogError where there is no log or it has no header that can be read.
    """
    header: dict[str, Any] | None = None
    records: list[Record] = []
    damaged = 0
    try:
        with path.open("rb") as file:
            # A line without its end was being written when the writer died.
            while (line := file.readline(LONGEST_LINE_BYTES)).endswith(b"\n"):
                parsed = _parsed(line)
                if parsed is None:
                    damaged += 1
                elif isinstance(parsed, dict):
                    header = header or parsed
                else:
                    records.append(parsed)
    except OSError as error:
        raise LogError(path, f"cannot be read: {error.strerror}") from error
    if header is None:
        raise LogError(path, "is no log of a recording: it has no header")
    if damaged:
        log.warning("%s: %d damaged lines were left out", path, damaged)
    return header, records


def _parsed(line: bytes) -> dict[str, Any] | Record | None:
    """A line as a header (dict) or a record, None where it is neither."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    kind = document.pop("type", None)
    if kind == "header":
        version = document.get("schema_version")
        return document if isinstance(version, int) and version <= SCHEMA_VERSION else None
    shape = {name: type_ for type_, name in _TYPES.items()}.get(kind) if isinstance(kind, str) else None
    if shape is None:
        return None
    with contextlib.suppress(TypeError, ValueError, KeyError):
        # What a later version may add is passed over; what is missing makes the line damaged.
        known = {field.name: document[field.name] for field in fields(shape)}
        if not all(_fits(name, value) for name, value in known.items()):
            return None
        if shape is FlushRecord:
            known["reason"] = FlushReason(known["reason"])
        elif shape is Event:
            known["kind"] = EventKind(known["kind"])
            known["fields"] = dict(known["fields"])
        return shape(**known)
    return None


def _fits(name: str, value: object) -> bool:
    if name in ("reason", "kind"):
        return isinstance(value, str)
    if name == "fields":
        return isinstance(value, dict)
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
