"""The files of an unfinished recording by their names, and the names that it can get."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..errors import RecoveryError
from ..system import System
from ..writer.output import PARTIAL_SUFFIX, SUFFIX, TAIL_SUFFIX, Output
from .files import REJECTED_SUFFIX

_MOST_NAMES = 10_000


def unfinished(folder: Path) -> list[Path]:
    """The final names of the partials in ``folder``, and of tails without one. Raises RecoveryError."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError as error:
        raise RecoveryError(folder, f"cannot be listed: {error.strerror}") from error
    found = set()
    for name in names:
        for suffix in (PARTIAL_SUFFIX, TAIL_SUFFIX):
            if name.endswith(suffix) and name != suffix:
                found.add(folder / (name.removesuffix(suffix) + SUFFIX))
    return sorted(found)


def output_of(path: Path, system: System) -> Output:
    """The files of a recording, by its final name, its partial or its tail. Raises OutputNameError."""
    for suffix in (PARTIAL_SUFFIX, TAIL_SUFFIX):
        if path.name.endswith(suffix):
            path = path.with_name(path.name.removesuffix(suffix) + SUFFIX)
    return Output(path, system)


def rejected_path(output: Output) -> Path:
    """Where goes what is cut of a recording."""
    return output.final_path.with_name(output.final_path.name.removesuffix(SUFFIX) + REJECTED_SUFFIX)


def final_names(output: Output) -> Iterator[Path]:
    """The final name, and what it becomes where that is taken."""
    yield output.final_path
    stem = output.final_path.name.removesuffix(SUFFIX)
    for number in range(1, _MOST_NAMES):
        yield output.final_path.with_name(f"{stem} (recovered{f' {number}' if number > 1 else ''}){SUFFIX}")
    raise RecoveryError(output.partial_path, "all names that it could get are taken")
