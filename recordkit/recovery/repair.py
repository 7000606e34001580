"""Copies what is valid in a broken transport stream, of any writer, to a new file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..errors import OutputExistsError, PartialExistsError, RecoveryError
from ..mpegts.batch import NULL_PID, Batch
from ..mpegts.report import PesEvent, ProblemEvent
from ..mpegts.scanner import Scanner
from ..mpegts.sync import PACKET_BYTES, PacketFramer, Rows
from ..system import System
from ..writer.output import SUFFIX, Output
from .files import locked, open_regular, remove, told
from .measure import Progress, measure
from .outcome import Cut, Outcome, Recovery
from .view import View

_TEMPORARY_SUFFIX = ".repairing.ts"
_CUTS_KEPT = 1000
_NO_PACKET = "not one transport packet was found"


class _Ends:
    """The last PES packet of each PID, if it ends with the file and has not its end."""

    def __init__(self) -> None:
        self.open: dict[int, int] = {}
        self._last: dict[int, int] = {}

    def note(self, batch: Batch) -> None:
        """Remembers how full the last packet of each PID is."""
        rows = np.flatnonzero(batch.usable & (batch.size > 0))
        pids, places = np.unique(batch.pid[rows][::-1], return_index=True)
        for pid, place in zip(pids.tolist(), places.tolist(), strict=True):
            self._last[pid] = int(batch.size[rows[len(rows) - 1 - place]])

    def finish(self, events: list[PesEvent]) -> None:
        """Takes what the end of the file completed: where no length was stated, a full packet is no end."""
        for event in events:
            if not event.complete or self._last.get(event.pid) == PACKET_BYTES - 4:
                self.open[event.pid] = event.offset


def repair(
    path: Path, output: str | os.PathLike[str], *, dry_run: bool, on_progress: Progress | None, system: System
) -> Recovery:
    """Copies the valid packets of ``path`` to ``output``; see ``recover``."""
    files = Output(output, system)
    own_partial = files.partial_path
    # A copy has no need of being recovered: it goes by a name of its own until it is complete.
    files.partial_path = files.final_path.with_name(files.final_path.name.removesuffix(SUFFIX) + _TEMPORARY_SUFFIX)
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

    scanner, ends = Scanner(payload=False, columns=True), _Ends()
    framer = PacketFramer()
    for at, data in view.chunks(0, view.size):
        scanner.feed(data)
        for batch in _batches(framer, framer.feed(data)):
            ends.note(batch)
        advance(at + len(data))
    for batch in _batches(framer, framer.close()):
        ends.note(batch)
    ends.finish([event for event in scanner.close() if isinstance(event, PesEvent)])
    if dry_run:
        kept, cuts = _copy(view, ends, None, lambda done: advance(view.size + done))
        if not kept:
            return Recovery(path, None, Outcome.NOTHING, _NO_PACKET, True, cuts=cuts)
        return Recovery(path, files.final_path, Outcome.REPAIRED, _words(kept, cuts), True, kept, cuts=cuts)
    _clear_away(files, system)
    files.open(overwrite=False, needed_bytes=view.size)
    try:
        kept, cuts = _copy(view, ends, files, lambda done: advance(view.size + done))
        if not kept:
            files.discard()
            return Recovery(path, None, Outcome.NOTHING, _NO_PACKET, cuts=cuts)
        copy = open_regular(files.partial_path, os.O_RDONLY, system)
        try:
            measured = measure(View(copy, kept), kept, kept, lambda done, _: advance(2 * view.size + done))
        finally:
            system.close(copy)
        files.commit(kept, overwrite=False)
    except BaseException:
        files.discard()
        raise
    finally:
        files.close()
    advance(total)
    return Recovery(
        path,
        files.final_path,
        Outcome.REPAIRED,
        _words(kept, cuts),
        bytes=kept,
        duration_s=measured.duration_s,
        cuts=cuts,
        problems=measured.problems,
    )


def _batches(framer: PacketFramer, items: Iterator[tuple[int, Rows] | ProblemEvent]) -> Iterator[Batch]:
    for item in items:
        if isinstance(item, tuple):
            yield Batch(*item, framer.stride)


class _Copy:
    """Takes packets in the order of the file, and notes what is left out between them."""

    def __init__(self, files: Output | None, ends: _Ends) -> None:
        self.kept = 0
        self.cuts: list[Cut] = []
        self._files, self._ends = files, ends
        self._at = 0

    def take(self, batch: Batch) -> None:
        """Writes those of its packets that are valid. Raises WriteError."""
        self.skip_to(batch.offset)
        wanted = batch.usable | (batch.pid == NULL_PID)
        for row in np.flatnonzero(~wanted).tolist():
            self._note(Cut("file", batch.offset_of(row), PACKET_BYTES, "a damaged packet"))
        offsets = batch.offset + np.arange(len(batch)) * batch.stride
        for pid, since in self._ends.open.items():
            ending = wanted & (batch.pid == pid) & (offsets >= since)
            for row in np.flatnonzero(ending).tolist():
                self._note(Cut("file", batch.offset_of(row), PACKET_BYTES, "an access unit without its end"))
            wanted &= ~ending
        data = batch.rows[wanted].tobytes()
        if self._files is not None and data:
            self._files.write(memoryview(data), self.kept)
        self.kept += len(data)
        # Of packets of 192 or 204 bytes the 188 are kept; what surrounds them is no damage.
        self._at = batch.offset + len(batch) * batch.stride

    def skip_to(self, offset: int) -> None:
        """What lies between is no packet."""
        if offset > self._at:
            self._note(Cut("file", self._at, offset - self._at, "no transport packets"))

    def _note(self, cut: Cut) -> None:
        last = self.cuts[-1] if self.cuts else None
        if last is not None and last.reason == cut.reason and last.offset + last.bytes == cut.offset:
            self.cuts[-1] = Cut("file", last.offset, last.bytes + cut.bytes, cut.reason)
        elif len(self.cuts) < _CUTS_KEPT:
            self.cuts.append(cut)
        else:
            first = self.cuts[-1].offset
            self.cuts[-1] = Cut("file", first, self.cuts[-1].bytes + cut.bytes, "many places from here on")


def _copy(
    view: View, ends: _Ends, files: Output | None, advance: Callable[[int], None]
) -> tuple[int, tuple[Cut, ...]]:
    """Copies the valid packets; how many bytes they are, and what was left out."""
    copy, framer = _Copy(files, ends), PacketFramer()
    for at, data in view.chunks(0, view.size):
        for batch in _batches(framer, framer.feed(data)):
            copy.take(batch)
        advance(at + len(data))
    for batch in _batches(framer, framer.close()):
        copy.take(batch)
    copy.skip_to(view.size)
    return copy.kept, tuple(copy.cuts)


def _words(kept: int, cuts: tuple[Cut, ...]) -> str:
    dropped = sum(cut.bytes for cut in cuts)
    return f"{kept:,} bytes of valid packets; " + (
        f"{dropped:,} bytes were left out" if dropped else "none is missing"
    )


def _clear_away(files: Output, system: System) -> None:
    """Removes the copy that an earlier repair left unfinished: the original has all of it."""
    try:
        with locked(files.partial_path, system, writes=True) as descriptor:
            remove(files.partial_path, descriptor, system)
    except FileNotFoundError:
        pass
