"""What is kept of a ring: asked for, waited for, copied unit by unit, and committed as every recording is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..container import Packager
from ..encode.routing import VIDEO
from ..errors import MediaError, RecordkitError, SettingsError, StateError
from ..model import AccessUnit, Event, EventKind, FlushRecord, StreamFormat
from ..settings import RecordingSettings, Segments
from ..settings import Ring as RingSettings
from ..telemetry.instruments import Instruments
from ..telemetry.table import read_rows, table_path, taken_of
from ..threads import begin
from ..ticks import TICKS_PER_SECOND
from ..values import NumberLike, maybe, seconds
from ..writer.buffer import NotLaid
from .files import Files
from .ring import SMALL_BUFFER, Piece, Ring, Span
from .segment import Segment, SegmentObserver, told
from .telling import Tell

if TYPE_CHECKING:
    from .result import Recording

log = logging.getLogger("recordkit")

_LOOK_S = 1.0
_LONGEST_SILENCE_S = 10.0
"""What is asked for may not have come yet; if nothing comes at all for so long, it is kept without."""
_LONGEST_FLUSH_S = 60.0
_SPAN = seconds(0, 30 * 86_400, "give a time in seconds, such as 30 or '5min'")
BEFORE, AFTER = maybe(_SPAN), _SPAN


class Kept:
    """A file that somebody has asked for, of what a ring holds: it is there once ``wait`` returns.

    ``path`` is where it will be. It has all from ``begins_s`` on, and up to ``ends_s`` at least, in seconds of the
    recording. ``lacks_s`` is how much more was asked for than the ring still held. Who asks again before it is over
    gets the same one, which then has all that either has asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begins_s = self.ends_s = self.lacks_s = 0.0
        self._over = threading.Event()
        self._recording: Recording | None = None
        self._error: RecordkitError | None = None

    def __repr__(self) -> str:
        how = "kept" if self._recording is not None else "failed" if self._over.is_set() else "being kept"
        return f"<Kept {self.path}, {self.begins_s:.1f} to {self.ends_s:.1f} s, {how}>"

    @property
    def is_over(self) -> bool:
        """Whether it is committed, or has failed."""
        return self._over.is_set()

    def wait(self, timeout: float | None = None) -> Recording:
        """Wait until it is committed.

        Raises the error that it failed with, or StateError after ``timeout`` seconds.
        """
        if not self._over.wait(timeout):
            raise StateError("being kept", "kept", f"{self.path.name} was not kept within {timeout} s")
        if self._recording is None:
            raise self._error or StateError("left", "kept", f"{self.path.name} was not kept")
        return self._recording

    def settle(self, recording: Recording | None, error: RecordkitError | None) -> None:
        """It is over."""
        self._recording, self._error = recording, error
        if recording is not None and recording.path is not None:
            self.path = recording.path
        self._over.set()


class _Wanted:
    """What is asked for at this moment: times in ticks, and until when more may come, by the clock.

    ``named_ns`` is the time of day that its name tells.
    """

    def __init__(self, kept: Kept, named_ns: int) -> None:
        self.kept, self.named_ns = kept, named_ns
        self.begin = self.end = 0
        self.until_s = 0.0
        self.is_reached = False


class Keepings:
    """Keeps of a ring what is asked for, in the thread ``recordkit-ring:NAME``, which begins with the first.

    ``settings`` are those of the recording as they were given. ``now`` returns how far the media has come and where
    it begins, in ticks, None before it has begun; ``is_live`` whether it goes by the clock. ``on_committed`` is
    called, in that thread, with each file that is committed.
    """

    def __init__(
        self,
        settings: RecordingSettings,
        ring: RingSettings,
        instruments: Callable[[], Instruments],
        recording_id: str,
        packager: Callable[[], Packager],
        now: Callable[[], tuple[int, int] | None],
        is_live: Callable[[], bool],
        tell: Tell,
        on_committed: Callable[[Segment], Recording],
    ) -> None:
        self.ring = Ring(
            ring,
            settings.clock,
            settings.system,
            self._reached,
            self._short,
            has_video=settings.video is not None,
        )
        self._longest_s = ring.seconds
        self._name = Path(settings.path).name
        self._clock = settings.clock
        self._instruments = instruments
        self._now = now
        self._is_live = is_live
        self._tell = tell
        self._on_committed = on_committed
        own = replace(settings, ring=None, segments=Segments(), on_disk_full="stop")
        self._watcher = _Watcher()
        self.files = Files(
            replace(own, flush_threshold=min(own.flush_threshold, SMALL_BUFFER)), packager, self._watcher
        )
        self.files.recording_id = recording_id
        self.files.begin_later()
        self._changed = threading.Condition()
        self._wanted: _Wanted | None = None
        self._is_over = self._is_left = False
        self._number = 0
        self._thread: threading.Thread | None = None

    def keep(self, before: NumberLike | None, after: NumberLike) -> Kept:
        """Keep the ``before`` seconds until now (None: the whole ring), and the ``after`` that follow.

        Raises SettingsError for a time that is none, StateError if the recording ends, AdmissionError if there is
        no thread for it.
        """
        before_s, after_s = BEFORE("before", before), AFTER("after", after)
        before_s = self._longest_s if before_s is None else before_s
        if not before_s and not after_s:
            raise SettingsError("before", before, "give a time to keep, before or after this moment")
        with self._changed:
            if self._is_over:
                raise StateError("ending", "recording", "the ring takes nothing more")
            now, first = self._now() or (0, 0)
            self._begin_thread()
            before, after = round(before_s * TICKS_PER_SECOND), round(after_s * TICKS_PER_SECOND)
            wanted = self._wanted
            begin = now - before if wanted is None else min(wanted.begin, now - before)
            end = now + after if wanted is None else max(wanted.end, now + after)
            entry = self.ring.reach(begin, end)
            starts = now if entry is None else entry.pts
            if wanted is None:
                start_ns = self._clock.time_ns() - (now - starts) * 1_000_000_000 // TICKS_PER_SECOND
                wanted = self._wanted = _Wanted(Kept(self.files.next_path(start_ns)), start_ns)
            kept = wanted.kept
            wanted.begin, wanted.end = begin, end
            wanted.until_s = max(wanted.until_s, self._clock.monotonic() + (after_s if self._is_live() else 0.0))
            kept.begins_s = max(0, starts - first) / TICKS_PER_SECOND
            kept.ends_s = (wanted.end - first) / TICKS_PER_SECOND
            kept.lacks_s = max(0, (now if entry is None else entry.whole) - wanted.begin) / TICKS_PER_SECOND
            wanted.is_reached = self.ring.has_reached(wanted.end)
            self._changed.notify_all()
        self._tell(
            EventKind.KEEP, path=str(kept.path), before=before_s, after=after_s, begins_s=kept.begins_s,
            ends_s=kept.ends_s, lacks_s=kept.lacks_s,
        )  # fmt: skip
        if kept.lacks_s:
            log.warning(
                "%s: %.1f s more were asked for than the ring of %s holds", kept.path, kept.lacks_s, self._name
            )
        return kept

    def _short(self, because: str | None) -> None:
        kind = EventKind.RESTORED if because is None else EventKind.DEGRADED
        self._tell(kind, part="ring", because=because)

    def _reached(self) -> None:
        """All that was asked for has been laid; waits for nothing."""
        with self._changed:
            if self._wanted is not None:
                self._wanted.is_reached = True
            self._changed.notify_all()

    def end(self, *, commit: bool) -> None:
        """Nothing more comes: keep what is asked for as far as it has come, and wait for that.

        Without ``commit`` it is left in the files of the ring, which stay.
        """
        with self._changed:
            self._is_over, self._is_left = True, not commit
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        if commit:
            self.ring.clear()

    def _begin_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name=f"recordkit-ring:{self._name}", daemon=True)
            begin(self._thread, self._name)

    def _run(self) -> None:
        while (wanted := self._due()) is not None:
            recording: Recording | None = None
            error: RecordkitError = MediaError("the thread that copies ended by a fault of its own; see the log")
            try:
                recording = self._copied(wanted)
            except RecordkitError as failure:
                error = failure
                self._tell(
                    EventKind.FAILURE, path=str(wanted.kept.path), error=type(error).__name__, message=str(error)
                )
                log.error("%s was not kept: %s; it is left in the files of the ring", wanted.kept.path, error)
            finally:
                wanted.kept.settle(recording, None if recording is not None else error)

    def _due(self) -> _Wanted | None:
        """Wait for the next one to keep; None when no more comes."""
        with self._changed:
            while True:
                wanted = self._wanted
                if wanted is None and self._is_over:
                    return None
                if wanted is not None and self._is_left:
                    self._wanted = None
                    wanted.kept.settle(None, StateError("left", "kept", "the recording was left uncommitted"))
                    continue
                if wanted is not None:
                    left_s = wanted.until_s - self._clock.monotonic()
                    is_silent = left_s <= 0 and self.ring.silent_s >= _LONGEST_SILENCE_S
                    if self._is_over or is_silent or (wanted.is_reached and left_s <= 0):
                        self._wanted = None
                        return wanted
                    self._clock.wait(self._changed, min(_LOOK_S, left_s) if left_s > 0 else _LOOK_S)
                else:
                    self._clock.wait(self._changed, None)

    def _copied(self, wanted: _Wanted) -> Recording:
        span = self.ring.span(wanted.begin)
        if span is None:
            raise StateError("empty", "recording", "nothing had been recorded yet")
        instruments, (now, first) = self._instruments(), self._now() or (0, 0)
        self._number += 1
        file = self.files.opened(self._number, wanted.named_ns, instruments)
        try:
            _copy(span, file, self._watcher.has_room)
        except BaseException:
            file.writer.close(commit=False)
            file.writer.join()
            raise
        file.begins_s = (span.first.pts - first) / TICKS_PER_SECOND
        self._note(file, span.first.pts, now - span.first.pts, instruments)
        file.writer.close(commit=True)
        file.writer.join()
        self.files.over(file)
        file.writer.check()
        self.ring.done(span)
        recording = self._on_committed(file)
        if file.log is not None:
            file.log.close()
        return recording

    def _note(self, file: Segment, begins: int, back: int, instruments: Instruments) -> None:
        """What the log of a file that began ``back`` ticks ago says: its streams, where it lies, its marks."""
        if file.log is None:
            return
        time_ns, elapsed_s = instruments.now
        back_s = max(0, back) / TICKS_PER_SECOND
        at = time_ns - round(back_s * 1e9), max(0.0, elapsed_s - back_s)
        for index, stream_format in file.formats.items():
            file.log.add(Event(*at, EventKind.STREAM, {"stream": index, **told(stream_format)}))
        first = {"number": file.number, "stream": VIDEO if VIDEO in file.formats else min(file.formats)}
        file.log.add(Event(*at, EventKind.SEGMENT, {**first, "pts": begins}))
        end_s = file.begins_s + file.duration_s
        for event in instruments.log.contents.events:
            place = event.fields.get("media_s")
            if event.kind is EventKind.MARK and isinstance(place, int | float) and file.begins_s <= place <= end_s:
                file.log.add(replace(event, fields={**event.fields, "media_s": place - file.begins_s}))
        file.log.write()


class _Watcher(SegmentObserver):
    """Puts flushes into the log of the file that is copied into, and tells when there is room in it."""

    def __init__(self) -> None:
        self.has_room = threading.Event()

    def segment_flushed(self, segment: Segment, record: FlushRecord) -> None:
        """Put it into the log."""
        if segment.log is not None:
            segment.log.add(record)
            segment.log.write()

    def room(self) -> None:
        """There is room again."""
        self.has_room.set()


def _copy(span: Span, file: Segment, has_room: threading.Event) -> None:
    """Copy all of a span into a file. Raises RecordkitError if that is not possible."""
    for number, (unit, stream_format) in enumerate(_keyframe_first(_units(span))):
        if not number:
            _begin(span, file)
        if not file.knows(unit.stream, stream_format):
            file.declare(unit.stream, stream_format)
        while True:
            has_room.clear()
            laid = file.writer.lay(unit)
            if laid is NotLaid.ENDED:
                raise MediaError(f"{file.writer.ended_because}: not all could be kept")
            if laid is not NotLaid.FULL:
                file.laid(unit, laid)
                break
            has_room.wait(_LOOK_S)


def _begin(span: Span, file: Segment) -> None:
    """Make the streams known that are there by then."""
    piece, counts = span.pieces[0], span.first.counts
    known = {stream: piece.format_of(stream, counts.get(stream, 0)) for stream in piece.formats}
    if piece.segment.number > 1 or any(counts.values()):
        file.go_on(piece.segment.packager.order, known, span.first.heard)
        return
    file.packager.order = piece.segment.packager.order
    for stream in sorted(known):
        file.declare(stream, known[stream])


def _units(span: Span) -> Iterator[tuple[AccessUnit, StreamFormat]]:
    from ..reading.laid import units_laid  # which who only records needs not

    for place, piece in enumerate(span.pieces):
        is_last = place + 1 == len(span.pieces)
        ends = span.ends if is_last else piece.counts
        begins = {} if place else span.first.counts
        writer = piece.segment.writer
        writer.flush(_LONGEST_FLUSH_S)
        taken = _Taken(piece)
        missing = {stream: count - begins.get(stream, 0) for stream, count in ends.items()}
        shifts: dict[int, int] = {}
        for number, unit in units_laid(writer.final_output_path, writer.file_bytes, {}, ends):
            stream = unit.stream
            shift = shifts.setdefault(stream, piece.firsts[stream] - unit.pts)
            if number < begins.get(stream, 0):
                continue
            missing[stream] -= 1
            yield taken.completed(unit, number, shift), piece.format_of(stream, number)
        if any(missing.values()):
            raise MediaError(
                f"{sum(missing.values()):,} units of {writer.temp_output_path.name} cannot be read back"
            )


class _Taken:
    """What is known of a file's units beside what stands in it: gaps before them, when they were taken."""

    def __init__(self, piece: Piece) -> None:
        self._marked = piece.marked
        self._rows = read_rows(table_path(piece.segment.writer.final_output_path))

    def completed(self, unit: AccessUnit, number: int, shift: int) -> AccessUnit:
        """The unit as it was laid, with the time that it had."""
        marked, captured = self._marked.get((unit.stream, number)), None
        if unit.stream == VIDEO and self._rows is not None and number < len(self._rows):
            captured = taken_of(self._rows[number])
        unit = replace(unit, pts=unit.pts + shift, dts=unit.dts + shift, captured=captured)
        if marked is None:
            return unit
        return replace(
            unit,
            discontinuity=marked.discontinuity,
            is_second_field=marked.is_second_field,
            start_trim=marked.start_trim,
            end_trim=marked.end_trim,
        )


def _keyframe_first(
    units: Iterator[tuple[AccessUnit, StreamFormat]],
) -> Iterator[tuple[AccessUnit, StreamFormat]]:
    """The units, of which audio that lies before the first keyframe in the file comes behind it."""
    held: list[tuple[AccessUnit, StreamFormat]] = []
    for one in units:
        if one[0].stream == VIDEO:
            yield one
            break
        held.append(one)
        if one[0].pts - held[0][0].pts > TICKS_PER_SECOND:
            break
    yield from held
    yield from units
