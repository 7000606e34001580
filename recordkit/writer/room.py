"""What becomes of a flush when the disk is full: it waits for room, or the tail makes room for it.

The tail is a file of real disk space, twice as large as the buffer. Once nothing is laid into it any
more, what its slots hold can be moved into the recording piece by piece, each piece making room for
the next: all that was packetised is in the file at the end, however full the disk is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..errors import WriteError
from ..mpegts.laying import PACKET_BYTES
from ..settings import OnDiskFull
from ..system import FULL, Clock, System
from .closing import Closing
from .observer import Observer
from .output import Output
from .slot import Slot
from .tail import Tail

RETRY_S = 0.5
_PIECE_BYTES = 32 * 1024 // PACKET_BYTES * PACKET_BYTES


class Room:
    """Writes slots into the recording, on a full disk as ``policy`` says; called from one thread.

    ``observer`` is told why it waits. Before the tail makes room, ``closing`` ends the recording:
    nothing may be laid any more from then on.
    """

    def __init__(
        self,
        output: Output,
        clock: Clock,
        system: System,
        policy: OnDiskFull,
        closing: Closing,
        observer: Observer,
    ) -> None:
        self._output = output
        self._clock = clock
        self._system = system
        self._waits = policy == "wait"
        self._closing = closing
        self._observer = observer
        self._changed = threading.Condition()

    def stop_waiting(self) -> None:
        """Wait for room no longer. May be called from any thread, and waits for nothing."""
        with self._changed:
            self._waits = False
            self._changed.notify_all()

    def write(self, slot: Slot, tail: Tail) -> None:
        """Write what ``slot`` holds to its place. Raises WriteError; the tail has what the file has not then."""
        done = 0
        is_waiting = False
        while (done := self._written(slot, done, slot.buffer.used_bytes - done)) < slot.buffer.used_bytes:
            if not self._waits:
                self._closing.disk_full()
                self._move(slot, done, tail)
                break
            if not is_waiting:
                is_waiting = True
                self._observer.waiting(f"waiting for room: no space is left in {self._output.final_path.parent}")
            self._wait()
        if is_waiting:
            self._observer.waiting(None)

    def complete(self, append: Callable[[], None], give_way: Callable[[], None]) -> None:
        """Do ``append``, which may be repeated. On a full disk again after ``give_way``, then as the policy says.

        Raises WriteError.
        """
        has_given = is_waiting = False
        while True:
            try:
                append()
                break
            except WriteError as error:
                if error.errno not in FULL or (has_given and not self._waits):
                    raise
            if has_given:
                is_waiting = True
                self._observer.waiting(f"waiting for room: no space is left in {self._output.final_path.parent}")
                self._wait()
            else:
                has_given = True
                give_way()
        if is_waiting:
            self._observer.waiting(None)

    def _written(self, slot: Slot, done: int, size: int, *, must: bool = False) -> int:
        """Write ``size`` bytes of the slot from ``done`` on; up to where that went before the disk was full.

        Raises WriteError; for a full disk only where not one packet went in that ``must``.
        """
        try:
            self._output.write(slot.buffer.bytes[done : done + size], slot.offset + done)
        except WriteError as error:
            end = error.offset - slot.offset
            # A limit on the size of a file is none of the disk's: no room helps against that.
            if error.errno not in FULL or (must and end == done):
                raise
            return end
        return done + size

    def _wait(self) -> None:
        """Come back when there may be room, or it is of no use to wait for it any longer."""
        while True:
            with self._changed:
                if self._waits:
                    self._clock.wait(self._changed, RETRY_S)
                if not self._waits:
                    return
            try:
                # Where it is not known, the write will tell.
                if self._system.free_bytes(self._output.final_path.parent) != 0:
                    return
            except OSError:
                return  # the write will tell

    def _move(self, slot: Slot, done: int, tail: Tail) -> None:
        """Write the slot from ``done`` on, in the room that the tail gives back; raises WriteError."""
        while True:
            if done > slot.moved_bytes:
                # Before the slot loses it: a write that never reached the disk is told by the sync.
                self._output.sync_data(slot.offset + done)
                slot.note_moved(done)
            if done == slot.buffer.used_bytes:
                return
            given = tail.give_back()
            # File systems take room for a large write by the megabyte, or none.
            while (size := min(_PIECE_BYTES, slot.buffer.used_bytes - done)) and (
                end := self._written(slot, done, size, must=not given)
            ) > done:
                done, given = end, given or 1
