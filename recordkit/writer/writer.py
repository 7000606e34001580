"""The writer: lays access units into the tail's slots and flushes them from a thread of its own."""

from __future__ import annotations

import errno
import logging
import threading
from pathlib import Path

from ..container import Packager
from ..errors import AdmissionError, RecordkitError, StateError, WriteError
from ..model import AccessUnit, FlushReason
from ..settings import RecordingSettings
from ..threads import begin
from .buffer import Buffer, Job, Laid, NotLaid
from .closing import Closing
from .flusher import Flusher
from .observer import Closed, Guarded, Observer
from .output import Output
from .room import Room
from .tail import Tail, tail_bytes

log = logging.getLogger("recordkit")

_HEADROOM_BYTES = 1024 * 1024
"""Room in a slot beyond the threshold: the unit that crosses it still goes in whole."""


class Writer:
    """Writes one file: packetises units into a slot, flushes slots, commits.

    ``lay`` may be called from one thread at a time; the rest from any. ``observer`` is told what happens, from the
    writer's thread. ``close`` only begins the end, so that another writer can follow while this one goes on to its
    own; ``Observer.over`` tells when it is there, ``join`` waits for it.

    On a full disk ``on_disk_full="wait"`` waits for room, ``"stop"`` ends the recording: ``lay``
    takes nothing more, and what was laid is committed, or left as the observer says.

    Raises OutputNameError for a name that cannot be used.
    """

    def __init__(self, settings: RecordingSettings, packager: Packager, observer: Observer | None = None) -> None:
        self.settings = settings
        self._packager = packager
        self.error: RecordkitError | None = None
        self.committed = False
        self._system = settings.system
        self._output = Output(settings.path, self._system)
        self.final_output_path = self._output.final_path
        self.temp_output_path = self._output.partial_path
        self._clock = settings.clock
        self._observer = Guarded(observer or Observer(), self.final_output_path)
        self._lock = threading.RLock()  # to enter the condition costs twice as much
        self._changed = threading.Condition(self._lock)
        self._closing = Closing(self._changed, self._observer)
        self._buffer = Buffer(
            packager,
            settings.flush_threshold,
            self._clock,
            wait=self._wait_for_slot,
            on_change=self._changed.notify_all,
        )
        self._room = Room(
            self._output, self._clock, self._system, settings.on_disk_full, self._closing, self._observer
        )
        self._flusher = Flusher(
            self._output, self._room, self._clock, settings.durability, self._buffer, self._observer
        )
        self._tail: Tail | None = None
        self._told_bytes = 0
        self._thread = threading.Thread(
            target=self._run, name=f"recordkit-write:{self.final_output_path.name}", daemon=True
        )

    def start(self, started_s: float | None = None) -> None:
        """Open the files and start the thread. Flush records count from ``started_s``; without it from now on.

        Raises the errors of ``Output.open`` and ``Tail``, and AdmissionError where there is no thread or no
        memory; nothing is left behind then.
        """
        threshold, syncs = self.settings.flush_threshold, self.settings.durability == "flush"
        needed_bytes = self.tail_bytes + threshold
        self._output.open(overwrite=self.settings.overwrite, needed_bytes=needed_bytes, syncs=syncs)
        try:
            self._tail = Tail(self._output, self._slot_packets, self._system)
            if syncs:
                self._output.sync_folder()
            self._buffer.open(self._tail.slots, self._flusher.begin(started_s))
            log.info("Using DIRECT FILE WRITING with buffered flushing (%gMB threshold)", threshold / 2**20)
            begin(self._thread, self.final_output_path.name)
        except BaseException as error:
            if self._tail is not None:
                self._tail.remove()
            self._let_go()
            self._output.discard()
            self._output.close()
            if isinstance(error, MemoryError):
                raise AdmissionError(
                    self.final_output_path.name,
                    "memory",
                    self.tail_bytes,
                    None,
                    f"the system gives this process no {self.tail_bytes / 1e6:,.0f} MB of address space: "
                    "end another recording, or raise the limit (ulimit -v)",
                ) from error
            raise

    def begin(self) -> None:
        """The first unit comes now, and with it the first interval begins; the file was opened ahead of time."""
        with self._changed:
            self._buffer.begin()

    @property
    def tail_bytes(self) -> int:
        """Bytes that the tail takes, of the disk and of memory."""
        return tail_bytes(self._slot_packets, self._output.container.packet_bytes)

    @property
    def _slot_packets(self) -> int:
        packet_bytes = self._output.container.packet_bytes
        return -(-self.settings.flush_threshold // packet_bytes) + _HEADROOM_BYTES // packet_bytes

    @property
    def bytes_since_last_flush(self) -> int:
        """Bytes in the buffer that no flush has taken yet; they count towards ``flush_threshold``."""
        # Without the lock, which whoever lays a unit holds while a mapped page hangs with its disk.
        return self._buffer.used_bytes

    @property
    def laid_bytes(self) -> int:
        """Bytes packetised so far, in the file or in the tail."""
        return self._buffer.laid_bytes

    @property
    def file_bytes(self) -> int:
        """Bytes written to the main file so far."""
        return self._flusher.file_bytes

    @property
    def bytes_at_risk(self) -> int:
        """Bytes packetised that a power cut at this moment would cost."""
        return self._buffer.laid_bytes - self._flusher.synced_bytes

    @property
    def doing(self) -> str | None:
        """What is done at this moment with the disk, in words, or None."""
        return self._flusher.doing or self._buffer.doing

    @property
    def is_own_thread(self) -> bool:
        """Whether the caller is the writer's thread, which must not wait for itself."""
        return threading.current_thread() is self._thread

    @property
    def ended_because(self) -> str | None:
        """Why it ended by itself without having failed, or None."""
        return self._closing.because

    @property
    def is_full(self) -> bool:
        """Whether ``lay`` said FULL, and there has been no room since; may be read without a lock."""
        return self._buffer.is_full and self._closing.because is None

    def lay(self, unit: AccessUnit) -> Laid | NotLaid:
        """Packetise ``unit`` into the buffer; returns at which byte it begins, or why it is not in there.

        FULL: both slots are full; try again after ``Observer.room``. ENDED: the recording has ended by
        itself (``ended_because``), or was closed in the middle of a unit larger than a slot. Such a
        unit is not in the file, nor is any part of it.

        Raises MediaError if the unit cannot be carried, StateError if the writer has not begun or is
        closing, WriteError if it has failed.
        """
        with self._lock:
            self.check()
            if self._closing.because is not None:
                return NotLaid.ENDED
            if not self._closing.is_open:
                raise StateError("closed", "started", "nothing can be laid any more")
            return self._buffer.lay(unit)

    def lay_early(self, packager: Packager, unit: AccessUnit) -> bool:
        """Lay ``unit`` by ``packager`` into a prelude, see ``Buffer.lay_early``; False if there is no room for it.

        Raises MediaError if it cannot be carried, WriteError if the writer has failed.
        """
        with self._changed:
            self.check()
            return self._closing.is_open and self._buffer.lay_early(packager, unit)

    def defer(self, *, on: bool) -> None:
        """Whether what is laid from now on is safe from a kill only when this ends, or is renewed."""
        with self._changed:
            self._buffer.publish()
            self._buffer.defers = on

    def end_early(self) -> None:
        """Give the prelude up: all that it has is laid."""
        with self._changed:
            self._buffer.end_early()

    def _wait_for_slot(self) -> bool:
        """In the middle of a unit: wait for a free slot; False if the recording ends without the unit.

        The thread that writes does not wait for this one to wake: it may have closed the file by then.
        """
        self._clock.wait(self._changed, None)
        self.check()
        return self._closing.is_open

    def flush(self, timeout_s: float | None = None) -> bool:
        """Write everything laid so far; True once that is done and told, False after ``timeout_s``.

        With durability="flush" it is on the disk then, else in the file. Raises WriteError where
        the writer has failed, StateError in the observer.
        """
        self._refuse_own_thread()
        with self._changed:
            target = self._buffer.laid_bytes
            deadline = None if timeout_s is None else self._clock.monotonic() + timeout_s
            while self._told_bytes < target:
                self.check()
                if self._closing.is_over:
                    break
                self._buffer.swap_if_free(FlushReason.EXPLICIT)
                remaining = None if deadline is None else deadline - self._clock.monotonic()
                if remaining is not None and remaining <= 0:
                    return False
                self._clock.wait(self._changed, remaining)
            return True

    def close(self, *, commit: bool) -> None:
        """Begin the end: flush what was laid, then commit it or leave the partial. Waits for nothing.

        A partial that is left holds everything and is synced; its tail is removed. Only after a
        failure the tail stays too, with what the partial has not got. May be called again: the first
        call decides. ``Observer.over`` is told when it is done.
        """
        self._closing.close(commit=commit)

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the end that ``close`` began; False if it did not come within ``timeout_s``.

        ``committed`` and ``error`` say how it went. Raises StateError in the observer.
        """
        self._refuse_own_thread()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def stop_waiting(self) -> None:
        """Wait for no room on the disk any longer: if there is none, the recording ends as with "stop"."""
        self._room.stop_waiting()

    def check(self) -> None:
        """Raise the WriteError that the writer failed with, if it has."""
        if self.error is not None:
            raise self.error

    def _refuse_own_thread(self) -> None:
        if self.is_own_thread:
            raise StateError("flushing", "another thread", "an observer must not wait for its writer")

    # The thread.

    def _run(self) -> None:
        # Until the end was reached: a fault of our own, which threading.excepthook shows.
        fault = OSError(errno.EIO, "the writer's thread ended by a fault of its own; see the log")
        error: RecordkitError | None = WriteError(self.temp_output_path, self.file_bytes, fault, "writing")
        try:
            while (job := self._next_job()) is not None:
                record = self._flusher.flush(*job)
                with self._changed:
                    was_full = self._buffer.give_back(job[0].slot)
                    self._changed.notify_all()
                if was_full:
                    self._observer.room()
                self._observer.flushed(record)
                with self._changed:
                    self._told_bytes = record.file_bytes
                    self._changed.notify_all()
            self.committed = self._flusher.finish(
                end=self._buffer.whole_bytes,
                commit=bool(self._closing.commits),
                packager=self._packager,
                tail=self._tail,
                overwrite=self.settings.overwrite,
            )
            if self._tail is not None:
                self._tail.remove()
            error = None
        except RecordkitError as failure:
            if isinstance(failure, WriteError):
                failure.advise(f"what was recorded is kept: recordkit recover {self.final_output_path.name}")
            log.error("%s", failure)
            error = failure
            self._tell_what_is_lost()
        finally:
            self._output.close()
            self._flusher.doing = None
            with self._changed:
                self.error = error
                self._closing.is_over = True
                self._let_go()
                self._changed.notify_all()
            self._observer.over(self._closed())

    def _closed(self) -> Closed:
        path: Path | None = self.final_output_path if self.committed else self.temp_output_path
        if not self.file_bytes and self.error is None:
            path = None
        return Closed(path, self.file_bytes, self.committed, self.ended_because, self.error)

    def _let_go(self) -> None:
        """Drop the slots' memory and the tail, which keeps the disk space of a file that was removed."""
        self._buffer.let_go()
        if self._tail is not None:
            self._tail.close()
        self._tail = None

    def _tell_what_is_lost(self) -> None:
        with self._changed:
            self._buffer.publish()
            lost = self._tail.missing_bytes(self.file_bytes) if self._tail is not None else 0
        if lost:
            log.error(
                "%s: up to %s bytes are lost: the crash-proof buffer could not take them",
                self.temp_output_path,
                f"{lost:,}",
            )

    def _next_job(self) -> tuple[Job, Tail] | None:
        with self._changed:
            buffer = self._buffer
            while not buffer.jobs:
                if buffer.is_early and self._closing.is_open:
                    self._clock.wait(self._changed, None)
                    continue
                buffer.end_early()
                if buffer.used_bytes:
                    due_s = buffer.last_flush_s + self.settings.flush_interval - self._clock.monotonic()
                    if not self._closing.is_open:
                        buffer.swap(FlushReason.STOP)
                    elif buffer.flush_wanted or buffer.used_bytes >= self.settings.flush_threshold:
                        buffer.swap(buffer.flush_wanted or FlushReason.THRESHOLD)
                    elif due_s <= 0:
                        buffer.swap(FlushReason.INTERVAL)
                    else:
                        self._clock.wait(self._changed, due_s)
                elif not self._closing.is_open:
                    return None
                else:
                    self._clock.wait(self._changed, None)
            if self._tail is None:
                return None
            return buffer.jobs.popleft(), self._tail
