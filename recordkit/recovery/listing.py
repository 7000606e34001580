"""What lies unfinished in a folder."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import RecordkitError, RecoveryError
from ..model import FlushRecord
from ..plots.cards import Listed
from ..signatures import named
from ..system import NO_LOCKS, Clock, System
from ..telemetry.logfile import log_path, parse_line
from ..values import PathLike
from ..values import path as read_path
from ..writer.header import HEADER_BYTES, read_header
from ..writer.output import Output
from .files import WITHOUT_LOCKS, open_regular
from .names import output_of, unfinished
from .outcome import Partial
from .plan import belongs, make_plan
from .view import read_at

_LOG_BYTES = 1024 * 1024


@named
def partials(folder: PathLike, *, _clock: Clock | None = None, _system: System | None = None) -> list[Partial]:
    """Every unfinished recording in ``folder``, by name; a tail that lost its partial counts as one of 0 bytes.

    Nothing is changed, and only the ends of the files are read. Raises RecoveryError where the
    folder cannot be listed.
    """
    folder = read_path("folder", folder)
    clock, system = _clock or Clock(), _system or System()
    return Listed(_partial(output_of(path, system), clock, system) for path in unfinished(folder))


def _partial(output: Output, clock: Clock, system: System) -> Partial:
    found = _Found()
    problem = None
    try:
        found.look(output, system)
    except RecordkitError as error:
        problem = str(error)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    age_s = max(0.0, clock.time_ns() / 1e9 - found.changed_s) if found.changed_s else 0.0
    return Partial(
        path=output.partial_path,
        final_path=output.final_path,
        age_s=age_s,
        bytes=found.bytes,
        tail_bytes=found.tail_bytes,
        last_flush_ns=_last_flush_ns(output.final_path, system),
        is_recording=found.is_recording,
        recoverable_bytes=found.recoverable_bytes,
        problem=problem or found.problem,
    )


class _Found:
    """What a look at a partial and its tail finds."""

    def __init__(self) -> None:
        self.bytes = self.tail_bytes = self.recoverable_bytes = 0
        self.changed_s = 0.0
        self.is_recording = False
        self.problem: str | None = None

    def look(self, output: Output, system: System) -> None:
        """Raises RecordkitError or OSError where a file cannot be looked at; what was found so far stays."""
        tail = _opened(output.tail_path, system)
        try:
            if tail is not None:
                self._look_at_tail(tail)
            partial = _opened(output.partial_path, system)
            if partial is None:
                self.problem = "the partial is gone: it was committed or moved away, and only its tail is left"
                return
            try:
                self._look_at_partial(output, partial, tail, system)
            finally:
                system.close(partial)
        finally:
            if tail is not None:
                system.close(tail)

    def _look_at_tail(self, tail: int) -> None:
        self.changed_s = os.fstat(tail).st_mtime
        header = read_header(read_at(tail, 0, HEADER_BYTES))
        self.tail_bytes = 0 if header is None else sum(slot.bytes for slot in header.slots)

    def _look_at_partial(self, output: Output, partial: int, tail: int | None, system: System) -> None:
        status = os.fstat(partial)
        self.bytes = status.st_size
        self.changed_s = max(self.changed_s, status.st_mtime)
        try:
            self.is_recording = system.is_locked(output.partial_path)
        except FileNotFoundError:  # committed while we looked
            self.problem = "it has just been committed"
            return
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            self.problem = WITHOUT_LOCKS
            return
        if self.is_recording:
            # It grows while we look; what it has is what it has published.
            header = None if tail is None else read_header(read_at(tail, 0, HEADER_BYTES))
            is_its = header is not None and tail is not None and belongs(partial, tail, header)
            slots = header.slots if header is not None and is_its else ()
            self.recoverable_bytes = max([self.bytes, *(slot.end for slot in slots)])
            return
        plan = make_plan(partial, tail)
        self.recoverable_bytes = plan.end
        words = [*plan.problems, *(f"{cut.bytes:,} bytes cannot be used: {cut.reason}" for cut in plan.cuts)]
        if not plan.end:
            empty = not plan.size and not plan.cuts
            words.insert(0, "nothing had been recorded" if empty else "there is not one whole access unit in it")
        self.problem = "; ".join(words) or None


def _opened(path: Path, system: System) -> int | None:
    try:
        return open_regular(path, os.O_RDONLY, system)
    except FileNotFoundError:
        return None


def _last_flush_ns(final_path: Path, system: System) -> int | None:
    """When the newest flush that the log tells of was done; None where there is no such log."""
    try:
        descriptor = _opened(log_path(final_path), system)
        if descriptor is None:
            return None
        try:
            size = os.fstat(descriptor).st_size
            lines = read_at(descriptor, max(0, size - _LOG_BYTES), _LOG_BYTES).split(b"\n")
        finally:
            system.close(descriptor)
    except (OSError, RecoveryError):
        return None
    records = (parse_line(line) for line in reversed(lines[:-1]))
    return next((record.time_ns for record in records if isinstance(record, FlushRecord)), None)
