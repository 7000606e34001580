"""A source into a recording, from beginning to end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from ..containers import by_suffix
from ..errors import StateError
from ..onlooker import Onlooker
from ..settings import RecordingOptions, RecordingSettings
from ..signatures import named_with
from ..sources.given import SourceLike, source_of
from ..sources.media_file import MediaFile
from ..sources.source import OpenSource
from ..values import DURATION, EVENT, NumberLike, PathLike, function, maybe
from .feed import Feed
from .progress import cell_progress
from .recorder import Recorder
from .result import Recording
from .shared import Shared

log = logging.getLogger("recordkit")

PROGRESS_INTERVAL_S = 0.25
_FIRST_LOOK_S = 0.01


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
    records, ``on_progress`` when its first bytes are there and four times a second, and if it fails that is
    logged; in a notebook cell a line shows the progress if there is none. ``settings`` are those of Recorder.
    An interrupt from the keyboard ends the recording like ``stop`` and commits it; a second one is passed on and
    leaves the partial.

    Raises SourceError where the source cannot be opened, StateError where ``stop`` is set before
    it was, with nothing left behind; where it fails later what came before is committed first.
    Raises Recorder's errors.
    """
    media = source_of("source", source)
    made = RecordingSettings(path=path, **settings)
    length_s = maybe(DURATION)("seconds", seconds)
    stop = EVENT("stop", stop) or threading.Event()
    if isinstance(media, MediaFile):
        media = media.into(by_suffix(Path(made.path)).carries, made.clock, stop)
    maybe(function)("on_start", on_start)
    on_progress = maybe(function)("on_progress", on_progress) or cell_progress()
    progress = Onlooker("on_progress")
    feed = Feed(media, length_s, stop, made.clock, video=made.video is not None, audio=bool(made.audio))
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
        if on_progress is not None:
            _await_first(feed, recorder)
        while recorder.state.is_recording and not feed.ended.is_set() and not stop.is_set():
            if on_progress is not None:
                progress.tell(on_progress, recorder)
            feed.ended.wait(PROGRESS_INTERVAL_S)
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
        progress.tell(on_progress, recorder)
    # What the source was told when the recording had ended by itself is no fault of the source.
    if feed.error is not None and not (recording.ended_because and isinstance(feed.error, StateError)):
        if recording.path is not None:
            log.warning("%s: what came before the source failed is committed", recording.path)
        raise feed.error
    return recording


def _await_first(feed: Feed, recorder: Recorder) -> None:
    """Wait for the first bytes, so that they are told of at once, for as long as it is to the next progress."""
    for _ in range(round(PROGRESS_INTERVAL_S / _FIRST_LOOK_S)):
        if recorder.bytes_since_last_flush or feed.ended.wait(_FIRST_LOOK_S):
            return


def _stopped(feed: Feed, recorder: Recorder, interrupted: bool) -> Recording:
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
