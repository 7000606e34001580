"""Files and engines as the tests of many files need them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from recordkit.background.process import WorkerProcess
from recordkit.fleet.actions import run
from recordkit.fleet.rows import Row
from recordkit.fleet.task import Task
from tests.recovery.material import media
from tests.steering import GUARD_S

_SPEAKS = """
import json, os, signal, sys, time
print('{"version": "0"}', flush=True)
for line in sys.stdin:
    path = json.loads(line)["path"]
    if path.startswith("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if path.startswith("fault"):
        raise RuntimeError("something odd")
    if path.startswith("hang"):
        print("hangs", file=sys.stderr, flush=True)
        time.sleep(60)
    print(json.dumps({"path": path, "ok": True, "by": os.getpid()}), flush=True)
"""


class Stand:
    """Starts processes that speak as workers do, and die by the names of their files."""

    def __init__(self, program: str = _SPEAKS) -> None:
        self._program = program
        self.begun: list[subprocess.Popen[bytes]] = []

    def __call__(self, module: str) -> WorkerProcess:
        words = tempfile.TemporaryFile()  # noqa: SIM115 - closed by its end
        command = [sys.executable, "-I", "-S", "-c", self._program]
        popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words)
        self.begun.append(popen)
        return WorkerProcess(popen, words)


class Here:
    """The engine that works in this process, and notes what it was given."""

    def __init__(self, jobs: int = 1) -> None:
        self.jobs = jobs
        self.tasks: list[Task] = []

    def rows(self, tasks: Iterator[Task | None]) -> Generator[Row | None]:
        for task in tasks:
            if task is not None:
                self.tasks.append(task)
                yield run(task)
            yield None


def lay_archive(folder: Path) -> Path:
    """A good file, a broken one, one that is something else, one that is not there any more."""
    (folder / "day").mkdir(parents=True)
    data = media()
    (folder / "good.ts").write_bytes(data)
    (folder / "day" / "broken.ts").write_bytes(data[: 188 * 20] + data[188 * 23 : -50])
    (folder / "day" / "words.ts").write_text("not media at all\n" * 200)
    (folder / "gone.ts").symlink_to(folder / "nowhere")
    return folder


def until(there: Callable[[], bool]) -> None:
    """Wait for what other processes do; the time is a guard against hanging only."""
    end = time.monotonic() + GUARD_S
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)
