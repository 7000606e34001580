"""Children that are to be killed: forked from one process that has everything loaded, so that each costs little."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..steering import BUSY

GUARD_S = 120.0
ROOT = Path(__file__).parents[2]


class Nursery:
    """Forks children, each of which calls one function; ``log`` takes what they say on standard error."""

    def __init__(self, log: Path) -> None:
        self.log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.torture.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=GUARD_S)

    def start(self, function: str, *arguments: Any) -> Child:
        """Call ``function`` (``module:name`` within tests) in a new process."""
        return Child(self, int(self._ask({"call": function, "arguments": arguments})))

    def status(self, pid: int, *, wait: bool) -> int | None:
        """The exit status of a child, negative for a signal; None while it lives, if not to be waited for."""
        said = self._ask({"wait" if wait else "poll": pid})
        return None if said == "alive" else int(said)

    def _ask(self, order: dict[str, Any]) -> str:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(order).encode() + b"\n")
        stdin.flush()
        answer = stdout.readline().decode().strip()
        assert answer, f"the nursery died: {self.log.read_text()[-2000:]}"
        return answer


class Child:
    """A running child. ``status`` is its exit status once it has ended, negative for a signal."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self.status: int | None = None
        self._nursery = nursery

    def until(self, reached: Callable[[], bool]) -> bool:
        """Wait until something is so; False where the child has ended before."""
        begun = time.monotonic()
        looks = 0
        while not reached():
            looks += 1
            if looks % 20 == 0 and self.has_ended():
                return reached()
            assert time.monotonic() - begun < GUARD_S, "the child hangs"
            time.sleep(0.0005)
        return True

    def has_ended(self) -> bool:
        """Whether it has."""
        if self.status is None:
            self.status = self._nursery.status(self.pid, wait=False)
        return self.status is not None

    def wait(self) -> int:
        """Wait for its end; killed after a while."""
        self.until(self.has_ended)
        assert self.status is not None
        return self.status

    def kill(self) -> int:
        """SIGKILL, unless it has ended by itself."""
        if not self.has_ended():
            os.kill(self.pid, 9)
            self.status = self._nursery.status(self.pid, wait=True)
        assert self.status is not None
        return self.status


@contextmanager
def load(processes: int) -> Iterator[None]:
    """So many processes that do nothing but keep the processors busy."""
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(processes)]
    try:
        yield
    finally:
        for one in busy:
            one.kill()
            one.wait()
