"""From tracks into a recorder, and at a keyframe into the next one: nothing is lost between two files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from ..errors import MediaError, RecordkitError
from ..model import EncodedUnit, EventKind, Field
from .recorder import Recorder

log = logging.getLogger("recordkit")

LONGEST_LAG_S = 1.0
"""So long a file stays open for streams that lag behind the keyframe with which the next one begins."""

_Stream = tuple[bool, int]


class Change:
    """From which unit on each stream goes to the next recorder: the first keyframe, and what is as late as it.

    ``begun`` is set with that keyframe, and ``on_begun`` called. Without video any unit is as good. ``has_video``
    may be taken back if no frame comes: ``is_given_video`` says whether one has come since.
    """

    def __init__(self, following: Recorder, on_begun: Callable[[], None], *, has_video: bool) -> None:
        self.following = following
        self.has_video = has_video
        self._on_begun = on_begun
        self.is_given_video = False
        self.begun = asyncio.Event()
        self._over = asyncio.Event()
        self._from_ticks: int | None = None
        self._streams: set[_Stream] = set()
        self._gone_over: set[_Stream] = set()

    def is_beyond(self, stream: _Stream, ticks: int | None, *, is_entry: bool) -> bool:
        """Whether a unit of ``stream`` (is it video, and its number) belongs into the next file."""
        is_video, _ = stream
        self._streams.add(stream)
        self.is_given_video |= is_video
        if not self.begun.is_set():
            if is_video != self.has_video or not is_entry:
                return False
            self._from_ticks = ticks
            self.begun.set()
            self._on_begun()
        elif stream not in self._gone_over and ticks is not None and ticks < (self._from_ticks or 0):
            return False
        self._gone_over.add(stream)
        if self._gone_over == self._streams:
            self._over.set()
        return True

    async def wait_until_begun(self, longest_s: float) -> None:
        """Wait for the unit that the next file begins with; MediaError if none has come within ``longest_s``."""
        for _ in range(2):
            with suppress(TimeoutError):
                async with asyncio.timeout(longest_s):
                    await self.begun.wait()
            if self.begun.is_set():
                return
            if self.is_given_video or not self.has_video:
                break
            # A camera that is switched off keeps no audio from going on.
            self.has_video = False
        raise MediaError(f"nothing that a file can begin with came within {longest_s:g} s")

    async def over(self) -> None:
        """Wait until all streams have gone over, or have had their time for it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_LAG_S):
                await self._over.wait()


class Inlet:
    """The Sink of a Listener. A recorder that has failed takes nothing, and says why when it is stopped.

    ``soon`` lets the event loop call something once what it is at now is done.
    """

    def __init__(self, recorder: Recorder, soon: Callable[[Callable[[], None]], object]) -> None:
        self._recorder = recorder
        self._soon = soon
        self._change: Change | None = None
        self._refused: type[RecordkitError] | None = None
        self._gathering: Recorder | None = None

    def change(self, change: Change) -> None:
        """Let what comes go where ``change`` says."""
        self._change = change

    def complete(self) -> None:
        """All goes to the next recorder from now on if that has begun, else to the one that there is."""
        change, self._change = self._change, None
        if change is not None and change.begun.is_set():
            self._recorder, self._refused = change.following, None

    def takes_together(self) -> bool:
        """See Listener. While one file follows another each packet goes where it belongs."""
        return self._change is None and self._recorder.takes_together

    def put(self, unit: EncodedUnit, stream: int) -> bool:
        """See Sink."""
        recorder = self._recorder
        if self._change is not None:
            recorder = self._recorder_of((unit.is_video, stream), unit.ticks, is_entry=unit.is_entry)
        if recorder is not self._gathering:
            self._gather(recorder)
        try:
            return recorder.write_unit(unit, stream, live=True)
        except RecordkitError as error:
            return self._refused_by(recorder, error)

    def put_early(self, unit: EncodedUnit | None, stream: int) -> bool:
        """See Reception."""
        try:
            return self._recorder.write_early(unit, stream)
        except RecordkitError as error:
            return self._refused_by(self._recorder, error)

    def put_frame(self, frame: VideoFrame | AudioFrame, ticks: int, stream: int) -> bool:
        """See Sink."""
        recorder = self._recorder_of((isinstance(frame, VideoFrame), stream), ticks, is_entry=True)
        try:
            return recorder.write(frame, stream, ticks=ticks, live=True)
        except RecordkitError as error:
            return self._refused_by(recorder, error)

    def note(self, kind: EventKind, **fields: Field) -> None:
        """See Sink."""
        change = self._change
        recorder = change.following if change is not None and change.begun.is_set() else self._recorder
        recorder.note(kind, **fields)

    def _recorder_of(self, stream: _Stream, ticks: int | None, *, is_entry: bool) -> Recorder:
        change = self._change
        if change is None or not change.is_beyond(stream, ticks, is_entry=is_entry):
            return self._recorder
        return change.following

    def _gather(self, recorder: Recorder) -> None:
        """Units come several at a time: the recorder's thread takes them once this turn of the loop is over."""
        self._gathering = recorder
        recorder.gather()

        def hand_over() -> None:
            self._gathering = None
            recorder.hand_over()

        self._soon(hand_over)

    def _refused_by(self, recorder: Recorder, error: RecordkitError) -> bool:
        if self._refused is not type(error):
            self._refused = type(error)
            log.error("%s: nothing is recorded any more: %s", recorder.final_output_path.name, error)
        # To ask for keyframes would mend nothing.
        return True
