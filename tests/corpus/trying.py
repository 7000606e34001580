"""What recordkit does with a file, each try in a process that may hang or die without harm to the others."""

from __future__ import annotations

import logging
import multiprocessing
import shutil
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import recordkit as rk

_TELLING = frozenset({"degraded", "drop", "gap", "discontinuity", "early end", "late stream", "stall", "failure"})
"""Events that say that something is missing, or stands elsewhere than one would think."""
_MOST_TOLD = 40


@dataclass(slots=True)
class Try:
    """One thing done with a file: what came out, what was said, and what went wrong.

    ``refused`` is the message of an error of recordkit's own, ``fault`` where any other exception came from.
    """

    done: dict[str, Any] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)
    refused: str | None = None
    fault: str | None = None


class _Listener(logging.Handler):
    def __init__(self, heard: Try) -> None:
        super().__init__(logging.INFO)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self._heard.fault = _words(record.exc_info[1])
        told = self._heard.told if record.levelno >= logging.WARNING else self._heard.noted
        if len(told) < _MOST_TOLD:
            told.append(record.getMessage())


def _words(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {str(error)[:200]}{place}"


@contextmanager
def _trying() -> Iterator[Try]:
    """Listen to the log and to threads that die; exceptions are kept, and not raised."""
    made = Try()
    listener = _Listener(made)
    log = logging.getLogger("recordkit")
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(listener)
    before = threading.excepthook

    def hook(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            made.fault = _words(arguments.exc_value)

    threading.excepthook = hook
    try:
        yield made
    except rk.RecordkitError as error:
        made.refused = f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - whatever a file brings about is what is looked for
        made.fault = _words(error)
    finally:
        threading.excepthook = before
        log.removeHandler(listener)
        log.setLevel(level)


def recorded(path: Path, into: Path) -> Try:
    """Record a file as fast as it goes."""
    with _trying() as made:
        # How large this process is says nothing of the file.
        alerts = rk.AlertSettings(memory_bytes=None)
        recording = rk.record(path, into, on_progress=lambda _: None, alerts=alerts)
        counters = recording.counters
        made.done = {
            "duration_s": recording.duration_s,
            "ended_because": recording.ended_because,
            "left_out": counters.rejected_items + counters.skipped_units + counters.dropped_items,
        }
        for event in recording.log.contents.events:
            if event.kind.value in _TELLING:
                made.told.append(
                    f"{event.kind}: " + ", ".join(f"{key}={text}" for key, text in event.fields.items())
                )
    return made


def verified(path: Path) -> Try:
    """Verify a file, whatever it is."""
    with _trying() as made:
        made.done = rk.verify(path).to_dict()
    return made


def repaired(path: Path, into: Path) -> Try:
    """Copy what is valid of a transport stream, of any program, to another file."""
    with _trying() as made:
        made.done = _outcome(rk.recover(path, output=into))
    return made


def recovered(path: Path, scratch: Path) -> Try:
    """Take a copy of a file for a recording that was cut short."""
    copy = scratch / "copied.recording.ts"
    shutil.copyfile(path, copy)
    with _trying() as made:
        made.done = _outcome(rk.recover(copy))
    return made


def _outcome(found: Any) -> dict[str, Any]:
    return {
        "outcome": str(found.outcome),
        "message": found.message,
        "bytes": found.bytes,
        "cut_bytes": sum(cut.bytes for cut in found.cuts),
        "problems": list(found.problems),
        "path": None if found.final_path is None else str(found.final_path),
    }


def _work(connection: Connection) -> None:
    ways: dict[str, Callable[..., Try]] = {one.__name__: one for one in (recorded, verified, repaired, recovered)}
    while True:
        try:
            name, arguments = connection.recv()
        except EOFError:
            return
        connection.send(ways[name](*arguments))


class Trier:
    """A process that tries things one after the other; one that hangs or dies is replaced."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._process: Any = None
        self._connection: Any = None

    @property
    def pid(self) -> int:
        """Of the process, as long as there is one."""
        return int(self._process.pid)

    def __call__(self, way: Callable[..., Try], *arguments: Path, limit_s: float) -> Try:
        """Call ``way``; what takes longer than ``limit_s`` is a fault, as is a process that dies."""
        if self._process is None:
            self._connection, theirs = self._context.Pipe()
            self._process = self._context.Process(target=_work, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
        fault = f"hang: not ready after {limit_s:g} s"
        try:
            self._connection.send((way.__name__, arguments))
            if self._connection.poll(limit_s):
                made: Try = self._connection.recv()
                return made
        except (EOFError, OSError):
            self._process.join()
            fault = f"crash: exit code {self._process.exitcode}"
        self.close()
        return Try(fault=fault)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None
