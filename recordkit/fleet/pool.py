"""The processes of this machine that work on many files: what dies costs one row, and is replaced."""

from __future__ import annotations

import json
import os
import selectors
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from time import sleep

from ..background.process import WorkerProcess, signal_name, start_worker
from ..errors import FleetError
from ..telemetry.words import json_text
from .pace import Pace
from .rows import DIED, Row, failed
from .task import WAIT, Task, clear

_MODULE = f"{__package__}.worker"
_READ_BYTES = 1 << 20
_LONGEST_END_S = 10.0
_AHEAD_S = 0.5
_MOST_AHEAD_BYTES = 32 * 1024
"""Less than a pipe takes: whoever writes to a process that writes itself must not wait for it."""
_LONGEST_REST_S = 0.025
TICK_S = 0.2


def usual_jobs() -> int:
    """As many processes as there are cores for this one."""
    return len(os.sched_getaffinity(0))


class Pool:
    """``jobs`` processes, each with one file at a time, and some small ones ahead. Not to be used by two threads.

    What a process that died had ahead is done by others.
    """

    name = "this machine"

    def __init__(self, jobs: int, start: Callable[[str], WorkerProcess] = start_worker) -> None:
        self.jobs = jobs
        self._start = start

    def rows(self, tasks: Iterator[Task | None]) -> Generator[Row | None]:
        """A row for each of ``tasks`` when it is done; None now and then if nothing is, and for each None of them.

        There is one when all processes have begun, which will take a while to answer. Of ``tasks`` no more are
        taken than are worked on, or soon will be. Ended early it stops what runs, and leaves no half file.

        Raises FleetError if no process can be started.
        """
        with selectors.DefaultSelector() as selector:
            run = _Run(self, self._start, selector)
            try:
                yield from run.rows(tasks)
            finally:
                for one in run.workers:
                    one.stop()
                for one in run.workers:
                    one.end()


class _Run:
    """The processes of one call."""

    def __init__(self, pool: Pool, start: Callable[[str], WorkerProcess], selector: selectors.BaseSelector) -> None:
        self.workers: list[_Worker] = []
        self._pool = pool
        self._start = start
        self._selector = selector
        self._pace = Pace(_AHEAD_S)
        self._again: deque[Task] = deque()
        self._has_begun = False

    def rows(self, tasks: Iterator[Task | None]) -> Iterator[Row | None]:
        for task in tasks:
            if task is None:
                yield None
            else:
                yield from self._repeated()
                yield from self._heard() if task is WAIT else self._given(task)
        while self._again or any(one.tasks for one in self.workers):
            yield from self._repeated()
            yield from self._heard()

    def _repeated(self) -> Iterator[Row | None]:
        """What those that died had ahead is given to others, before anything else."""
        while self._again:
            yield from self._given(self._again.popleft())

    def _given(self, task: Task) -> Iterator[Row | None]:
        line = (json_text(task.to_dict()) + "\n").encode("ascii")
        # A part takes long, and so does what is sent to join parts: nothing waits for them.
        alone = task.part is not None
        while (chosen := self._with_room(len(line), 1 if alone else self._pace.count)) is None:
            yield from self._heard()
        chosen.give(task, line)

    def _with_room(self, size: int, count: int) -> _Worker | None:
        """The process with the least to do, if it may have more; a new one as long as all have something."""
        best = min(self.workers, key=lambda one: len(one.tasks), default=None)
        if len(self.workers) < self._pool.jobs and (best is None or best.tasks):
            try:
                process = self._start(_MODULE)
            except OSError as error:
                raise FleetError(
                    self._pool.name, f"no process can be started: {error.strerror or error}"
                ) from error
            best = _Worker(process)
            self.workers.append(best)
            self._selector.register(best.hearing, selectors.EVENT_READ, best)
        return best if best is not None and best.has_room(size, count) else None

    def _heard(self) -> Iterator[Row | None]:
        if not self._has_begun:
            self._has_begun = True
            yield None
        # Rows are fetched some at a time while nobody waits for more to do: to wake for each costs as much again.
        ahead = min((len(one.tasks) for one in self.workers), default=0)
        sleep(min(_LONGEST_REST_S, self._pace.seconds(ahead // 2)))
        ready = self._selector.select(TICK_S)
        if not ready:
            yield None
        for key, _ in ready:
            worker: _Worker = key.data
            rows, is_there = worker.hear()
            for row in rows:
                self._pace.note(row)
                yield row
            if not is_there:
                self._selector.unregister(worker.hearing)
                self.workers.remove(worker)
                last = worker.dead(self._pool.name)
                self._again += worker.tasks
                if last is not None:
                    yield last


class _Worker:
    """One process, the tasks that it has, and what it has said of them by now."""

    def __init__(self, process: WorkerProcess) -> None:
        self.tasks: deque[Task] = deque()
        self.hearing, self._speaking = process.descriptors()
        self._process = process
        self._said = b""
        self._has_begun = False
        self._lines: deque[int] = deque()
        self._ahead_bytes = 0

    def has_room(self, size: int, count: int) -> bool:
        """Whether it may have one more, which is told in ``size`` bytes, of ``count``."""
        if not self.tasks:
            return True
        is_busy = len(self.tasks) >= count or self.tasks[-1].part is not None
        return not is_busy and self._ahead_bytes + size <= _MOST_AHEAD_BYTES

    def give(self, task: Task, line: bytes) -> None:
        """It is to do ``task``, as ``line`` says; that it has died is heard later."""
        self.tasks.append(task)
        self._lines.append(len(line))
        self._ahead_bytes += len(line)
        with suppress(BrokenPipeError):
            while line:
                line = line[os.write(self._speaking, line) :]

    def hear(self) -> tuple[list[Row], bool]:
        """The rows that are complete, and whether the process is still there."""
        data = os.read(self.hearing, _READ_BYTES)
        *lines, self._said = (self._said + data).split(b"\n")
        if lines and not self._has_begun:
            self._has_begun = True
            del lines[0]
        for _ in lines:
            self.tasks.popleft()
            self._ahead_bytes -= self._lines.popleft()
        return [json.loads(line) for line in lines], bool(data)

    def dead(self, engine: str) -> Row | None:
        """What its end is for the file that it had. Raises FleetError if it never began."""
        code, words = self._process.last_words()
        self._close()
        last = words.splitlines()[-1] if words else ""
        how = (
            f"was killed by signal {-code} ({signal_name(-code)})"
            if code < 0
            else f"ended by itself (exit code {code})" + (f": {last}" if last else "")
        )
        if not self._has_begun and code >= 0:
            raise FleetError(engine, f"a process that was to work {how}\n{words}".rstrip())
        if not self.tasks:
            return None
        task = self.tasks.popleft()
        clear(task)
        return task.row(failed(task.path, DIED, f"the process that worked on it {how}"))

    def stop(self) -> None:
        """No further task; what it is at is broken off."""
        if self.tasks:
            self._process.popen.send_signal(signal.SIGTERM)
        os.close(self._speaking)
        self._speaking = -1

    def end(self) -> None:
        """Wait for its end."""
        self._process.last_words()
        for task in self.tasks:
            clear(task)
        self._close()

    def _close(self) -> None:
        for descriptor in (self.hearing, self._speaking):
            if descriptor >= 0:
                os.close(descriptor)
        self.hearing = self._speaking = -1
