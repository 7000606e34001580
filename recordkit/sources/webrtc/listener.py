"""The tracks of one peer, tapped where that can be, else read frame by frame, on their way to a sink."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from types import MappingProxyType

from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpReceiver

from ...errors import MediaError, RecordkitError, TapError
from ...model import EventKind, Field, Received
from ...system import Clock
from .clock import Sync
from .description import parameter_sets
from .frames import FrameClocks, FrameReader
from .reception import PutEarly, Reception
from .sink import Sink
from .sockets import Overflow
from .stream import StreamReception
from .tap import Tap, is_remote

log = logging.getLogger("recordkit")

_POLL_INTERVAL_S = 0.12
_FLOWING_INTERVAL_S = 0.24
"""What flows is read more often, and looked at with every second reading: no wake-up is for this alone."""
_EARLY = 0.6
"""From this part of the time on it is done with what is read."""
_LATE_S = 0.25
"""Whoever looks so late has not listened meanwhile: what has come waits to be read."""
_OVERFLOW_INTERVAL_S = 0.5
_MOST_AUDIO = 16


@dataclass(slots=True)
class _Way:
    """How one track is listened to."""

    number: int
    stream: StreamReception | None = None
    tap: Tap | None = None
    reader: FrameReader | None = None
    on_ended: Callable[[], None] | None = None


class Listener:
    """Listens to tracks from ``begin`` until they end or ``close``, in the event loop of the caller.

    Tracks may be added before ``begin``, and had better be: from then on nothing of them piles up
    in aiortc's queues.

    ``on_end`` is called once for each track: with None where it ended, or with the error for which
    it cannot be listened to any longer; the others go on. ``on_outage`` is told when nothing has
    come of any tapped track for a second. ``early`` is as for Reception. ``beyond_s`` says by how much the
    streams lay beyond their arrival (``offset_s`` of ``sync``) when the same sender was heard before: then they
    are not held back until it reports. ``takes_together`` says whether the sink takes audio that came together as
    one unit of several packets at this moment.

    Not thread-safe: all calls come from the loop.
    """

    def __init__(
        self,
        sink: Sink,
        on_end: Callable[[MediaStreamTrack, Exception | None], None],
        *,
        on_outage: Callable[[], None] | None = None,
        early: PutEarly | None = None,
        clock: Clock | None = None,
        beyond_s: Mapping[int, float] = MappingProxyType({}),
        takes_together: Callable[[], bool] = lambda: False,
    ) -> None:
        self._sink = sink
        self._on_end = on_end
        self._clock = clock or Clock()
        self._reception = Reception(sink, self._clock, on_outage, early, self._has_come, beyond_s, takes_together)
        self._frame_clocks = FrameClocks()
        self._overflow = Overflow(sink)
        self._overflow_due_s = float("-inf")
        self._ways: dict[MediaStreamTrack, _Way] = {}
        self._timer: asyncio.Handle | None = None
        self._due_s = float("-inf")
        self._interval_s = _POLL_INTERVAL_S
        self._flows = False
        self._looked_s: float | None = None
        self._last_sync: dict[int, Sync] = {}
        self._has_begun = False

    @property
    def counters(self) -> Received:
        """What has been received so far."""
        return self._reception.counters

    @property
    def sync(self) -> dict[int, Sync]:
        """How each stream lies on the timeline, by the recording's number of the stream."""
        return self._last_sync | {stream.index: stream.sync for stream in self._reception.streams}

    @property
    def tracks(self) -> tuple[MediaStreamTrack, ...]:
        """The tracks that have not ended."""
        return tuple(self._ways)

    @property
    def silent_s(self) -> float:
        """Seconds since any media came, or since ``begin``."""
        read_s = min((way.reader.silent_s for way in self._ways.values() if way.reader is not None), default=None)
        taps_s = self._reception.silent_s
        return taps_s if read_s is None else min(read_s, taps_s)

    @property
    def lifeless_s(self) -> float:
        """Seconds since any media, report or check of consent came, or since ``begin``."""
        return min(self.silent_s, self._reception.lifeless_s)

    def add(
        self,
        track: MediaStreamTrack,
        *,
        receiver: RTCRtpReceiver | None = None,
        peer: RTCPeerConnection | None = None,
    ) -> None:
        """Listen to ``track``; a ``receiver`` that is known spares the search for it.

        So does the ``peer`` that it comes from, whose description may besides tell parameter sets that the
        sender never sends (sprop-parameter-sets; RFC 6184, 8.1).

        Raises MediaError for a second video track, which one recording cannot hold.
        """
        if track in self._ways:
            return
        if peer is not None and receiver is None:
            receiver = next((one for one in peer.getReceivers() if one.track is track), None)
        number = self._free_number(track)
        way = self._ways[track] = _Way(number)
        if is_remote(track):
            self._tap(track, way, receiver, None if peer is None else partial(parameter_sets, peer, track))
        else:
            self._read(track, way)
        if self._timer is None:
            self._poll()

    def begin(self) -> None:
        """Hand on what comes from now on."""
        self._has_begun = True
        self._reception.open()
        for track, way in tuple(self._ways.items()):
            if way.tap is None and way.reader is None:
                self._read(track, way)

    def want_keyframe(self) -> None:
        """Ask for a keyframe until one comes: somebody cannot go on without."""
        for stream in self._reception.streams:
            stream.want_keyframe()

    def tell_sync_again(self) -> None:
        """Tell how each stream lies on the timeline once more: somebody else is told from now on."""
        self._last_sync = {}

    def close(self) -> None:
        """Hand on what has come by now, and let go of all tracks."""
        for way in tuple(self._ways.values()):
            if way.tap is not None:
                way.tap.read_out()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell_overflow(is_over=True)
        # Before the streams end, so that what is told of them then is whole.
        self._reception.release()
        for track in self.tracks:
            self._leave(track)
        self._reception.close()

    def _free_number(self, track: MediaStreamTrack) -> int:
        taken = {way.number for other, way in self._ways.items() if other.kind == track.kind}
        free = next(number for number in range(len(taken) + 1) if number not in taken)
        if free >= (1 if track.kind == "video" else _MOST_AUDIO):
            raise MediaError(
                f"one more {track.kind} track: one recording has one video and {_MOST_AUDIO} audio tracks; "
                "record it with another recorder, into a file of its own"
            )
        return free

    def _tap(
        self,
        track: MediaStreamTrack,
        way: _Way,
        receiver: RTCRtpReceiver | None,
        described: Callable[[], dict[int, bytes]] | None,
    ) -> None:
        stream = self._reception.add(is_audio=track.kind == "audio", number=way.number)
        try:
            failed = partial(self._tap_failed, track)
            way.tap = Tap(track, stream, failed, receiver=receiver, described=described or dict, clock=self._clock)
        except TapError as error:
            log.warning("%s", error)
            stream.end()
            self._read(track, way)
            return
        way.stream = stream
        stream.request_keyframe = way.tap.request_keyframe
        way.on_ended = partial(self._ended, track, None)
        track.add_listener("ended", way.on_ended)
        if track.readyState == "ended":
            self._ended(track, None)

    def _tap_failed(self, track: MediaStreamTrack, error: Exception) -> None:
        way = self._ways.get(track)
        if not isinstance(error, TapError) or way is None:
            self._ended(track, error)
            return
        log.warning("%s", error)
        self._let_go(track, way)
        self._read(track, way)

    def _read(self, track: MediaStreamTrack, way: _Way) -> None:
        if not self._has_begun:
            return  # a player begins with the first frame that is read
        way.reader = FrameReader(
            track,
            lambda frame, ticks: self._sink.put_frame(frame, ticks, way.number),
            partial(self._ended, track),
            self._frame_clocks,
            self._clock,
        )

    def _ended(self, track: MediaStreamTrack, error: Exception | None) -> None:
        if track not in self._ways:
            return
        if error is not None and not isinstance(error, RecordkitError):
            log.error("a track of %s failed", track.kind, exc_info=error)
        try:
            self._leave(track)
        finally:
            self._on_end(track, error)

    def _leave(self, track: MediaStreamTrack) -> None:
        way = self._ways.pop(track)
        self._let_go(track, way)

    def _let_go(self, track: MediaStreamTrack, way: _Way) -> None:
        if way.on_ended is not None:
            # The track itself removes all when it ends.
            if way.on_ended in track.listeners("ended"):
                track.remove_listener("ended", way.on_ended)
            way.on_ended = None
        if way.tap is not None:
            way.tap.close()
            way.tap = None
        if way.reader is not None:
            way.reader.close()
            way.reader = None
        if way.stream is not None:
            stream, way.stream = way.stream, None
            stream.end()
            self._tell_end(stream)

    def _has_come(self) -> None:
        """A unit has come: what is looked at now and then is looked at with it, and needs no wake-up of its own."""
        self._flows = True
        if self._timer is not None and self._clock.monotonic() >= self._due_s:
            self._due_s = float("inf")
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_soon(self._poll)

    def _poll(self) -> None:
        late_s = self._interval_s + _LATE_S
        self._interval_s = _FLOWING_INTERVAL_S if self._flows else _POLL_INTERVAL_S
        self._flows = False
        self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._poll)
        self._due_s = self._clock.monotonic() + self._interval_s * _EARLY
        try:
            self._look(late_s)
        except Exception as error:  # noqa: BLE001 - here nobody hears of it: it is handed on
            for track in self.tracks:
                self._ended(track, error)

    def _look(self, late_s: float = _POLL_INTERVAL_S + _LATE_S) -> None:
        """See what there is to be seen to. If the last time is longer ago than ``late_s`` the loop was held up."""
        now_s = self._clock.monotonic()
        if self._looked_s is not None and now_s - self._looked_s > late_s:
            # The loop was held up. To conclude now that nothing came would be wrong: that is read first.
            self._looked_s = None
            return
        self._looked_s = now_s
        for way in tuple(self._ways.values()):
            if way.tap is not None:
                way.tap.poll()
        self._reception.poll()
        self._tell_sync()
        if now_s >= self._overflow_due_s:
            self._overflow_due_s = now_s + _OVERFLOW_INTERVAL_S
            self._tell_overflow()

    def _tell_overflow(self, *, is_over: bool = False) -> None:
        """Tell what the system threw away. Streams of one sender mostly share their transport."""
        known = (way.tap.sockets for way in self._ways.values() if way.tap is not None)
        by_transport = {id(one.transport): one for one in known if one is not None}
        for one in by_transport.values():
            one.widen()
        if by_transport:
            thrown_away = sum(one.thrown_away for one in by_transport.values())
            self._overflow.look(thrown_away, self._clock.monotonic(), is_over=is_over)

    def _tell_sync(self) -> None:
        """Note when the basis of a stream's place changes: by arrival first, by reports once they come."""
        for stream in self._reception.streams:
            known = self._last_sync.get(stream.index)
            if stream.end_ticks is not None and (known is None or known.basis != stream.clock.basis):
                self._note(stream, stream.sync)

    def _tell_end(self, stream: StreamReception) -> None:
        self._note(stream, stream.sync, **asdict(stream.counters))

    def _note(self, stream: StreamReception, sync: Sync, **fields: Field) -> None:
        self._last_sync[stream.index] = sync
        fields = {"sync": sync.basis, "offset_s": round(sync.offset_s, 6), "drift_ppm": sync.drift_ppm, **fields}
        self._sink.note(EventKind.STREAM, stream=stream.index, **fields)
