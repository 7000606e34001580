"""One file and what is to be done to it, as it is sent to whoever does it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .rows import Row
from .suffixes import EXPORTING


@dataclass(frozen=True, slots=True)
class Task:
    """One file and what is to be done to it: the name of an action, where the copy goes, further ``options``.

    ``part`` names which part of the work on a file it is, if it is not all of it; its row has it, too.
    """

    action: str
    path: str
    target: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    part: str | None = None

    @property
    def is_elsewhere(self) -> bool:
        """Whether its file is at a URL."""
        return "://" in self.path

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values that JSON can carry."""
        return {name: getattr(self, name) for name in ("action", "path", "target", "options", "part")}

    def row(self, row: Row) -> Row:
        """``row``, which is what became of it."""
        return row if self.part is None else row | {"part": self.part}


WAIT = Task("wait", "")
"""Among tasks: what comes next is known when a further row is."""


def clear(task: Task) -> None:
    """Remove what a process that died at ``task`` has left of its copy: the original has all of it."""
    if task.target is None:
        return
    stem, suffix = os.path.splitext(task.target)  # noqa: PTH122
    for left in (task.target + EXPORTING, f"{stem}.repairing{suffix}"):
        Path(left).unlink(missing_ok=True)
