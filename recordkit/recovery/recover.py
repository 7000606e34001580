"""Brings an unfinished recording to its final name, with everything that was published."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from ..errors import OutputAccessError, RecordkitError, RecoveryError, StillRecordingError, WriteError
from ..system import System
from ..values import PathLike, named
from ..values import path as read_path
from ..writer.header import HEADER_BYTES, read_header
from ..writer.output import PARTIAL_SUFFIX, SUFFIX, TAIL_SUFFIX, Output
from .files import REJECTED_SUFFIX, Rejected, inode_at, locked, open_regular, remove, reserved, told, write_all
from .measure import Measure, Progress, measure
from .outcome import Outcome, Recovery
from .plan import Plan, make_plan
from .repair import repair
from .room import Room, is_full, with_room
from .view import CHUNK_BYTES, View, is_zero, read_at

_MOST_NAMES = 10_000


@named
def recover(
    path: PathLike,
    *,
    dry_run: bool = False,
    output: PathLike | None = None,
    on_progress: Progress | None = None,
    _system: System | None = None,
) -> Recovery | list[Recovery]:
    """Puts an unfinished recording together with its tail, and commits it under its final name.

    ``path`` is the final name, the partial, or a folder, of which every unfinished recording is
    recovered (a list then). The end is cut where a transport packet or an access unit lacks its
    own; what is cut, or cannot be used, goes to ``talk.rejected`` beside it. Where the final name is
    taken it becomes ``talk (recovered).ts``. The tail is removed once all of it is on the disk.
    May be interrupted at any point, and called again. With ``dry_run`` nothing is changed.

    With ``output`` the file ``path``, of any writer, is only read, and its valid packets are
    copied to ``output``. ``on_progress`` is told (done, total) in bytes.

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
        return [
            recover_one(one, dry_run=dry_run, on_progress=on_progress, system=system) for one in unfinished(path)
        ]
    return _recover(output_of(path, system), dry_run, on_progress, system)


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
            return _without_partial(output, dry_run, system)
        # Opened only now: a recording that has just begun makes it after it took the lock.
        tail = stack.enter_context(_open_tail(output, system))
        plan = make_plan(descriptor, tail)
        found = replace(
            Recovery(output.partial_path, None, Outcome.NOTHING, "", dry_run),
            cuts=tuple(plan.cuts),
            problems=tuple(plan.problems),
        )
        if not plan.end:
            return _nothing(output, plan, found, descriptor, tail)
        committed = _committed(output, os.fstat(descriptor).st_ino)
        if committed is not None and plan.changes:
            raise RecoveryError(
                output.partial_path, f"is {committed.name}, too, and would have to be changed: remove one name"
            )
        if not dry_run and committed is None:
            _carry_out(plan, output, descriptor, tail, system)
        view = View(descriptor, plan.size, plan.overlays) if dry_run else View(descriptor, plan.end)
        measured = measure(view, plan.end, plan.end - plan.tail_bytes, on_progress)
        if dry_run:
            final_path = committed or next(name for name in _names(output) if not os.path.lexists(name))
        else:
            final_path = _commit(output, committed, descriptor, tail, plan, system)
        return _report(found, output, plan, measured, final_path)


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


def rejected_path(output: Output) -> Path:
    """Where goes what is cut of a recording."""
    return output.final_path.with_name(output.final_path.name.removesuffix(SUFFIX) + REJECTED_SUFFIX)


@contextmanager
def _open_tail(output: Output, system: System) -> Iterator[int | None]:
    try:
        descriptor = open_regular(output.tail_path, os.O_RDONLY, system)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        system.close(descriptor)


def _nothing(output: Output, plan: Plan, found: Recovery, descriptor: int, tail: int | None) -> Recovery:
    if plan.size or plan.cuts:
        return replace(found, message="not one whole access unit was found; everything was left as it is")
    if not found.dry_run:
        if plan.uses_tail and tail is not None:
            remove(output.tail_path, os.fstat(tail).st_ino)
        remove(output.partial_path, os.fstat(descriptor).st_ino)
    return replace(found, outcome=Outcome.REMOVED, message="nothing had been recorded")


def _carry_out(plan: Plan, output: Output, descriptor: int, tail: int | None, system: System) -> None:
    """Sets the cuts aside, durably; then puts the tail back and cuts. Raises WriteError."""
    room = None
    if tail is not None and plan.owns_tail and not plan.keeps_whole_tail:
        room = Room(output.tail_path, os.fstat(tail).st_ino, descriptor, system)
    with_room(lambda: _set_aside(plan, output, os.fstat(descriptor).st_ino, system), room)
    for one in plan.overlays:
        # Whole, even where the file seems to have them: a sync that failed may have lost them.
        at = 0
        while at < one.bytes:
            data = read_at(one.descriptor, one.start + at, min(CHUNK_BYTES, one.bytes - at))
            try:
                write_all(system, descriptor, output.partial_path, data, one.offset + at)
            except WriteError as error:
                if room is None or not is_full(error) or not room.make(error.offset):
                    raise
                at = error.offset - one.offset
            else:
                at += len(data)
    if plan.size > plan.end:
        with told(output.partial_path, plan.end, "cutting"):
            os.ftruncate(descriptor, plan.end)


def _set_aside(plan: Plan, output: Output, inode: int, system: System) -> None:
    if not plan.cuts:
        return
    rejected = None
    try:
        rejected = Rejected(rejected_path(output), system)
        for cut, source in zip(plan.cuts, plan.sources, strict=True):
            title = f"{cut.source} of {output.partial_path.name} at {cut.offset} (inode {inode})"
            rejected.add(title, source, cut.offset, cut.offset + cut.bytes)
        rejected.finish()
    except WriteError as error:
        if is_full(error):
            needed = sum(cut.bytes for cut in plan.cuts)
            error.advise(f"up to {needed:,} bytes are to be set aside there: make room, then recover again")
        raise
    finally:
        if rejected is not None:
            rejected.close()


def _commit(
    output: Output, committed: Path | None, descriptor: int, tail: int | None, plan: Plan, system: System
) -> Path:
    """Sync, rename, sync the folder, remove the tail: in that order. Raises WriteError."""
    with told(output.partial_path, plan.end, "syncing"):
        system.sync(descriptor)
    if committed is not None:
        _set_aside(plan, output, os.fstat(descriptor).st_ino, system)
        remove(output.partial_path, os.fstat(descriptor).st_ino)
    final_path = committed or _rename(output, plan.end, system)
    with told(output.final_path.parent, 0, "syncing the folder"):
        system.sync_folder(output.final_path.parent)
    if plan.uses_tail and tail is not None:
        remove(output.tail_path, os.fstat(tail).st_ino)
    return final_path


def _rename(output: Output, size: int, system: System) -> Path:
    for name in _names(output):
        with told(output.partial_path, size, "renaming"):
            try:
                system.rename(output.partial_path, name, overwrite=False)
            except FileExistsError:
                continue
        return name
    raise RecoveryError(output.partial_path, "all names that it could get are taken")


def _names(output: Output) -> Iterator[Path]:
    """The final name, and what it becomes where that is taken."""
    yield output.final_path
    stem = output.final_path.name.removesuffix(SUFFIX)
    for number in range(1, _MOST_NAMES):
        yield output.final_path.with_name(f"{stem} (recovered{f' {number}' if number > 1 else ''}){SUFFIX}")
    raise RecoveryError(output.partial_path, "all names that it could get are taken")


def _committed(output: Output, inode: int) -> Path | None:
    """The final name that this very file has already, if a commit was interrupted."""
    for name in _names(output):
        found = inode_at(name)
        if found is None or found == inode:
            return None if found is None else name
    return None


def _without_partial(output: Output, dry_run: bool, system: System) -> Recovery:
    """Only the tail may be left: then the file was committed, and is looked at once more."""
    found = Recovery(output.partial_path, None, Outcome.NOTHING, "", dry_run)
    with _open_tail(output, system) as tail:
        if tail is None:
            if not output.final_path.is_file():
                raise RecoveryError(output.final_path, "there is no recording of that name")
            message = "there is no unfinished recording of that name; to repair a broken file, name an output"
            return replace(found, final_path=output.final_path, message=message)
        with nullcontext() if dry_run else reserved(output.partial_path, system):
            if _holds_nothing(tail):
                return _without_bytes(found, output, tail)
            for name in _its_recordings(output, tail):
                is_partial = name.name.endswith(PARTIAL_SUFFIX)
                try:
                    # For us alone, where it is one: it may be being moved at this moment, tail and all.
                    with locked(name, system, writes=is_partial and not dry_run) as descriptor:
                        if is_partial and inode_at(output_of(name, system).tail_path) == os.fstat(tail).st_ino:
                            if not dry_run:
                                remove(output.tail_path, os.fstat(tail).st_ino)
                            message = f"the tail was left by a move, and lies beside {name.name} as well"
                            return replace(found, outcome=Outcome.CLEANED, message=message)
                        if is_partial:
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
    """The recordings of the folder, whatever their names, that the tail can be of."""
    header = read_header(read_at(tail, 0, HEADER_BYTES))
    if header is None:
        return []
    names = (name for name in output.final_path.parent.iterdir() if name.name.endswith(SUFFIX))
    # Not our own placeholder, which may have got the number of a file that was removed.
    return sorted(name for name in names if name != output.partial_path and inode_at(name) == header.inode)


def _holds_nothing(tail: int) -> bool:
    """Whether no unit was published in it, or it never reached the disk: after a power cut it is all zeros."""
    header = read_header(read_at(tail, 0, HEADER_BYTES))
    if header is not None:
        return header.is_sane and not header.slots
    view = View(tail, os.fstat(tail).st_size)
    return all(is_zero(data) for _, data in view.chunks(0, view.size))


def _without_bytes(found: Recovery, output: Output, tail: int) -> Recovery:
    if not found.dry_run:
        remove(output.tail_path, os.fstat(tail).st_ino)
    if output.final_path.is_file():
        message = "it had been committed before; the tail that was left holds nothing"
        return replace(found, final_path=output.final_path, outcome=Outcome.CLEANED, message=message)
    return replace(found, outcome=Outcome.REMOVED, message="nothing had been recorded")


def _clean(output: Output, name: Path, descriptor: int, tail: int, plan: Plan, system: System) -> None:
    """Removes the tail of the committed file ``name``."""
    with told(name, plan.end, "syncing"):
        system.sync(descriptor)
        system.sync_folder(name.parent)
    _set_aside(plan, output, os.fstat(descriptor).st_ino, system)
    remove(output.tail_path, os.fstat(tail).st_ino)
