"""What is being recorded in a folder, seen from outside: from the logs and the locks alone, whoever records.

A log is read once; after that only what has been added, so that looking every second costs little
however long the recordings are.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from ..errors import LogError
from ..model import Event, EventKind, FlushRecord, Sample
from ..names import SUFFIXES, final_of, is_partial, partial_of, stem_of
from ..system import System
from .logfile import LONGEST_LINE_BYTES, SUFFIX, next_data, parse_line

log = logging.getLogger("recordkit")

LATELY_S = 300.0
"""Seconds after its end that a recording is still shown as finished."""
LONGEST_FLUSH_GAP_S = 10.0
OLDEST_STALE_S = 3600.0
_RATE_FLUSHES = 10
_CHUNK_BYTES = 1 << 20


class WatchedState(StrEnum):
    """How a recording stands: somebody writes it, nobody does though it is unfinished, or it was committed."""

    RECORDING = "recording"
    STALE = "stale"
    FINISHED = "finished"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class StandingAlert:
    """An alert that has been raised and not cleared; ``rule`` is the name of its setting or own rule."""

    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Watched:
    """One recording of the folder; ``name`` is that of its final file. What is not known is None.

    ``last_flush_s`` is how long ago the last flush was. ``bit_rate`` is that of the last flushes,
    in bits a second.
    """

    name: str
    state: WatchedState
    elapsed_s: float | None
    file_bytes: int | None
    bit_rate: float | None
    last_flush_s: float | None
    flushes: int | None
    rss_bytes: int | None
    dropped_units: int | None
    free_bytes: int | None
    full_in_s: float | None
    alerts: tuple[StandingAlert, ...]


@dataclass
class WatchState:
    """What one look at a folder leaves to the next: how far each log has been read, and what it said."""

    logs: dict[str, LogReader] = field(default_factory=dict)


class LogReader:
    """Reads what has been added to a log; ``read_bytes`` counts what has been read."""

    def __init__(self) -> None:
        self.read_bytes = 0
        self._inode: int | None = None
        self._forget()

    def _forget(self) -> None:
        self._offset = 0
        self._rest = b""
        self._skips = False
        self._flush_lines: deque[bytes] = deque(maxlen=_RATE_FLUSHES)
        self._sample_line: bytes | None = None
        self.started_ns: int | None = None
        self.committed: Event | None = None
        self.alerts: dict[str, StandingAlert] = {}

    def follow(self, path: Path) -> None:
        """Read on. Raises OSError; a log that has been replaced or cut is read again."""
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return
        if status.st_ino != self._inode or status.st_size < self._offset:
            self._forget()
            self._inode = status.st_ino
        if status.st_size == self._offset:
            return
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(path, flags), "rb") as file:
            file.seek(self._offset)
            # To the size seen, not to the end: who writes faster than we read would keep us here.
            while self._offset < status.st_size and (
                chunk := file.read(min(_CHUNK_BYTES, status.st_size - self._offset))
            ):
                self._offset += len(chunk)
                self.read_bytes += len(chunk)
                for line in self._lines(chunk):
                    self._take(line)
                if (data := next_data(file.fileno(), self._offset)) > self._offset:
                    self._offset = file.seek(data)
                    # What a line has before a hole and behind it is no line.
                    self._rest, self._skips = b"", True

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        *whole, rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            if not self._skips:
                yield line
            self._skips = False
        self._rest = rest
        if len(rest) > LONGEST_LINE_BYTES:
            self._rest, self._skips = b"", True

    def _take(self, line: bytes) -> None:
        # Of flushes, samples and keyframes, nearly all lines, the last few are parsed, and only when asked for.
        if line.startswith(b'{"type":"flush"'):
            self._flush_lines.append(line)
        elif line.startswith(b'{"type":"sample"'):
            self._sample_line = line
        elif b'"kind":"keyframe"' not in line:
            self._take_event(parse_line(line))

    def _take_event(self, parsed: object) -> None:
        if isinstance(parsed, dict):
            started_ns = parsed.get("started_ns")
            self.started_ns = started_ns if type(started_ns) is int else self.started_ns
        elif isinstance(parsed, FlushRecord | Sample):  # written by somebody with another taste in spaces
            line = json.dumps({name: getattr(parsed, name) for name in parsed.__slots__})
            kind = "flush" if isinstance(parsed, FlushRecord) else "sample"
            self._take(f'{{"type":"{kind}",{line[1:]}'.encode())
        elif isinstance(parsed, Event):
            rule = str(parsed.fields.get("rule"))
            if parsed.kind is EventKind.ALERT_RAISED:
                self.alerts[rule] = StandingAlert(rule, str(parsed.fields.get("message")))
            elif parsed.kind is EventKind.ALERT_CLEARED:
                self.alerts.pop(rule, None)
            elif parsed.kind is EventKind.COMMIT:
                self.committed = parsed

    def ended_after(self, time_ns: float) -> bool:
        """Whether the recording was committed, and after ``time_ns``."""
        return self.committed is not None and self.committed.time_ns > time_ns

    @property
    def flushes(self) -> list[FlushRecord]:
        """The last flushes, oldest first."""
        parsed = map(parse_line, self._flush_lines)
        return [one for one in parsed if isinstance(one, FlushRecord)]

    @property
    def sample(self) -> Sample | None:
        """The last sample."""
        parsed = parse_line(self._sample_line) if self._sample_line is not None else None
        return parsed if isinstance(parsed, Sample) else None


def scan(folder: Path, now_ns: int, system: System, state: WatchState) -> list[Watched]:
    """The recordings in ``folder`` that run, are stale, or have finished lately; running ones first, by name.

    ``now_ns`` is the wall clock's time; ``state`` is kept from one look to the next. Partials that
    are links are no recordings. Raises LogError if the folder cannot be read.
    """
    partials: dict[str, os.stat_result] = {}
    logs: dict[str, Path] = {}
    names: set[str] = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.add(entry.name)
                if is_partial(entry.name) and entry.is_file(follow_symlinks=False):
                    _note(partials, entry)
                elif entry.name.endswith(SUFFIX):
                    logs[entry.name.removesuffix(SUFFIX)] = Path(entry.path)
    except OSError as error:
        raise LogError(folder, f"cannot be read: {error.strerror}") from error
    free_bytes = _free_bytes(folder, system)
    found = []
    ended = {stem + next((one for one in SUFFIXES if stem + one in names), SUFFIXES[0]) for stem in logs}
    begun = {stem_of(name) for name in partials}
    for name in partials.keys() | {one for one in ended if stem_of(one) not in begun}:
        stem = stem_of(name)
        reader = _followed(stem, logs.get(stem), now_ns, state, is_open=name in partials)
        partial = partials.get(name)
        if partial is not None:
            state_now = _state(folder / partial_of(name), system)
            if state_now is not None:
                found.append(_unfinished(name, partial, state_now, reader, now_ns, free_bytes))
        elif reader is not None and reader.ended_after(now_ns - LATELY_S * 1e9):
            found.append(_finished(name, reader, now_ns, free_bytes))
    state.logs = {name: reader for name, reader in state.logs.items() if name in logs}
    order = list(WatchedState)
    return sorted(found, key=lambda one: (order.index(one.state), one.name))


def _note(partials: dict[str, os.stat_result], entry: os.DirEntry[str]) -> None:
    try:
        partials[final_of(entry.name)] = entry.stat(follow_symlinks=False)
    except OSError as error:
        log.debug("%s: %s", entry.path, error.strerror)


def _free_bytes(folder: Path, system: System) -> int | None:
    try:
        return system.free_bytes(folder)
    except OSError as error:
        log.debug("%s: %s", folder, error.strerror)
        return None


def _followed(name: str, path: Path | None, now_ns: int, state: WatchState, *, is_open: bool) -> LogReader | None:
    """The log of ``name`` as far as it can be read; None if there is none, or an old one."""
    if path is None:
        return None
    try:
        if not is_open and now_ns - path.lstat().st_mtime_ns > LATELY_S * 1e9:
            state.logs.pop(name, None)
            return None
        reader = state.logs.setdefault(name, LogReader())
        reader.follow(path)
    except OSError as error:
        log.debug("%s: %s", path, error.strerror)
    return state.logs.get(name)


def _state(path: Path, system: System) -> WatchedState | None:
    """How an unfinished recording stands; None if it has been finished or removed at this moment."""
    try:
        return WatchedState.RECORDING if system.is_locked(path) else WatchedState.STALE
    except FileNotFoundError:
        return None
    except OSError as error:
        log.debug("%s: %s", path, error.strerror)
        return WatchedState.UNREADABLE


def _unfinished(
    name: str,
    partial: os.stat_result,
    state: WatchedState,
    reader: LogReader | None,
    now_ns: int,
    free_bytes: int | None,
) -> Watched:
    # A log that ends with a commit is of an earlier recording of this name; this one keeps its own elsewhere.
    if reader is None or reader.committed is not None:
        reader = LogReader()
    since_write_s = max(0.0, (now_ns - partial.st_mtime_ns) / 1e9)
    told = _told(name, state, reader, now_ns, free_bytes)
    alerts = dict(reader.alerts)
    elapsed_s, last_flush_s = told.elapsed_s, told.last_flush_s
    if state is WatchedState.RECORDING:
        if reader.started_ns is not None:
            elapsed_s = max(0.0, (now_ns - reader.started_ns) / 1e9)
        # By the file itself if there is no log, or it is behind.
        last_flush_s = since_write_s if last_flush_s is None else min(last_flush_s, since_write_s)
        if last_flush_s >= LONGEST_FLUSH_GAP_S:
            alerts["flush_gap_s"] = StandingAlert("flush_gap_s", f"no flush for {last_flush_s:.0f} s")
            told = replace(told, bit_rate=0.0)
    elif since_write_s >= OLDEST_STALE_S and state is WatchedState.STALE:
        message = f"unfinished, and nobody has written it for {since_write_s / 3600:.1f} h"
        alerts["partial_age_s"] = StandingAlert("partial_age_s", message)
    return replace(
        told,
        elapsed_s=elapsed_s,
        file_bytes=partial.st_size,
        bit_rate=told.bit_rate if state is WatchedState.RECORDING else None,
        last_flush_s=last_flush_s,
        alerts=tuple(alerts.values()),
    )


def _finished(name: str, reader: LogReader, now_ns: int, free_bytes: int | None) -> Watched:
    """Without alerts: what stood when it ended stands no longer."""
    told = _told(name, WatchedState.FINISHED, reader, now_ns, free_bytes)
    size, elapsed_s = told.file_bytes, reader.committed.elapsed_s if reader.committed is not None else None
    rate = size * 8 / elapsed_s if size is not None and elapsed_s else None
    return replace(told, elapsed_s=elapsed_s, bit_rate=rate)


def _told(name: str, state: WatchedState, reader: LogReader, now_ns: int, free_bytes: int | None) -> Watched:
    """What the log alone says."""
    flushes, sample = reader.flushes, reader.sample
    last = flushes[-1] if flushes else None
    newest = max((one for one in (last, sample) if one is not None), key=lambda one: one.elapsed_s, default=None)
    seconds = sum(one.interval_s for one in flushes)
    return Watched(
        name=name,
        state=state,
        elapsed_s=newest.elapsed_s if newest is not None else None,
        file_bytes=last.file_bytes if last is not None else None,
        bit_rate=sum(one.flush_bytes for one in flushes) * 8 / seconds if seconds > 0 else None,
        last_flush_s=max(0.0, (now_ns - last.time_ns) / 1e9) if last is not None else None,
        flushes=last.index + 1 if last is not None else None,
        rss_bytes=newest.rss_bytes if newest is not None else None,
        dropped_units=newest.dropped_units if newest is not None else None,
        free_bytes=free_bytes,
        full_in_s=sample.full_in_s if sample is not None and state is WatchedState.RECORDING else None,
        alerts=(),
    )
