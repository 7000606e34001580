"""One machine of those that record: what it is asked, and what it answers; plain values that JSON has."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from ..background.description import restore
from ..background.session import Session
from ..background.sessions import attach, sessions, start
from ..errors import AdmissionError, RecordkitError, StateError, WorkerError
from ..names import partial_of, suffix_of
from ..recorder.capacity import Capacity
from ..recovery.recover import recover
from ..system import System

_AT_ONCE = 16

Standing = dict[str, Any]
"""How one recording stands here: its ``state``, figures, and what went wrong in words.

``state`` is that of a session, or "refused" by admission, "died" (nobody records the partial that is there), "away"
(it is there, and nobody here can be called about it), "done" (the finished file is there) or "absent".
"""


class Site:
    """What records here. It answers at once: what takes time is begun in a thread, and told when it is done."""

    def __init__(self, on_parent_exit: str) -> None:
        self._on_parent_exit: Any = on_parent_exit
        self._sessions: dict[str, Session] = {}
        self._errors: dict[str, RecordkitError] = {}
        self._work: dict[tuple[str, str], Future[Any]] = {}
        self._threads = ThreadPoolExecutor(_AT_ONCE, "recordkit-site")

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Begin what is asked for, and say how all stands: ``room`` of this machine, and ``standings`` by path.

        ``begin`` are orders (path, source, settings), ``stop`` and ``recover`` are paths, ``watch`` those whose
        standings are wanted, ``folders`` where there has to be room. ``seek`` are paths of sources that this call
        has not placed yet: their standings have the ``attempt`` that is the newest there, files of which are
        not among ``taken``.
        """
        for order in asked.get("begin", ()):
            self._errors.pop(order["path"], None)
            self._sessions.pop(order["path"], None)
            self._do("begin", order["path"], partial(self._begin, order))
        for path in asked.get("stop", ()):
            self._do("stop", path, partial(self._stop, path))
        for path in asked.get("recover", ()):
            self._do("recover", path, partial(_recovered, path))
        return {
            "room": self._room(asked.get("folders", ())),
            "standings": {
                **{path: self._standing(path) for path in asked.get("watch", ())},
                **{path: self._sought(path, asked["taken"]) for path in asked.get("seek", ())},
            },
            "recovered": {
                path: found for path in asked.get("recover", ()) if (found := self._done("recover", path))
            },
        }

    def close(self) -> None:
        """No further work; what records goes on."""
        self._threads.shutdown(wait=False)

    def _do(self, what: str, path: str, work: Callable[[], Any]) -> None:
        """Begin ``work`` unless it goes on, or its result has not been fetched."""
        if (what, path) not in self._work:
            self._work[what, path] = self._threads.submit(work)

    def _done(self, what: str, path: str) -> Any:  # noqa: ANN401 - what the work returned
        """The result, once."""
        future = self._work.get((what, path))
        if future is None or not future.done():
            return None
        del self._work[what, path]
        return future.result()

    def _begin(self, order: dict[str, Any]) -> None:
        path = order["path"]
        try:
            settings = {name: restore(name, one) for name, one in order["settings"].items()}
            try:
                # It goes on from an earlier time, when somebody else had placed it.
                self._session(path)
            except StateError:
                source = restore("sources", order["source"])
                self._sessions[path] = start(source, path, on_parent_exit=self._on_parent_exit, **settings)
        except RecordkitError as error:
            self._errors[path] = error

    def _stop(self, path: str) -> None:
        try:
            self._session(path).stop()
        except RecordkitError as error:
            self._errors[path] = error

    def _session(self, path: str) -> Session:
        """Raises StateError if nobody can be called about ``path``."""
        session = self._sessions.get(path)
        if session is None:
            # What this program records itself and takes with it can be called by nobody, nor needs to be.
            ours = (one for one in sessions() if str(one.path) == path)
            session = self._sessions[path] = next(ours, None) or attach(path)
        return session

    def _sought(self, path: str, taken: Collection[str]) -> Standing:
        attempt = number = 1
        while (other := nth_path(path, number := number + 1)) in taken or _is_there(other):
            attempt = attempt if other in taken else number
        return self._standing(nth_path(path, attempt)) | {"attempt": attempt}

    def _standing(self, path: str) -> Standing:
        self._done("stop", path)
        size = _partial_bytes(path)
        if (begun := self._work.get(("begin", path))) is not None:
            if not begun.done():
                return {"state": "starting", "partial_bytes": size}
            self._done("begin", path)
        if (error := self._errors.get(path)) is not None and path not in self._sessions:
            state = "refused" if isinstance(error, AdmissionError) else "failed"
            return {"state": state, "problem": str(error), "partial_bytes": size}
        try:
            session = self._session(path)
        except RecordkitError as found:
            return {"state": _state_of(path, found), "problem": str(found), "partial_bytes": size}
        failure = session.error
        state = "died" if isinstance(failure, WorkerError) else str(session.state)
        standing: Standing = {"state": state, "process": session.worker_pid, "partial_bytes": size}
        standing |= asdict(session.figures)
        return standing | ({} if failure is None else {"problem": str(failure)})

    @staticmethod
    def _room(folders: Any) -> dict[str, Any]:  # noqa: ANN401 - a list of text
        capacity, free = Capacity(), [_free_bytes(Path(one)) for one in folders]
        known = [one for one in free if one is not None]
        return {
            "machine": machine(),
            "memory_bytes": capacity.memory_bytes(),
            "descriptors": capacity.descriptors(),
            "free_bytes": min(known, default=None),
        }


def nth_path(path: str, attempt: int) -> str:
    """Where a source records that is placed for the ``attempt``-th time: each time into another file."""
    if attempt <= 1:
        return path
    suffix = suffix_of(path)
    return f"{path.removesuffix(suffix)}-{attempt}{suffix}"


def machine() -> str:
    """What tells this machine from others: two processes with the same can call each other by sockets."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return f"{boot}/{os.stat('/proc/self/ns/net').st_ino}"  # noqa: PTH116


def _state_of(path: str, error: RecordkitError) -> str:
    state = getattr(error, "state", None)
    if state == "unfinished":
        return "died"
    if state == "absent":
        return "done" if Path(path).exists() else "absent"
    return "away"


def _is_there(path: str) -> bool:
    return _partial_bytes(path) is not None or Path(path).exists()


def _partial_bytes(path: str) -> int | None:
    try:
        return Path(path).with_name(partial_of(Path(path).name)).stat().st_size
    except OSError:
        return None


def _free_bytes(folder: Path) -> int | None:
    """Of the nearest folder that is there already."""
    try:
        return System().free_bytes(next(one for one in (folder, *folder.parents) if one.is_dir()))
    except (OSError, StopIteration):
        return None


def _recovered(path: str) -> dict[str, Any]:
    """What became of a partial: ``outcome`` None if there is none here, or it cannot be recovered now."""
    try:
        found = recover(path)
    except RecordkitError as error:
        return {"outcome": None, "problem": str(error)}
    one = found[0] if isinstance(found, list) else found
    final = None if one.final_path is None else str(one.final_path)
    facts = {"outcome": str(one.outcome), "final": final, "detail": one.message}
    return facts | {"bytes": one.bytes, "duration_s": one.duration_s, "tail_bytes": one.tail_bytes}
