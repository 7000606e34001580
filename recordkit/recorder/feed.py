"""What a source gives, handed to a recorder."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

import av

from ..errors import MediaError, RecordkitError, SourceError, StateError
from ..model import Captured, CapturedBy, EncodedUnit, EventKind
from ..sources.source import Live, Media, OpenSource, Source, SourceItem, SourceNote
from ..system import Clock
from ..threads import begin
from ..ticks import TICKS_PER_SECOND
from .recorder import Recorder

log = logging.getLogger("recordkit")

_LOOK_INTERVAL_S = 0.25
_LONGEST_OVERRUN_S = 1.0
"""So far one stream may be beyond the seconds asked for while another has not reached them."""
_LONGEST_CLOSE_S = 2.0
_LONGEST_OVERHANG_S = 0.5
"""So long a source may go on with what it has in hand when it is stopped."""
_LONGEST_STANDSTILL_S = 5.0
"""So long a live source is waited for while nothing of what it has received can be taken: a disk may hang."""
_LONGEST_ABSENCE_S = 5.0
"""So long a stream that a live source names may be waited for before that is told."""
_MOST_REFUSALS = 30
"""So many items in a row that the recorder refuses, and nothing else, end the recording."""
_DUE_ERROR_S = 0.001
"""A frame that is due at a time was taken then, as far as the clock that paces it is true."""
_VIDEO_TYPES = (av.VideoFrame, av.VideoStream)


class Feed:
    """The thread that opens, reads and closes a source: one that hangs holds up nobody else.

    It ends when the source does, when each stream has given its ``seconds``, or when ``stop`` is set. Then
    ``ended`` is set; ``error`` says what the source failed with, ``ended_because`` why it ended too early.
    Without ``video`` or ``audio`` what it has of that is left out.
    """

    def __init__(
        self,
        source: Source,
        seconds: float | None,
        stop: threading.Event,
        clock: Clock,
        *,
        video: bool = True,
        audio: bool = True,
    ) -> None:
        self._wants = {True: video, False: audio}
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
        self._lacking: set[tuple[bool, int]] = set()
        self._absent: set[tuple[bool, int]] = set()
        self._thread = threading.Thread(target=self._run, name="recordkit-source", daemon=True)

    def open(self) -> OpenSource:
        """Open the source in the thread; raises SourceError, or AdmissionError if there is no thread.

        An interrupt gets through meanwhile.
        """
        begin(self._thread, self._source.name)
        try:
            while not self._opened.wait(_LOOK_INTERVAL_S):
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
                self._given = self._wanted(given)
                self._opened.set()
                self._may_begin.wait()
                if self._recorder is not None:
                    given = self._given
                    has_ended = self._feed(given, self._recorder)
                    if has_ended or given.is_live:
                        self._tell_lacking(given, self._recorder)
                    if has_ended and given.is_live and self.ended_because is None:
                        self._tell_end(given, self._recorder)
            fault = None
        except RecordkitError as error:
            # What comes after an end that was asked for is no fault.
            fault = None if self._stop.is_set() and self._given is not None else error
        finally:
            self.error = fault
            self._opened.set()
            self.ended.set()

    def _wanted(self, given: OpenSource) -> OpenSource:
        """What the source gives of what is to be recorded. Raises SourceError if that is nothing."""
        video, audio = given.has_video and self._wants[True], given.has_audio and self._wants[False]
        if not (video or audio) and (given.has_video or given.has_audio):
            has, lacks = ("video", "audio") if given.has_video else ("audio", "video")
            raise SourceError(self._source.name, f"has {has} alone, and {lacks} alone is to be recorded")
        return replace(given, has_video=video, has_audio=audio)

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
        began_s, began_ns = self._clock.monotonic(), self._clock.time_ns()
        self._lacking = _named(given) if given.live is None else set()
        for item in given.items:
            if isinstance(item, SourceNote):
                if self._ends_by(item, recorder):
                    return False
                continue
            if item.due_s is not None:
                self._clock.sleep(began_s + item.due_s - self._clock.monotonic(), self._stop)
                if item.captured is None:
                    due_ns = began_ns + round(item.due_s * 1e9)
                    item = item._replace(captured=Captured(due_ns, CapturedBy.DEVICE, _DUE_ERROR_S))
            media = item.media
            key = (_is_video(media), item.stream)
            if not self._wants[key[0]]:
                continue
            # A live source gives what it has received, all of it, and then ends by itself.
            if (self._stop.is_set() and given.live is None) or self._is_full(media, key, recorder):
                return False
            self._lacking.discard(key)
            if given.is_live and self._clock.monotonic() - began_s >= _LONGEST_ABSENCE_S:
                self._tell_lacking(given, recorder)
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

    def _ends_by(self, note: SourceNote, recorder: Recorder) -> bool:
        """Hand on a note; True if the recording ends now: its ``seconds`` are over, though nothing comes."""
        if note.kind is not None:
            recorder.note(note.kind, **note.fields)
        if note.kind is EventKind.SOURCE_ENDED:
            self.ended_because = str(note.fields["because"])
            log.warning("%s: %s", self._source.name, self.ended_because)
        if self._stop.is_set():
            return True
        if self._seconds is None or self._first_s is None or note.reached_s is None:
            return False
        return note.reached_s - self._first_s >= self._seconds

    def _hand_on(self, item: SourceItem, given: OpenSource, recorder: Recorder) -> None:
        media = item.media
        is_live = given.is_live or given.live is not None
        if isinstance(media, av.Packet):
            recorder.write_packet(
                media, item.stream, live=is_live, captured=item.captured, discontinuity=item.discontinuity
            )
        elif isinstance(media, EncodedUnit):
            if not recorder.write_unit(media, item.stream, live=is_live) and given.live is not None:
                given.live.request_entry(is_video=media.is_video, stream=item.stream)
        else:
            recorder.write(
                media,
                item.stream,
                ticks=item.ticks,
                live=is_live,
                captured=item.captured,
                discontinuity=item.discontinuity,
            )

    def _tell_lacking(self, given: OpenSource, recorder: Recorder) -> None:
        """Say which streams the source has named, and nothing has come of while others came."""
        if recorder.state.is_recording and 0 < len(self._lacking) < len(_named(given)):
            because = "the source names it, and nothing of it has come"
            because += ": it may be scrambled, or begin late" if given.is_live else ""
            for key in sorted(self._lacking):
                recorder.degrade(_part(key), because)
            self._absent, self._lacking = self._lacking, set()

    def _refuse(self, key: tuple[bool, int], error: MediaError, given: OpenSource, recorder: Recorder) -> None:
        """Note that an item of a stream was refused; raises the error if nothing else is there to be recorded."""
        self._refusals[key] = self._refusals.get(key, 0) + 1
        recorder.degrade(_part(key), str(error))
        streams = given.has_video + (max(1, len(given.languages)) if given.has_audio else 0)
        if len(self._refusals) >= streams and min(self._refusals.values()) >= _MOST_REFUSALS:
            raise error

    def _restore(self, key: tuple[bool, int], recorder: Recorder) -> None:
        if self._refusals.pop(key, None) is not None or key in self._absent:
            self._absent.discard(key)
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


def _named(given: OpenSource) -> set[tuple[bool, int]]:
    """The streams that a source has said it has."""
    audio = range(max(1, len(given.languages)) if given.has_audio else 0)
    return {(False, number) for number in audio} | ({(True, 0)} if given.has_video else set())


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
