"""Copies what is valid in a broken transport stream, of any writer, to a new file that can be played."""

from __future__ import annotations

import os
from pathlib import Path

from ..containers import TRANSPORT_STREAM
from ..errors import OutputExistsError, OutputNameError, PartialExistsError, RecoveryError
from ..mpegts.report import ProblemKind, ScanReport
from ..names import SUFFIXES, suffix_of
from ..system import System
from ..telemetry.words import count_text
from ..verification.check import Check, Problem
from ..writer.output import Output
from . import chunks
from .chunk_repair import repair_chunks
from .copying import Copy, Survey
from .files import locked, remove, told
from .measure import Progress, problems_in_words
from .outcome import Outcome, Recovery
from .view import View

_TEMPORARY = ".repairing"


def repair(
    path: Path, output: str | os.PathLike[str], *, dry_run: bool, on_progress: Progress | None, system: System
) -> Recovery:
    """Copies the valid packets of ``path`` to ``output``, a file or a folder; see ``recover``."""
    if os.path.isdir(output):  # noqa: PTH112
        output = Path(output, path.stem + (suffix_of(path.name) or SUFFIXES[0]))
    files = Output(output, system)
    own_partial = files.partial_path
    # A copy has no need of being recovered: it goes by a name of its own until it is complete.
    files.partial_path = files.final_path.with_name(files.stem + _TEMPORARY + files.container.suffix)
    for taken in (files.final_path, own_partial, files.tail_path):
        if os.path.lexists(taken):
            if taken == files.final_path:
                raise OutputExistsError(taken, "exists already: choose another name")
            # That recording would lose its name; its own recovery, or its commit, is to have it.
            raise PartialExistsError(files.final_path, taken)
    try:
        with locked(path, system, writes=False) as descriptor, told(path, 0, "reading"):
            return _repair(path, descriptor, files, dry_run, on_progress, system)
    except FileNotFoundError:
        raise RecoveryError(path, "there is no such file") from None


def _repair(
    path: Path, descriptor: int, files: Output, dry_run: bool, on_progress: Progress | None, system: System
) -> Recovery:
    view = View(descriptor, os.fstat(descriptor).st_size)
    total = 3 * view.size

    def advance(done: int) -> None:
        if on_progress is not None:
            on_progress(done, total)

    is_mp4 = chunks.is_mp4(view)
    if is_mp4 == (files.container.name == TRANSPORT_STREAM):
        ending = SUFFIXES[1] if is_mp4 else SUFFIXES[0]
        raise OutputNameError(files.final_path, f"what is brought back of {path.name} ends in {ending}")
    if is_mp4:
        if not dry_run:
            _clear_away(files, system)
        return repair_chunks(path, view, files, dry_run=dry_run, advance=advance, system=system)
    survey = Survey()
    survey.look(view, advance)
    copy = Copy(view, survey)
    copy.find_breaks(lambda done: advance(view.size + done))
    check = Check()
    if dry_run:
        for block in copy.blocks(lambda done: advance(2 * view.size + done)):
            check.feed(block)
        check.close()
        return _told(path, files, survey, copy, check, dry_run=True)
    _clear_away(files, system)
    files.open(overwrite=False, needed_bytes=view.size)
    try:
        written = 0
        for block in copy.blocks(lambda done: advance(2 * view.size + done)):
            files.write(memoryview(block), written)
            written += len(block)
            check.feed(block)
        check.close()
        found = _told(path, files, survey, copy, check, dry_run=False)
        if found.final_path is None:
            files.discard()
        else:
            files.commit(written, overwrite=False)
    except BaseException:
        files.discard()
        raise
    finally:
        files.close()
    advance(total)
    return found


def _told(path: Path, files: Output, survey: Survey, copy: Copy, check: Check, *, dry_run: bool) -> Recovery:
    """What became of the file, by what its copy was found to be."""
    lost = _lost(survey.scanner.report)
    cuts = tuple(copy.cuts)
    if not any(one.access_units for one in check.facts.values()):
        why = _why_nothing(copy.kept, survey.scanner.report)
        return Recovery(path, None, Outcome.NOTHING, why, dry_run, cuts=cuts, problems=lost)
    size, dropped = copy.kept + copy.added, sum(cut.bytes for cut in cuts)
    words = [
        f"{copy.kept:,} bytes of valid packets",
        f"{dropped:,} bytes were left out" if dropped else "nothing was left out",
    ]
    places = survey.scanner.report.problem_counts.get(ProblemKind.CONTINUITY, 0)
    words += [f"packets are missing at {count_text(places, 'place')}"] if places else []
    words += ["its tables were made anew"] if copy.makes_tables else []
    words += [f"{count_text(len(copy.marks), 'discontinuity', 'discontinuities')} marked"] if copy.marks else []
    words += ["the copy still fails verify"] if check.problems else []
    return Recovery(
        path,
        files.final_path,
        Outcome.IN_PART if check.problems else Outcome.REPAIRED,
        "; ".join(words),
        dry_run,
        bytes=size,
        duration_s=check.duration_s,
        cuts=cuts,
        problems=lost + tuple(_still(one) for one in check.problems),
        added_bytes=copy.added,
    )


def _lost(report: ScanReport) -> tuple[str, ...]:
    """What is missing of the file, in words."""
    return problems_in_words(report, frozenset({ProblemKind.CONTINUITY}))


def _still(problem: Problem) -> str:
    where = "" if problem.offset is None else f", first at byte {problem.offset:,} of the copy"
    return f"still there: {problem.kind}{where}: {problem.detail}"


def _why_nothing(kept: int, report: ScanReport) -> str:
    if not kept:
        return "not one transport packet was found"
    if ProblemKind.SCRAMBLED in report.problem_counts:
        return "nothing in it can be played: its packets are encrypted"
    return "nothing in it can be played: there is not one whole access unit"


def _clear_away(files: Output, system: System) -> None:
    """Removes the copy that an earlier repair left unfinished: the original has all of it."""
    try:
        with locked(files.partial_path, system, writes=True) as descriptor:
            remove(files.partial_path, descriptor, system)
    except FileNotFoundError:
        pass
