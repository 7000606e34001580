"""Publishers recorded into a folder, each into a file of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from aiortc import MediaStreamTrack, RTCPeerConnection

from ..recorder.media_recorder import MediaRecorder
from ..recorder.state import State
from ..system import Clock, System
from .names import paths
from .publisher import Publisher, Sink
from .settings import WhipSettings


class FolderDesk:
    """Gives each publisher a new recording in ``folder``.

    ``recorder`` makes one to a path; what is wrong with its settings is raised here.
    """

    def __init__(
        self,
        folder: Path,
        settings: WhipSettings,
        clock: Clock,
        system: System,
        recorder: Callable[[Path], MediaRecorder],
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._system = system
        self._recorder = recorder
        self._recorder(folder / "settings.ts")  # which finds what is wrong with them before anybody comes

    def admit(self, stream: str, present: list[Publisher]) -> Sink:
        """A recording under the first free name. Raises the errors of MediaRecorder."""
        # Those present may not have made their files yet.
        taken = {publisher.sink.file_name for publisher in present}
        names = paths(self._folder, self._settings.name_template, stream, self._clock.time_ns())
        path = next(path for path in names if path.name not in taken)
        return FileSink(self._recorder(path))

    async def free_bytes(self) -> int | None:
        """Bytes free on the folder's disk, which may take its time to tell; None where it cannot."""
        try:
            return await asyncio.to_thread(self._system.free_bytes, self._folder)
        except OSError:
            return None


class FileSink:
    """One publisher into one file."""

    def __init__(self, recorder: MediaRecorder) -> None:
        self._recorder = recorder

    @property
    def file_name(self) -> str:
        """See Sink."""
        return self._recorder.recorder.final_output_path.name

    @property
    def file_bytes(self) -> int:
        """See Sink."""
        return self._recorder.recorder.file_bytes

    @property
    def duration_s(self) -> float:
        """See Sink."""
        return self._recorder.recorder.duration_s

    @property
    def drops(self) -> int:
        """See Sink."""
        counters = self._recorder.counters
        received = counters.received
        return counters.dropped_items + (received.dropped_units if received is not None else 0)

    @property
    def state(self) -> State:
        """See Sink."""
        return self._recorder.state

    async def start(self, peer: RTCPeerConnection, tracks: list[MediaStreamTrack]) -> None:
        """See Sink."""
        receivers = {receiver.track: receiver for receiver in peer.getReceivers()}
        for track in tracks:
            self._recorder.addTrack(track, receiver=receivers.get(track))
        await self._recorder.start()

    async def stop(self) -> None:
        """See Sink."""
        await self._recorder.stop()
