"""An unfinished recording of audio alone: how far it can be used, and its finish."""

from __future__ import annotations

from pathlib import Path

from ..sound.scan import SoundScanner, begins_sound
from ..system import System
from .ending import Piece
from .files import finish_file
from .measure import Measure, Progress
from .view import View, is_zero

_HEAD_BYTES = 8
_PAGE_BYTES = 4096


def is_sound(view: View) -> bool:
    """Whether it begins as a recording of audio alone does."""
    return begins_sound(view.read(0, _HEAD_BYTES))


def _scanned(view: View, end: int, on_progress: Progress | None = None) -> SoundScanner:
    scanner = SoundScanner()
    for at, data in view.chunks(0, end):
        scanner.feed(data)
        if on_progress is not None:
            on_progress(at + len(data), end)
    return scanner


def usable_end(view: View) -> tuple[int, list[Piece]]:
    """The end of the last whole unit, and what stands behind it."""
    end = _scanned(view, view.size).end
    if end >= view.size:
        return end, []
    rest = view.read(end, min(view.size, end + _PAGE_BYTES))
    return end, [Piece(end, view.size, "zeros" if is_zero(rest) else "part of a unit of audio")]


def is_believed(view: View) -> bool:
    """Whether what stands in the file can be told from garbage: samples cannot."""
    return _scanned(view, min(view.size, _PAGE_BYTES)).kind != "WAV"


def complete(
    view: View,
    boundary: int,
    descriptor: int,
    path: Path,
    end: int,
    system: System | None,
    on_progress: Progress | None,
) -> tuple[Measure, int]:
    """How long the first ``end`` bytes are; with ``system`` they are made the final file, too, whose size follows.

    Raises WriteError.
    """
    scanner, before = _scanned(view, end, on_progress), _scanned(view, boundary)
    measured = Measure(scanner.duration_s, scanner.duration_s - before.duration_s, ())
    if system is None:
        return measured, end
    return measured, finish_file(system, descriptor, path, scanner.finish(), end)
