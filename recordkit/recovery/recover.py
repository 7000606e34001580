"""Brings an unfinished recording to its final name, with everything that was published."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ..errors import RecordkitError, RecoveryError, StillRecordingError
from ..mpegts.packetiser import padding
from ..plots.cards import Listed
from ..signatures import named
from ..system import System
from ..values import PathLike
from ..values import path as read_path
from ..writer.output import Output
from ..writer.writing import write_all
from . import chunks, sounds
from .aside import carry_out, set_aside
from .files import inode_at, locked, remove, told
from .lone_tail import open_tail, without_partial
from .measure import Measure, Progress, measure
from .names import final_names, output_of, rejected_path, unfinished
from .outcome import Outcome, Recovery
from .plan import Plan, make_plan
from .repair import repair
from .view import View


@named
def recover(
    path: PathLike,
    *,
    dry_run: bool = False,
    output: PathLike | None = None,
    on_progress: Progress | None = None,
    _system: System | None = None,
) -> Recovery | list[Recovery]:
    """Merges an unfinished recording with its tail, and commits it under its final name.

    ``path`` is the final name, the partial, or a folder, of which every unfinished recording is
    recovered (a list then). The end is cut where a transport packet or an access unit lacks its
    own; what is cut, or cannot be used, goes to ``talk.rejected`` beside it. Where the final name is
    taken it becomes ``talk (recovered).ts``. The tail is removed once all of it is on the disk.
    May be interrupted at any point, and called again. With ``dry_run`` nothing is changed.

    With ``output`` the file ``path``, of any writer, is only read, and its valid packets are
    copied to ``output``, a new file, or to one of its name in the folder ``output``. Where packets are
    missing or times jump the copy says so by discontinuity_indicator, and where there are no tables it
    gets some, so that it passes ``verify``; what it still fails, and what is lost, stands in the
    ``problems``. ``on_progress`` is told (done, total) in bytes.

    Raises StillRecordingError for a recording that is alive, RecoveryError where there is
    nothing of that name, or a link, OutputAccessError where it may not be opened, WriteError where
    a write or sync fails (all is as recoverable as before), OutputNameError for other names. For a
    folder such a failure is told in its place in the list, and the others are recovered.
    """
    system = _system or System()
    path = read_path("path", path)
    if output is not None:
        return repair(path, read_path("output", output), dry_run=dry_run, on_progress=on_progress, system=system)
    if path.is_dir():
        return Listed(
            recover_one(one, dry_run=dry_run, on_progress=on_progress, system=system) for one in unfinished(path)
        )
    return _recover(output_of(path, system), dry_run, on_progress, system)


def recover_one(path: Path, *, dry_run: bool, on_progress: Progress | None, system: System) -> Recovery:
    """Recovers one recording as ``recover`` does, but a failure is told in what it gives."""
    output = None
    try:
        output = output_of(path, system)
        return _recover(output, dry_run, on_progress, system)
    except RecordkitError as error:
        outcome = Outcome.RECORDING if isinstance(error, StillRecordingError) else Outcome.FAILED
        return Recovery(path if output is None else output.partial_path, None, outcome, str(error), dry_run)


def _recover(output: Output, dry_run: bool, on_progress: Progress | None, system: System) -> Recovery:
    with told(output.partial_path, 0, "reading"), ExitStack() as stack:
        try:
            descriptor = stack.enter_context(locked(output.partial_path, system, writes=not dry_run))
        except FileNotFoundError:
            return without_partial(output, dry_run, system)
        # Opened only now: a recording that has just begun makes it after it took the lock.
        tail = stack.enter_context(open_tail(output, system))
        plan = make_plan(descriptor, tail)
        found = replace(
            Recovery(output.partial_path, None, Outcome.NOTHING, "", dry_run),
            cuts=tuple(plan.cuts),
            problems=tuple(plan.problems),
        )
        if not plan.end:
            return _nothing(output, plan, found, descriptor, tail, system)
        committed = _committed(output, os.fstat(descriptor).st_ino)
        if committed is not None and plan.changes:
            raise RecoveryError(
                output.partial_path, f"is {committed.name}, too, and would have to be changed: remove one name"
            )
        if not dry_run and committed is None:
            carry_out(plan, output, descriptor, tail, system)
        view = View(descriptor, plan.size, plan.overlays) if dry_run else View(descriptor, plan.end)
        boundary = plan.end - plan.tail_bytes
        found_chunks = chunks.scan(view, plan.end, boundary, on_progress) if chunks.is_mp4(view) else None
        changes = not dry_run and committed is None
        if found_chunks is None and sounds.is_sound(view):
            measured, plan.end = sounds.complete(
                view, boundary, descriptor, output.partial_path, plan.end, system if changes else None, on_progress
            )
        elif found_chunks is None:
            measured = measure(view, plan.end, boundary, on_progress)
            if changes:
                plan.end = _padded(descriptor, output.partial_path, plan.end, system)
        else:
            measured = found_chunks.measure()
            if changes:
                plan.end = chunks.complete(found_chunks, descriptor, output.partial_path, plan.end, system)
        if dry_run:
            final_path = committed or next(name for name in final_names(output) if not os.path.lexists(name))
        else:
            final_path = _commit(output, committed, descriptor, tail, plan, system)
        return _report(found, output, plan, measured, final_path)


def _padded(descriptor: int, path: Path, end: int, system: System) -> int:
    """Give a transport stream of ``end`` bytes what a finished recording has; its size. Raises WriteError."""
    missing = padding(end)
    write_all(system, descriptor, path, missing, end)
    return end + len(missing)


def _report(found: Recovery, output: Output, plan: Plan, measured: Measure, final_path: Path) -> Recovery:
    cut_bytes = sum(cut.bytes for cut in plan.cuts)
    return replace(
        found,
        final_path=final_path,
        outcome=Outcome.RECOVERED,
        message=f"{measured.duration_s:.2f} s in {plan.end:,} bytes, {plan.tail_bytes:,} of them from the tail; "
        + (f"{cut_bytes:,} bytes could not be used" if cut_bytes else "nothing was cut"),
        bytes=plan.end,
        tail_bytes=plan.tail_bytes,
        duration_s=measured.duration_s,
        tail_s=measured.later_s if plan.tail_bytes else 0.0,
        rejected_path=rejected_path(output) if plan.cuts else None,
        problems=found.problems + measured.problems,
    )


def _nothing(
    output: Output, plan: Plan, found: Recovery, descriptor: int, tail: int | None, system: System
) -> Recovery:
    if plan.size or plan.cuts:
        return replace(found, message="not one whole access unit was found; everything was left as it is")
    if not found.dry_run:
        if plan.uses_tail and tail is not None:
            remove(output.tail_path, tail, system)
        remove(output.partial_path, descriptor, system)
    return replace(found, outcome=Outcome.REMOVED, message="nothing had been recorded")


def _commit(
    output: Output, committed: Path | None, descriptor: int, tail: int | None, plan: Plan, system: System
) -> Path:
    """Sync, rename, sync the folder, remove the tail: in that order. Raises WriteError."""
    with told(output.partial_path, plan.end, "syncing"):
        system.sync(descriptor)
    if committed is not None:
        set_aside(plan, output, os.fstat(descriptor).st_ino, system)
        remove(output.partial_path, descriptor, system)
    final_path = committed or _rename(output, plan.end, system)
    with told(output.final_path.parent, 0, "syncing the folder"):
        system.sync_folder(output.final_path.parent)
    if plan.uses_tail and tail is not None:
        remove(output.tail_path, tail, system)
    return final_path


def _rename(output: Output, size: int, system: System) -> Path:
    for name in final_names(output):
        with told(output.partial_path, size, "renaming"):
            try:
                system.rename(output.partial_path, name, overwrite=False)
            except FileExistsError:
                continue
        return name
    raise RecoveryError(output.partial_path, "all names that it could get are taken")


def _committed(output: Output, inode: int) -> Path | None:
    """The final name that this very file has already, if a commit was interrupted."""
    for name in final_names(output):
        found = inode_at(name)
        if found is None or found == inode:
            return None if found is None else name
    return None
