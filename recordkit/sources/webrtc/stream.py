"""One stream of a sender: from its packets to units in order, and what is told and asked meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...encode.routing import FIRST_AUDIO, VIDEO
from ...model import EncodedUnit, EventKind, Received
from ...system import Clock
from ...ticks import TICKS_PER_SECOND, signed_difference
from .assembly import Assembly, MediaPacket, PictureAssembly, SoundAssembly, Unit
from .capture_time import TakenTimes
from .choice import SourceChoice
from .clock import JointClock, Sync
from .fruitless import Fruitless, reason
from .keyframes import KeyframeRequests
from .reorder import AUDIO_WINDOW_S, VIDEO_WINDOW_S, Reorder
from .sent import SentPackets
from .signs import OUTAGE_S, Signs
from .sink import Sink
from .together import Timed, together

STANDS_S = 4.0
"""So often a frame that stands is told again: before a stream counts as silent."""
_STOOD_S = 2.0
"""A frame that has stood for so long stands to the end; what comes of a stop that is a little late is no still."""
_RETRANSMITTED_S = 0.3
_OUT_OF_ORDER_S = 0.1
_TIMESTAMP_BITS = 32
_BEHIND_S = 0.4
"""So far behind the present it is placed, so that it is before the next frame, however late that comes."""


@dataclass(slots=True)
class Shared:
    """What the streams of one sender share; ``take`` is given each whole unit, with its stream's own time.

    ``takes_together`` says whether audio that came together may be one unit. ``beyond_s`` is as for Listener.
    """

    sink: Sink
    clock: Clock
    signs: Signs
    take: Callable[[StreamReception, Unit, int], None]
    remove: Callable[[StreamReception], None]
    beyond_s: Mapping[int, float] = field(default_factory=dict)
    joint: JointClock = field(default_factory=JointClock)
    is_open: bool = False
    takes_together: Callable[[], bool] = lambda: False


class StreamReception:
    """One stream of a Reception; ``number`` counts audio streams from 0 and is 0 for the video.

    ``request_keyframe`` asks the sender for one when no packet comes that could be answered; it returns
    False if that is not possible. Not thread-safe: all calls come from the event loop that receives.
    """

    def __init__(self, shared: Shared, *, is_audio: bool, number: int) -> None:
        self.is_audio = is_audio
        self.number = number
        self.last_arrival_s: float | None = None
        self.end_ticks: int | None = None
        self.request_keyframe: Callable[[], bool] = lambda: False
        self.clock = shared.joint.add(is_audio=is_audio, beyond_s=shared.beyond_s.get(self.index))
        self._taken = TakenTimes(self.clock)
        self._shared = shared
        self._window_s = AUDIO_WINDOW_S if is_audio else VIDEO_WINDOW_S
        self._reorder: Reorder[MediaPacket] = Reorder(self._window_s)
        self._assembly: Assembly = SoundAssembly() if is_audio else PictureAssembly()
        self._ssrc: int | None = None
        self._newest = 0  # the RTP time of the newest packet
        self._choice = SourceChoice()
        self._before = Received()
        self._units = self._refused_units = 0
        self._refused = False
        self._keyframes: KeyframeRequests | None = None
        self._fruitless = Fruitless()
        self._sent = SentPackets()
        self._is_missing_told = self._is_clock_told = self._is_pace_told = False
        self._missing_at_end = 0
        self._codec = ""
        self._shown_s = self._told_s = self._stood_s = 0.0
        self._over_s: float | None = None  # when its source said goodbye
        self._lag_s = 0.0  # so long the newest packet had waited to be taken

    @property
    def index(self) -> int:
        """The recording's number of the stream, as events name it."""
        return FIRST_AUDIO + self.number if self.is_audio else VIDEO

    @property
    def counters(self) -> Received:
        """What it has received so far."""
        return (
            self._before
            + _counted(self._reorder)
            + Received(
                received_units=self._units,
                dropped_units=self._assembly.dropped,
                refused_units=self._refused_units,
                keyframe_requests=self._keyframes.count if self._keyframes is not None else 0,
                refused_packets=self._choice.refused_packets,
                lost_packets=self._missing_at_end,
            )
        )

    @property
    def sync(self) -> Sync:
        """How it lies on the timeline."""
        return self.clock.sync

    def learn(self, parameter_sets: bytes) -> None:
        """Know parameter sets beforehand, see Assembly."""
        self._assembly.learn(parameter_sets)

    def want_keyframe(self) -> None:
        """Ask the sender for a keyframe until one comes."""
        if not self.is_audio:
            self._requests(self._shared.clock.monotonic()).is_wanted = True

    def take(self, packets: Sequence[MediaPacket]) -> bool:
        """Take packets that came together; True if the sender is to be asked for a keyframe now."""
        if not self._shared.is_open:
            return False
        self._put_in_order(self._choice.put(packets))
        newest = packets[-1]
        if self.is_audio or newest.ssrc != self._ssrc:
            return False
        return self._requests(newest.arrival_s).with_packet(
            newest.arrival_s,
            newest.codec,
            needs_entry=self._needs_entry or self._is_hopeless(newest.arrival_s),
            has_units=self._units > 0,
        )

    def report(self, ntp: int, timestamp: int, ssrc: int) -> None:
        """Take a sender report (RFC 3550, 6.4.1)."""
        self.lives()
        self.clock.report(ntp, timestamp, ssrc)

    def sent(self, packets: int, besides: int, ssrc: int, timestamp: int) -> None:
        """Take from a sender report how many packets were sent by RTP time ``timestamp``, see SentPackets."""
        if ssrc == self._ssrc:
            was_overtaken = signed_difference(self._newest, timestamp, _TIMESTAMP_BITS) > 0
            now_s = self._shared.clock.monotonic()
            order = self._reorder
            again = order.recovered + order.late + order.duplicates
            self._sent.report(packets, order.reached, besides, now_s, again=again, was_overtaken=was_overtaken)

    def goodbye(self, sources: list[int]) -> None:
        """Sources have ended: nothing of them is on its way."""
        if self._ssrc in sources and self._over_s is None:
            self._over_s = self._shared.clock.monotonic()
        self.lives()

    def lives(self) -> None:
        """The sender lives, though nothing of this stream came."""
        self._shared.signs.lives(self._shared.clock.monotonic())

    def poll(self, now_s: float) -> None:
        """Give up what has been waited for long enough, and ask a silent sender for a keyframe."""
        self._put_in_order(self._choice.poll(now_s))
        self._hand_on(self._reorder.poll(now_s))
        if not self._reorder.is_waiting:
            self._take_units(self._assembly.poll(now_s))
        self._look_whether_fruitless(now_s)
        self._look_at_pace()
        missing = self._look_for_missing(now_s)
        if self._shared.is_open and not self.is_audio and not self._shared.signs.is_lifeless(now_s):
            requests = self._requests(now_s)
            if requests.is_due(now_s, needs_entry=self._needs_entry or missing > 0) and self.request_keyframe():
                requests.asked(now_s)
        sign_s = self._shared.signs.sign_s
        is_due = now_s - self._told_s >= STANDS_S and not (self._needs_entry or self._reorder.is_waiting)
        if is_due and sign_s is not None:
            # As far as the sender was heard of: what a network holds back since is before the next frame, too.
            self._stand(now_s, sign_s - _BEHIND_S)

    def end(self) -> None:
        """Nothing more will come: what waits is handed on."""
        self._put_in_order(self._choice.flush())
        self._hand_on(self._reorder.flush())
        may_stand, dropped = not self._needs_entry, self._assembly.dropped
        self._take_units(self._assembly.flush())
        if self._fruitless.is_due_at_end():
            self._tell_fruitless()
        now_s = self._shared.clock.monotonic()
        self._count_missing(now_s)
        # A source may return behind its goodbye, and is waited for: that is not a time in which its frame stood.
        until_s = now_s if self._over_s is None else self._over_s
        if may_stand and self._assembly.dropped == dropped and until_s - self._shown_s >= _STOOD_S:
            self._stand(now_s, until_s)
        self._shared.remove(self)
        self._shared.joint.remove(self.clock)

    def deliver(self, unit: Unit, ticks: int) -> None:
        """Hand a unit to the sink; ``ticks`` is its time as its stream counts."""
        sink = self._shared.sink
        place = self.clock.place(ticks)
        gap = 0 if self.end_ticks is None else place - self.end_ticks
        seconds = gap / TICKS_PER_SECOND
        # Sequence numbers without a hole, of a sender that lives: nothing moved, and nothing is missing.
        is_gap = seconds > OUTAGE_S and (
            unit.discontinuity or self._shared.signs.was_lifeless(unit.first.arrival_s - seconds)
        )
        if is_gap and not self.is_audio:
            sink.note(EventKind.GAP, stream=self.index, seconds=seconds, filled=False)
        self.end_ticks = place + unit.duration
        encoded = EncodedUnit(
            unit.first.codec,
            unit.data,
            place,
            unit.is_entry,
            unit.discontinuity or (is_gap and self.is_audio),
            unit.duration,
            captured=None if self.is_audio else self._taken.of(ticks, self._wall_ns),
            nal_starts=unit.nal_starts,
            sizes=unit.sizes,
        )
        self._codec, self._shown_s = encoded.codec, unit.first.arrival_s
        self._told_s = max(self._told_s, self._shown_s + self._lag_s)
        count = len(unit.sizes) or 1
        self._units += count
        if sink.put(encoded, self.number):
            self._refused &= not unit.is_entry
        else:
            self._refused_units += count
            self._refused = not self.is_audio

    def _stand(self, now_s: float, until_s: float) -> None:
        """Tell that the last frame stands: the sender lives, no packet is missing, and nothing moves."""
        is_later = until_s > max(self._shown_s, self._stood_s)
        if self.is_audio or self.end_ticks is None or not is_later or self._shared.signs.is_lifeless(now_s):
            return
        self._told_s, self._stood_s = now_s, until_s
        place = self.end_ticks + round((until_s - self._shown_s) * TICKS_PER_SECOND)
        self._shared.sink.put(EncodedUnit(self._codec, b"", place, is_entry=False), self.number)

    @property
    def _wall_ns(self) -> int:
        clock = self._shared.clock
        return clock.time_ns() - round(clock.monotonic() * 1e9)

    @property
    def _needs_entry(self) -> bool:
        return self._assembly.needs_entry or self._refused

    def _is_hopeless(self, now_s: float) -> bool:
        """Whether what is missing will hardly come any more, and only a keyframe helps.

        It is waited for on; but whoever has never sent a packet again does not begin to.
        """
        order = self._reorder
        longest_s = _RETRANSMITTED_S if order.recovered else _OUT_OF_ORDER_S
        return order.is_waiting and order.misses_for(now_s) > longest_s

    @property
    def _part(self) -> str:
        return f"audio {self.number + 1}" if self.is_audio else "video"

    def _requests(self, now_s: float) -> KeyframeRequests:
        if self._keyframes is None:
            self._keyframes = KeyframeRequests(now_s)
        return self._keyframes

    def _put_in_order(self, packets: Sequence[MediaPacket]) -> None:
        """Take packets of the sources that are recorded, in the order in which they came."""
        if not packets:
            return
        # What is missing can be asked for only now, however long ago these came.
        now_s = self._shared.clock.monotonic()
        self.last_arrival_s = packets[-1].arrival_s
        self._lag_s = now_s - self.last_arrival_s
        if self._is_run(packets):
            self._over_s = None
            self._heard(packets[0])
            self._heard(packets[-1])
            self._take_units(self._assembly.add_run(packets))
            return
        ready: list[tuple[MediaPacket, int]] = []
        for packet in packets:
            if packet.ssrc != self._ssrc:
                self._hand_on(ready)
                self._take_over(packet)
                ready = []
            self._heard(packet)
            if signed_difference(packet.timestamp, self._newest, _TIMESTAMP_BITS) > 0:
                self._newest = packet.timestamp
            ready += self._reorder.put(packet.sequence, packet, now_s)
        self._over_s = None  # not before: what a source that said goodbye lacks is counted as it is taken over
        self._hand_on(ready)

    def _is_run(self, packets: Sequence[MediaPacket]) -> bool:
        """Whether packets are those that come next, as they mostly are; then they count as come."""
        ssrc, newest, numbers = self._ssrc, self._newest, []
        for packet in packets:
            if packet.ssrc != ssrc or not packet.data:
                return False
            numbers.append(packet.sequence)
            timestamp = packet.timestamp
            if timestamp != newest and signed_difference(timestamp, newest, _TIMESTAMP_BITS) > 0:
                newest = timestamp
        if not 0 <= packets[-1].arrival_s - packets[0].arrival_s < OUTAGE_S or not self._reorder.takes(numbers):
            return False
        self._newest = newest
        return True

    def _heard(self, packet: MediaPacket) -> None:
        """Something came: a pause of the sender may be over, and frames are to come of it."""
        signs, arrival_s = self._shared.signs, packet.arrival_s
        pause_s = signs.heard(arrival_s)
        if pause_s and (not self._reorder.follows(packet.sequence) or signs.was_lifeless(arrival_s - pause_s)):
            self._shared.sink.note(EventKind.RECONNECT, seconds=pause_s)
        self._fruitless.packet(arrival_s, is_padding=not packet.data)

    def _take_over(self, packet: MediaPacket) -> None:
        """Begin with another source."""
        if self._ssrc is not None:
            self._hand_on(self._reorder.flush())
            self._take_units(self._assembly.flush())
            self._count_missing(packet.arrival_s)
            self._before += _counted(self._reorder)
            self._reorder = Reorder(self._window_s)
            self._sent, self._over_s = SentPackets(), None
            # Its first frames refer to nothing that came from the source before.
            self._assembly.interrupt()
        self._ssrc, self._newest = packet.ssrc, packet.timestamp

    def _look_at_pace(self) -> None:
        """Tell when the source's times go at another pace than its packets come, and when that is over."""
        pace = self.clock.odd_pace
        if (pace is not None) is self._is_pace_told:
            return
        self._is_pace_told, part = pace is not None, f"pace of {self._part}"
        if pace is not None:
            because = (
                f"{self._part}: its RTP times go {pace:.2g} times as fast as its packets come. They are believed: "
                "a film may be sent faster than it plays; if the sender is live, its clock is wrong, and with it "
                "the length of the recording"
            )
            self._shared.sink.note(EventKind.DEGRADED, part=part, because=because)
        else:
            self._shared.sink.note(EventKind.RESTORED, part=part)

    def _look_for_missing(self, now_s: float) -> int:
        """Tell of packets that were sent behind the last that came: how many there are now."""
        missing = self._sent.missing(self._reorder.reached, now_s)
        if (missing > 0) is self._is_missing_told:
            return missing
        self._is_missing_told, part = missing > 0, f"the end of {self._part}"
        if missing:
            because = f"{self._part}: by its report the sender has sent {missing} packets more than came"
            self._shared.sink.note(EventKind.DEGRADED, part=part, because=because)
        else:
            self._shared.sink.note(EventKind.RESTORED, part=part)
        return missing

    def _count_missing(self, now_s: float) -> None:
        """Nothing more will come of the source: what it has sent behind the last that came is lost."""
        missing = self._sent.missing(self._reorder.reached, now_s, is_over=self._over_s is not None)
        self._missing_at_end += missing
        if missing:
            self._shared.sink.note(EventKind.GAP, stream=self.index, packets=missing, filled=False)

    def _hand_on(self, packets: Sequence[tuple[MediaPacket, int]]) -> None:
        add = self._assembly.add
        for packet, lost_before in packets:
            if units := add(packet, lost_before):
                self._take_units(units)

    def _look_whether_fruitless(self, now_s: float) -> None:
        if self._fruitless.is_due(now_s):
            self._tell_fruitless()

    def _tell_fruitless(self) -> None:
        because = f"{self._part}: {reason(self._assembly, self.counters, has_media=self._fruitless.has_media)}"
        self._shared.sink.note(EventKind.DEGRADED, part=self._part, because=because)

    def _take_units(self, units: list[Unit]) -> None:
        if units and self._fruitless.unit():
            self._shared.sink.note(EventKind.RESTORED, part=self._part)
        timed: Iterator[Timed] = map(self._timed, units)
        if self.is_audio and len(units) > 1 and self._shared.takes_together():
            timed = together(timed)
        for unit, ticks in timed:
            self._shared.take(self, unit, ticks)

    def _timed(self, unit: Unit) -> Timed:
        """A unit that is whole, and its time as the stream counts."""
        first = unit.first
        if unit.is_entry and not self.is_audio:
            self._requests(first.arrival_s).entry(first.arrival_s)
        ticks = self.clock.time(first.timestamp, first.rate, first.ssrc, first.arrival_s)
        if self.clock.is_lost and not self._is_clock_told:
            self._is_clock_told = True
            because = f"{self._part}: its RTP times do not go on as its packets come; it is placed by arrival"
            self._shared.sink.note(EventKind.DEGRADED, part=f"times of {self._part}", because=because)
        if first.capture_ntp is not None:
            self._taken.told(first.capture_ntp, ticks)
        return unit, ticks


def _counted(order: Reorder[MediaPacket]) -> Received:
    return Received(
        packets=order.packets,
        late_packets=order.late,
        lost_packets=order.lost,
        recovered_packets=order.recovered,
        duplicate_packets=order.duplicates,
    )
