"""What a worker has told of its recording, put together: state, figures, records, outcome. No I/O in here."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..errors import RecordkitError
from ..model import Event, EventKind, FlushRecord
from ..recorder.result import Recording
from ..system import Clock
from ..telemetry.frames import Log
from ..telemetry.journal import Contents, Journal
from ..telemetry.logfile import read_record
from ..telemetry.schema import RECORDS, Record
from ..version import __version__
from .description import restore
from .faults import restore_error
from .figures import Figures, told_figures
from .mailbox import Message
from .protocol import PROTOCOL, Type, decode

log = logging.getLogger("recordkit")

_RATE_FLUSHES = 10


class SessionState(StrEnum):
    """Where a background recording stands; degraded is one that records while an alert stands or a part fails."""

    STARTING = "starting"
    RECORDING = "recording"
    DEGRADED = "degraded"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


_NEXT = {
    SessionState.STARTING: {SessionState.RECORDING, SessionState.FAILED},
    SessionState.RECORDING: {SessionState.DEGRADED, SessionState.STOPPING, SessionState.FAILED},
    SessionState.DEGRADED: {SessionState.RECORDING, SessionState.STOPPING, SessionState.FAILED},
    SessionState.STOPPING: {SessionState.STOPPED, SessionState.FAILED},
    SessionState.STOPPED: set[SessionState](),
    SessionState.FAILED: set[SessionState](),
}


class Account:
    """Takes in a worker's lines, from one thread; may be read from any.

    ``on_signal`` is called with each message of the source, ``on_kept`` with each answer of a ring. ``is_refused``
    says that there is no understanding this worker.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        on_signal: Callable[[Message], None],
        on_kept: Callable[[Message], None] = lambda message: None,
    ) -> None:
        self.state = SessionState.STARTING
        self.error: RecordkitError | None = None
        self.recording: Recording | None = None
        self.process: int | None = None
        self.is_refused = False
        self.misunderstood = 0
        self._path = path
        self._clock = clock
        self._on_signal = on_signal
        self._on_kept = on_kept
        self._lock = threading.RLock()
        self._journal = Journal(clock)
        self._header: dict[str, Any] = {"recording": path.name, "path": str(path)}
        self._figures = Figures()
        self._figures_s = clock.monotonic()
        self._last_flushes: deque[FlushRecord] = deque(maxlen=_RATE_FLUSHES)
        self._standing: set[tuple[str, object]] = set()
        self._outcome: dict[str, Any] | None = None

    @property
    def header(self) -> dict[str, Any]:
        """What the log says of the recording in its first line."""
        return self._header

    @property
    def figures(self) -> Figures:
        """The newest figures; ``elapsed_s`` goes on by itself while it records."""
        with self._lock:
            if self.state in (SessionState.STARTING, SessionState.STOPPED, SessionState.FAILED):
                return self._figures
            passed_s = self._clock.monotonic() - self._figures_s
            return replace(self._figures, elapsed_s=self._figures.elapsed_s + passed_s)

    @property
    def flush_records(self) -> tuple[FlushRecord, ...]:
        """The newest flush records, oldest first."""
        return self._journal.flushes

    @property
    def log(self) -> Log:
        """All that has been told so far."""
        return Log(self._header, self._journal.contents())

    def follow(self, follower: Callable[[Record], None]) -> Callable[[], None]:
        """Call ``follower`` with each record so far and each that comes, none twice; gives what takes it off."""

        def so_far(contents: Contents) -> None:
            records: tuple[Record, ...] = (*contents.events, *contents.samples, *contents.flushes)
            for record in records:
                follower(record)

        self._journal.follow(follower, so_far)
        return lambda: self._journal.unfollow(follower)

    def hear(self, line: bytes) -> None:
        """Take in one line; what is no message is passed over, counted, and told once in the log."""
        message = decode(line)
        if message is None:
            self.misunderstood += 1
            if self.misunderstood == 1:
                log.warning("%s: the worker said something that is no message: %r", self._path.name, line[:80])
            return
        kind = message["type"]
        if kind in RECORDS:
            record = read_record(message)
            if record is not None:
                self._take_record(record)
        elif kind == Type.PROGRESS:
            self._take_figures(message)
        elif kind == Type.STARTED:
            self._take_start(message)
        elif kind == Type.SIGNAL and isinstance(message.get("message"), dict):
            self._on_signal(message["message"])
        elif kind == Type.KEPT:
            self._on_kept(message)
        elif kind == Type.LOG and type(message.get("level")) is int:
            log.log(message["level"], "%s: %s", self._path.name, message.get("words"))
        elif kind == Type.ENDED:
            self._outcome = message

    def end(self, without_a_word: RecordkitError) -> None:
        """No more lines will come; ``without_a_word`` is the error where the worker did not tell how it ended."""
        with self._lock:
            self._figures = self.figures
            self.error = self._take_outcome(without_a_word)
            if self.error is None:
                self._move(SessionState.STOPPING)
            self._move(SessionState.STOPPED if self.error is None else SessionState.FAILED)

    def _take_outcome(self, without_a_word: RecordkitError) -> RecordkitError | None:
        outcome = self._outcome
        if outcome is None:
            return without_a_word
        try:
            if outcome.get("recording") is not None:
                recording = restore("recording", outcome["recording"], flush_log=self.log)
                if not isinstance(recording, Recording):
                    return without_a_word
                self.recording = recording
                size, duration_s = recording.bytes, recording.duration_s
                rate = size * 8 / duration_s if duration_s > 0 else None
                self._figures = replace(
                    self._figures, file_bytes=size, duration_s=duration_s, bytes_at_risk=0, bit_rate=rate
                )
            return restore_error(outcome["error"]) if "error" in outcome else None
        except RecordkitError as error:
            return error

    def _take_start(self, message: dict[str, Any]) -> None:
        if message.get("protocol") != PROTOCOL:
            words = f"the worker has recordkit {message.get('recordkit')}, this process {__version__}: use the same"
            fields = {"state": "recording", "wanted": f"protocol {PROTOCOL}"}
            self._outcome = {"error": {"name": "StateError", "words": words, "fields": fields}}
            self.is_refused = True
            return
        header, process = message.get("header"), message.get("pid")
        with self._lock:
            self._header = header if isinstance(header, dict) else self._header
            self.process = process if type(process) is int else None
            self._take_figures(message)
            self._move(SessionState.RECORDING)

    def _take_figures(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._figures = replace(self._figures, **told_figures(message))
            self._figures_s = self._clock.monotonic()

    def _take_record(self, record: Record) -> None:
        self._journal.add(record)
        with self._lock:
            if isinstance(record, FlushRecord):
                self._last_flushes.append(record)
                seconds = sum(one.interval_s for one in self._last_flushes)
                size = sum(one.flush_bytes for one in self._last_flushes)
                self._figures = replace(
                    self._figures,
                    flush_count=record.index + 1,
                    file_bytes=max(record.file_bytes, self._figures.file_bytes),
                    bit_rate=size * 8 / seconds if seconds > 0 else None,
                )
            elif isinstance(record, Event):
                self._take_event(record)

    def _take_event(self, event: Event) -> None:
        fields = event.fields
        if event.kind is EventKind.ALERT_RAISED:
            self._standing.add(("rule", fields.get("rule")))
        elif event.kind is EventKind.ALERT_CLEARED:
            self._standing.discard(("rule", fields.get("rule")))
        elif event.kind is EventKind.DEGRADED:
            self._standing.add(("part", fields.get("part")))
        elif event.kind is EventKind.RESTORED:
            self._standing.discard(("part", fields.get("part")))
        elif event.kind is EventKind.STOP:
            self._move(SessionState.STOPPING)
        if self.state in (SessionState.RECORDING, SessionState.DEGRADED):
            self._move(SessionState.DEGRADED if self._standing else SessionState.RECORDING)

    def _move(self, state: SessionState) -> None:
        """To ``state`` where there is such a step from here."""
        if state in _NEXT[self.state]:
            self.state = state
