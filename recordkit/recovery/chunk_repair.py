"""Brings back what is whole in fragments of MP4, of any writer, as a plain MP4.

The copy is a front of our own, then the file byte for byte up to its last whole chunk, then a ``moov`` of
all samples. So nothing in the fragments has to be understood beyond where their samples lie.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..mp4.movie import FRONT, FTYP
from ..mp4.report import ProblemKind
from ..system import System
from ..telemetry.words import count_text
from ..writer.output import Output
from . import chunks
from .outcome import Cut, Outcome, Recovery
from .view import View

_WHOLE = "it is a finished MP4 in which nothing is missing"
_WITHOUT_MOVIE = (
    "a plain MP4 without its moov, which is written last: nothing in it says where its samples lie, "
    "and how long they are shown"
)
_NOTHING = "not one whole fragment was found"


def repair_chunks(
    path: Path, view: View, files: Output, *, dry_run: bool, advance: Callable[[int], None], system: System
) -> Recovery:
    """Copies the whole fragments of ``view`` to ``files``, which are open afterwards or nothing was made.

    Raises the errors of ``Output.open``, and WriteError.
    """
    found = chunks.scan(view, view.size, on_progress=lambda done, _: advance(done), shift=len(FRONT))
    report, measured = found.report, found.measure()
    if not report.chunks:
        why = _WHOLE if report.finished and not report.problems else _NOTHING
        if ProblemKind.MISSING_MOVIE in report.problem_counts:
            why = _WITHOUT_MOVIE
        return Recovery(path, None, Outcome.NOTHING, why, dry_run, problems=measured.problems)
    end = report.usable_end
    cuts = (Cut("file", end, view.size - end, "part of a chunk, or no chunks"),) if end < view.size else ()
    samples = sum(track.samples for track in report.tracks)
    words = f"{count_text(samples, 'sample')} in {end:,} bytes of whole chunks; " + (
        f"{view.size - end:,} bytes were left out" if cuts else "nothing was left out"
    )
    made = Recovery(
        path,
        files.final_path,
        Outcome.REPAIRED,
        words,
        dry_run,
        bytes=end,
        duration_s=measured.duration_s,
        cuts=cuts,
        problems=measured.problems,
    )
    if dry_run:
        return made
    files.open(overwrite=False, needed_bytes=view.size)
    try:
        files.write(memoryview(FRONT), 0)
        at = len(FRONT)
        for begin, data in view.chunks(0, end):
            files.write(memoryview(data), at)
            at += len(data)
            advance(view.size + begin)
        finish = found.rebuilder.finish(at, len(FTYP))
        size = at
        for piece in finish.append:
            files.write(memoryview(piece), size)
            size += len(piece)
        files.sync(size)
        for offset, patch in finish.patches:
            files.patch(patch, offset)
        files.commit(size, overwrite=False)
    except BaseException:
        files.discard()
        raise
    finally:
        files.close()
    return made
