"""Who is told what a writer does: one object with a method for each thing that can happen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import RecordkitError
from ..model import FlushRecord
from ..onlooker import Onlooker


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """What stands before the writer, for the flush log: bytes waiting, units dropped since the start."""

    queue_bytes: int = 0
    dropped_units: int = 0


@dataclass(frozen=True, slots=True)
class Closed:
    """How a writer's file ended.

    Attributes:
        path: the final name if it was committed, the partial if not; None if there is no file.
        size_bytes: the size of that file.
        because: why it ended by itself, or None.
        error: what it failed with, or None.

    """

    path: Path | None
    size_bytes: int
    committed: bool
    because: str | None
    error: RecordkitError | None


class Observer:
    """Is told what a writer does; each method does nothing here.

    All are called from the writer's thread, outside its lock. What one of them raises is logged, and the
    recording goes on. None may wait for the writer.
    """

    def flushed(self, record: FlushRecord) -> None:
        """A flush is done."""

    def room(self) -> None:
        """``lay``, which said FULL, says something else now: there is room, or the recording has ended."""

    def waiting(self, because: str | None) -> None:
        """A flush waits, for this reason; with None, it waits no longer."""

    def full(self) -> bool:
        """The disk is full, and the recording ends with what has been laid: whether to commit that."""
        return True

    def over(self, closed: Closed) -> None:
        """All is done, or has failed, and the files are closed. The last call."""

    def queue(self) -> QueueStatus:
        """What stands before the writer at this moment."""
        return QueueStatus()


class Guarded(Observer):
    """Passes all on to ``observer``, and logs what that raises: whoever looks on cannot end the recording."""

    def __init__(self, observer: Observer, path: Path) -> None:
        self._observer = observer
        self._onlooker = Onlooker(f"{path}: an observer")

    def flushed(self, record: FlushRecord) -> None:  # noqa: D102 - as in Observer
        self._onlooker.tell(self._observer.flushed, record)

    def room(self) -> None:  # noqa: D102 - as in Observer
        self._onlooker.tell(self._observer.room)

    def waiting(self, because: str | None) -> None:  # noqa: D102 - as in Observer
        self._onlooker.tell(self._observer.waiting, because)

    def full(self) -> bool:  # noqa: D102 - as in Observer
        return self._onlooker.tell(self._observer.full) is not False

    def over(self, closed: Closed) -> None:  # noqa: D102 - as in Observer
        self._onlooker.tell(self._observer.over, closed)

    def queue(self) -> QueueStatus:  # noqa: D102 - as in Observer
        return self._onlooker.tell(self._observer.queue) or QueueStatus()
