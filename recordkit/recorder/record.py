"""A source into a recording, from beginning to end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Unpack

import av

from ..errors import MediaError, RecordkitError, SourceError, StateError
from ..model import EncodedUnit, EventKind
from ..mpegts.clock import TICKS_PER_SECOND
from ..settings import RecordingOptions, RecordingSettings
from ..sources.given import SourceLike, source_of
from ..sources.source import Live, Media, OpenSource, Source, SourceItem
from ..system import Clock
from ..values import DURATION, EVENT, NumberLike, PathLike, function, maybe, named_with
from .progress import cell_progress
from .recorder import Recorder
from .result import Recording
from .shared import Shared

log = logging.getLogger("recordkit")

PROGRESS_INTERVAL_S = 0.25
_LONGEST_OVERRUN_S = 1.0
"""So far one stream may be beyond the seconds asked for while another has not reached them."""
_LONGEST_CLOSE_S = 2.0
_LONGEST_OVERHANG_S = 0.5
"""So long a source may go on with what it has in hand when it is stopped."""
_LONGEST_STANDSTILL_S = 5.0
"""So long a live source is waited for while nothing of what it has received can be taken: a disk may hang."""
_MOST_REFUSALS = 30
"""So many items in a row that the recorder refuses, and nothing else, end the recording."""
_VIDEO_TYPES = (av.VideoFrame, av.VideoStream)


@named_with(RecordingOptions, RecordingSettings)
def record(
    source: SourceLike,
    path: PathLike,
    *,
    seconds: NumberLike | None = None,
    stop: threading.Event | None = None,
    on_start: Callable[[Recorder], None] | None = None,
    on_progress: Callable[[Recorder], None] | None = None,
    shared: Shared | None = None,
    **settings: Unpack[RecordingOptions],
) -> Recording:
    """Record ``source`` into ``path`` until it ends, ``seconds`` of its media are there, or ``stop`` is set.

    ``source`` is a source, or the path or URL of a file. ``on_start`` is called with the recorder once it
    records, ``on_progress`` four times a second; in a notebook cell a line shows the progress if there is
    none. ``settings`` are those of Recorder. An interrupt from the keyboard ends the recording like
    ``stop`` and commits it; a second one is passed on and leaves the partial.

    Raises SourceError where the source cannot be opened, StateError where ``stop`` is set before
    it was, with nothing left behind; where it fails later what came before is committed first.
    Raises Recorder's errors.
    """
    media = source_of("source", source)
    made = RecordingSettings(path=path, **settings)
    length_s = maybe(DURATION)("seconds", seconds)
    stop = EVENT("stop", stop) or threading.Event()
    maybe(function)("on_start", on_start)
    on_progress = maybe(function)("on_progress", on_progress) or cell_progress()
    feed = _Feed(media, length_s, stop, made.clock)
    given = feed.open()
    try:
        recorder = Recorder.of(_fitting(made, given), shared)
        # Whoever calls this waits for the end: a loop in its thread, such as a notebook's, is late by design.
        recorder.start(loop="none")
    except BaseException:
        feed.cancel()
        raise
    interrupted = False
    try:
        if on_start is not None:
            on_start(recorder)
        feed.begin(recorder)
        while recorder.state.is_recording and not feed.ended.wait(PROGRESS_INTERVAL_S):
            if stop.is_set():
                break
            if on_progress is not None:
                on_progress(recorder)
    except KeyboardInterrupt:
        interrupted = True
    except BaseException:
        stop.set()
        feed.interrupt()
        recorder.stop()
        raise
    try:
        if interrupted:
            log.info("Interrupted: the recording is brought to its end")
        stop.set()
        recording = _stopped(feed, recorder, interrupted)
    except KeyboardInterrupt:
        # Who asks twice does not want to wait, and a disk may hang.
        recorder._abandon()
        raise
    feed.close()
    if recording.path is not None and recording.ended_because is None and feed.ended_because is not None:
        recording = replace(recording, ended_because=feed.ended_because)
    if on_progress is not None:
        on_progress(recorder)
    # What the source was told when the recording had ended by itself is no fault of the source.
    if feed.error is not None and not (recording.ended_because and isinstance(feed.error, StateError)):
        if recording.path is not None:
            log.warning("%s: what came before the source failed is committed", recording.path)
        raise feed.error
    return recording


def _stopped(feed: _Feed, recorder: Recorder, interrupted: bool) -> Recording:
    """Wait for the end; the first interrupt of all only asks for what is going on anyway."""
    while True:
        try:
            feed.drain(recorder)
            return recorder.stop()
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True


def _fitting(settings: RecordingSettings, given: OpenSource) -> RecordingSettings:
    """``settings`` for what the source gives: without streams that it lacks, with what it says of the others."""
    video, audio = settings.video, settings.audio
    if video is not None:
        video = replace(
            video,
            frame_rate=video.frame_rate or given.frame_rate,
            pixel_aspect=video.pixel_aspect or given.pixel_aspect,
        )
    languages = given.languages or (None,)
    each = [audio[min(number, len(audio) - 1)] for number in range(len(languages))] if audio else []
    return replace(
        settings,
        video=video if given.has_video else None,
        audio=[
            replace(one, language=one.language or language) for one, language in zip(each, languages, strict=False)
        ]
        if given.has_audio
        else None,
    )


class _Feed:
    """The thread that opens, reads and closes the source: one that hangs holds up nobody else."""

    def __init__(self, source: Source, seconds: float | None, stop: threading.Event, clock: Clock) -> None:
        self.ended = threading.Event()
        self.error: RecordkitError | None = None
        self._source = source
        self._seconds = seconds
        self._stop = stop
        self._clock = clock
        self._given: OpenSource | None = None
        self._recorder: Recorder | None = None
        self._opened = threading.Event()
        self._may_begin = threading.Event()
        self._first_s: float | None = None
        self._full: set[tuple[bool, int]] = set()
        self.ended_because: str | None = None
        self._refusals: dict[tuple[bool, int], int] = {}
        self._seen: set[tuple[bool, int]] = set()
        self._thread = threading.Thread(target=self._run, name="recordkit-source", daemon=True)

    def open(self) -> OpenSource:
        """Open the source in the thread; raises SourceError. An interrupt gets through meanwhile."""
        self._thread.start()
        try:
            while not self._opened.wait(PROGRESS_INTERVAL_S):
                if self._stop.is_set():
                    raise StateError("opening", "open", f"{self._source.name}: stopped before it was open")
        except BaseException:
            self.cancel()
            raise
        if self._given is None:
            raise self.error or SourceError(self._source.name, "gave nothing")
        return self._given

    def begin(self, recorder: Recorder) -> None:
        """Let the source's media go to ``recorder``."""
        self._recorder = recorder
        for part, because in self._given.troubles if self._given is not None else ():
            recorder.degrade(part, because)
        if self._live is not None:
            live = self._live
            recorder.received = lambda: live.received
            live.tell(recorder.note)
        self._may_begin.set()

    @property
    def _live(self) -> Live | None:
        return None if self._given is None else self._given.live

    def interrupt(self) -> None:
        """Let a live source give no more than it has, so that its thread does not wait for what may never come."""
        if self._live is not None:
            self._live.interrupt()

    def drain(self, recorder: Recorder) -> None:
        """Wait until all that a live source has received is with ``recorder``, or that takes nothing any more."""
        self.interrupt()
        if self._live is None:
            # It sees for itself that it is to stop, unless it waits for something to give.
            self.ended.wait(_LONGEST_OVERHANG_S)
            return
        taken = recorder.counters.taken_items
        while recorder.state.is_recording and not self.ended.wait(_LONGEST_STANDSTILL_S):
            before, taken = taken, recorder.counters.taken_items
            if taken == before:
                log.warning("%s: what it has received cannot be recorded any more", self._source.name)
                return

    def close(self) -> None:
        """Wait until a live source is closed; what it holds is then given back."""
        if self._live is not None:
            self._thread.join(_LONGEST_CLOSE_S)

    def cancel(self) -> None:
        """Close the source unused; one that hangs is left to its thread."""
        self._stop.set()
        self._may_begin.set()
        self._thread.join(_LONGEST_CLOSE_S)

    def _run(self) -> None:
        fault: RecordkitError | None = SourceError(
            self._source.name, "the source ended by a fault of its own; see the log"
        )
        try:
            with self._source.open() as given:
                self._given = given
                self._opened.set()
                self._may_begin.wait()
                if self._recorder is not None and self._feed(given, self._recorder) and given.is_live:
                    self._tell_end(given, self._recorder)
            fault = None
        except RecordkitError as error:
            # What comes after an end that was asked for is no fault.
            fault = None if self._stop.is_set() and self._given is not None else error
        finally:
            self.error = fault
            self._opened.set()
            self.ended.set()

    def _tell_end(self, given: OpenSource, recorder: Recorder) -> None:
        """A connection that was closed looks like an end: say so, and if it is none call it what it is."""
        because = "the source ended"
        if self._seconds is not None:
            because += f" before the {self._seconds:g} s asked for"
        log.warning("%s: %s", self._source.name, because)
        recorder.note(EventKind.SOURCE_ENDED, because=because)
        if self._seconds is not None or not given.may_end:
            self.ended_because = because

    def _feed(self, given: OpenSource, recorder: Recorder) -> bool:
        """Hand on all that the source gives; True if that is because it has no more."""
        began_s = self._clock.monotonic()
        for item in given.items:
            if item.due_s is not None:
                self._clock.sleep(began_s + item.due_s - self._clock.monotonic(), self._stop)
            media = item.media
            key = (_is_video(media), item.stream)
            # A live source gives what it has received, all of it, and then ends by itself.
            if (self._stop.is_set() and given.live is None) or self._is_full(media, key, recorder):
                return False
            if key in self._full:
                continue
            try:
                self._hand_on(item, given, recorder)
                self._restore(key, recorder)
            except MediaError as error:
                # Of the item, and not of the recording: one stream's trouble is no end of the others.
                if not recorder.state.is_recording or recorder.error is not None:
                    raise
                self._refuse(key, error, given, recorder)
        return not self._stop.is_set()

    def _hand_on(self, item: SourceItem, given: OpenSource, recorder: Recorder) -> None:
        media = item.media
        if isinstance(media, av.Packet):
            recorder.write_packet(media, item.stream)
        elif isinstance(media, EncodedUnit):
            if not recorder.write_unit(media, item.stream) and given.live is not None:
                given.live.request_entry(is_video=media.is_video, stream=item.stream)
        else:
            recorder.write(media, item.stream, ticks=item.ticks)

    def _refuse(self, key: tuple[bool, int], error: MediaError, given: OpenSource, recorder: Recorder) -> None:
        """Note that an item of a stream was refused; raises the error if nothing else is there to be recorded."""
        self._refusals[key] = self._refusals.get(key, 0) + 1
        recorder.degrade(_part(key), str(error))
        streams = given.has_video + (max(1, len(given.languages)) if given.has_audio else 0)
        if len(self._refusals) >= streams and min(self._refusals.values()) >= _MOST_REFUSALS:
            raise error

    def _restore(self, key: tuple[bool, int], recorder: Recorder) -> None:
        if self._refusals.pop(key, None) is not None:
            recorder.restore(_part(key))

    def _is_full(self, media: Media, key: tuple[bool, int], recorder: Recorder) -> bool:
        """Whether every stream seen has given its ``seconds``, or one is well beyond; notes which have."""
        if self._seconds is None:
            return False
        self._seen.add(key)
        # Times may begin anew, or a stream may have fallen silent: the recording's own length counts too.
        if recorder.duration_s >= self._seconds + _LONGEST_OVERRUN_S:
            return True
        time_s = _time_s(media)
        if time_s is None:
            return False
        if self._first_s is None:
            self._first_s = time_s
        if time_s - self._first_s >= self._seconds:
            self._full.add(key)
        return self._full == self._seen or time_s - self._first_s >= self._seconds + _LONGEST_OVERRUN_S


def _part(key: tuple[bool, int]) -> str:
    is_video, number = key
    return "video" if is_video else f"audio {number}"


def _is_video(media: Media) -> bool:
    if isinstance(media, EncodedUnit):
        return media.is_video
    return isinstance(media.stream if isinstance(media, av.Packet) else media, _VIDEO_TYPES)


def _time_s(media: Media) -> float | None:
    if isinstance(media, EncodedUnit):
        return None if media.ticks is None else media.ticks / TICKS_PER_SECOND
    time = media.dts if isinstance(media, av.Packet) and media.dts is not None else media.pts
    return None if time is None or not media.time_base else float(time * media.time_base)
