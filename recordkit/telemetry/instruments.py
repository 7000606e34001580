"""All instruments of one recording: journal, log beside the file, sampler thread, alerts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingsError
from ..model import Event, EventKind, Field, FlushRecord
from ..names import TAIL_SUFFIX, partial_of, stem_of
from ..system import Clock, System
from .alerts import Alert, Alerts, AlertSettings
from .clocks import Clocks
from .frames import Log
from .journal import Journal
from .logfile import LogFile, log_path
from .logs import Logs
from .process import ProcessProbe
from .sampler import Sampler, Standing
from .schema import Record

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger("recordkit")

_LONGEST_UNWRITTEN_S = 5.0
_LONGEST_JOIN_S = 10.0
_JOIN_SLICE_S = 0.1


class Instruments:
    """Watches one recording. ``interval_s`` is the time between samples, 0 takes none.

    ``log_file`` says where the log goes: True beside the recording, a path there (in a folder under the usual
    name), False nowhere. The thread ``recordkit-sample:NAME`` belongs to this object and ends after
    ``end``. Nothing that goes wrong in here ends the recording. ``probe`` measures the process, for
    other recordings too; ``counts`` are the counters that have limits in AlertSettings.

    Raises SettingsError if the log would lie on the recording's own file.
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
        probe: ProcessProbe | None = None,
        counts: Callable[[], dict[str, int]] = dict,
    ) -> None:
        self._clock = clock
        self._probe = probe or ProcessProbe(clock)
        self._system = system
        self._standing = standing
        self._counts = counts
        self._interval_s = interval_s
        self._path = _path_of_log(final_path, log_file)
        self._log_file = log_file
        self._header = header
        self._journal = Journal(clock)
        self._alerts = Alerts(alerts, self._journal, final_path.parent, queue_bound, clock, system, on_alert)
        self.logs = Logs()
        self._sampler: Sampler | None = None
        self._clocks = Clocks(clock)
        self._written_s = 0.0
        self._keep_log = True
        self._faults = 0
        self._ended, self._called = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"recordkit-sample:{final_path.name}", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop | None, first_path: Path | None = None) -> None:
        """Begin: open the log, start the thread. ``loop`` is the event loop to measure the lag of.

        ``first_path`` is that of the first of several files, named only now.
        """
        self._journal.begin()
        self._header = {**self._header, "started_ns": self._clock.time_ns()}
        if first_path is not None:
            self._header |= {"recording": first_path.name, "path": str(first_path)}
            self._path = _path_of_log(first_path, self._log_file)
        if self._path:
            self.logs.file = LogFile(self._path, self._header)
            self._journal.follow(self.logs.add)
        self._journal.event(EventKind.START)
        if self._interval_s > 0:
            self._sampler = Sampler(
                self._standing, self._probe, self._clock, self._system, loop, self._interval_s / 2
            )
            try:
                self._thread.start()
            except RuntimeError as error:
                log.warning("%s: no samples are taken: %s", self._header.get("recording"), error)

    @property
    def log(self) -> Log:
        """All that is known until now."""
        return Log(self._header, self._journal.contents())

    def follow(self, follower: Callable[[Record], None], so_far: Callable[[Log], None]) -> None:
        """Call ``so_far`` with all that is known, then ``follower`` with each record; see Journal.follow."""
        self._journal.follow(follower, lambda contents: so_far(Log(self._header, contents)))

    def unfollow(self, follower: Callable[[Record], None]) -> None:
        """Call ``follower`` no more."""
        self._journal.unfollow(follower)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self._journal.elapsed_s

    @property
    def flush_records(self) -> tuple[FlushRecord, ...]:
        """The newest flushes, oldest first."""
        return self._journal.flushes

    def log_beside(self, final_path: Path, **facts: object) -> LogFile | None:
        """Open the log of another file of the recording, with more ``facts`` in its header; see ``logs``."""
        path = _path_of_log(final_path, self._log_file)
        named = {"recording": final_path.name, "path": str(final_path), **facts}
        return None if path is None else LogFile(path, {**self._header, **named})

    def flushed(self, record: FlushRecord) -> None:
        """Note a flush; the first brings the first byte to the disk."""
        if record.index == 0:
            self._journal.event(EventKind.FIRST_BYTE)
        self._journal.add(record)
        self._write()

    def noted_before(self, record: Record, file: LogFile | None) -> None:
        """Note what happened to a file that others have followed; ``file`` is its log."""
        self._journal.add(record, without=self.logs.add)
        if file is not None:
            file.add(record)
            file.write()

    def event(self, kind: EventKind, **fields: Field) -> Event:
        """Note that something happened; a mark is in the log file at once, if samples are taken."""
        event = self._journal.event(kind, **fields)
        self._tell_of(event)
        return event

    def event_at(self, time_ns: int, elapsed_s: float, kind: EventKind, **fields: Field) -> Event:
        """Note now that something happened before, as of a reading of ``now``."""
        event = self._journal.event_at(time_ns, elapsed_s, kind, **fields)
        self._tell_of(event)
        return event

    def _tell_of(self, event: Event) -> None:
        # Somebody may open the recording by it, or find it killed. Whoever makes a mark does not wait for the disk.
        if event.kind is EventKind.MARK:
            self._called.set()

    @property
    def now(self) -> tuple[int, float]:
        """The wall clock in nanoseconds since the epoch, and the seconds since the start."""
        return self._clock.time_ns(), self.elapsed_s

    def end(self, *, keep_log: bool) -> None:
        """Let the thread take a last sample, close the log and end; waits for nothing.

        Without ``keep_log`` the log is removed: there is no recording that it belongs to.
        """
        self._keep_log = keep_log
        self._ended.set()
        self._called.set()
        if self._thread.ident is None:
            self._close_log()

    def join(self) -> None:
        """Wait for the thread's end, except in the thread itself (a callback that stops the recording).

        A callback that hangs is not waited for for ever.
        """
        if self._thread.ident is None or self._thread is threading.current_thread():
            return
        # In slices, so that an interrupt is seen.
        for _ in range(round(_LONGEST_JOIN_S / _JOIN_SLICE_S)):
            self._thread.join(_JOIN_SLICE_S)
            if not self._thread.is_alive():
                return
        log.warning("%s has not ended after %.0f s: does on_alert hang?", self._thread.name, _LONGEST_JOIN_S)

    def _run(self) -> None:
        try:
            is_last = False
            while not is_last:
                # Seen before the sample: the last one is of the recording as it was left.
                is_last = self._ended.is_set()
                self._sample_safely()
                if not is_last:
                    self._rest()
        finally:
            self._close_log()

    def _rest(self) -> None:
        """Until the next sample is due; what is called for meanwhile is written."""
        due_s = self._clock.monotonic() + self._interval_s
        while not self._ended.is_set() and (left_s := due_s - self._clock.monotonic()) > 0:
            self._clock.sleep(left_s, self._called)
            if self._called.is_set():
                self._called.clear()
                self._write()

    def _sample_safely(self) -> None:
        try:
            self._sample()
        except Exception:
            # No more files to be had, /proc gone: the flushes are still worth noting.
            self._faults += 1
            if self._faults == 1:
                log.exception("A sample failed; there may be more")

    def _sample(self) -> None:
        if self._sampler is None:
            return
        for because, seconds in self._clocks.changes():
            log.warning("%s: %s, by %+.1f s", self._header.get("recording"), because, seconds)
            self._journal.event(EventKind.CLOCK, because=because, seconds=seconds)
        last = self._journal.last_flush
        sample = self._sampler.sample(last.elapsed_s if last is not None else 0.0)
        self._journal.add(sample)
        self._alerts.check(sample, self._counts())
        if self._journal.elapsed_s - self._written_s > _LONGEST_UNWRITTEN_S:
            # No flush takes the lines along: a stall is just what one wants to read about afterwards.
            self._write()

    def _write(self) -> None:
        self._written_s = self._journal.elapsed_s
        self.logs.write()

    def _close_log(self) -> None:
        self.logs.close()
        if self.logs.file is not None and not self._keep_log:
            self.logs.file.remove()


def _path_of_log(final_path: Path, wanted: bool | Path) -> Path | None:
    usual = log_path(final_path)
    if isinstance(wanted, bool):
        return usual if wanted else None
    path = wanted.expanduser()
    path = path / usual.name if path.is_dir() else path
    name = final_path.name
    if path.parent == final_path.parent and path.name in (name, partial_of(name), stem_of(name) + TAIL_SUFFIX):
        raise SettingsError("flush_log", str(wanted), "is where the recording itself goes: choose another name")
    return path
