"""A writer on a fake clock and a faulty system, with what it told its observers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recordkit.errors import RecordkitError
from recordkit.model import AccessUnit, FlushRecord
from recordkit.settings import RecordingSettings
from recordkit.writer.buffer import Laid, NotLaid
from recordkit.writer.closing import DISK_FULL
from recordkit.writer.observer import Closed, Observer, QueueStatus
from recordkit.writer.writer import Writer

from ..steering import GUARD_S, FakeClock, FaultySystem, packetiser, recordkit_threads, unit

WRITE_THREAD = "recordkit-write"
SMALL = 64 * 1024


class Rig(Observer):
    def __init__(self, path: Path, *, audio: bool = False, prepare=None, clock=None, **settings) -> None:
        self.clock = clock or FakeClock()
        self.system = FaultySystem(folder=path.parent)
        if prepare is not None:
            prepare(self.system)
        self.records: list[FlushRecord] = []
        self.rooms = 0
        self.waits: list[str | None] = []
        self.ends: list[str] = []
        self.commits_when_full = True
        self.closed: list[Closed] = []
        self._told = threading.Condition()
        settings = {"flush_threshold": SMALL} | settings
        self.packetiser = packetiser(audio=audio)
        self.writer = Writer(
            RecordingSettings(path=path, _clock=self.clock, _system=self.system, **settings), self.packetiser, self
        )
        self.partial, self.final = self.writer.temp_output_path, self.writer.final_output_path
        self.tail = self.final.with_suffix(".recording.tail")
        self.laid: list[AccessUnit] = []
        self.offsets: list[int] = []
        self.refused: NotLaid | None = None

    def flushed(self, record: FlushRecord) -> None:
        with self._told:
            self.records.append(record)
            self._told.notify_all()

    def room(self) -> None:
        with self._told:
            self.rooms += 1
            self._told.notify_all()

    def waiting(self, because: str | None) -> None:
        with self._told:
            self.waits.append(because)
            self._told.notify_all()

    def full(self) -> bool:
        self.ends.append(DISK_FULL)
        return self.commits_when_full

    def over(self, closed: Closed) -> None:
        with self._told:
            self.closed.append(closed)
            self._told.notify_all()

    def queue(self) -> QueueStatus:
        return QueueStatus(17, 3)

    def close(self, *, commit: bool, timeout_s: float = GUARD_S) -> bool:
        """Close the writer and wait for its end."""
        self.writer.close(commit=commit)
        return self.writer.join(timeout_s)

    def until_over(self) -> Closed:
        with self._told:
            assert self._told.wait_for(lambda: self.closed, GUARD_S), "the end was never told"
            return self.closed[0]

    def until_told(self, count: int) -> None:
        with self._told:
            assert self._told.wait_for(lambda: len(self.waits) >= count, GUARD_S), "nothing was told of waiting"

    def lay(self, count: int = 1, size: int = 1000, stream: int = 0) -> int:
        """Lay ``count`` more units; returns how many went in before the buffer was full, or the recording ended."""
        for done in range(count):
            one = unit(len(self.laid), size, stream=stream)
            laid = self.writer.lay(one)
            if not isinstance(laid, Laid):
                self.refused = laid
                return done
            self.offsets.append(laid.offset)
            self.laid.append(one)
        return count

    def until_flushed(self, count: int) -> FlushRecord:
        with self._told:
            assert self._told.wait_for(lambda: len(self.records) >= count, GUARD_S), "the flush never came"
            return self.records[count - 1]

    def until_room(self, count: int = 1) -> None:
        with self._told:
            assert self._told.wait_for(lambda: self.rooms >= count, GUARD_S), "room was never told of"

    def idle(self) -> None:
        """Wait until the writer's thread has nothing to do."""
        self.clock.until_waiting(WRITE_THREAD)

    def failure(self) -> RecordkitError:
        """Wait for the thread's end by a fault, and give that."""
        assert self.close(commit=True)
        assert self.writer.error is not None
        return self.writer.error


@contextmanager
def rigged(path: Path, **settings) -> Iterator[Rig]:
    """A rig whose writer has begun; at the end no thread of it may be left."""
    with recordkit_threads():
        rig = Rig(path, **settings)
        rig.writer.start()
        try:
            yield rig
        finally:
            rig.close(commit=False)
