"""A recording under way: its intake, streams, packetiser, writer, pipeline and instruments, put together."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..container import Packager
from ..containers import by_suffix
from ..encode.routing import FIRST_AUDIO, VIDEO
from ..encode.streams import Media, Streams
from ..errors import AdmissionError, RecordkitError
from ..intake import Intake
from ..model import AccessUnit, Codec, Event, EventKind, Field, FlushRecord
from ..settings import AudioSettings, RecordingSettings, VideoSettings
from ..telemetry.instruments import Instruments
from ..version import __version__
from ..writer.closing import DISK_FULL
from ..writer.observer import Closed, QueueStatus
from ..writer.writer import Writer
from .aftermath import Aftermath
from .claim import Claim
from .course import Course
from .cutting import CutHere
from .files import Files
from .kept import Keepings
from .ledger import Ledger
from .marking import Marks
from .pipeline import Pipeline
from .prelude import AllPlaced, Prelude
from .result import Recording
from .ring import files_of
from .segment import Segment, SegmentObserver
from .shared import Shared
from .state import Ending, StateTable
from .telling import Telling
from .unstopped import look_after

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger("recordkit")


class RunningRecording(SegmentObserver):
    """The parts of one recording and what they tell each other; ``Recorder`` is what a caller sees of it.

    ``states`` decides how it ends, ``ledger`` has its figures.

    Raises OutputNameError; opening the files is left to ``start``.
    """

    def __init__(self, settings: RecordingSettings, shared: Shared) -> None:
        clock, given, settings = settings.clock, settings, files_of(settings)
        self.settings = settings
        self._container = by_suffix(Path(settings.path))
        self.states = StateTable()
        self._let_go: Callable[[], None] = lambda: None
        self._has_ended = False
        self._flushes = 0
        self.pages = shared.pages
        share = shared.budget.share()
        self.intake: Intake[Media | threading.Event | AllPlaced | CutHere] = Intake(
            settings.queue_bytes, settings.overflow, clock, share
        )
        self.note = Telling(lambda: self.final_output_path, self.states, lambda: self.instruments)
        self.streams = Streams(
            settings.video or VideoSettings(),
            settings.audio,
            self.note.gap,
            self.note.given_up,
            self.note.altered,
            embeds_times=settings.embed_times,
            carried=self._container.carries,
            clock=clock,
        )
        self.files = Files(settings, self._own_packager, self, commits=given.ring is None)
        self.keepings: Keepings | None = None
        if given.ring is not None:
            self.keepings = Keepings(
                given,
                given.ring,
                lambda: self.instruments,
                self.files.recording_id,
                self._own_packager,
                lambda: self.ledger.media_s,
                lambda: self.ledger.received() is not None,
                self.note,
                self._committed,
            )
        ring = None if self.keepings is None else self.keepings.ring
        self.course = Course(settings, self.files, self.streams, self.states, self.note, ring)
        expected = (set() if settings.video is None else {VIDEO}) | {
            FIRST_AUDIO + number for number in range(len(settings.audio))
        }
        self.pipeline = Pipeline(
            self.final_output_path.name,
            self.intake,
            self.streams,
            self.files,
            self.states,
            clock,
            expected=expected,
            prelude=lambda: Prelude(
                Streams(settings.video or VideoSettings(), self._as_it_comes(), embeds_times=settings.embed_times),
                self._own_packager(),
                self.writer,
                expected,
                clock,
            ),
            on_end=self._end,
            on_event=self.note,
            on_laid=self._laid,
            on_cut=self.course.go_on_in,
            cutting=self.course.cutting,
        )
        self.ledger = Ledger(self.intake, self.streams, self.files, self.pipeline, self.states)
        self.marks = Marks(
            lambda: self.instruments, lambda: self.ledger, lambda: self.ledger.received() is not None
        )
        self._aftermath = Aftermath(self.final_output_path, settings, shared, self.note)
        alerts = settings.alerts
        own = (*alerts.own, self.note.degraded, self.course.cut_overdue, *self._aftermath.rules)
        self.instruments = Instruments(
            self.final_output_path,
            self._header(),
            self.ledger.standing,
            interval_s=settings.sample_interval,
            log_file=settings.flush_log,
            alerts=replace(alerts, own=own),
            queue_bound=settings.queue_bytes,
            on_alert=settings.on_alert,
            clock=clock,
            system=settings.system,
            probe=shared.probe,
            counts=self.ledger.limited,
        )
        self.course.begin(self.instruments, lambda: self.pipeline.tally.first_pts)
        self._claim = Claim(
            settings,
            shared,
            share,
            self.intake,
            lambda: self.final_output_path,
            lambda: self.pipeline.layer.since_full_s,
            self.writer.tail_bytes,
        )

    def _header(self) -> dict[str, object]:
        """What the log says of the recording before all else."""
        settings = self.settings
        return {
            "recording": self.final_output_path.name,
            "path": str(self.final_output_path),
            "flush_threshold": settings.flush_threshold,
            "flush_interval": settings.flush_interval,
            "durability": settings.durability,
            "alert_thresholds": {name: limit.threshold for name, limit in settings.alerts.limits().items()},
            "recordkit": __version__,
            "pid": os.getpid(),
            **self.files.facts(1),
        }

    def _as_it_comes(self) -> tuple[AudioSettings, ...]:
        """The audio of this recording with as little work as can be: what comes as Opus stays that, if it can."""
        if Codec.OPUS not in self._container.carries:
            return self.settings.audio
        return tuple(replace(one, codec="opus", sample_rate=None, channels=None) for one in self.settings.audio)

    def _own_packager(self) -> Packager:
        return self._container.packager(self.settings.finish == "fragmented")

    def needs_entry(self, stream: int) -> bool:
        """Whether a live source had better send a unit of ``stream`` that a decoder can start from."""
        return (stream == VIDEO and self.course.wants_entry) or self.streams.ways.needs_entry(stream)

    def admit(self) -> None:
        """Raises AdmissionError where the machine cannot carry this recording beside those that run."""
        self._claim.admit()

    @property
    def writer(self) -> Writer:
        """What writes the file in hand."""
        return self.files.in_hand.writer

    @property
    def final_output_path(self) -> Path:
        """Where the file in hand will be."""
        return self.writer.final_output_path

    def start(self, loop: asyncio.AbstractEventLoop | None, owner: object | None = None) -> None:
        """Begin, once the writer has its files; ``loop`` is the event loop to measure the lag of.

        When ``owner`` is collected, or the program ends, a recording that nobody has stopped is committed.
        Raises AdmissionError if there is no thread for it; nothing is left behind then.
        """
        self.states.start()
        self._claim.join()
        self.instruments.start(loop, self.final_output_path)
        self.files.in_hand.log = self.instruments.logs.file
        if self.course.cutting is not None:
            self.instruments.logs.laid_s = lambda: self.ledger.duration_s
        self._let_go = look_after(owner or self, str(self.final_output_path), self)
        try:
            self._aftermath.start()
            self.pipeline.start()
        except AdmissionError as error:
            self.states.fail(error)
            self.writer.close(commit=False)
            self.writer.join()
            self._end()
            self.instruments.join()
            raise

    def abandon(self) -> None:
        """Nobody waits for the end any more, the end of the program neither: a disk may hang."""
        self._let_go()

    @property
    def is_recording(self) -> bool:
        """Whether nobody has stopped it, and nothing has ended it."""
        return self.states.state.is_recording

    def _laid(self, file: Segment, unit: AccessUnit) -> None:
        self.course.laid(file, unit)
        self.marks.settle()

    def end(self, *, commit: bool) -> None:
        """Take nothing more and let what is queued go its way to the end; waits for nothing."""
        if self.states.end(Ending.STOP if commit else Ending.LEAVE):
            self.note(EventKind.STOP)
        self.intake.close()
        for file in self.files.open:
            file.writer.stop_waiting()

    def let_end(self) -> None:
        """Commit what there is, nobody having stopped it. Takes no lock that the caller may not have already."""
        self.states.end(Ending.UNSTOPPED)
        self.intake.close()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end; False if it did not come within ``timeout`` seconds."""
        ended = self.pipeline.join(timeout)
        if ended:
            self.instruments.join()
            self._aftermath.join()
        return ended

    def wait_for_hooks(self) -> bool:
        """Wait until ``on_commit`` is done, as long as it may take; whether it is."""
        return self._aftermath.wait_for_hooks()

    @property
    def error(self) -> RecordkitError | None:
        """Why the recording failed, or None."""
        return self.states.error

    def result(self) -> Recording:
        """The recording, once it has ended; that of a ring is what was kept of it."""
        files, duration_s = self.files, self.ledger.duration_s
        if self.keepings is not None:
            files = self.keepings.files
            duration_s = sum(one.duration_s for one in files.ended)
        segments = files.ended if self.course.cutting is not None else ()
        return Recording(
            path=segments[-1].path if segments else files.in_hand.path,
            bytes=files.bytes,
            duration_s=duration_s,
            streams=self.files.in_hand.packager.streams,
            counters=self.ledger.counters,
            flush_log=self.instruments.log,
            ended_because=self.ended_because,
            segments=segments,
        )

    @property
    def ended_because(self) -> str | None:
        """Why it ended by itself, or why nothing was recorded; None when it was stopped, or has not ended."""
        if self.writer.ended_because is not None or not self._has_ended or self.files.bytes:
            return self.writer.ended_because
        return self.states.degraded_because or self.streams.ways.lacking

    def mark(self, name: str) -> None:
        """Note a mark where the recording is now, or where the file begins that is to begin with it."""
        if not self.course.cuts_at_marks:
            self.marks.add(name)
            return
        self.course.mark_at_cut(name)
        self.cut()

    def cut(self) -> None:
        """Begin a file with what comes next; what is queued goes into the one before."""
        self.intake.put_marker(CutHere())

    def list_streams(self, order: Sequence[int]) -> None:
        """List the streams of these numbers first in the file, in this order."""
        self.files.in_hand.packager.order = tuple(order)

    # The writer's observer.

    def segment_flushed(self, segment: Segment, record: FlushRecord) -> None:
        """Put a flush into the log of its file."""
        record = replace(record, index=self._flushes)
        self._flushes += 1
        if segment is self.files.in_hand:
            self.instruments.flushed(record)
        else:
            self.instruments.noted_before(record, segment.log)
        self.marks.settle()
        self._aftermath.look()
        if self.settings.on_flush is not None:
            self.settings.on_flush(record)

    def room(self) -> None:
        """Let the pipeline lay again."""
        self.pipeline.wake()

    def waiting(self, because: str | None) -> None:
        """The disk is in trouble, or is well again."""
        self.note.stands("disk", because)

    def full(self) -> bool:
        """End by a full disk, unless something else has decided already."""
        log.warning("%s: the recording ends: %s", self.final_output_path, DISK_FULL)
        self.states.end(Ending.DISK_FULL)
        self.note(EventKind.STOP, because=DISK_FULL)
        self.intake.close()
        return self.states.commits

    def segment_over(self, segment: Segment, closed: Closed) -> None:
        """Tell of a finished file; the pipeline, which may wait for room in the last one, learns of a failure."""
        is_last = segment is self.files.in_hand
        self.files.over(segment)
        if is_last and self.states.ending is Ending.UNSTOPPED:
            self.note(EventKind.STOP, because=Ending.UNSTOPPED.value)
        if closed.committed:
            self._committed(segment)
        elif closed.error is not None and not is_last:
            words = f"{closed.error}; the recording goes on in the next file"
            self.note.degrade(segment.writer.final_output_path.name, words)
        if is_last:
            self.pipeline.wake()
        elif segment.log is not None:
            segment.log.close()
            if not closed.size_bytes:
                segment.log.remove()
        if self.keepings is not None:
            self.keepings.ring.over(segment)

    def queue(self) -> QueueStatus:
        """What waits before the writer."""
        return QueueStatus(self.intake.bytes, self.intake.dropped)

    def _committed(self, segment: Segment) -> Recording:
        """One of the files, or the only one, has its final name."""
        recording = self._file(segment)
        fields: dict[str, Field] = {
            "path": str(recording.path),
            "bytes": recording.bytes,
            "duration_s": recording.duration_s,
        }
        if segment is self.files.in_hand:
            self.note(EventKind.COMMIT, **fields)
        else:
            time_ns, elapsed_s = self.instruments.now
            self.instruments.noted_before(Event(time_ns, elapsed_s, EventKind.COMMIT, fields), segment.log)
            self._aftermath.committed(recording)
        self._aftermath.look()
        return recording

    def _file(self, segment: Segment) -> Recording:
        """One file of several, as a recording of its own; the counters and the log are those of all."""
        return Recording(
            path=segment.path,
            bytes=segment.writer.file_bytes,
            duration_s=segment.duration_s,
            streams=segment.packager.streams,
            counters=self.ledger.counters,
            flush_log=self.instruments.log,
        )

    def _end(self) -> None:
        """All is done, or has failed."""
        self.marks.settle()
        self.course.end(self.marks)
        is_left = self.writer.file_bytes > 0
        if self.keepings is not None:
            self.keepings.end(commit=self.states.commits)
            is_left &= not self.states.commits
        if (error := self.error) is not None:
            self.note(EventKind.FAILURE, error=type(error).__name__, message=str(error))
        self._has_ended = True
        if error is None and not self.files.bytes and self.keepings is None:
            because = self.ended_because or "no media came"
            log.warning("%s: no file was made: %s", self.final_output_path, because)
        self._claim.leave()
        self._let_go()
        if self.writer.committed:
            is_one = self.course.cutting is None
            self._aftermath.committed(self.result() if is_one else self._file(self.files.in_hand))
        self._aftermath.end()
        self.states.over()
        self.instruments.end(keep_log=is_left)
