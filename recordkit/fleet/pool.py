"""The processes of this machine that work on many files: what dies costs one row, and is replaced."""

from __future__ import annotations

import json
import os
import selectors
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import asdict

from ..background.process import WorkerProcess, signal_name, start_worker
from ..errors import FleetError
from ..telemetry.words import json_text
from .rows import DIED, Row, failed
from .task import WAIT, Task, clear

_MODULE = f"{__package__}.worker"
_READ_BYTES = 1 << 20
_LONGEST_END_S = 10.0
TICK_S = 0.2


def usual_jobs() -> int:
    """As many processes as there are cores for this one."""
    return len(os.sched_getaffinity(0))


class Pool:
    """``jobs`` processes, each with one file at a time. Not to be used by two threads at once."""

    name = "this machine"

    def __init__(self, jobs: int, start: Callable[[str], WorkerProcess] = start_worker) -> None:
        self.jobs = jobs
        self._start = start

    def rows(self, tasks: Iterator[Task | None]) -> Generator[Row | None]:
        """A row for each of ``tasks`` when it is done; None now and then if nothing is, and for each None of them.

        Of ``tasks`` no more are taken than are worked on. Ended early it stops what runs, and leaves no half file.

        Raises FleetError if no process can be started.
        """
        workers: list[_Worker] = []
        with selectors.DefaultSelector() as selector:
            try:
                yield from self._rows(tasks, workers, selector)
            finally:
                for one in workers:
                    one.stop()
                for one in workers:
                    one.end()

    def _rows(
        self, tasks: Iterator[Task | None], workers: list[_Worker], selector: selectors.BaseSelector
    ) -> Iterator[Row | None]:
        for task in tasks:
            if task is None:
                yield None
                continue
            if task is WAIT:
                yield from self._heard(workers, selector)
                continue
            while (idle := self._idle(workers, selector)) is None:
                yield from self._heard(workers, selector)
            idle.give(task)
        while any(one.task is not None for one in workers):
            yield from self._heard(workers, selector)

    def _idle(self, workers: list[_Worker], selector: selectors.BaseSelector) -> _Worker | None:
        idle = next((one for one in workers if one.task is None), None)
        if idle is not None or len(workers) >= self.jobs:
            return idle
        try:
            process = self._start(_MODULE)
        except OSError as error:
            raise FleetError(self.name, f"no process can be started: {error.strerror or error}") from error
        worker = _Worker(process)
        workers.append(worker)
        selector.register(worker.hearing, selectors.EVENT_READ, worker)
        return worker

    def _heard(self, workers: list[_Worker], selector: selectors.BaseSelector) -> Iterator[Row | None]:
        ready = selector.select(TICK_S)
        if not ready:
            yield None
        for key, _ in ready:
            worker: _Worker = key.data
            row, is_there = worker.hear()
            if row is not None:
                yield row
            if not is_there:
                selector.unregister(worker.hearing)
                workers.remove(worker)
                row = worker.dead(self.name)
                if row is not None:
                    yield row


class _Worker:
    """One process, the task that it has, and what it has said of it by now."""

    def __init__(self, process: WorkerProcess) -> None:
        self.task: Task | None = None
        self.hearing, self._speaking = process.descriptors()
        self._process = process
        self._said = b""
        self._has_begun = False

    def give(self, task: Task) -> None:
        """It is to do ``task``; that it has died is heard later."""
        self.task = task
        line = (json_text(asdict(task)) + "\n").encode("ascii")
        with suppress(BrokenPipeError):
            while line:
                line = line[os.write(self._speaking, line) :]

    def hear(self) -> tuple[Row | None, bool]:
        """A row, if one is complete, and whether the process is still there."""
        data = os.read(self.hearing, _READ_BYTES)
        self._said += data
        row = None
        while b"\n" in self._said:
            line, _, self._said = self._said.partition(b"\n")
            if self._has_begun:
                row, self.task = json.loads(line), None
            self._has_begun = True
        return row, bool(data)

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
        task, self.task = self.task, None
        if task is None:
            return None
        clear(task)
        return task.row(failed(task.path, DIED, f"the process that worked on it {how}"))

    def stop(self) -> None:
        """No further task; what it is at is broken off."""
        if self.task is not None:
            self._process.popen.send_signal(signal.SIGTERM)
        os.close(self._speaking)
        self._speaking = -1

    def end(self) -> None:
        """Wait for its end."""
        self._process.last_words()
        if self.task is not None:
            clear(self.task)
        self._close()

    def _close(self) -> None:
        for descriptor in (self.hearing, self._speaking):
            if descriptor >= 0:
                os.close(descriptor)
        self.hearing = self._speaking = -1
