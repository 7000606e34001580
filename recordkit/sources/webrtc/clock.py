"""One timeline for the streams of one sender: RTP times placed by sender reports, or by arrival.

RFC 3550, 6.4.1: a sender report names one instant on the sender's wall clock (NTP) and on the
stream's own RTP clock. Two streams of one sender are in sync where their NTP times agree.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from ...ticks import TICKS_PER_SECOND, signed_difference
from .pace import Pace
from .quickest import Quickest
from .told import ToldOffsets

LONGEST_HOLD_S = 3.0
"""So long, at the most, the first units wait for the reports of all streams."""
KNOWN_HOLD_S = 0.3
"""So long they wait for the quickest packets, if it is known from before how far the streams lie from these."""
_RTP_BITS = 32
_OUTLIER = TICKS_PER_SECOND // 2
_FIRM_REPORTS = 3
_NTP_SECOND = 1 << 32
_SPLIT_SECOND = _NTP_SECOND // 400
"""Times of day hardly ever lie so near behind a full second: werift, for one, puts decimal digits where the binary
fraction belongs, and all of its times do. Only what several reports agree on is believed then."""
_EXACT = TICKS_PER_SECOND // 50
_SLEW = 0.02
"""A wrong offset is mended by lengthening or shortening time by this share of it."""
_ARRIVAL_TOLERANCE = TICKS_PER_SECOND * 15 // 1000
_ARRIVAL_WINDOW_S = 10.0
_JUMP = 2 * TICKS_PER_SECOND
"""No network makes packets come earlier than they were sent: a step of time further ahead of the
arrivals, or further back, is a source that counts anew."""
_FALLS = 8
"""So many times in a row no order of decoding goes back: the source counts down."""
_DRIFT_AFTER_S = 10.0
_FURTHEST_APART = 10 * TICKS_PER_SECOND
"""No network delays one stream by so much more than the other: reports that say so count from different clocks."""

Basis = Literal["reference", "sender reports", "arrival"]


@dataclass(frozen=True, slots=True)
class Sync:
    """How a stream lies on the timeline.

    ``offset_s`` is what was added to its times in seconds to put it beside the reference stream
    (0 for that one), beyond what the arrival of its first packet told. ``basis`` says where the
    offset is from. ``drift_ppm`` is how much faster its clock runs than the reference's, in parts
    per million; None where that is not known yet. ``reports`` counts the sender reports believed,
    ``outliers`` those that were not, ``jumps`` how often the source began to count anew.
    """

    offset_s: float
    basis: Basis
    drift_ppm: float | None
    reports: int
    outliers: int
    jumps: int


class StreamClock:
    """The times of one stream; made by JointClock."""

    def __init__(self, joint: JointClock, *, is_audio: bool, beyond: int | None) -> None:
        self.is_audio = is_audio
        self.beyond = beyond
        self.offset: int | None = None
        self.reports = 0
        self.outliers = 0
        self.jumps = 0
        self.basis: Basis = "arrival"
        self.drift_ppm: float | None = None
        self._joint = joint
        self._ssrc: int | None = None
        self._rate = 0
        self._rtp = 0  # the newest timestamp, unwrapped
        self._last: int | None = None
        self._falls = 0
        self._base_rtp = 0
        self._base_ticks = 0
        self._newest = 0  # the newest time, in ticks, as the stream counts
        self._placed: int | None = None
        self._samples = ToldOffsets()
        self._doubtful: deque[int] = deque(maxlen=_FIRM_REPORTS)
        self._early: tuple[int, int, int] | None = None
        self.transit = 0
        """What makes the stream's times those of its quickest packets' arrival, in ticks."""
        self._transit: int | None = None
        self._transit_before: int | None = None
        self._quickest = Quickest()
        self._transit_since_s = 0.0
        self._drift_from: tuple[int, int] | None = None
        self._pace = Pace()

    @property
    def has_begun(self) -> bool:
        """Whether a packet has come."""
        return self._ssrc is not None

    @property
    def has_reports(self) -> bool:
        """Whether sender reports are believed."""
        return bool(self._samples) and not self.is_contradictory

    @property
    def is_contradictory(self) -> bool:
        """Whether its sender reports contradict each other."""
        return self._samples.is_contradictory

    @property
    def is_steady(self) -> bool:
        """Whether several packets came about as quickly as the quickest."""
        return self._quickest.is_steady

    @property
    def ntp_offset(self) -> int:
        """What makes the stream's times NTP times, in ticks."""
        return self._samples.median

    @property
    def earliest_ntp_offset(self) -> int:
        """The same by the report that came soonest behind what it tells of."""
        return self._samples.earliest

    def time(self, timestamp: int, rate: int, ssrc: int, arrival_s: float) -> int:
        """The time of a unit as the stream counts, in ticks, unwrapped (see ``place``).

        ``timestamp`` is the RTP timestamp, ``rate`` its clock's in Hz, ``arrival_s`` when it came.
        """
        arrival = round(arrival_s * TICKS_PER_SECOND)
        if (ssrc, rate) != (self._ssrc, self._rate):
            self.jumps += self.has_begun
            self._last = None
            self._begin(timestamp, rate, ssrc, arrival)
        if self._pace.is_lost:
            return self._by_arrival(arrival)
        if self._counts_down(timestamp):
            self._pace.is_lost = True
            self._samples.begin_anew()
            return self._by_arrival(arrival)
        rtp = self._unwrapped(timestamp)
        ticks = self._ticks(rtp)
        if self._transit is not None and (arrival - ticks < self.transit - _JUMP or ticks < self._newest - _JUMP):
            self.jumps += 1
            self._begin(timestamp, rate, ssrc, arrival)
            rtp = self._unwrapped(timestamp)
            ticks = self._ticks(rtp)
        if ticks > self._newest or self._transit is None:
            self._newest, self._rtp = ticks, rtp
        if self._pace.put(ticks, arrival_s):
            self._samples.begin_anew()
            return self._by_arrival(arrival)
        self._arrived(arrival - ticks, arrival_s)
        return ticks

    def _counts_down(self, timestamp: int) -> bool:
        step = 0 if self._last is None else signed_difference(timestamp, self._last, _RTP_BITS)
        self._last = timestamp
        self._falls = self._falls + 1 if step < 0 else 0
        return self._falls >= _FALLS

    @property
    def is_lost(self) -> bool:
        """Whether the source's clock stands, counts down or in another unit: arrivals stand in for its times."""
        return self._pace.is_lost

    @property
    def odd_pace(self) -> float | None:
        """How many times as fast as its packets come the source's times go, if that is far off and lasts."""
        return self._pace.odd

    def _by_arrival(self, arrival: int) -> int:
        self._newest = max(self._newest + 1, arrival - self.transit)
        return self._newest

    def report(self, ntp: int, timestamp: int, ssrc: int) -> None:
        """Take a sender report: ``ntp`` has 64 bits, the upper half seconds; 0 says the sender has no clock."""
        if ntp == 0 or (self._pace.is_lost and ssrc == self._ssrc):
            return
        if ssrc != self._ssrc:
            # Before the first packet, or of a source that has just taken over.
            self._early = (ntp, timestamp, ssrc)
            return
        sample = (ntp * TICKS_PER_SECOND >> 32) - self._ticks(self._unwrapped(timestamp))
        if self._samples and abs(sample - self.ntp_offset) > _OUTLIER:
            self._doubt(sample, _OUTLIER)
            return
        if not self._samples and ntp % _NTP_SECOND < _SPLIT_SECOND:
            self._doubt(sample, _EXACT)
            return
        self._doubtful.clear()
        self._samples.add(sample)
        self.reports += 1

    def place(self, ticks: int) -> int:
        """Where a time of the stream lies on the timeline of all streams, in ticks."""
        target = self._joint.target(self)
        if self.offset is None or self._placed is None:
            self.offset = target
        else:
            room = max(1, round(abs(ticks - self._placed) * _SLEW))
            away = target - self.offset
            if self.basis != "arrival" or abs(away) > _ARRIVAL_TOLERANCE:
                self.offset += max(-room, min(room, away))
        self._placed = ticks
        self._note_drift(ticks, target)
        return ticks + self.offset

    @property
    def sync(self) -> Sync:
        """How the stream lies on the timeline now."""
        offset = 0.0 if self.offset is None else self._joint.beyond_arrival(self) / TICKS_PER_SECOND
        return Sync(offset, self.basis, self.drift_ppm, self.reports, self.outliers, self.jumps)

    def _begin(self, timestamp: int, rate: int, ssrc: int, arrival: int) -> None:
        """Count from here on: right where the arrival says, when something went before."""
        self._base_ticks = arrival - self.transit
        self._ssrc, self._rate = ssrc, rate
        self._base_rtp = self._rtp = timestamp
        self._newest = self._base_ticks
        self._pace = Pace()
        self._samples.begin_anew()
        self._doubtful.clear()
        self._drift_from = None
        early, self._early = self._early, None
        if early is not None and early[2] == ssrc:
            self.report(*early)

    def _unwrapped(self, timestamp: int) -> int:
        return self._rtp + signed_difference(timestamp, self._rtp, _RTP_BITS)

    def _ticks(self, rtp: int) -> int:
        return self._base_ticks + (rtp - self._base_rtp) * TICKS_PER_SECOND // self._rate

    def _arrived(self, transit: int, arrival_s: float) -> None:
        self._quickest.add(-transit)
        if self._transit is None or arrival_s - self._transit_since_s > _ARRIVAL_WINDOW_S:
            self._transit_before, self._transit = self._transit, transit
            self._transit_since_s = arrival_s
        elif transit < self._transit:
            self._transit = transit
        before = self._transit_before
        self.transit = self._transit if before is None or self._transit < before else before

    def _doubt(self, sample: int, near: int) -> None:
        """One report far off is a fault, three that agree are a clock that was set."""
        self.outliers += 1
        self._doubtful.append(sample)
        if len(self._doubtful) == _FIRM_REPORTS and max(self._doubtful) - min(self._doubtful) < near:
            self._samples.begin_anew(self._doubtful)
            self._doubtful.clear()
            self._drift_from = None

    def _note_drift(self, ticks: int, target: int) -> None:
        if self.basis != "sender reports" or len(self._samples) < _FIRM_REPORTS:
            return
        if self._drift_from is None:
            self._drift_from = (ticks, target)
        since = ticks - self._drift_from[0]
        if since > _DRIFT_AFTER_S * TICKS_PER_SECOND:
            self.drift_ppm = -1e6 * (target - self._drift_from[1]) / since


class JointClock:
    """The streams of one sender on one timeline: that of the reference, by which the others are slewed.

    The reference is the first audio where there is any at the start: a frame's time can be
    stretched unseen, audio cannot. Not thread-safe; times of arrival come from one monotonic clock.
    """

    def __init__(self) -> None:
        self._streams: list[StreamClock] = []
        self._reference: StreamClock | None = None
        self._first_s: float | None = None
        self._origin = 0

    def add(self, *, is_audio: bool, beyond_s: float | None = None) -> StreamClock:
        """A further stream; ``beyond_s`` is the ``offset_s`` that it had when the same sender was heard before."""
        beyond = None if beyond_s is None else round(beyond_s * TICKS_PER_SECOND)
        stream = StreamClock(self, is_audio=is_audio, beyond=beyond)
        self._streams.append(stream)
        return stream

    def remove(self, stream: StreamClock) -> None:
        """A stream has ended: nobody waits for it, nor for others any more. The timeline stays as it is."""
        self._settle()
        self._streams.remove(stream)

    def is_settled(self, now_s: float) -> bool:
        """Whether units may be placed: all streams have reports, or have been waited for."""
        if self._reference is not None:
            return True
        begun = [stream for stream in self._streams if stream.has_begun]
        if not begun:
            return False
        if self._first_s is None:
            self._first_s = now_s
        held_s = now_s - self._first_s
        have_all = len(begun) == len(self._streams)
        all_told = have_all and all(stream.has_reports for stream in begun)
        all_known = (
            have_all
            and held_s >= KNOWN_HOLD_S
            and all(stream.beyond is not None and stream.is_steady for stream in begun)
        )
        if len(self._streams) > 1 and not (all_told or all_known) and held_s < LONGEST_HOLD_S:
            return False
        self._settle()
        return True

    def _settle(self) -> None:
        if self._reference is not None:
            return
        begun = [stream for stream in self._streams if stream.has_begun]
        if begun:
            self._reference = next((stream for stream in begun if stream.is_audio), begun[0])
            self._reference.basis = "reference"
            self._origin = self._reference.transit  # its first packet may have come late

    def target(self, stream: StreamClock) -> int:
        """What is to be added to a stream's times, in ticks."""
        self._settle()
        return self._origin + self._beside(stream)

    def _beside(self, stream: StreamClock) -> int:
        """What puts a stream beside the reference."""
        reference = self._reference
        if reference is None or stream is reference:
            return 0
        arrived = stream.transit - reference.transit
        if stream.has_reports and reference.has_reports:
            told = stream.ntp_offset - reference.ntp_offset
            if abs(told - arrived) <= _FURTHEST_APART:
                stream.basis = "sender reports"
                return told
        if stream.is_contradictory or reference.is_contradictory:
            stream.basis = "arrival"
        if stream.basis == "sender reports" and stream.offset is not None:
            # Until the source that took over has reported, or both clocks are set.
            return stream.offset - self._origin
        return arrived + (stream.beyond or 0)

    def beyond_arrival(self, stream: StreamClock) -> int:
        """By how much a stream lies elsewhere than its arrival says, in ticks."""
        if self._reference is None or stream is self._reference or stream.offset is None:
            return 0
        return stream.offset - self._origin - (stream.transit - self._reference.transit)
