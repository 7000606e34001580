"""A recording under way: its intake, streams, packetiser, writer, pipeline and instruments, put together."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
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
from ..model import AccessUnit, Codec, Event, EventKind, Field, FlushRecord, Sample
from ..settings import AudioSettings, RecordingSettings, VideoSettings
from ..telemetry.instruments import Instruments
from ..version import __version__
from ..writer.closing import DISK_FULL
from ..writer.observer import Closed, QueueStatus
from ..writer.writer import Writer
from .admission import Load, Needs, memory_bytes
from .cutting import CutHere, Cutting
from .files import Files
from .hooks import Hooks
from .keeper import Keeper
from .ledger import Ledger
from .marking import Marks
from .pipeline import Pipeline
from .prelude import AllPlaced, Prelude
from .result import Recording
from .segment import Segment, SegmentObserver
from .shared import Shared
from .state import Ending, State, StateTable
from .unstopped import look_after

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger("recordkit")

_LONGEST_OVERDUE_S = 10.0


class RunningRecording(SegmentObserver):
    """The parts of one recording and what they tell each other; ``Recorder`` is what a caller sees of it.

    ``states`` decides how it ends, ``ledger`` has its figures.

    Raises OutputNameError; opening the files is left to ``start``.
    """

    def __init__(self, settings: RecordingSettings, shared: Shared) -> None:
        clock = settings.clock
        self.settings = settings
        self._container = by_suffix(Path(settings.path))
        self.states = StateTable()
        self._let_go: Callable[[], None] = lambda: None
        self._has_ended = False
        self._flushes = 0
        self._marks_at_cut: deque[tuple[int, float, str]] = deque()
        self._shared = shared
        self._share = shared.budget.share()
        self.intake: Intake[Media | threading.Event | AllPlaced | CutHere] = Intake(
            settings.queue_bytes, settings.overflow, clock, self._share
        )
        self.streams = Streams(
            settings.video or VideoSettings(),
            settings.audio,
            self._gap,
            self._given_up,
            self._altered,
            embeds_times=settings.embed_times,
            carried=self._container.carries,
        )
        self.files = Files(settings, self._own_packager, self)
        self.cutting: Cutting | None = None
        if settings.segments is not None:
            self.cutting = Cutting(
                settings.segments,
                self.files,
                lambda number, planned_ns: self.files.opened(number, planned_ns, self.instruments),
                self.streams,
                clock,
                self._next_file,
                has_video=settings.video is not None,
            )
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
            on_cut=self._go_on_in,
            cutting=self.cutting,
        )
        self.ledger = Ledger(self.intake, self.streams, self.files, self.pipeline, self.states)
        self.marks = Marks(
            lambda: self.instruments,
            lambda: self.ledger.media_s,
            is_known=lambda: self.intake.newest is not None,
            is_live=lambda: self.ledger.received() is not None,
        )
        name = self.final_output_path.name
        self._keeper = (
            None
            if settings.keep is None
            else Keeper(
                name,
                settings,
                shared.passes(self.final_output_path.parent, settings.keep, settings.system),
                self.note,
            )
        )
        self.hooks = (
            None
            if settings.on_commit is None
            else Hooks(name, settings.on_commit, settings.on_commit_timeout, self.note)
        )
        alerts = settings.alerts
        own = [*alerts.own, self._degraded_rule, self._overdue_rule]
        if self._keeper is not None:
            own.append(self._keeper.nothing_to_delete)
        self.instruments = Instruments(
            self.final_output_path,
            {
                "recording": self.final_output_path.name,
                "path": str(self.final_output_path),
                "flush_threshold": settings.flush_threshold,
                "flush_interval": settings.flush_interval,
                "durability": settings.durability,
                "alert_thresholds": {name: limit.threshold for name, limit in alerts.limits().items()},
                "recordkit": __version__,
                "pid": os.getpid(),
                **self.files.facts(1),
            },
            self.ledger.standing,
            interval_s=settings.sample_interval,
            log_file=settings.flush_log,
            alerts=replace(alerts, own=tuple(own)),
            queue_bound=settings.queue_bytes,
            on_alert=settings.on_alert,
            clock=clock,
            system=settings.system,
            probe=shared.probe,
            counts=self.ledger.limited,
        )
        self._needs = Needs(
            self.final_output_path.name,
            memory_bytes=memory_bytes(
                self.writer.tail_bytes, min(settings.queue_bytes, shared.budget.limit), settings.video
            ),
            encodes=settings.video is not None,
        )

    def _as_it_comes(self) -> tuple[AudioSettings, ...]:
        """The audio of this recording with as little work as can be: what comes as Opus stays that, if it can."""
        if Codec.OPUS not in self._container.carries:
            return self.settings.audio
        return tuple(replace(one, codec="opus", sample_rate=None, channels=None) for one in self.settings.audio)

    def _own_packager(self) -> Packager:
        return self._container.packager(self.settings.finish == "fragmented")

    def needs_entry(self, stream: int) -> bool:
        """Whether a live source had better send a unit of ``stream`` that a decoder can start from."""
        wants = self.cutting is not None and self.cutting.wants_entry and stream == VIDEO
        return wants or self.streams.ways.needs_entry(stream)

    def admit(self) -> None:
        """Raises AdmissionError where the machine cannot carry this recording beside those that run."""
        self._shared.admit(replace(self._needs, device=self._device))

    @property
    def writer(self) -> Writer:
        """What writes the file in hand."""
        return self.files.in_hand.writer

    @property
    def final_output_path(self) -> Path:
        """Where the file in hand will be."""
        return self.writer.final_output_path

    @property
    def _device(self) -> int | None:
        """The number of the disk that the recording goes to: that of the nearest folder that exists."""
        for folder in self.final_output_path.absolute().parents:
            try:
                return folder.stat().st_dev
            except OSError:
                continue
        return None

    def start(self, loop: asyncio.AbstractEventLoop | None, owner: object | None = None) -> None:
        """Begin, once the writer has its files; ``loop`` is the event loop to measure the lag of.

        When ``owner`` is collected, or the program ends, a recording that nobody has stopped is committed.
        Raises AdmissionError if there is no thread for it; nothing is left behind then.
        """
        self.states.start()
        self._needs = replace(self._needs, device=self._device)
        self._share.join()
        self._shared.join(self._load)
        self.instruments.start(loop, self.final_output_path)
        self.files.in_hand.log = self.instruments.logs.file
        if self.cutting is not None:
            self.instruments.logs.laid_s = lambda: self.ledger.duration_s
        self._let_go = look_after(owner or self, str(self.final_output_path), self)
        try:
            if self._keeper is not None:
                self._keeper.start()
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
            if self._keeper is not None:
                self._keeper.join()
        return ended

    @property
    def error(self) -> RecordkitError | None:
        """Why the recording failed, or None."""
        return self.states.error

    def result(self) -> Recording:
        """The recording, once it has ended."""
        return Recording(
            path=self.files.in_hand.path,
            bytes=self.files.bytes,
            duration_s=self.ledger.duration_s,
            streams=self.files.in_hand.packager.streams,
            counters=self.ledger.counters,
            flush_log=self.instruments.log,
            ended_because=self.ended_because,
            segments=self.files.ended if self.cutting is not None else (),
        )

    @property
    def ended_because(self) -> str | None:
        """Why it ended by itself, or why nothing was recorded; None when it was stopped, or has not ended."""
        if self.writer.ended_because is not None or not self._has_ended or self.files.bytes:
            return self.writer.ended_because
        return self.states.degraded_because or self.streams.ways.lacking

    def mark(self, name: str) -> None:
        """Note a mark where the recording is now, or where the file begins that is to begin with it."""
        segments = self.settings.segments
        if self.cutting is None or segments is None or not segments.at_marks:
            self.marks.add(name)
            return
        self._marks_at_cut.append((*self.instruments.now, name))
        self.cut()

    def cut(self) -> None:
        """Begin a file with what comes next; what is queued goes into the one before."""
        self.intake.put_marker(CutHere())

    def list_streams(self, order: Sequence[int]) -> None:
        """List the streams of these numbers first in the file, in this order."""
        self.files.in_hand.packager.order = tuple(order)

    def note(self, kind: EventKind, **fields: Field) -> None:
        """Put an event into the log; one that tells of a trouble changes the state, too."""
        part = str(fields.get("part", ""))
        if kind is EventKind.DEGRADED:
            self.degrade(part, str(fields.get("because", "")))
        elif kind is EventKind.RESTORED:
            self.restore(part)
        else:
            self.instruments.event(kind, **fields)

    def degrade(self, part: str, because: str) -> None:
        """A part does not work; the rest goes on."""
        if self.states.degrade(part, because):
            log.warning("%s: degraded: %s", self.final_output_path, because)
            self.instruments.event(EventKind.DEGRADED, part=part, because=because)

    def restore(self, part: str) -> None:
        """The part works again."""
        if self.states.restore(part):
            log.info("%s: %s works again", self.final_output_path, part)
            self.instruments.event(EventKind.RESTORED, part=part)

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
        if self._keeper is not None:
            self._keeper.wake()
        if self.settings.on_flush is not None:
            self.settings.on_flush(record)

    def room(self) -> None:
        """Let the pipeline lay again."""
        self.pipeline.wake()

    def waiting(self, because: str | None) -> None:
        """The disk is in trouble, or is well again."""
        if because is None:
            self.restore("disk")
        else:
            self.degrade("disk", because)

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
            self._committed(segment, closed)
        elif closed.error is not None and not is_last:
            words = f"{closed.error}; the recording goes on in the next file"
            self.degrade(segment.writer.final_output_path.name, words)
        if is_last:
            self.pipeline.wake()
        elif segment.log is not None:
            segment.log.close()
            if not closed.size_bytes:
                segment.log.remove()

    def queue(self) -> QueueStatus:
        """What waits before the writer."""
        return QueueStatus(self.intake.bytes, self.intake.dropped)

    # Called by the threads, and by those of other recordings.

    def _load(self) -> Load:
        return Load(
            self._needs.name,
            since_drop_s=self.intake.since_drop_s,
            since_full_s=self.pipeline.since_full_s,
            device=self._needs.device,
        )

    def _laid(self, file: Segment, unit: AccessUnit) -> None:
        """Note where a file of several lies in the recording, once the first frame is in it."""
        if self.cutting is None:
            return
        self.files.laid(unit, self.instruments)
        if file.is_told:
            return
        if unit.stream != VIDEO and self.settings.video is not None:
            return
        file.is_told = True
        self._note_marks()
        self.note(EventKind.SEGMENT, number=file.number, stream=unit.stream, pts=unit.pts)

    def _go_on_in(self, file: Segment, unit: AccessUnit) -> None:
        self.files.go_on_in(file, unit, self.pipeline.tally.first_pts or 0, self.instruments)
        self._note_marks()
        log.info("Going on in %s", file.writer.final_output_path)

    def _note_marks(self) -> None:
        """The marks that a file was to begin with are where the one in hand begins."""
        while self._marks_at_cut:
            time_ns, elapsed_s, name = self._marks_at_cut.popleft()
            begins_s = self.files.in_hand.begins_s
            self.instruments.event_at(time_ns, elapsed_s, EventKind.MARK, name=name, media_s=begins_s)

    def _committed(self, segment: Segment, closed: Closed) -> None:
        """One of the files, or the only one, has its final name."""
        fields: dict[str, Field] = {
            "path": str(closed.path),
            "bytes": closed.size_bytes,
            "duration_s": segment.duration_s,
        }
        if segment is self.files.in_hand:
            self.note(EventKind.COMMIT, **fields)
        else:
            time_ns, elapsed_s = self.instruments.now
            self.instruments.noted_before(Event(time_ns, elapsed_s, EventKind.COMMIT, fields), segment.log)
            if self.hooks is not None:
                self.hooks.committed(self._file(segment))
        if self._keeper is not None:
            self._keeper.wake()

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

    def _next_file(self, because: str | None) -> None:
        if because is None:
            self.restore("next file")
        else:
            self.degrade("next file", because)

    def _gap(self, stream: int, seconds: float, is_filled: bool) -> None:
        self.note(EventKind.GAP, stream=stream, seconds=seconds, filled=is_filled)

    def _altered(self, stream: int, because: str) -> None:
        log.warning("%s: stream %d: %s", self.final_output_path, stream, because)
        self.note(EventKind.ALTERED, stream=stream, because=because)

    def _given_up(self, stream: int, because: str) -> None:
        self.degrade(f"stream {stream}", because)

    def _degraded_rule(self, _: Sample) -> str | None:
        return self.states.degraded_because if self.states.state is State.DEGRADED else None

    def _overdue_rule(self, _: Sample) -> str | None:
        overdue_s = 0.0 if self.cutting is None else self.cutting.overdue_s
        if overdue_s < _LONGEST_OVERDUE_S or not self.is_recording:
            return None
        return f"the next file has been due for {overdue_s:.0f} s: no keyframe came, or it cannot be opened"

    def _end(self) -> None:
        """All is done, or has failed."""
        self.marks.settle()
        while self._marks_at_cut:
            self.marks.add(self._marks_at_cut.popleft()[2])
        if (error := self.error) is not None:
            self.note(EventKind.FAILURE, error=type(error).__name__, message=str(error))
        self._has_ended = True
        if error is None and not self.files.bytes:
            because = self.ended_because or "no media came"
            log.warning("%s: no file was made: %s", self.final_output_path, because)
        self._shared.leave(self._load)
        self._share.leave()
        self._let_go()
        if self._keeper is not None:
            self._keeper.end()
        if self.hooks is not None:
            if self.writer.committed:
                self.hooks.committed(self.result() if self.cutting is None else self._file(self.files.in_hand))
            self.hooks.end()
        self.states.over()
        self.instruments.end(keep_log=self.writer.file_bytes > 0)
