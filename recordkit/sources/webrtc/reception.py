"""From packets to units on one timeline: what lies between the tap and whoever records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from ...encode.routing import FIRST_AUDIO, VIDEO
from ...model import EncodedUnit, EventKind, Field, Received
from ...mpegts.clock import TICKS_PER_SECOND
from ...system import Clock
from .assembly import Assembly, MediaPacket, PictureAssembly, SoundAssembly, Unit
from .choice import SourceChoice
from .clock import JointClock, Sync
from .reorder import AUDIO_WINDOW_S, VIDEO_WINDOW_S, InOrder, Reorder

OUTAGE_S = 1.0
"""So long nothing of any stream has come when it is an outage."""
LIFELESS_S = 5.0
"""A sender of which neither packet nor report comes for so long does not live: reports come each second or so."""
STUCK_S = 2.5
"""So long packets come without a unit before that is told."""
KEYFRAME_INTERVAL_S = 3.0
_FIRST_PATIENCE_S = 0.2
_REQUEST_INTERVAL_S = 0.5
_NEEDS_NO_KEYFRAMES = frozenset({"vp8", "vp9", "av1"})
"""These are encoded anew, with key pictures of their own: to ask for them would only cost bandwidth."""
_MOST_HELD_BYTES = 32 * 1024 * 1024


class Sink(Protocol):
    """Who takes what arrives: a Recorder that drops what overflows, or a bounded queue before one.

    Called in the event loop, so nothing of it may wait. ``stream`` numbers the audio streams from
    0. It raises nothing: who records knows best what to do about a recording that failed.
    """

    def put(self, unit: EncodedUnit, stream: int) -> bool:
        """Take a unit; False where the sender is to be asked for one that a decoder can start from."""
        ...

    def put_frame(self, frame: VideoFrame | AudioFrame, ticks: int, stream: int) -> bool:
        """Take a frame, of a track that gives nothing else, for ``ticks``; False where it was dropped."""
        ...

    def note(self, kind: EventKind, **fields: Field) -> None:
        """Hear of an event."""
        ...


class StreamReception:
    """One stream of a Reception; ``number`` counts audio streams from 0 and is 0 for the video.

    Not thread-safe: all calls come from the event loop that receives.
    """

    def __init__(self, reception: Reception, *, is_audio: bool, number: int) -> None:
        self.is_audio = is_audio
        self.number = number
        self.last_arrival_s: float | None = None
        self.end_ticks: int | None = None
        self._reception = reception
        self.clock = reception.joint.add(is_audio=is_audio)
        self._window_s = AUDIO_WINDOW_S if is_audio else VIDEO_WINDOW_S
        self._reorder: Reorder[MediaPacket] = Reorder(self._window_s)
        self._assembly: Assembly = SoundAssembly() if is_audio else PictureAssembly()
        self._ssrc: int | None = None
        self._choice = SourceChoice()
        self._before = Received()
        self._units = self._refused_units = self._requests = 0
        self._refused = False
        self._began_s = 0.0
        self._entry_s = 0.0
        self._request_s = float("-inf")
        self._stuck_s: float | None = None
        self._fed_s = 0.0
        self._gave = self._is_stuck = False

    @property
    def index(self) -> int:
        """The recording's number of the stream, as events name it."""
        return FIRST_AUDIO + self.number if self.is_audio else VIDEO

    @property
    def counters(self) -> Received:
        """What it has received so far."""
        order = self._reorder
        return self._before + Received(
            packets=order.packets,
            late_packets=order.late,
            lost_packets=order.lost,
            recovered_packets=order.recovered,
            duplicate_packets=order.duplicates,
            received_units=self._units,
            dropped_units=self._assembly.dropped,
            refused_units=self._refused_units,
            keyframe_requests=self._requests,
            refused_packets=self._choice.refused_packets,
        )

    @property
    def sync(self) -> Sync:
        """How it lies on the timeline."""
        return self.clock.sync

    def packet(self, packet: MediaPacket) -> bool:
        """Take a packet as it comes; True where the sender is to be asked for a keyframe now."""
        if not self._reception.is_open:
            return False
        for one in self._choice.put(packet):
            self._take(one)
        return packet.ssrc == self._ssrc and self._asks(packet)

    def report(self, ntp: int, timestamp: int, ssrc: int) -> None:
        """Take a sender report (RFC 3550, 6.4.1)."""
        self._reception.lives()
        self.clock.report(ntp, timestamp, ssrc)

    def poll(self, now_s: float) -> None:
        """Give up what has been waited for long enough."""
        for packet in self._choice.poll(now_s):
            self._take(packet)
        self._hand_on(self._reorder.poll(now_s))
        if not self._reorder.is_waiting:
            self._take_units(self._assembly.poll(now_s))
        self._look_whether_stuck(now_s)

    def end(self) -> None:
        """Nothing more will come: what waits is handed on."""
        for packet in self._choice.flush():
            self._take(packet)
        self._hand_on(self._reorder.flush())
        self._take_units(self._assembly.flush())
        if self._stuck_s is not None and not self._gave:
            self._is_stuck = False
            self._tell_stuck()
        self._reception.remove(self)
        self._reception.joint.remove(self.clock)

    def deliver(self, unit: Unit, ticks: int) -> None:
        """Hand a unit to the sink; ``ticks`` is its time as its stream counts."""
        place = self.clock.place(ticks)
        gap = 0 if self.end_ticks is None else place - self.end_ticks
        seconds = gap / TICKS_PER_SECOND
        # Sequence numbers without a hole, of a sender that lives: nothing moved, and nothing is missing.
        is_missing = unit.discontinuity or self._reception.was_lifeless(unit.first.arrival_s - seconds)
        if not self.is_audio and seconds > OUTAGE_S and is_missing:
            self._reception.sink.note(EventKind.GAP, stream=self.index, seconds=seconds, filled=False)
        self.end_ticks = place + unit.duration
        encoded = EncodedUnit(unit.first.codec, unit.data, place, unit.is_entry, unit.discontinuity, unit.duration)
        self._units += 1
        if self._reception.sink.put(encoded, self.number):
            self._refused &= not unit.is_entry
        else:
            self._refused_units += 1
            self._refused = not self.is_audio

    def _take(self, packet: MediaPacket) -> None:
        if packet.ssrc != self._ssrc:
            self._take_over(packet)
        is_missing = not self._reorder.follows(packet.sequence)
        self._reception.heard(packet.arrival_s, is_missing=is_missing)
        self.last_arrival_s = packet.arrival_s
        if packet.data:
            self._fed_s = packet.arrival_s
            self._stuck_s = self._fed_s if self._stuck_s is None else self._stuck_s
        self._hand_on(self._reorder.put(packet.sequence, packet, packet.arrival_s))
        self._look_whether_stuck(packet.arrival_s)

    def _look_whether_stuck(self, now_s: float) -> None:
        if self._stuck_s is not None and now_s - self._stuck_s >= STUCK_S and now_s - self._fed_s < OUTAGE_S:
            self._tell_stuck()

    def _take_over(self, packet: MediaPacket) -> None:
        """Begin with another source."""
        if self._ssrc is None:
            self._began_s = self._entry_s = packet.arrival_s
        else:
            self._hand_on(self._reorder.flush())
            self._take_units(self._assembly.flush())
            order = self._reorder
            self._before += Received(
                packets=order.packets,
                late_packets=order.late,
                lost_packets=order.lost,
                recovered_packets=order.recovered,
                duplicate_packets=order.duplicates,
            )
            self._reorder = Reorder(self._window_s)
            # Its first pictures refer to nothing that came from the source before.
            self._assembly.interrupt()
        self._ssrc = packet.ssrc

    def _hand_on(self, packets: list[InOrder[MediaPacket]]) -> None:
        for packet, lost_before in packets:
            self._take_units(self._assembly.add(packet, lost_before))

    def _tell_stuck(self) -> None:
        """Packets come, and nothing comes of them."""
        if self._is_stuck:
            return
        self._is_stuck = True
        counters = self.counters
        if self._assembly.lacks_sets:
            because = (
                f"{counters.dropped_units} frames came without parameter sets (SPS and PPS), and none are known, "
                "so that no decoder could start; let the sender repeat them before each keyframe"
            )
        elif self._assembly.needs_entry:
            because = (
                f"no keyframe came in spite of {counters.keyframe_requests} requests; {counters.dropped_units} "
                f"frames were left out, {counters.lost_packets} packets were lost"
            )
        else:
            because = f"{counters.packets} packets came, and no whole frame"
        self._reception.sink.note(EventKind.DEGRADED, part=self._part, because=f"{self._part}: {because}")

    @property
    def _part(self) -> str:
        return f"audio {self.number + 1}" if self.is_audio else "video"

    def _take_units(self, units: list[Unit]) -> None:
        if units:
            self._stuck_s, self._gave = None, True
            if self._is_stuck:
                self._is_stuck = False
                self._reception.sink.note(EventKind.RESTORED, part=self._part)
        for unit in units:
            first = unit.first
            if unit.is_entry:
                self._entry_s = first.arrival_s
            ticks = self.clock.time(first.timestamp, first.rate, first.ssrc, first.arrival_s)
            self._reception.take(self, unit, ticks)

    def _asks(self, packet: MediaPacket) -> bool:
        if self.is_audio:
            return False
        now_s = packet.arrival_s
        waits = self._assembly.needs_entry or self._refused
        patience_s = _FIRST_PATIENCE_S if self._units == 0 else 0.0
        is_due = (waits and now_s - self._began_s >= patience_s) or (
            packet.codec not in _NEEDS_NO_KEYFRAMES
            and now_s - max(self._entry_s, self._request_s) >= KEYFRAME_INTERVAL_S
        )
        if not is_due or now_s - self._request_s < _REQUEST_INTERVAL_S:
            return False
        self._request_s = now_s
        self._requests += 1
        return True


class Reception:
    """The streams of one sender on their way to ``sink``, on one timeline, once ``is_open`` is set.

    At the start all units are held until the clocks of the streams are known, three seconds at the
    most. An outage is noted when it is over; ``on_outage`` is told when it begins.
    """

    def __init__(self, sink: Sink, clock: Clock | None = None, on_outage: Callable[[], None] | None = None) -> None:
        self.sink = sink
        self.joint = JointClock()
        self.is_open = False
        self._clock = clock or Clock()
        self._on_outage = on_outage
        self._streams: list[StreamReception] = []
        self._ended = Received()
        self._leaving: list[StreamReception] = []
        """Streams that have ended while units of theirs are held."""
        self._audio_streams = 0
        self._held: list[tuple[StreamReception, Unit, int]] | None = []
        self._held_bytes = 0
        self._heard_s: float | None = None
        self._in_outage = False
        self._sign_s: float | None = None
        self._lifeless_s: float | None = None

    @property
    def counters(self) -> Received:
        """What all streams have received so far."""
        total = self._ended
        for stream in (*self._streams, *self._leaving):
            total += stream.counters
        return total

    @property
    def streams(self) -> tuple[StreamReception, ...]:
        """The streams that have not ended."""
        return tuple(self._streams)

    def add(self, *, is_audio: bool, number: int = 0) -> StreamReception:
        """A further stream; ``number`` counts the audio streams from 0."""
        stream = StreamReception(self, is_audio=is_audio, number=number)
        self._streams.append(stream)
        return stream

    def remove(self, stream: StreamReception) -> None:
        """A stream has ended."""
        if stream in self._streams:
            self._streams.remove(stream)
            if self._held is None:
                self._ended += stream.counters
            else:
                self._leaving.append(stream)

    def heard(self, now_s: float, *, is_missing: bool) -> None:
        """A packet of any stream came; ``is_missing`` says that others are missing before it."""
        heard_s, self._heard_s = self._heard_s, now_s
        self._live(now_s)
        if heard_s is None or now_s - heard_s < OUTAGE_S:
            return
        if is_missing or self.was_lifeless(heard_s):
            self.sink.note(EventKind.RECONNECT, seconds=now_s - heard_s)

    def lives(self) -> None:
        """A report came: the sender lives though it may have nothing to show."""
        self._live(self._clock.monotonic())

    def was_lifeless(self, since_s: float) -> bool:
        """Whether for ``LIFELESS_S`` at a time there has been no sign of the sender since then."""
        return self._lifeless_s is not None and self._lifeless_s >= since_s

    def _live(self, now_s: float) -> None:
        if self._sign_s is not None and now_s - self._sign_s >= LIFELESS_S:
            self._lifeless_s = now_s
        self._sign_s = now_s
        self._in_outage = False

    def poll(self) -> None:
        """To be called some twenty times a second, for what happens while nothing comes."""
        now_s = self._clock.monotonic()
        for stream in self.streams:
            stream.poll(now_s)
        self._release(now_s)
        sign_s = self._sign_s if self._heard_s is not None else None
        if sign_s is not None and not self._in_outage and now_s - sign_s >= OUTAGE_S:
            self._in_outage = True
            if self._on_outage is not None:
                self._on_outage()

    def take(self, stream: StreamReception, unit: Unit, ticks: int) -> None:
        """A unit of one of the streams is whole."""
        if self._held is None:
            stream.deliver(unit, ticks)
            return
        self._held.append((stream, unit, ticks))
        self._held_bytes += len(unit.data)
        self._release(self._clock.monotonic())

    def release(self) -> None:
        """Hand on what is held, whether or not the clocks are known."""
        self._release(float("inf"))

    def close(self) -> None:
        """End all streams, and hand on what is held."""
        for stream in self.streams:
            stream.end()
        self.release()

    def _release(self, now_s: float) -> None:
        held = self._held
        if held is None or not (self._held_bytes > _MOST_HELD_BYTES or self.joint.is_settled(now_s)):
            return
        self._held = None
        self._held_bytes = 0
        # By time, but each stream in its own order: what is decoded first may be shown later.
        due: dict[StreamReception, int] = {}
        order = []
        for place, (stream, _, ticks) in enumerate(held):
            own = ticks + self.joint.target(stream.clock)
            due[stream] = max(due.get(stream, own), own)
            order.append((due[stream], place))
        for _, place in sorted(order):
            stream, unit, ticks = held[place]
            stream.deliver(unit, ticks)
        for stream in self._leaving:
            self._ended += stream.counters
        self._leaving.clear()
