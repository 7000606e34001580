"""A big file is checked in parts beside each other, and what they found is joined."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import lcm

from .rows import Row
from .task import Task

_PACKETS_BYTES = lcm(188, 192, 204)
SPLIT_FROM_BYTES = 2_000_000_000
PART_BYTES = 3500 * _PACKETS_BYTES
"""Some 540 MB of whole packets of any of their sizes."""
EARLY_BYTES = 100 * _PACKETS_BYTES
"""So much, some 15 MB, a part reads of the one before it, to know at its border what is known there."""


@dataclass(slots=True)
class _Whole:
    """A file in parts: what was asked for, what is known of each by now, how many are out, how long they took."""

    task: Task
    pieces: list[object]
    out: int
    elapsed_s: float = 0.0
    has_failed: bool = False


@dataclass(slots=True)
class Parts:
    """Which files are in parts, and what is known of them."""

    _wholes: dict[str, _Whole] = field(default_factory=dict)
    _due: deque[Task] = field(default_factory=deque)
    _count: int = 0

    def of(self, task: Task) -> Iterator[Task]:
        """``task``, or the parts of it; of what turns out to have none, such as a plain MP4, they find nothing."""
        size = _size(task)
        if size < SPLIT_FROM_BYTES:
            yield task
            return
        begins = range(0, size, PART_BYTES)
        self._count += 1
        name = str(self._count)
        self._wholes[name] = _Whole(task, [None] * len(begins), len(begins))
        for number, begin in enumerate(begins):
            span = {"begin": begin, "end": min(begin + PART_BYTES, size), "early": EARLY_BYTES}
            yield Task("check part", task.path, None, span, f"{name}:{number}")

    def due(self) -> Iterator[Task]:
        """Tasks that join what was found, of files of which all parts are there."""
        while self._due:
            yield self._due.popleft()

    @property
    def are_waited_for(self) -> bool:
        """Whether there will be further tasks."""
        return bool(self._wholes)

    def whole(self, row: Row) -> Row | None:
        """The row of a file that ``row`` is, or completes; None if there is more to come of it."""
        if "part" not in row:
            return row
        name, _, number = row.pop("part").partition(":")
        whole = self._wholes[name]
        whole.out -= 1
        whole.elapsed_s += row.get("elapsed_s", 0.0)
        told = None
        if not number or (row.get("failed") and not whole.has_failed):
            told = row | {"elapsed_s": round(whole.elapsed_s, 6)}
            whole.has_failed = True
        elif not whole.has_failed:
            whole.pieces[int(number)] = row["piece"]
            if not whole.out:
                whole.out = 1
                self._due.append(Task("join parts", whole.task.path, None, {"pieces": whole.pieces}, name))
        if not whole.out:
            del self._wholes[name]
        return told


def _size(task: Task) -> int:
    """Of what can be checked in parts; 0 of anything else."""
    if task.action != "verify" or task.options or task.is_elsewhere:
        return 0
    try:
        return os.stat(task.path).st_size  # noqa: PTH116 - path is kept as it was given
    except (OSError, ValueError):
        return 0
