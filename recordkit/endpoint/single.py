"""Publishers one after the other, as one source."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from aiohttp import hdrs, web
from aiortc import MediaStreamTrack, RTCPeerConnection
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from ..model import EncodedUnit, EventKind, Field, Received
from ..recorder.state import State
from ..sources.source import OpenSource
from ..sources.webrtc.hosting import Outlet, hosted
from ..sources.webrtc.listener import Listener
from ..system import Clock
from ..ticks import TICKS_PER_SECOND
from .endpoint import Endpoint
from .present import Present, Stage
from .settings import WhipSettings

log = logging.getLogger("recordkit.endpoint")

SILENCE_S = 3.0
"""So long nothing must have come of a publisher before another may take its place."""


@contextmanager
def publishers_in_turn(settings: WhipSettings, clock: Clock | None = None) -> Iterator[OpenSource]:
    """Listen as ``settings`` say, and give the media of one publisher after the other; raises SettingsError."""
    clock = clock or Clock()

    async def run(outlet: Outlet) -> None:
        endpoint = Endpoint(settings, SingleDesk(outlet, clock), clock)
        try:
            await endpoint.start()
            log.info("Publish to %s/whip/NAME", endpoint.url)
            outlet.note(EventKind.LISTENING, url=f"{endpoint.url}/whip/NAME")
            outlet.ready()
            await asyncio.Event().wait()
        finally:
            await endpoint.stop()

    with hosted(settings.name, run, clock=clock) as outlet:
        yield OpenSource(outlet.items(), has_video=True, has_audio=True, live=outlet)


class SingleDesk:
    """Lets one publisher at a time into ``outlet``."""

    def __init__(self, outlet: Outlet, clock: Clock) -> None:
        self._outlet = outlet
        self._clock = clock
        self._before = Received()
        self._last_ticks: int | None = None
        self._current: TurnSink | None = None
        outlet.received_by = lambda: self.received
        outlet.hands_on = self._retire

    @property
    def received(self) -> Received:
        """What has come of all publishers so far."""
        return self._before + (self._current.received if self._current is not None else Received())

    def admit(self, stream: str, present: Sequence[Present]) -> TurnSink:
        """See Desk. One that is silent gives way: the newcomer may be the same, come back."""
        for publisher in present:
            if publisher.stage in (Stage.ENDING, Stage.ENDED):
                continue
            wait_s = SILENCE_S - (self._current.silent_s if self._current is not None else 0.0)
            if wait_s > 0:
                raise web.HTTPConflict(
                    text="Another publisher is being recorded.\n", headers={hdrs.RETRY_AFTER: str(int(wait_s) + 1)}
                )
            publisher.begin_end("another publisher took its place")
        self._retire()
        self._current = TurnSink(stream, self._outlet, self._clock, self._last_ticks)
        return self._current

    def _retire(self) -> None:
        current, self._current = self._current, None
        if current is not None:
            current.close()
            self._before += current.received
            self._last_ticks = current.last_ticks

    async def free_bytes(self) -> int | None:
        """See Desk: where the recording goes is not known here."""
        return None


class TurnSink:
    """One publisher into the outlet; ``before`` is when the last media of the one before it came, in ticks."""

    def __init__(self, stream: str, outlet: Outlet, clock: Clock, before: int | None) -> None:
        self.file_name = stream
        self.last_ticks = before
        self._outlet = outlet
        self._clock = clock
        self._before = before
        self._listener = Listener(self, self._track_ended, clock=clock)
        self._begun: set[tuple[bool, int]] = set()
        self._bytes = 0
        self._first_ticks: int | None = None
        self._has_failed = False

    @property
    def silent_s(self) -> float:
        """Seconds since anything came."""
        return self._listener.silent_s

    @property
    def received(self) -> Received:
        """What has come so far."""
        return self._listener.counters

    # What an endpoint's sink has.

    @property
    def file_bytes(self) -> int:
        """Bytes of coded media that came; the file is somebody else's."""
        return self._bytes

    @property
    def duration_s(self) -> float:
        """See Sink."""
        if self._first_ticks is None or self.last_ticks is None:
            return 0.0
        return max(0.0, (self.last_ticks - self._first_ticks) / TICKS_PER_SECOND)

    @property
    def drops(self) -> int:
        """See Sink."""
        return self.received.dropped_units + self.received.refused_units

    @property
    def state(self) -> State:
        """See Sink."""
        return State.DEGRADED if self._has_failed else State.RECORDING

    async def start(self, peer: RTCPeerConnection, tracks: list[MediaStreamTrack]) -> None:
        """See Sink."""
        for track in tracks:
            self._listener.add(track, peer=peer)
        self._listener.begin()

    async def renew(self) -> bool:
        """See Sink: the file is somebody else's."""
        return False

    async def stop(self) -> None:
        """See Sink."""
        self.close()

    def close(self) -> None:
        """Hand on what is held, and take no more."""
        self._listener.close()

    # What a listener's sink has. All publishers' media lie on the time of arrival of this machine's
    # monotonic clock, so that one goes on where the other left off, with the gap between them.

    def put(self, unit: EncodedUnit, stream: int) -> bool:
        """See Sink of Listener."""
        if unit.data:  # else it tells that the last one stands: nothing came
            self._heard(unit.ticks, len(unit.data))
        key = (unit.is_video, stream)
        if self._before is not None and key not in self._begun:
            unit = replace(unit, discontinuity=True)
        self._begun.add(key)
        return self._outlet.put(unit, stream)

    def put_frame(self, frame: VideoFrame | AudioFrame, ticks: int, stream: int) -> bool:
        """See Sink of Listener."""
        self._heard(ticks, 0)
        return self._outlet.put_frame(frame, ticks, stream)

    def note(self, kind: EventKind, **fields: Field) -> None:
        """See Sink of Listener."""
        self._outlet.note(kind, **fields)

    def _heard(self, ticks: int | None, size: int) -> None:
        self._bytes += size
        if ticks is None:
            return
        if self._first_ticks is None:
            self._first_ticks = ticks
            if self._before is not None:
                seconds = (ticks - self._before) / TICKS_PER_SECOND
                self.note(EventKind.RECONNECT, seconds=seconds)
        self.last_ticks = ticks if self.last_ticks is None else max(self.last_ticks, ticks)

    def _track_ended(self, track: MediaStreamTrack, error: Exception | None) -> None:
        if error is not None:
            log.error("The %s track failed: %s", track.kind, error)
            self._has_failed = True
