"""The writer: lays access units into the tail's slots and flushes them from a thread of its own."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable
from typing import Literal, ParamSpec

from ..errors import RecordkitError, StateError, WriteError
from ..model import AccessUnit, FlushReason, FlushRecord
from ..mpegts.laying import PACKET_BYTES
from ..mpegts.packetiser import Packetiser
from ..settings import RecordingSettings
from .buffer import Buffer, Job, Laid, NotLaid
from .flusher import Flusher, QueueStatus
from .output import Output
from .room import DISK_FULL, Room
from .tail import Tail, tail_bytes

log = logging.getLogger("recordkit")

P = ParamSpec("P")

_HEADROOM_PACKETS = 1024 * 1024 // PACKET_BYTES
"""Room in a slot beyond the threshold: the unit that crosses it still goes in whole."""


class Writer:
    """Writes one recording: packetises units into a slot, flushes slots, commits.

    ``lay`` may be called from one thread at a time; the rest from any. ``on_flush`` and
    ``on_room`` are called from the writer's thread, outside its lock: the first with each
    FlushRecord, the second when a full buffer has room again, or the writer has failed or ended.
    So is ``on_waiting``: with the reason why a flush waits, and with None when it waits no longer.
    An observer that raises is logged; the recording goes on.

    On a full disk ``on_disk_full="wait"`` waits for room, ``"stop"`` ends the recording: ``on_end``
    is called with ``ended_because``, ``lay`` takes nothing more, and what was laid is committed.

    Raises OutputNameError for a name that cannot be used.
    """

    def __init__(
        self,
        settings: RecordingSettings,
        packetiser: Packetiser,
        *,
        on_flush: Callable[[FlushRecord], None] | None = None,
        on_room: Callable[[], None] | None = None,
        on_waiting: Callable[[str | None], None] | None = None,
        on_end: Callable[[str], None] | None = None,
        status: Callable[[], QueueStatus] | None = None,
    ) -> None:
        self.settings = settings
        self.error: RecordkitError | None = None
        self.committed = False
        self.ended_because: str | None = None
        self._system = settings.system
        self._output = Output(settings.path, self._system)
        self.final_output_path = self._output.final_path
        self.temp_output_path = self._output.partial_path
        self._clock = settings.clock
        self._on_flush = on_flush
        self._on_room = on_room
        self._on_end = on_end
        self._changed = threading.Condition()
        self._buffer = Buffer(
            packetiser,
            settings.flush_threshold,
            self._clock,
            wait=self._wait_for_slot,
            on_change=self._changed.notify_all,
        )
        self._room = Room(
            self._output,
            self._clock,
            self._system,
            settings.on_disk_full,
            on_waiting=lambda because: self._tell(on_waiting, because),
            on_end=self._end,
        )
        self._flusher = Flusher(
            self._output,
            self._room,
            self._clock,
            settings.durability,
            laid_bytes=lambda: self._buffer.laid_bytes,
            status=status or QueueStatus,
        )
        self._tail: Tail | None = None
        self._is_over = False
        self._closing: Literal["commit", "leave"] | None = None
        self._ending: Literal["commit", "leave"] = "commit"
        self._starved = False
        self._told_bytes = 0
        self._thread = threading.Thread(
            target=self._run, name=f"recordkit-write:{self.final_output_path.name}", daemon=True
        )

    def start(self) -> None:
        """Open the files and start the thread.

        Raises the errors of ``Output.open`` and ``Tail``; nothing is left behind then.
        """
        threshold = self.settings.flush_threshold
        self._output.open(overwrite=self.settings.overwrite, needed_bytes=self.tail_bytes + threshold)
        try:
            self._tail = Tail(self._output, self._slot_packets, self._system)
            if self.settings.durability == "flush":
                self._output.sync_folder()
            self._buffer.open(self._tail.slots, self._flusher.begin())
            log.info("Using DIRECT FILE WRITING with buffered flushing (%gMB threshold)", threshold / 2**20)
            self._thread.start()
        except BaseException:
            if self._tail is not None:
                self._tail.remove()
            self._let_go()
            self._output.discard()
            self._output.close()
            raise

    @property
    def tail_bytes(self) -> int:
        """Bytes that the tail takes, of the disk and of memory."""
        return tail_bytes(self._slot_packets)

    @property
    def _slot_packets(self) -> int:
        return -(-self.settings.flush_threshold // PACKET_BYTES) + _HEADROOM_PACKETS

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

    def lay(self, unit: AccessUnit) -> Laid | NotLaid:
        """Packetise ``unit`` into the buffer; returns at which byte it begins, or why it is not in there.

        FULL: both slots are full; try again after ``on_room``. ENDED: the recording has ended by
        itself (``ended_because``), or was closed in the middle of a unit larger than a slot. Such a
        unit is not in the file, nor is any part of it.

        Raises MediaError if the unit cannot be carried, StateError if the writer has not begun or is
        closing, WriteError if it has failed.
        """
        with self._changed:
            self.check()
            if self.ended_because is not None:
                return NotLaid.ENDED
            if self._closing:
                raise StateError("closed", "started", "nothing can be laid any more")
            laid = self._buffer.lay(unit)
            self._starved = self._starved or laid is NotLaid.FULL
            return laid

    def _wait_for_slot(self) -> bool:
        """In the middle of a unit: wait for a free slot; False if the recording ends without the unit.

        The thread that writes does not wait for this one to wake: it may have closed the file by then.
        """
        self._clock.wait(self._changed, None)
        self.check()
        return self._closing is None

    def flush(self, timeout_s: float | None = None) -> bool:
        """Write everything laid so far; True once that is done and told, False after ``timeout_s``.

        With durability="flush" it is on the disk then, else in the file. Raises WriteError where
        the writer has failed, StateError in ``on_flush``.
        """
        self._refuse_own_thread()
        with self._changed:
            target = self._buffer.laid_bytes
            deadline = None if timeout_s is None else self._clock.monotonic() + timeout_s
            while self._told_bytes < target:
                self.check()
                if self._is_over:
                    break
                self._buffer.swap_if_free(FlushReason.EXPLICIT)
                remaining = None if deadline is None else deadline - self._clock.monotonic()
                if remaining is not None and remaining <= 0:
                    return False
                self._clock.wait(self._changed, remaining)
            return True

    def close(self, *, commit: bool, timeout_s: float | None = None) -> bool:
        """Flush, then commit or leave the partial; False where that was not done within ``timeout_s``.

        A partial that is left holds everything and is synced; its tail is removed. Only after a
        failure the tail stays too, with what the partial has not got. May be called again, and
        after a failure: the thread's end is waited for, ``error`` says what went wrong. The first
        call decides between the two. Raises StateError in ``on_flush``.
        """
        self._refuse_own_thread()
        with self._changed:
            self._closing = self._closing or ("commit" if commit else "leave")
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def hurry(self, *, commit: bool) -> None:
        """Wait for no room on the disk any longer: there, the recording ends as with on_disk_full="stop".

        ``commit`` says how it ends then. Waits for nothing.
        """
        self._ending = "commit" if commit else "leave"
        self._room.hurry()

    def check(self) -> None:
        """Raise the WriteError that the writer failed with, if it has."""
        if self.error is not None:
            raise self.error

    def _refuse_own_thread(self) -> None:
        if self.is_own_thread:
            raise StateError("flushing", "another thread", "on_flush must not wait for the writer that called it")

    # The thread.

    def _run(self) -> None:
        # Until the end was reached: a fault of our own, which threading.excepthook shows.
        fault = OSError(errno.EIO, "the writer's thread ended by a fault of its own; see the log")
        error: RecordkitError | None = WriteError(self.temp_output_path, self.file_bytes, fault, "writing")
        try:
            while (job := self._next_job()) is not None:
                record = self._flusher.flush(*job)
                with self._changed:
                    self._buffer.give_back(job[0].slot)
                    starved, self._starved = self._starved, False
                    self._changed.notify_all()
                if starved:
                    self._tell(self._on_room)
                self._tell(self._on_flush, record)
                with self._changed:
                    self._told_bytes = record.file_bytes
                    self._changed.notify_all()
            self.committed = self._flusher.finish(
                end=self._buffer.whole_bytes,
                commit=self._closing == "commit",
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
                self._is_over = True
                self._let_go()
                self._changed.notify_all()
            if error is not None:
                self._tell(self._on_room)

    def _tell(self, observer: Callable[P, None] | None, *args: P.args, **kwargs: P.kwargs) -> None:
        if observer is not None:
            try:
                observer(*args, **kwargs)
            except Exception:
                # Whoever looks on must not be able to end the recording.
                log.exception("%s: an observer failed", self.final_output_path)

    def _let_go(self) -> None:
        """Drop the mapping, which keeps memory, and the disk space of a tail that was removed."""
        self._buffer.let_go()
        self._tail = None

    def _end(self) -> None:
        """The disk is full: nothing is laid any more, and what was laid is the recording."""
        with self._changed:
            is_first = self.ended_because is None
            if is_first:
                self.ended_because = DISK_FULL
                self._closing = self._closing or self._ending
                self._changed.notify_all()
        if is_first:
            self._tell(self._on_end, DISK_FULL)
            self._tell(self._on_room)

    def _tell_what_is_lost(self) -> None:
        tail = self._tail
        if tail is not None and not tail.is_mapped and self.laid_bytes > self.file_bytes:
            lost = self.laid_bytes - self.file_bytes
            log.error("%s: without a mapped buffer, up to %s bytes are lost", self.temp_output_path, f"{lost:,}")

    def _next_job(self) -> tuple[Job, Tail] | None:
        with self._changed:
            buffer = self._buffer
            while not buffer.jobs:
                if buffer.used_bytes:
                    due_s = buffer.last_flush_s + self.settings.flush_interval - self._clock.monotonic()
                    if self._closing:
                        buffer.swap(FlushReason.STOP)
                    elif buffer.flush_wanted or buffer.used_bytes >= self.settings.flush_threshold:
                        buffer.swap(buffer.flush_wanted or FlushReason.THRESHOLD)
                    elif due_s <= 0:
                        buffer.swap(FlushReason.INTERVAL)
                    else:
                        self._clock.wait(self._changed, due_s)
                elif self._closing:
                    return None
                else:
                    self._clock.wait(self._changed, None)
            if self._tail is None:
                return None
            return buffer.jobs.popleft(), self._tail
