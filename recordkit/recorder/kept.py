"""What is kept of a ring: asked for, waited for, copied unit by unit, and committed as every recording is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..container import Packager
from ..encode.routing import FIRST_AUDIO, VIDEO
from ..errors import MediaError, RecordkitError, StateError
from ..model import Event, EventKind
from ..settings import RecordingSettings, Segments
from ..settings import Ring as RingSettings
from ..telemetry.instruments import Instruments
from ..threads import begin
from ..ticks import TICKS_PER_SECOND
from ..values import NumberLike
from .asked import Kept, span_asked
from .copying import Watcher, copy
from .files import Files
from .ring import SMALL_BUFFER, Ring
from .segment import Segment, told
from .telling import Tell

if TYPE_CHECKING:
    from .result import Recording

log = logging.getLogger("recordkit")

_LOOK_S = 1.0
_LONGEST_SILENCE_S = 10.0
"""What is asked for may not have come yet; if nothing comes at all for so long, it is kept without."""


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

    ``settings`` are those of the recording as they were given. ``media_s`` returns how far the media
    has come, in seconds of the recording, ``is_live`` whether it goes by the clock. ``on_committed`` is called, in
    that thread, with each file that is committed.
    """

    def __init__(
        self,
        settings: RecordingSettings,
        ring: RingSettings,
        instruments: Callable[[], Instruments],
        recording_id: str,
        packager: Callable[[], Packager],
        media_s: Callable[[], float],
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
            expected=frozenset(
                ([] if settings.video is None else [VIDEO])
                + [FIRST_AUDIO + number for number in range(len(settings.audio))]
            ),
        )
        self._longest_s = ring.seconds
        self._name = Path(settings.path).name
        self._clock = settings.clock
        self._instruments = instruments
        self._media_s = media_s
        self._is_live = is_live
        self._tell = tell
        self._on_committed = on_committed
        own = replace(settings, ring=None, segments=Segments(), on_disk_full="stop")
        self._watcher = Watcher()
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
        asked_s, after_s = span_asked(before, after)
        before_s = self._longest_s if asked_s is None else asked_s
        with self._changed:
            if self._is_over:
                raise StateError("ending", "recording", "the ring takes nothing more")
            now, first = round(self._media_s() * TICKS_PER_SECOND), self.ring.origin or 0
            self._begin_thread()
            before, after = round(before_s * TICKS_PER_SECOND), round(after_s * TICKS_PER_SECOND)
            wanted = self._wanted
            begin = now - before if wanted is None else min(wanted.begin, now - before)
            end = now + after if wanted is None else max(wanted.end, now + after)
            entry = self.ring.reach(begin, end)
            starts = now if entry is None else entry.pts - first
            whole = 0 if entry is None else entry.whole - first
            if asked_s is None and wanted is None:
                begin = max(begin, whole)  # all of it is asked for, however little that is
            if wanted is None:
                start_ns = self._clock.time_ns() - (now - starts) * 1_000_000_000 // TICKS_PER_SECOND
                wanted = self._wanted = _Wanted(Kept(self.files.next_path(start_ns)), start_ns)
            kept = wanted.kept
            wanted.begin, wanted.end = begin, end
            wanted.until_s = max(wanted.until_s, self._clock.monotonic() + (after_s if self._is_live() else 0.0))
            kept.begins_s, kept.ends_s = max(0, starts) / TICKS_PER_SECOND, end / TICKS_PER_SECOND
            kept.lacks_s = max(0, whole - begin) / TICKS_PER_SECOND
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
                # Somebody may have asked for more in this moment.
                self._wanted.is_reached = self.ring.has_reached(self._wanted.end)
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
        self.ring.leave()

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
        instruments, begins = self._instruments(), span.first.pts - (self.ring.origin or 0)
        self._number += 1
        file = self.files.opened(self._number, wanted.named_ns, instruments)
        try:
            copy(span, file, self._watcher.has_room)
        except BaseException:
            file.writer.close(commit=False)
            file.writer.join()
            raise
        file.begins_s = begins / TICKS_PER_SECOND
        self._note(file, span.first.pts, self._media_s() - file.begins_s, instruments)
        file.writer.close(commit=True)
        file.writer.join()
        self.files.over(file)
        file.writer.check()
        self.ring.done(span)
        recording = self._on_committed(file)
        if file.log is not None:
            file.log.close()
        return recording

    def _note(self, file: Segment, begins: int, ago_s: float, instruments: Instruments) -> None:
        """What the log of a file that began ``ago_s`` seconds ago says: its streams, where it lies, its marks."""
        if file.log is None:
            return
        time_ns, elapsed_s = instruments.now
        at = time_ns - round(max(0.0, ago_s) * 1e9), max(0.0, elapsed_s - max(0.0, ago_s))
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
