"""SIGKILL while old recordings are deleted: nothing goes that should stay, and remains go at the next pass."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recordkit.keeping.passing import Passes
from recordkit.settings import Keep
from recordkit.system import System

from .outcome import Kind, Outcome, Trial

_COUNT, _KEPT = 40, 12
_FILES = (".ts", ".frames", ".flushes.jsonl")
_STAY = {3, 4, *range(_COUNT - _KEPT + 3, _COUNT)}
"""One that is pinned, one that is being recorded over, and the newest."""


def _lay(folder: Path) -> None:
    for number in range(_COUNT):
        for suffix in _FILES:
            (folder / f"r{number:02}{suffix}").write_bytes(b"x" * 1000)
        os.utime(folder / f"r{number:02}.ts", (1e9 + number, 1e9 + number))
    (folder / "r03.pinned").touch()
    (folder / "r04.recording.ts").touch()


def _pass(folder: Path) -> None:
    Passes(folder, Keep(max_count=_KEPT), System(), lambda path: None).run(time.time_ns())


def _faults(names: set[str]) -> Iterator[str]:
    for number in range(_COUNT):
        stem = f"r{number:02}"
        left = {name for name in names if name.startswith(f"{stem}.")}
        is_whole = {stem + suffix for suffix in _FILES} <= left
        if number in _STAY and not is_whole:
            yield f"{stem} should stay: {sorted(left)}"
        elif left and not is_whole and f"{stem}.ts.rk-deleted" not in left:
            yield f"{stem} is in pieces: {sorted(left)}"


def _trial(seed: int, place: Path) -> Outcome:
    _lay(place)
    process = os.fork()
    if not process:
        _pass(place)
        os._exit(0)
    time.sleep(random.Random(seed).uniform(0, 0.006))
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    faults = list(_faults({one.name for one in place.iterdir()}))
    _pass(place)
    left = {one.name for one in place.iterdir()}
    faults += list(_faults(left))
    recordings = [name for name in left if name.endswith(".ts") and ".recording." not in name]
    if len(recordings) != _KEPT or any(name.endswith(".rk-deleted") for name in left):
        faults.append(f"after the next pass: {sorted(left)}")
    return Outcome(seed, tuple(faults))


@contextmanager
def kills(_: Path) -> Iterator[Trial]:
    """Forty recordings of which twelve are kept; the process is killed at a moment of the pass."""
    yield _trial


KINDS = [Kind("kill while old recordings are deleted", "nothing", kills, 500, [])]
