"""The files of one recording: how they are called, the one in hand, those that come to their ends and are over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from ..container import Packager
from ..errors import OutputBusyError, OutputExistsError, PartialExistsError
from ..model import AccessUnit, Event, EventKind
from ..names import segment_fields, segment_name
from ..settings import RecordingSettings
from ..telemetry.instruments import Instruments
from ..ticks import TICKS_PER_SECOND
from ..writer.output import Output
from .result import SegmentFile
from .segment import Segment, SegmentObserver, told

_MOST_NAMES = 1_000_000
_TAKEN = (OutputExistsError, PartialExistsError, OutputBusyError)


class Files:
    """Makes and opens the files of a recording, and keeps account of them. Its methods may be called by any thread.

    A recording without ``segments`` has one, of the path that was asked for. ``in_hand`` is the file that is
    laid into, ``ended`` are those that are over, oldest first. ``recording_id`` is the same in the logs of all.
    Those of a ring are made without ``commits``, and are not among ``ended``.

    Raises OutputNameError for a name that cannot be used.
    """

    def __init__(
        self,
        settings: RecordingSettings,
        packager: Callable[[], Packager],
        observer: SegmentObserver,
        *,
        commits: bool = True,
    ) -> None:
        self.recording_id = uuid4().hex
        self.ended: tuple[SegmentFile, ...] = ()
        self._past_bytes = self._past_late_units = 0
        self._settings = settings
        self._packager = packager
        self._observer = observer
        self._commits = commits
        self._ending: tuple[Segment, ...] = ()
        self._name_number = self._first_pts = 0
        self.in_hand = self._first()

    def begin(self) -> None:
        """Now that it begins, the first of several files is named; opening it is left to the caller."""
        if self._settings.segments is not None:
            self.in_hand = self._first()

    def opened(self, number: int, planned_ns: int, instruments: Instruments) -> Segment:
        """The next file, opened, with its log. Raises as ``Writer.start``; nothing is left behind then."""
        names = self._names(planned_ns, self._name_number)
        while True:
            path, name_number = next(names)
            file = self._made(number, path)
            try:
                file.writer.start(self._settings.clock.monotonic() - instruments.elapsed_s)
            except _TAKEN:
                continue  # by somebody else, at this moment
            self._name_number = name_number
            file.log = instruments.log_beside(file.writer.final_output_path, **self.facts(number))
            return file

    def begin_later(self) -> None:
        """The first file is not used: each is made by ``opened``."""
        self._name_number = 0

    def next_path(self, start_ns: int) -> Path:
        """What a file that begins at ``start_ns`` would be called by now."""
        return next(self._names(start_ns, self._name_number))[0]

    def facts(self, number: int) -> dict[str, object]:
        """What the header of a log says of its file."""
        if self._settings.segments is None:
            return {}
        return {"recording_id": self.recording_id, "segment": number, "pattern": str(self._settings.path)}

    def go_on_in(self, file: Segment, unit: AccessUnit, first_pts: int, instruments: Instruments) -> None:
        """``unit`` is about to be laid, as the first one, into ``file``."""
        self._ending, self.in_hand = (*self._ending, self.in_hand), file
        file.begins_s = (unit.pts - first_pts) / TICKS_PER_SECOND
        self._first_pts = first_pts
        time_ns, elapsed_s = instruments.now
        known = [
            Event(time_ns, elapsed_s, EventKind.STREAM, {"stream": index, **told(stream_format)})
            for index, stream_format in file.formats.items()
        ]
        instruments.logs.go_on_in(file.log, file.begins_s, known)

    def laid(self, unit: AccessUnit, instruments: Instruments) -> None:
        """A unit was laid into the file in hand: one that comes later may begin earlier than the first one."""
        file = self.in_hand
        if file.first_pts == unit.pts and file.number > 1:
            file.begins_s = instruments.logs.zero_s = (unit.pts - self._first_pts) / TICKS_PER_SECOND

    def over(self, file: Segment) -> None:
        """``file`` is closed."""
        size_bytes, path = file.writer.file_bytes, file.path
        if file is not self.in_hand:
            self._past_bytes += size_bytes
            self._past_late_units += file.packager.late_units
            self._ending = tuple(one for one in self._ending if one is not file)
        if path is not None and file.commits:
            ended = SegmentFile(
                path, file.number, size_bytes, file.begins_s, file.duration_s, file.writer.committed
            )
            self.ended = tuple(sorted((*self.ended, ended), key=lambda one: one.number))

    @property
    def bytes(self) -> int:
        """Bytes that flushes have written so far."""
        return self._past_bytes + sum(file.writer.file_bytes for file in self.open)

    @property
    def late_units(self) -> int:
        """Units that came late behind those of another stream; see ``Packager``."""
        return self._past_late_units + sum(file.packager.late_units for file in self.open)

    @property
    def open(self) -> tuple[Segment, ...]:
        """Those that are not over, the one in hand last."""
        return (*self._ending, self.in_hand)

    def _first(self) -> Segment:
        path, self._name_number = next(self._names(self._settings.clock.time_ns(), 0))
        return self._made(1, path)

    def _made(self, number: int, path: Path) -> Segment:
        own = self._settings
        if own.segments is not None:
            own = replace(own, path=path, segments=None, overwrite=False)
        return Segment(own, self._packager(), self._observer, number=number, commits=self._commits)

    def _names(self, start_ns: int, newest: int) -> Iterator[tuple[Path, int]]:
        """Paths for a file that begins at ``start_ns``, none of which is taken, with numbers behind ``newest``."""
        pattern = str(self._settings.path)
        if self._settings.segments is None:
            yield self._settings.path, 0
            return
        start = datetime.fromtimestamp(start_ns / 1e9).astimezone()
        is_numbered = "number" in segment_fields(pattern)
        for count in range(1, _MOST_NAMES):
            number = newest + count
            path = Path(segment_name(pattern, start, number))
            if not is_numbered and count > 1:
                path = path.with_name(f"{path.stem} ({count}){path.suffix}")
            if not self._is_taken(path):
                yield path, number if is_numbered else newest
        raise OutputExistsError(path, "all names that the next file could get are taken")

    def _is_taken(self, path: Path) -> bool:
        output = Output(path, self._settings.system)
        return any(os.path.lexists(one) for one in (output.final_path, output.partial_path, output.tail_path))
