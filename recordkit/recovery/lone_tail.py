"""A tail that lies there without its partial."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from ..errors import OutputAccessError, RecoveryError, StillRecordingError
from ..names import is_partial
from ..system import System
from ..writer.header import HEADER_BYTES, read_header
from ..writer.output import Output
from .aside import set_aside
from .files import inode_at, locked, open_regular, remove, reserved, told
from .names import output_of
from .outcome import Outcome, Recovery
from .plan import Plan, make_plan, was_never_used
from .view import read_at


@contextmanager
def open_tail(output: Output, system: System) -> Iterator[int | None]:
    """The tail, open to be read; None where there is none."""
    try:
        descriptor = open_regular(output.tail_path, os.O_RDONLY, system)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        system.close(descriptor)


def without_partial(output: Output, dry_run: bool, system: System) -> Recovery:
    """Only the tail may be left: then the file was committed, and is looked at once more."""
    found = Recovery(output.partial_path, None, Outcome.NOTHING, "", dry_run)
    with open_tail(output, system) as tail:
        if tail is None:
            if not output.final_path.is_file():
                raise RecoveryError(output.final_path, "there is no recording of that name")
            message = "there is no unfinished recording of that name; to repair a broken file, name an output"
            return replace(found, final_path=output.final_path, message=message)
        with nullcontext() if dry_run else reserved(output.partial_path, system):
            if _holds_nothing(tail):
                return _without_bytes(found, output, tail, system)
            for name in _its_recordings(output, tail):
                unfinished = is_partial(name.name)
                try:
                    # For us alone, where it is one: it may be being moved at this moment, tail and all.
                    with locked(name, system, writes=unfinished and not dry_run) as descriptor:
                        if unfinished and inode_at(output_of(name, system).tail_path) == os.fstat(tail).st_ino:
                            if not dry_run:
                                remove(output.tail_path, tail, system)
                            message = f"the tail was left by a move, and lies beside {name.name} as well"
                            return replace(found, outcome=Outcome.CLEANED, message=message)
                        if unfinished:
                            continue
                        plan = make_plan(descriptor, tail)
                        if not plan.owns_tail or plan.changes or not plan.end:
                            continue
                        if not dry_run:
                            _clean(output, name, descriptor, tail, plan, system)
                except (FileNotFoundError, RecoveryError, OutputAccessError, StillRecordingError):
                    continue
                message = "it had been committed before; the tail that was left is not needed any more"
                return replace(found, final_path=name, outcome=Outcome.CLEANED, bytes=plan.end, message=message)
    message = "a tail without its partial was left alone: put the partial beside it, or remove it"
    return replace(found, message=message)


def _its_recordings(output: Output, tail: int) -> list[Path]:
    """The recordings of the folder, whatever their names, that the tail can be of.

    A copy of the recording that the tail has the name of has another inode, and is looked at, too.
    """
    header = read_header(read_at(tail, 0, HEADER_BYTES))
    if header is None:
        return []
    names = (name for name in output.final_path.parent.iterdir() if name.name.endswith(output.container.suffix))
    # Not our own placeholder, which may have got the number of a file that was removed.
    return sorted(
        name
        for name in names
        if name != output.partial_path and (name == output.final_path or inode_at(name) == header.inode)
    )


def _holds_nothing(tail: int) -> bool:
    """Whether no unit was published in it, or it never reached the disk: after a power cut it is all zeros."""
    header = read_header(read_at(tail, 0, HEADER_BYTES))
    if header is not None:
        return header.is_sane and not header.slots
    return was_never_used(tail)


def _without_bytes(found: Recovery, output: Output, tail: int, system: System) -> Recovery:
    if not found.dry_run:
        remove(output.tail_path, tail, system)
    if output.final_path.is_file():
        message = "it had been committed before; the tail that was left holds nothing"
        return replace(found, final_path=output.final_path, outcome=Outcome.CLEANED, message=message)
    return replace(found, outcome=Outcome.REMOVED, message="nothing had been recorded")


def _clean(output: Output, name: Path, descriptor: int, tail: int, plan: Plan, system: System) -> None:
    """Removes the tail of the committed file ``name``."""
    with told(name, plan.end, "syncing"):
        system.sync(descriptor)
        system.sync_folder(name.parent)
    set_aside(plan, output, os.fstat(descriptor).st_ino, system)
    remove(output.tail_path, tail, system)
