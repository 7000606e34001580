"""The files of an unfinished recording by their names, and the names that it can get."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..containers import containers
from ..errors import RecoveryError
from ..names import REJECTED_SUFFIX, SUFFIXES, TAIL_SUFFIX, final_of, is_partial, partial_of
from ..system import System
from ..writer.header import HEADER_BYTES, read_header
from ..writer.output import Output

_MOST_NAMES = 10_000


def unfinished(folder: Path) -> list[Path]:
    """The final names of the partials in ``folder``, and of tails without one. Raises RecoveryError."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError as error:
        raise RecoveryError(folder, f"cannot be listed: {error.strerror}") from error
    found = {final_name(folder / name) for name in names if is_partial(name) or name.endswith(TAIL_SUFFIX)}
    return sorted(one for one in found if one.name not in SUFFIXES)


def final_name(path: Path) -> Path:
    """The final name of a recording, by its partial or its tail, which is beside its partial, if there is one."""
    if not path.name.endswith(TAIL_SUFFIX):
        return path.with_name(final_of(path.name))
    stem = path.name.removesuffix(TAIL_SUFFIX)
    for suffix in SUFFIXES:
        if os.path.lexists(path.with_name(partial_of(stem + suffix))):
            return path.with_name(stem + suffix)
    return path.with_name(stem + _suffix_of_tail(path))


def _suffix_of_tail(path: Path) -> str:
    """The suffix of the recording that a tail without a partial is of: its header tells the container."""
    try:
        with path.open("rb") as file:
            header = read_header(file.read(HEADER_BYTES))
    except OSError:
        header = None
    found = containers()
    wanted = found[0].packet_bytes if header is None else header.packet_bytes
    return next((one.suffix for one in found if one.packet_bytes == wanted), found[0].suffix)


def output_of(path: Path, system: System) -> Output:
    """The files of a recording, by its final name, its partial or its tail. Raises OutputNameError."""
    return Output(final_name(path), system)


def rejected_path(output: Output) -> Path:
    """Where goes what is cut of a recording."""
    return output.final_path.with_name(output.stem + REJECTED_SUFFIX)


def final_names(output: Output) -> Iterator[Path]:
    """The final name, and what it becomes where that is taken."""
    yield output.final_path
    stem, suffix = output.stem, output.container.suffix
    for number in range(1, _MOST_NAMES):
        yield output.final_path.with_name(f"{stem} (recovered{f' {number}' if number > 1 else ''}){suffix}")
    raise RecoveryError(output.partial_path, "all names that it could get are taken")
