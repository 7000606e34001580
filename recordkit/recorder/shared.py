"""What the recordings of one process share: a budget of bytes, the process's figures, and who else records."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar
from weakref import WeakValueDictionary

from ..budget import Budget
from ..keeping.keep import whats_wrong
from ..keeping.passing import Passes
from ..settings import Keep
from ..signatures import named
from ..system import Clock, System
from ..telemetry.process import ProcessProbe
from ..values import WholeLike, instance, maybe, whole
from . import admission
from .capacity import Capacity
from .large_pages import LargePages

_MOST_BYTES = 256 * 1024 * 1024
_LEAST_BYTES = 32 * 1024 * 1024
_MEMORY_PART = 8
_QUEUE_BYTES = whole(1, 1 << 62, "bytes", kilo=1024)


@named
class Shared:
    """Recordings made with the same one share it. ``queue_bytes`` bounds what waits in all of them together.

    Without it that is 256 MiB, or an eighth of the memory where that is less. Each recording may hold
    an equal part of it whatever the others do, so that one that is behind takes nothing from them.
    Threads are not shared: each recording has its own, so that a disk or a callback that hangs holds
    up nobody else.

    Raises SettingsError.
    """

    _of_process: ClassVar[Shared | None] = None
    _making: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        queue_bytes: WholeLike | None = None,
        *,
        _clock: Clock | None = None,
        _capacity: Capacity | None = None,
    ) -> None:
        self.capacity = _capacity or Capacity()
        if queue_bytes is None:
            queue_bytes = max(
                _LEAST_BYTES, min(_MOST_BYTES, (self.capacity.total_memory_bytes() or 0) // _MEMORY_PART)
            )
        self.budget = Budget(_QUEUE_BYTES("queue_bytes", queue_bytes))
        self.pages = LargePages()
        self.probe = ProcessProbe(Clock(), self.pages.look) if _clock is None else ProcessProbe(_clock)
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._running: list[Callable[[], admission.Load]] = []
        self._passes: WeakValueDictionary[tuple[Path, Keep, int], Passes] = WeakValueDictionary()

    @classmethod
    def of_process(cls, clock: Clock) -> Shared:
        """The one that recordings share where nobody chose another.

        It is made when the first recording is, and kept: recordings that are made in different
        corners of a program, which know nothing of each other, have nothing else to find each other
        by. A clock other than the machine's, as tests have, gets one of its own, since times of two
        clocks cannot be compared; so does a process that was forked off, in which nothing records.
        """
        if type(clock) is not Clock:
            return cls(_clock=clock)
        with cls._making:
            if cls._of_process is None or cls._of_process._pid != os.getpid():
                cls._of_process = cls()
            return cls._of_process

    def passes(self, folder: Path, keep: Keep, system: System) -> Passes:
        """The passes over ``folder``, which its recordings share: what lies there is known once."""
        with self._lock:
            key = (folder.absolute(), keep, id(system) if type(system) is not System else 0)
            found = self._passes.get(key)
            if found is None:
                found = self._passes[key] = Passes(folder, keep, system, whats_wrong)
            return found

    def admit(self, needs: admission.Needs) -> None:
        """Raises AdmissionError where the machine cannot carry one more recording beside those that run."""
        with self._lock:
            running = tuple(self._running)
        admission.check(needs, [load() for load in running], self.capacity)

    def join(self, load: Callable[[], admission.Load]) -> None:
        """A recording has begun; ``load`` tells how it bears up, from any thread and without waiting."""
        with self._lock:
            self._running.append(load)

    def leave(self, load: Callable[[], admission.Load]) -> None:
        """It has ended; may be called again."""
        with self._lock:
            if load in self._running:
                self._running.remove(load)


SHARED = maybe(instance(Shared, "give recordkit.Shared(), or None"))
