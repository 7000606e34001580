"""What lies in the way of a new recording: an unfinished one of the same name, which is moved aside first.

It is moved as a recording, under one new name for the partial, its tail and its log, so that at each
moment ``recover`` can put it together: the tail has both names before the partial gets the new one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from ..errors import OutputAccessError, OutputBusyError, OutputExistsError, StillRecordingError
from ..system import System
from ..telemetry.logfile import log_path
from ..telemetry.table import table_path
from ..writer.output import Output

log = logging.getLogger("recordkit")

_MOST_NAMES = 10_000


def clear_the_way(final_path: Path, how: Literal["recover", "rename"], system: System) -> None:
    """Move the unfinished recording of ``final_path`` aside; with "recover", bring it to its end there.

    Nothing is ever overwritten. Raises OutputBusyError where it is still being recorded,
    OutputAccessError where its files cannot be moved, and the errors of ``recover``.
    """
    # Only here: a recorder that finds nothing in its way starts without all that.
    from ..recovery.files import locked, reserved
    from ..recovery.recover import recover

    output = Output(final_path, system)
    try:
        try:
            with locked(output.partial_path, system, writes=True):
                aside = _move(output, how, system, has_partial=True)
        except FileNotFoundError:
            # Only a tail: what is left of a recording whose partial was taken away.
            with reserved(output.partial_path, system):
                aside = _move(output, how, system, has_partial=False)
    except StillRecordingError:
        raise OutputBusyError(final_path, "is being recorded right now: choose another name") from None
    if how == "rename":
        log.warning("%s: the unfinished recording was moved aside: %s", final_path, aside.partial_path)
        return
    try:
        found = recover(aside.final_path, _system=system)
    except StillRecordingError:
        log.warning("%s: the unfinished recording is recovered by somebody else: %s", final_path, aside.final_path)
        return
    if not isinstance(found, list):
        log.warning("%s: the unfinished recording became %s: %s", final_path, found.final_path, found.message)


def _move(output: Output, how: str, system: System, *, has_partial: bool) -> Output:
    for aside in _names(output, how, system):
        try:
            if _taken(aside):
                continue
            _move_to(output, aside, system, has_partial=has_partial)
            system.sync_folder(aside.final_path.parent)
            return aside
        except FileExistsError:
            continue  # taken at this moment
        except OSError as error:
            raise OutputAccessError(output.partial_path, f"cannot be moved aside: {error.strerror}") from error
    raise OutputExistsError(output.final_path, "all names that the unfinished recording could get are taken")


def _names(output: Output, how: str, system: System) -> Iterator[Output]:
    for number in range(1, _MOST_NAMES):
        word = str(number)
        if how == "recover":
            word = "recovered" if number == 1 else f"recovered {number}"
        yield Output(output.final_path.with_name(f"{output.stem} ({word}){output.container.suffix}"), system)


def _taken(aside: Output) -> bool:
    from ..recovery.names import rejected_path

    final_path = aside.final_path
    beside = (log_path(final_path), table_path(final_path), rejected_path(aside))
    return any(os.path.lexists(path) for path in (final_path, aside.partial_path, aside.tail_path, *beside))


def _move_to(output: Output, aside: Output, system: System, *, has_partial: bool) -> None:
    """Raises OSError; FileExistsError where one of the names is taken, with all at their old ones."""
    has_tail = os.path.lexists(output.tail_path)
    linked = has_tail and system.link(output.tail_path, aside.tail_path)
    if has_partial:
        try:
            system.rename(output.partial_path, aside.partial_path, overwrite=False)
        except OSError:
            if linked:
                system.unlink(aside.tail_path)
            raise
    if linked:
        system.unlink(output.tail_path)
    elif has_tail:
        system.rename(output.tail_path, aside.tail_path, overwrite=False)
    # A finished recording of the name may be there as well: then log and table may be that one's.
    if not os.path.lexists(output.final_path):
        for beside in (log_path, table_path):
            if os.path.lexists(beside(output.final_path)):
                system.rename(beside(output.final_path), beside(aside.final_path), overwrite=False)
