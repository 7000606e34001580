"""Publishers one after the other, as one source."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from aiohttp import hdrs, web
from aiortc import MediaStreamTrack, RTCPeerConnection
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from ..encode.routing import VIDEO
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
    """Lets one publisher at a time into ``outlet``; ``is_one`` says that it is always the same one."""

    def __init__(self, outlet: Outlet, clock: Clock, *, is_one: bool = False) -> None:
        self._outlet = outlet
        self._clock = clock
        self._is_one = is_one
        self._before = Received()
        self._last = Last()
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
        last = self._last if self._is_one else replace(self._last, beyond_s={})
        self._current = TurnSink(stream, self._outlet, self._clock, last)
        return self._current

    def _retire(self) -> None:
        current, self._current = self._current, None
        if current is not None:
            current.close()
            self._before += current.received
            self._last = current.last

    async def free_bytes(self) -> int | None:
        """See Desk: where the recording goes is not known here."""
        return None


@dataclass(frozen=True)
class Last:
    """Where a publisher has left off: the end of each stream, in ticks, and of all; what its reports have told.

    ``beyond_s`` is as for Listener.
    """

    ticks: int | None = None
    ends: Mapping[tuple[bool, int], int] = field(default_factory=dict)
    beyond_s: Mapping[int, float] = field(default_factory=dict)


class TurnSink:
    """One publisher into the outlet; ``before`` is where the one before it has left off."""

    def __init__(self, stream: str, outlet: Outlet, clock: Clock, before: Last) -> None:
        self.file_name = stream
        self.last_ticks = before.ticks
        self._outlet = outlet
        self._clock = clock
        self._before = before
        self._ends = dict(before.ends)
        self._listener = Listener(self, self._track_ended, clock=clock, beyond_s=before.beyond_s)
        self._begun: set[tuple[bool, int]] = set()
        self._bytes = 0
        self._first_ticks: int | None = None
        self._has_failed = False

    @property
    def last(self) -> Last:
        """Where it has left off."""
        sync = self._listener.sync
        has_reports = any(one.basis == "sender reports" for one in sync.values())
        told_s = {index: one.offset_s for index, one in sync.items()} if has_reports else self._before.beyond_s
        return Last(self.last_ticks, self._ends, told_s)

    @property
    def silent_s(self) -> float:
        """Seconds since anything came."""
        return self._listener.silent_s

    @property
    def lifeless_s(self) -> float:
        """Seconds since there was any sign that the sender lives."""
        return self._listener.lifeless_s

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
        key = (unit.is_video, stream)
        if unit.data:  # else it tells that the last one stands: nothing came
            self._heard(unit.ticks, len(unit.data))
            if key not in self._begun and self._before.ticks is not None:
                unit = replace(unit, discontinuity=True)
                self._tell_gap(unit)
            self._begun.add(key)
            if unit.ticks is not None:
                self._ends[key] = unit.ticks + unit.duration
        return self._outlet.put(unit, stream)

    def _tell_gap(self, unit: EncodedUnit) -> None:
        """Of audio whoever encodes the stream tells it."""
        end = self._ends.get((True, 0))
        if unit.is_video and unit.ticks is not None and end is not None and unit.ticks > end:
            seconds = (unit.ticks - end) / TICKS_PER_SECOND
            self._outlet.note(EventKind.GAP, stream=VIDEO, seconds=seconds, filled=False)

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
            if self._before.ticks is not None:
                seconds = (ticks - self._before.ticks) / TICKS_PER_SECOND
                self.note(EventKind.RECONNECT, seconds=seconds)
        self.last_ticks = ticks if self.last_ticks is None else max(self.last_ticks, ticks)

    def _track_ended(self, track: MediaStreamTrack, error: Exception | None) -> None:
        if error is not None:
            log.error("The %s track failed: %s", track.kind, error)
            self._has_failed = True
