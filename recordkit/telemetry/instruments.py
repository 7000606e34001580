"""All instruments of one recording: journal, log beside the file, sampler thread, alerts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..model import Event, EventKind, Field, FlushRecord
from ..system import Clock, System
from .alerts import Alert, Alerts, AlertSettings
from .frames import Log
from .journal import Journal
from .logfile import LogFile, log_path
from .sampler import Sampler, Standing

_LONGEST_UNWRITTEN_S = 5.0


class Instruments:
    """Watches one recording. ``interval_s`` is the time between samples, 0 takes none.

    ``log_file`` says where the log goes: True beside the recording, a path there, False nowhere.
    The thread ``recordkit-sample:NAME`` belongs to this object and ends after ``end``.
    """

    def __init__(
        self,
        final_path: Path,
        header: dict[str, Any],
        standing: Callable[[], Standing],
        *,
        interval_s: float,
        log_file: bool | Path,
        alerts: AlertSettings,
        queue_bound: int,
        on_alert: Callable[[Alert], None] | None,
        clock: Clock,
        system: System,
    ) -> None:
        self._clock = clock
        self._system = system
        self._standing = standing
        self._interval_s = interval_s
        self._path = log_path(final_path) if log_file is True else log_file or None
        self._header = header
        self._journal = Journal(clock)
        self._alerts = Alerts(alerts, self._journal, final_path.parent, queue_bound, clock, system, on_alert)
        self._file: LogFile | None = None
        self._sampler: Sampler | None = None
        self._written_s = 0.0
        self._keep_log = True
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"recordkit-sample:{final_path.name}", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Begin: open the log, start the thread. ``loop`` is the event loop to measure the lag of."""
        self._journal.begin()
        self._header = {**self._header, "started_ns": self._clock.time_ns()}
        if self._path:
            self._file = LogFile(self._path, self._header)
            self._journal.sinks = (self._file.add,)
        self._journal.event(EventKind.START)
        if self._interval_s > 0:
            self._sampler = Sampler(self._standing, self._clock, self._system, loop)
            self._thread.start()

    @property
    def log(self) -> Log:
        """All that is known so far."""
        return Log(self._header, self._journal.contents())

    @property
    def flush_records(self) -> tuple[FlushRecord, ...]:
        """The newest flushes, oldest first."""
        return self._journal.flushes

    def flushed(self, record: FlushRecord) -> None:
        """Note a flush; the first brings the first byte to the disk."""
        if record.index == 0:
            self._journal.event(EventKind.FIRST_BYTE)
        self._journal.add(record)
        self._written_s = self._journal.elapsed_s

    def event(self, kind: EventKind, **fields: Field) -> Event:
        """Note that something happened."""
        return self._journal.event(kind, **fields)

    def end(self, *, keep_log: bool) -> None:
        """Let the thread take a last sample, close the log and end; waits for nothing.

        Without ``keep_log`` the log is removed: there is no recording that it belongs to.
        """
        self._keep_log = keep_log
        self._ended.set()
        if self._thread.ident is None:
            self._close_log()

    def join(self) -> None:
        """Wait for the thread's end, except in the thread itself (a callback that stops the recording)."""
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._sample()
            while not self._ended.is_set():
                self._clock.sleep(self._interval_s, self._ended)
                self._sample()
        finally:
            self._close_log()

    def _sample(self) -> None:
        if self._sampler is None:
            return
        last = self._journal.last_flush
        sample = self._sampler.sample(last.elapsed_s if last is not None else 0.0)
        self._journal.add(sample)
        self._alerts.check(sample)
        if self._file is not None and self._journal.elapsed_s - self._written_s > _LONGEST_UNWRITTEN_S:
            # No flush takes the lines along: a stall is just what one wants to read about afterwards.
            self._written_s = self._journal.elapsed_s
            self._file.write()

    def _close_log(self) -> None:
        if self._file is not None:
            self._file.close()
            if not self._keep_log:
                self._file.remove()
