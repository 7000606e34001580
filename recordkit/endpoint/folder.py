"""Publishers recorded into a folder, each into a file of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiortc import MediaStreamTrack, RTCPeerConnection

from ..errors import RecordkitError
from ..names import stem_of
from ..recorder.media_recorder import MediaRecorder, OnGap
from ..recorder.shared import Shared
from ..recorder.state import State
from ..settings import RecordingOptions
from ..system import Clock, System
from .names import paths
from .present import Present, Sink
from .settings import WhipSettings

log = logging.getLogger("recordkit.endpoint")


class FolderDesk:
    """Gives each publisher a new recording in ``folder``.

    ``recorder`` makes one to a path; what is wrong with its settings is raised here. Of ``workers`` processes with
    one folder this is number ``worker``: each has counters of its own, so that no two begin files of one name.
    """

    def __init__(
        self,
        folder: Path,
        settings: WhipSettings,
        clock: Clock,
        system: System,
        recorder: Callable[[Path], MediaRecorder],
        worker: int = 1,
        workers: int = 1,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._system = system
        self._recorder = recorder
        self._worker, self._workers = worker, workers
        self._names: dict[MediaRecorder, str] = {}
        self._recorder(folder / "settings.ts")  # which finds what is wrong with them before anybody comes

    def admit(self, stream: str, present: Sequence[Present]) -> Sink:
        """A recording under the first free name. Raises the errors of MediaRecorder."""
        return FileSink(lambda: self._make(stream), self._names.pop)

    def keep_rings(self) -> None:
        """Keep what the rings of all publishers hold; from any thread."""
        for recorder in list(self._names):
            try:
                kept = recorder.keep()
            except RecordkitError as error:
                log.error("%s: nothing is kept: %s", recorder.recorder.final_output_path.name, error)
            else:
                log.info("What the ring holds is kept in %s", kept.path)

    def _make(self, stream: str) -> MediaRecorder:
        # Those at work may not have made their files yet.
        free = paths(
            self._folder,
            self._settings.name_template,
            stream,
            self._clock.time_ns(),
            self._worker,
            self._workers,
        )
        path = next(path for path in free if path.name not in self._names.values())
        recorder = self._recorder(path)
        self._names[recorder] = path.name
        return recorder

    async def free_bytes(self) -> int | None:
        """Bytes free on the folder's disk, which may take its time to tell; None where it cannot."""
        try:
            return await asyncio.to_thread(self._system.free_bytes, self._folder)
        except (OSError, RuntimeError):  # RuntimeError: no thread is left to ask in
            return None


def recorders(settings: RecordingOptions, on_gap: OnGap, shared: Shared | None) -> Callable[[Path], MediaRecorder]:
    """What makes a publisher's recorder to a path; files that follow each other have their times in their names."""

    def recorder(path: Path) -> MediaRecorder:
        if settings.get("segments") is not None or settings.get("ring") is not None:
            path = path.with_name(f"{stem_of(path.name)}-{{start}}{path.suffix}")
        return MediaRecorder(path, on_gap=on_gap, shared=shared, **settings)

    return recorder


class FileSink:
    """One publisher into one file after the other, each by a recorder that ``make`` makes.

    ``release`` is called with each of them, and None, when it is finished. The figures are those of all.
    """

    def __init__(self, make: Callable[[], MediaRecorder], release: Callable[[MediaRecorder, None], object]) -> None:
        self._make = make
        self._release = release
        self._recorder = make()
        self._before = _Done()
        self._changing = asyncio.Lock()
        self._is_over = False

    @property
    def file_name(self) -> str:
        """See Sink."""
        return self._recorder.recorder.final_output_path.name

    @property
    def file_bytes(self) -> int:
        """See Sink."""
        return self._before.bytes + self._recorder.recorder.file_bytes

    @property
    def duration_s(self) -> float:
        """See Sink."""
        return self._before.duration_s + self._recorder.recorder.duration_s

    @property
    def drops(self) -> int:
        """See Sink."""
        return self._before.drops + _drops(self._recorder)

    @property
    def silent_s(self) -> float:
        """See Sink."""
        return self._recorder.silent_s

    @property
    def state(self) -> State:
        """See Sink."""
        return self._recorder.state

    async def start(self, peer: RTCPeerConnection, tracks: list[MediaStreamTrack]) -> None:
        """See Sink."""
        for track in tracks:
            if track.readyState != "ended":
                self._recorder.addTrack(track, peer=peer)
        await self._recorder.start()

    async def renew(self) -> bool:
        """See Sink. The next file begins with a keyframe, and nothing falls between the two."""
        async with self._changing:
            if self._is_over:
                return True
            old, recorder = self._recorder, self._make()
            try:
                await old.go_on_in(recorder)
            except BaseException:
                self._release(recorder, None)
                raise
            self._recorder = recorder
            try:
                await self._finish(old)
            except RecordkitError as error:
                log.error("%s: %s", old.recorder.final_output_path.name, error)
            self._before = self._before.and_of(old)
            return True

    async def stop(self) -> None:
        """See Sink."""
        async with self._changing:
            self._is_over = True
            await self._finish(self._recorder)

    async def _finish(self, recorder: MediaRecorder) -> None:
        try:
            await recorder.stop()
        finally:
            self._release(recorder, None)


@dataclass(frozen=True)
class _Done:
    """The figures of files that are finished."""

    bytes: int = 0
    duration_s: float = 0.0
    drops: int = 0

    def and_of(self, recorder: MediaRecorder) -> _Done:
        one = recorder.recorder
        return _Done(self.bytes + one.file_bytes, self.duration_s + one.duration_s, self.drops + _drops(recorder))


def _drops(recorder: MediaRecorder) -> int:
    counters = recorder.counters
    received = counters.received
    return counters.dropped_items + (received.dropped_units if received is not None else 0)
