"""The writer: lays access units into the tail's slots and flushes them from a thread of its own."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Literal, ParamSpec

import numpy as np

from ..errors import RecordkitError, SettingsError, StateError, WriteError
from ..model import AccessUnit, FlushReason, FlushRecord
from ..mpegts.laying import PACKET_BYTES, PacketBuffer
from ..mpegts.packetiser import Packetiser
from ..system import Clock, System
from .flusher import Durability, Flusher, Job, QueueStatus
from .output import Output
from .tail import HEADER_BYTES, SLOTS, Slot, Tail

log = logging.getLogger("recordkit")

P = ParamSpec("P")

DEFAULT_THRESHOLD = 4 * 1024 * 1024
DEFAULT_INTERVAL_S = 2.0
_HEADROOM_PACKETS = 1024 * 1024 // PACKET_BYTES
"""Room in a slot beyond the threshold: the unit that crosses it still goes in whole."""


class Writer:
    """Writes one recording: packetises units into a slot, flushes slots, commits.

    ``lay`` may be called from one thread at a time; the rest from any. ``on_flush`` and
    ``on_room`` are called from the writer's thread, outside its lock: the first with each
    FlushRecord, the second when a full buffer has room again or the writer has failed. An
    observer that raises is logged; the recording goes on.

    Raises SettingsError for settings that cannot be used, OutputNameError for a name that cannot.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        packetiser: Packetiser,
        *,
        flush_threshold: int = DEFAULT_THRESHOLD,
        flush_interval: float = DEFAULT_INTERVAL_S,
        durability: Durability = "flush",
        overwrite: bool = False,
        clock: Clock | None = None,
        system: System | None = None,
        on_flush: Callable[[FlushRecord], None] | None = None,
        on_room: Callable[[], None] | None = None,
        status: Callable[[], QueueStatus] | None = None,
    ) -> None:
        if not 64 * 1024 <= flush_threshold <= 1 << 30:
            raise SettingsError("flush_threshold", flush_threshold, "give 64 KiB to 1 GiB, in bytes")
        if not 0.05 <= flush_interval <= 3600:
            raise SettingsError("flush_interval", flush_interval, "give 0.05 to 3600 seconds")
        if durability not in ("flush", "process"):
            raise SettingsError("durability", durability, "give 'flush' or 'process'")
        self.flush_threshold = flush_threshold
        self.flush_interval = flush_interval
        self.durability = durability
        self.error: RecordkitError | None = None
        self.committed = False
        self._system = system or System()
        self._output = Output(path, self._system)
        self.final_output_path = self._output.final_path
        self.temp_output_path = self._output.partial_path
        self._overwrite = overwrite
        self._packetiser = packetiser
        self._clock = clock or Clock()
        self._on_flush = on_flush
        self._on_room = on_room
        self._changed = threading.Condition()
        self._flusher = Flusher(
            self._output,
            self._clock,
            durability,
            laid_bytes=lambda: self._laid_bytes,
            status=status or QueueStatus,
        )
        self._jobs: deque[Job] = deque()
        self._filling: Slot | None = None
        self._free: Slot | None = None
        self._tail: Tail | None = None
        self._flush_wanted: FlushReason | None = None
        self._closing: Literal["commit", "leave"] | None = None
        self._starved = False
        self._laid_bytes = 0
        self._told_bytes = 0
        self._last_flush_s = 0.0
        self._thread = threading.Thread(
            target=self._run, name=f"recordkit-write:{self.final_output_path.name}", daemon=True
        )

    def start(self) -> None:
        """Open the files and start the thread.

        Raises the errors of ``Output.open`` and ``Tail``; nothing is left behind then.
        """
        packets = -(-self.flush_threshold // PACKET_BYTES) + _HEADROOM_PACKETS
        tail_bytes = HEADER_BYTES + SLOTS * packets * PACKET_BYTES
        self._output.open(overwrite=self._overwrite, needed_bytes=tail_bytes + self.flush_threshold)
        try:
            self._tail = Tail(self._output, packets, self._system)
            if self.durability == "flush":
                self._output.sync_folder()
            self._filling, self._free = self._tail.slots
            self._last_flush_s = self._flusher.begin()
            log.info(
                "Using DIRECT FILE WRITING with buffered flushing (%gMB threshold)", self.flush_threshold / 2**20
            )
            self._thread.start()
        except BaseException:
            if self._tail is not None:
                self._tail.remove()
            self._let_go()
            self._output.discard()
            self._output.close()
            raise

    @property
    def bytes_since_last_flush(self) -> int:
        """Bytes in the buffer that no flush has taken yet; they count towards ``flush_threshold``."""
        with self._changed:
            return self._filling.buffer.used_bytes if self._filling is not None else 0

    @property
    def laid_bytes(self) -> int:
        """Bytes packetised so far, in the file or in the tail."""
        return self._laid_bytes

    @property
    def file_bytes(self) -> int:
        """Bytes written to the main file so far."""
        return self._flusher.file_bytes

    @property
    def bytes_at_risk(self) -> int:
        """Bytes packetised that a power cut at this moment would cost."""
        return self._laid_bytes - self._flusher.synced_bytes

    @property
    def is_own_thread(self) -> bool:
        """Whether the caller is the writer's thread, which must not wait for itself."""
        return threading.current_thread() is self._thread

    def lay(self, unit: AccessUnit) -> bool:
        """Packetise ``unit`` into the buffer; False where both slots are full (try after ``on_room``).

        Raises MediaError where the unit cannot be carried, StateError where the writer has not
        begun or is closing, WriteError where it has failed.
        """
        with self._changed:
            self.check()
            if self._closing:
                raise StateError("closed", "started", "nothing can be laid any more")
            packets = self._packetiser.packets_for(unit)
            slot = self._slot_with_room(packets)
            if slot is None:
                self._starved = True
                return False
            if packets > slot.buffer.capacity:
                self._lay_in_pieces(unit, packets)
            else:
                laid = slot.buffer.used_bytes
                self._packetiser.lay(unit, slot.buffer)
                slot.publish()
                self._laid_bytes += slot.buffer.used_bytes - laid
                self._count(unit, slot)
            if self._filling is not None and self._filling.buffer.used_bytes >= self.flush_threshold:
                self._swap(FlushReason.THRESHOLD)
            elif self._filling is not None and not self._flush_wanted:
                self._notify_when_first(self._filling)
            return True

    def _notify_when_first(self, slot: Slot) -> None:
        # The thread sleeps without a limit while nothing is buffered.
        if slot.video_units + slot.audio_units == 1:
            self._changed.notify_all()

    def _count(self, unit: AccessUnit, slot: Slot) -> None:
        if slot.video_units + slot.audio_units == 0:
            slot.first_dts = slot.end_dts = unit.dts
        slot.end_dts = max(slot.end_dts, unit.dts + unit.duration)
        slot.first_dts = min(slot.first_dts, unit.dts)
        if self._packetiser.is_video(unit.stream):
            slot.video_units += 1
        else:
            slot.audio_units += 1

    def _slot_with_room(self, packets: int) -> Slot | None:
        slot = self._filling
        if slot is None:
            raise StateError("new", "started", "call start() first")
        if slot.buffer.used + packets <= slot.buffer.capacity:
            return slot
        if slot.buffer.used and not self._swap(FlushReason.THRESHOLD):
            return None
        return self._filling

    def _lay_in_pieces(self, unit: AccessUnit, packets: int) -> None:
        """A unit larger than a slot: laid in private memory, then copied through the slots in turn.

        Here the caller waits, since a unit half laid cannot be refused.
        """
        whole = PacketBuffer(np.empty((packets, PACKET_BYTES), np.uint8))
        self._packetiser.lay(unit, whole)
        self._laid_bytes += whole.used_bytes
        done = 0
        while done < whole.used:
            slot = self._slot_with_room(1)
            if slot is None:
                self._clock.wait(self._changed, None)
                self.check()
                continue
            count = min(whole.used - done, slot.buffer.capacity - slot.buffer.used)
            end = slot.buffer.used_bytes + count * PACKET_BYTES
            piece = whole.bytes[done * PACKET_BYTES : (done + count) * PACKET_BYTES]
            slot.buffer.bytes[slot.buffer.used_bytes : end] = piece
            slot.buffer.used += count
            slot.publish()
            done += count
            if done == whole.used:
                self._count(unit, slot)

    def _swap(self, reason: FlushReason) -> bool:
        """Hand the filled slot to the thread and fill the free one; False while there is none."""
        if self._free is None or self._filling is None:
            self._flush_wanted = self._flush_wanted or reason
            return False
        now = self._clock.monotonic()
        self._jobs.append(Job(self._filling, reason, now - self._last_flush_s))
        self._free.open(self._filling.offset + self._filling.buffer.used_bytes)
        self._filling, self._free = self._free, None
        self._last_flush_s = now
        self._flush_wanted = None
        self._changed.notify_all()
        return True

    def flush(self, timeout_s: float | None = None) -> bool:
        """Write everything laid so far; True once that is done and told, False after ``timeout_s``.

        With durability="flush" it is on the disk then, else in the file. Raises WriteError where
        the writer has failed, StateError in ``on_flush``.
        """
        self._refuse_own_thread()
        with self._changed:
            target = self._laid_bytes
            deadline = None if timeout_s is None else self._clock.monotonic() + timeout_s
            while self._told_bytes < target:
                self.check()
                if self._filling is not None and self._filling.buffer.used and self._free is not None:
                    self._swap(FlushReason.EXPLICIT)
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
                record = self._flusher.flush(job)
                with self._changed:
                    self._free = job.slot
                    starved, self._starved = self._starved, False
                    self._changed.notify_all()
                if starved:
                    self._tell(self._on_room)
                self._tell(self._on_flush, record)
                with self._changed:
                    self._told_bytes = record.file_bytes
                    self._changed.notify_all()
            self.committed = self._flusher.finish(commit=self._closing == "commit", overwrite=self._overwrite)
            if self._tail is not None:
                self._tail.remove()
            error = None
        except RecordkitError as failure:
            log.error("%s", failure)
            error = failure
        finally:
            self._output.close()
            with self._changed:
                self.error = error
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
        self._jobs.clear()
        self._filling = self._free = self._tail = None

    def _next_job(self) -> Job | None:
        with self._changed:
            while not self._jobs:
                slot = self._filling
                if slot is not None and slot.buffer.used:
                    due_s = self._last_flush_s + self.flush_interval - self._clock.monotonic()
                    if self._closing:
                        self._swap(FlushReason.STOP)
                    elif self._flush_wanted or slot.buffer.used_bytes >= self.flush_threshold:
                        self._swap(self._flush_wanted or FlushReason.THRESHOLD)
                    elif due_s <= 0:
                        self._swap(FlushReason.INTERVAL)
                    else:
                        self._clock.wait(self._changed, due_s)
                elif self._closing:
                    return None
                else:
                    self._clock.wait(self._changed, None)
            return self._jobs.popleft()
