"""What is done already, in a file: a run that was interrupted goes on from there."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ..errors import OutputAccessError, OutputBusyError, SettingsError
from ..telemetry.words import json_text
from .rows import Row
from .task import Task

_VERSION = 1
_NAME = "recordkit fleet"
_ENTRY = np.dtype([("key", "<u8"), ("offset", "<u8")])


class State:
    """Rows that are done, a line each behind a line that says what for; locked while it is open.

    A row counts for its file as it was: of another size or time of change it is done again, and so is what failed.
    Sixteen bytes of memory a row. Raises SettingsError for a file that is something else, of another version, for
    another work or damaged, OutputBusyError if another run uses it, OutputAccessError if it cannot be used.
    """

    def __init__(self, path: Path, action: str, options: Mapping[str, Any]) -> None:
        self.path = path
        wanted = {"format": _NAME, "version": _VERSION, "action": action, "options": dict(options)}
        try:
            self._file: BinaryIO = path.open("a+b")
        except OSError as error:
            raise OutputAccessError(path, f"cannot be used for the state: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._known, self._begun = self._read(wanted)
        except BlockingIOError:
            self._file.close()
            raise OutputBusyError(
                path, "another run goes on with this state: wait for it, or name another"
            ) from None
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> State:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def count(self) -> int:
        """How many rows it had when it was opened."""
        return len(self._known)

    def row(self, path: str) -> Row | None:
        """The row of ``path``, if its file is as it was then."""
        key = _key(path)
        at = int(np.searchsorted(self._known["key"], key))
        while at < len(self._known) and self._known["key"][at] == key:
            line = os.pread(self._file.fileno(), 1 << 20, int(self._known["offset"][at])).partition(b"\n")[0]
            entry = json.loads(line)
            if entry["row"]["path"] == path and entry["stamp"] == stamp(path):
                row: Row = entry["row"]
                return row
            at += 1
        return None

    def was_begun(self, path: str) -> bool:
        """Whether the work on ``path`` was interrupted: what it was to make may be there, and is whole then."""
        return path in self._begun

    def begin(self, task: Task) -> None:
        """``task`` is begun; noted if it makes something that is not there yet."""
        if task.target is not None and not os.path.lexists(task.target):
            self._write({"begun": task.path})

    def add(self, row: Row) -> None:
        """A file is done, or could not be done."""
        if row.get("failed"):
            self._write({"failed": row["path"]})
        else:
            self._write({"stamp": stamp(row["path"]), "row": row})

    def _write(self, entry: Mapping[str, Any]) -> None:
        try:
            self._file.write(json_text(entry).encode("ascii") + b"\n")
            self._file.flush()
        except OSError as error:
            raise OutputAccessError(self.path, f"the state cannot be written: {error.strerror}") from error

    def _read(self, wanted: Mapping[str, Any]) -> tuple[npt.NDArray[Any], frozenset[str]]:
        keys: list[npt.NDArray[Any]] = []
        some: list[tuple[int, int]] = []
        begun: set[str] = set()
        offset = 0
        self._file.seek(0)
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                self._file.truncate(offset)  # the last line of a run that was killed
                break
            entry = self._parsed(line, number)
            if number == 1:
                self._check(entry, wanted)
            elif "begun" in entry:
                begun.add(entry["begun"])
            elif "failed" in entry:
                begun.discard(entry["failed"])
            else:
                begun.discard(entry["row"]["path"])
                some.append((_key(entry["row"]["path"]), offset))
            if len(some) == 1 << 16:
                keys.append(np.array(some, _ENTRY))
                some.clear()
            offset += len(line)
        if not offset:
            self._write(wanted)
        keys.append(np.array(some, _ENTRY))
        known = np.concatenate(keys)
        return known[np.argsort(known["key"], kind="stable")], frozenset(begun)

    def _parsed(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            entry = json.loads(line)
            fits = isinstance(entry, dict) and (
                number == 1
                or isinstance(entry.get("begun", entry.get("failed")), str)
                or (isinstance(entry["row"]["path"], str) and "stamp" in entry)
            )
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            what = "is no state of recordkit" if number == 1 else f"is damaged at line {number:,}"
            raise self._unusable(what)
        found: dict[str, Any] = entry
        return found

    def _check(self, entry: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        if entry.get("format") != _NAME:
            raise self._unusable("is no state of recordkit")
        if entry.get("version") != _VERSION:
            raise self._unusable(f"is of version {entry.get('version')}, this recordkit knows {_VERSION}")
        was, now = ((one.get("action"), one.get("options")) for one in (entry, wanted))
        if was != now:
            raise self._unusable(f"is of another run, {_run(*was)}, and this is {_run(*now)}")

    def _unusable(self, what: str) -> SettingsError:
        return SettingsError("state", str(self.path), f"{what}: remove it to begin anew, or name another file")


def _run(action: Any, options: Any) -> str:  # noqa: ANN401 - whatever the file says
    return f"{action} with {options}" if options else str(action)


def _key(path: str) -> int:
    return int.from_bytes(blake2b(os.fsencode(path), digest_size=8).digest())


def stamp(path: str) -> list[int] | None:
    """What changes with a file: its size in bytes, and its time of change in ns; None for none and for a URL."""
    try:
        status = os.stat(path)  # noqa: PTH116 - path is kept as it was given
    except (OSError, ValueError):
        return None
    return [status.st_size, status.st_mtime_ns]
