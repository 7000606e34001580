"""A source into a recording, from beginning to end."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import av

from .errors import RecordkitError, SettingsError, SourceError
from .recorder import Recorder, State
from .recording import Recording
from .settings import AudioSettings, VideoSettings
from .sources.source import Media, OpenSource, Source
from .system import Clock

log = logging.getLogger("recordkit")

PROGRESS_INTERVAL_S = 0.25


def record(
    source: Source,
    path: str | os.PathLike[str],
    *,
    seconds: float | None = None,
    video: VideoSettings | None = VideoSettings(),  # noqa: B008 - frozen
    audio: AudioSettings | None = AudioSettings(),  # noqa: B008 - frozen
    stop: threading.Event | None = None,
    on_progress: Callable[[Recorder], None] | None = None,
    clock: Clock | None = None,
    **settings: Any,  # noqa: ANN401 - Recorder's own
) -> Recording:
    """Record ``source`` into ``path`` until it ends, ``seconds`` of its media are there, or ``stop`` is set.

    ``on_progress`` is called four times a second with the recorder. ``settings`` are those of
    Recorder. An interrupt from the keyboard ends the recording like ``stop`` and commits it; a
    second one is passed on and leaves the partial.

    Raises SourceError where the source cannot be opened, with nothing left behind; where it
    fails later what came before is committed first. Raises Recorder's errors.
    """
    if seconds is not None and not seconds > 0:
        raise SettingsError("seconds", seconds, "give a time above 0, or None for no end")
    clock = clock or Clock()
    stop = stop or threading.Event()
    opened = ExitStack()
    try:
        given = opened.enter_context(source.open())
        recorder = Recorder(path, video=_video(given, video), audio=_audio(given, audio), clock=clock, **settings)
        recorder.start()
    except BaseException:
        opened.close()
        raise
    feed = _Feed(source.name, opened, given, recorder, seconds, stop, clock)
    try:
        feed.start()
        while recorder.state is State.RECORDING and not feed.ended.wait(PROGRESS_INTERVAL_S):
            if on_progress is not None:
                on_progress(recorder)
    except KeyboardInterrupt:
        log.info("Interrupted: the recording is brought to its end")
    except BaseException:
        stop.set()
        recorder.stop()
        raise
    stop.set()
    recording = recorder.stop()
    if on_progress is not None:
        on_progress(recorder)
    if feed.error is not None:
        raise feed.error
    return recording


def _video(given: OpenSource, settings: VideoSettings | None) -> VideoSettings | None:
    if settings is None or not given.has_video:
        return None
    return replace(settings, frame_rate=settings.frame_rate or given.frame_rate)


def _audio(given: OpenSource, settings: AudioSettings | None) -> tuple[AudioSettings, ...] | None:
    if settings is None or not given.has_audio:
        return None
    languages = given.languages or (None,)
    return tuple(replace(settings, language=settings.language or language) for language in languages)


class _Feed:
    """The thread that reads the source, and closes it: one that hangs in a read holds up nobody else."""

    def __init__(
        self,
        name: str,
        opened: ExitStack,
        given: OpenSource,
        recorder: Recorder,
        seconds: float | None,
        stop: threading.Event,
        clock: Clock,
    ) -> None:
        self.ended = threading.Event()
        self.error: RecordkitError | None = None
        self._name = name
        self._opened = opened
        self._given = given
        self._recorder = recorder
        self._seconds = seconds
        self._stop = stop
        self._clock = clock
        self._first_s: float | None = None
        self._full: set[tuple[str, int]] = set()
        self._seen: set[tuple[str, int]] = set()
        self._thread = threading.Thread(target=self._run, name="recordkit-source", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        fault: RecordkitError | None = SourceError(
            self._name, "the source ended by a fault of its own; see the log"
        )
        try:
            with self._opened:
                self._feed()
            fault = None
        except RecordkitError as error:
            # What comes after an end that was asked for is no fault.
            fault = None if self._stop.is_set() else error
        finally:
            self.error = fault
            self.ended.set()

    def _feed(self) -> None:
        began_s = self._clock.monotonic()
        for item in self._given.items:
            if item.due_s is not None:
                self._clock.sleep(began_s + item.due_s - self._clock.monotonic(), self._stop)
            if self._stop.is_set() or self._is_full(item.media, item.stream):
                return
            if (type(item.media).__name__, item.stream) in self._full:
                continue
            if isinstance(item.media, av.Packet):
                self._recorder.write_packet(item.media, item.stream)
            else:
                self._recorder.write(item.media, item.stream)

    def _is_full(self, media: Media, stream: int) -> bool:
        """Whether every stream seen has given its ``seconds``; notes which have."""
        if self._seconds is None:
            return False
        key = (type(media).__name__, stream)
        self._seen.add(key)
        pts = media.dts if isinstance(media, av.Packet) and media.dts is not None else media.pts
        if pts is None or not media.time_base:
            return False
        time_s = float(pts * media.time_base)
        if self._first_s is None:
            self._first_s = time_s
        if time_s - self._first_s >= self._seconds:
            self._full.add(key)
        return self._full == self._seen
