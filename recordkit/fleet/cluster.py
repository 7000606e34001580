"""The same work on other machines, by a Dask client; nothing of Dask is imported before there is one."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from importlib import import_module
from typing import Any

from ..errors import FleetError, SettingsError
from ..telemetry.words import count_text
from ..verification.room import Room
from ..version import __version__
from .actions import run
from .pace import Pace
from .pool import TICK_S
from .rows import DIED, Row, failed
from .task import WAIT, Task, clear

log = logging.getLogger("recordkit")

_TOGETHER_S = 0.25
_AHEAD = 2
"""Batches of tasks that are with the scheduler for each thread of a worker: none waits for its next."""
_LONGEST_WAIT_S = 30.0
_MOST_TOLD = 3
_SLOTS = "slots"
_LONGEST_ANSWER_S = 4.0
_SITE = "recordkit_site"


def is_client(engine: Any) -> bool:  # noqa: ANN401 - whatever a caller gives
    """Whether ``engine`` is a ``distributed.Client``, found without importing it."""
    return any(
        kind.__module__.startswith("distributed.") and kind.__name__ == "Client" for kind in type(engine).__mro__
    )


class Cluster:
    """The workers that a client's scheduler has. What they die of, and how often it is tried again, is Dask's.

    Files are read where the workers are: their paths must lead to the same files there.

    Raises SettingsError for a client that is asynchronous.
    """

    def __init__(self, client: Any, *, wait_s: float = _LONGEST_WAIT_S) -> None:  # noqa: ANN401 - a distributed.Client
        if client.asynchronous:
            raise SettingsError("engine", client, "give a client that is not asynchronous")
        self._client = client
        self._wait_s = wait_s
        # A client that was closed knows it no more.
        scheduler = getattr(client, "scheduler", None)
        self.name = str(getattr(scheduler, "address", None) or "the Dask client")
        self._other = ""
        """What is said beside each fault of a scheduler that has another Dask."""

    def rows(self, tasks: Iterator[Task | None]) -> Generator[Row | None]:
        """A row for each of ``tasks`` when it is done, None now and then. Ended early it cancels the others.

        Raises FleetError if the scheduler is not there or has no workers, or a worker has another recordkit.
        """
        run = _Run(self, self._client, self.check())
        try:
            yield from run.rows(tasks)
        finally:
            run.cancel()

    def check(self) -> int:
        """How many tasks may be with the scheduler at a time. Raises FleetError."""
        self.check_connection()
        self._compare_versions()
        try:
            self._client.wait_for_workers(1, timeout=self._wait_s)
        except TimeoutError as error:
            raise FleetError(
                self.name, f"the scheduler has no workers, waited {self._wait_s:g} s for one"
            ) from error
        # One that dies meanwhile says nothing; what comes in its place is asked with its first work.
        told: dict[str, Any] = self.asked(lambda: self._client.run(_probe(), on_error="return"))
        versions = {
            address: None if isinstance(one, Exception) else one
            for address, one in told.items()
            if not isinstance(one, OSError)
        }
        other = {address: version for address, version in versions.items() if version != __version__}
        if other:
            count = f"{len(other):,} of {count_text(len(versions), 'worker')}"
            words = [f"{address} has {version or 'none'}" for address, version in list(other.items())[:_MOST_TOLD]]
            more = [f"{len(other) - _MOST_TOLD:,} more"] if len(other) > _MOST_TOLD else []
            raise FleetError(
                self.name,
                f"{count} cannot work with recordkit {__version__}: "
                f"{', '.join(words + more)}; install that version there",
            )
        threads: dict[str, int] = self.asked(self._client.nthreads)
        return _AHEAD * max(sum(threads.values()), 1)

    def asked(self, ask: Callable[[], Any]) -> Any:  # noqa: ANN401 - what ``ask`` returns
        """What ``ask`` returns, which asks something of the client. Raises FleetError without a sound answer."""
        closed = getattr(import_module("distributed.client"), "ClosedClientError", OSError)
        try:
            return ask()
        except (OSError, RuntimeError, CancelledError, closed) as error:
            raise FleetError(self.name, f"the scheduler does not answer any more: {error}{self._other}") from error
        except (AttributeError, ImportError, LookupError, TypeError, ValueError) as error:
            if not self._other:
                raise
            words = f"the scheduler is not understood: {type(error).__name__}: {error}{self._other}"
            raise FleetError(self.name, words) from error

    def _compare_versions(self) -> None:
        """Neighbouring versions of Dask understand each other, mostly: so it is told where that matters."""
        here = import_module("distributed").__version__
        told = self.asked(lambda: self._client.sync(self._client.scheduler.versions))
        there = told.get("packages", {}).get("distributed")
        if there != here:
            self._other = f" (it has distributed {there}, and here is {here}: install the same version)"
            log.warning("%s has distributed %s, and here is %s", self.name, there, here)

    def check_connection(self) -> None:
        """Raises FleetError if the scheduler is not there."""
        if self._client.status != "running":
            raise FleetError(
                self.name, f"the client is not connected ({self._client.status}): is the scheduler there?"
            )


class _Run:
    """The work of one call. Small tasks are sent together: to send one costs more than to do it."""

    def __init__(self, cluster: Cluster, client: Any, room: int) -> None:  # noqa: ANN401 - a distributed.Client
        self._cluster = cluster
        self._client = client
        self._room = room
        self._pace = Pace(_TOGETHER_S)
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._flying: dict[str, tuple[Any, list[Task]]] = {}
        self._waiting: list[Task] = []

    def rows(self, tasks: Iterator[Task | None]) -> Iterator[Row | None]:
        for task in tasks:
            if task is None:
                yield None
            elif task is WAIT:
                yield from self._sent()
                yield from self._next()
            else:
                self._waiting.append(task)
                if task.part is not None or len(self._waiting) >= self._pace.count:
                    yield from self._sent()
        yield from self._sent()
        while self._flying:
            yield from self._next()

    def cancel(self) -> None:
        """What is not done is not wanted any more."""
        if self._flying and self._client.status == "running":
            with suppress(FleetError):  # nobody is there to do it any more
                self._cluster.asked(lambda: self._client.cancel([one for one, _ in self._flying.values()]))

    def _sent(self) -> Iterator[Row | None]:
        """Send what waits, as soon as there is room."""
        while self._waiting:
            while len(self._flying) >= self._room:
                yield from self._next()
            self._send(self._waiting)
            self._waiting = []

    def _send(self, tasks: list[Task]) -> None:
        self._await(self._cluster.asked(lambda: self._client.submit(run_at, tasks, __version__, pure=False)), tasks)

    def _await(self, future: Any, tasks: list[Task]) -> None:  # noqa: ANN401 - a distributed.Future
        self._flying[future.key] = future, tasks
        future.add_done_callback(self._done.put)

    def _next(self) -> Iterator[Row | None]:
        try:
            future = self._done.get(timeout=TICK_S)
        except queue.Empty:
            self._cluster.check_connection()
            yield None
            return
        future, tasks = self._flying.pop(future.key)
        if future.status == "cancelled":
            self._cluster.check_connection()
            words = f"the scheduler has lost {tasks[0].path}: it was cancelled, or began anew"
            raise FleetError(self._cluster.name, words)
        if future.status == "finished":
            for row in self._cluster.asked(future.result):
                self._pace.note(row)
                yield row
        elif future.status != "error":
            self._await(future, tasks)  # a worker has died with what was done: Dask does it once more
        elif len(tasks) > 1:
            # Which of them it was is found out by each alone.
            for task in tasks:
                self._send([task])
        else:
            yield _failure(tasks[0], self._cluster.asked(future.exception))


def _failure(task: Task, error: Exception) -> Row:
    if isinstance(error, import_module("distributed").KilledWorker):
        clear(task)
        words = f"{error.allowed_failures + 1} workers died while they worked on it"
        return task.row(failed(task.path, DIED, words))
    return task.row(failed(task.path, "failed", f"{type(error).__name__}: {error}"))


def run_at(tasks: list[Task], version: str) -> list[Row]:
    """Do ``tasks`` on a worker. Raises FleetError if its recordkit is of another version."""
    if version != __version__:
        raise FleetError("this worker", f"has recordkit {__version__}, and was given work of {version}")
    room = Room()
    return [run(task, room) for task in tasks]


def _probe() -> Callable[[], str | None]:
    """What tells a worker's version of recordkit; carried by value, so that it runs where there is none."""

    def version() -> str | None:
        from importlib import import_module

        try:
            found: str = import_module("recordkit.version").__version__
        except ImportError:
            return None
        return found

    return version


class ClusterSites:
    """The workers of a cluster as machines that record: asked beside their tasks, which may take long.

    Raises FleetError if the scheduler is not there, has no workers, or one of them cannot be used.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - a distributed.Client
        self._cluster = Cluster(client)
        self._client = client
        self._ready: set[str] = set()
        self._cluster.check()

    def living(self) -> dict[str, float | None]:
        """The workers by address, with their resource ``slots``. Raises FleetError."""
        self._cluster.check_connection()
        workers = self._cluster.asked(self._client.scheduler_info)["workers"]
        return {address: one.get("resources", {}).get(_SLOTS) for address, one in workers.items()}

    def ask(self, questions: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """The answers of those that answer in time. Raises FleetError."""
        import asyncio

        client, ready = self._client, self._ready

        async def ask_one(address: str, asked: dict[str, Any]) -> Any:  # noqa: ANN401 - an answer, or an error
            if address not in ready:
                await client.run(take_part, workers=[address], asynchronous=True)
                ready.add(address)
            # Past client.run, of which each worker notes each call in its log.
            message = {"op": _SITE, "asked": asked}
            found = await client.scheduler.broadcast(msg=message, workers=[address], on_error="return_pickle")
            return found.get(address)

        async def ask_in_time(address: str, asked: dict[str, Any]) -> Any:  # noqa: ANN401 - likewise
            return await asyncio.wait_for(ask_one(address, asked), _LONGEST_ANSWER_S)

        async def ask_all() -> list[Any]:
            return await asyncio.gather(*(ask_in_time(*one) for one in questions.items()), return_exceptions=True)

        found = self._cluster.asked(lambda: client.sync(ask_all))
        return {address: one for address, one in zip(questions, found, strict=True) if isinstance(one, dict)}


def take_part(dask_worker: Any) -> None:  # noqa: ANN401 - a distributed.Worker
    """Let a worker answer what its ``Site`` is asked, in a thread: its loop goes on, and so do its tasks."""
    import asyncio

    from .site import Site

    if _SITE in dask_worker.handlers:
        return
    site = Site("continue")

    async def answer(asked: dict[str, Any]) -> dict[str, Any]:
        return await asyncio.to_thread(site.answer, asked)

    dask_worker.handlers[_SITE] = answer
