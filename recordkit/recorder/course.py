"""How a recording goes on from one of its files to the next, and what is told of that."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from ..encode.routing import VIDEO
from ..encode.streams import Streams
from ..model import AccessUnit, EventKind, Sample
from ..settings import RecordingSettings
from ..telemetry.instruments import Instruments
from .cutting import Cutting
from .files import Files
from .marking import Marks
from .ring import Ring
from .segment import Segment
from .state import StateTable
from .telling import Telling

log = logging.getLogger("recordkit")

_LONGEST_OVERDUE_S = 10.0


class Course:
    """The files of a recording, as they follow each other; of one file only there is nothing to tell.

    ``cutting`` says where they end, None if nothing may. ``begin`` gives it what keeps the log, and the earliest
    time laid so far, in ticks. ``ring`` keeps account of the files if they are those of one.
    """

    def __init__(
        self,
        settings: RecordingSettings,
        files: Files,
        streams: Streams,
        states: StateTable,
        tell: Telling,
        ring: Ring | None,
    ) -> None:
        self._ring = ring
        self._files = files
        self._states = states
        self._tell = tell
        self._has_video = settings.video is not None
        self._marks_at_cut: deque[tuple[int, float, str]] = deque()
        self.cuts_at_marks = settings.segments is not None and settings.segments.at_marks
        self.cutting: Cutting | None = None
        if settings.segments is not None:
            self.cutting = Cutting(
                settings.segments,
                files,
                lambda number, planned_ns: files.opened(number, planned_ns, self._instruments),
                streams,
                settings.clock,
                lambda because: tell.stands("next file", because),
                has_video=self._has_video,
            )

    def begin(self, instruments: Instruments, first_pts: Callable[[], int | None]) -> None:
        """The parts are put together."""
        self._instruments = instruments
        self._first_pts = first_pts

    @property
    def wants_entry(self) -> bool:
        """Whether the next file waits for a unit of the video that a decoder can start from."""
        return self.cutting is not None and self.cutting.wants_entry

    def mark_at_cut(self, name: str) -> None:
        """A mark is made where the next file begins."""
        self._marks_at_cut.append((*self._instruments.now, name))

    def go_on_in(self, file: Segment, unit: AccessUnit) -> None:
        """``unit`` is about to be laid, as the first one, into ``file``."""
        self._files.go_on_in(file, unit, self._first_pts() or 0, self._instruments)
        self._note_marks()
        log.info("Going on in %s", file.writer.final_output_path)

    def laid(self, file: Segment, unit: AccessUnit) -> None:
        """Note where a file of several lies in the recording, once the first frame is in it."""
        if self.cutting is None:
            return
        if self._ring is not None:
            self._ring.laid(file, unit)
        self._files.laid(unit, self._instruments)
        if file.is_told or (unit.stream != VIDEO and self._has_video):
            return
        file.is_told = True
        self._note_marks()
        self._tell(EventKind.SEGMENT, number=file.number, stream=unit.stream, pts=unit.pts)

    def end(self, marks: Marks) -> None:
        """No file comes any more: what was to be marked at its beginning is marked where the recording ends."""
        while self._marks_at_cut:
            marks.add(self._marks_at_cut.popleft()[2])

    def cut_overdue(self, _: Sample) -> str | None:
        """A rule for an alert: the next file does not begin."""
        overdue_s = 0.0 if self.cutting is None else self.cutting.overdue_s
        if overdue_s < _LONGEST_OVERDUE_S or not self._states.state.is_recording:
            return None
        return f"the next file has been due for {overdue_s:.0f} s: no keyframe came, or it cannot be opened"

    def _note_marks(self) -> None:
        """The marks that a file was to begin with are where the one in hand begins."""
        while self._marks_at_cut:
            time_ns, elapsed_s, name = self._marks_at_cut.popleft()
            begins_s = self._files.in_hand.begins_s
            self._instruments.event_at(time_ns, elapsed_s, EventKind.MARK, name=name, media_s=begins_s)
