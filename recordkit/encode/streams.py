"""All streams of one recording: each frame or packet to its encoder, on one timeline."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from ..errors import MediaError
from ..model import Captured, Codec, EncodedUnit
from ..settings import AudioSettings, VideoSettings
from ..system import Clock
from ..ticks import TICKS_PER_SECOND, nearest, to_ticks
from .bridge import Bridge
from .captured import CaptureTimes
from .coded import Coded, CodedPacket
from .decode_times import Timed
from .live import LivePictures
from .live_sound import LiveSound
from .merging import Merger
from .passthrough import Passthrough
from .routing import VIDEO
from .timeline import Timeline
from .timing import Placed
from .video import VideoEncoder
from .ways import Showing, Sounding, Ways

log = logging.getLogger("recordkit")

_MOST_FAILURES = 30
"""So many items of one stream in a row that cannot be encoded end the stream."""
_MOST_UNDECIDED = 17
"""A frame is reordered by 16 at the most (H.264, A.3.1)."""
_FURTHEST_REORDER = 20 * TICKS_PER_SECOND

_FRAMES = (VideoFrame, AudioFrame)

Media: TypeAlias = "VideoFrame | AudioFrame | CodedPacket | EncodedUnit"


class _Given(NamedTuple):
    """An item on its way through the timeline, and what must be known of it behind that."""

    media: Media
    discontinuity: bool
    has_time: bool
    shown_after: int = 0
    is_live: bool = False
    size: int = 0
    captured: Captured | None = None


class Streams:
    """Encodes or passes through what it is given; not thread-safe.

    ``ways`` has what each stream goes through, and its figures. ``rejected_items`` counts items that
    could not be encoded and were left out. ``on_gap`` is told of each gap in the audio: the stream, the
    seconds, and whether silence fills it; ``on_given_up`` of each stream that is given up while others go on,
    and why; ``on_altered`` of what will not be as in the source: the stream, and a sentence. With
    ``embeds_times`` frames that are encoded, or come live, carry in themselves when they were taken. ``carried``
    are the codings that the file has a place for; by ``clock`` encoders see how busy they are.
    """

    def __init__(
        self,
        video: VideoSettings,
        audio: Sequence[AudioSettings],
        on_gap: Callable[[int, float, bool], None] | None = None,
        on_given_up: Callable[[int, str], None] | None = None,
        on_altered: Callable[[int, str], None] | None = None,
        *,
        embeds_times: bool = True,
        carried: Collection[Codec] = frozenset(Codec),
        clock: Clock | None = None,
    ) -> None:
        self.ways = Ways(video, audio, on_gap, on_altered, carried, clock)
        self._taken = CaptureTimes(embeds=embeds_times)
        self.timeline: Timeline[_Given] = Timeline()
        self._merger: Merger[Placed[_Given]] = Merger()
        self._bridge = Bridge(self._merger.next_place)
        self._bridged_of = (0, 0)
        self._sounding: dict[int, Sounding] = {}
        self._heard: Mapping[int, Sounding | Passthrough] = {}
        self._showing: dict[int, Showing | Passthrough] = {}
        self._is_late_told = False
        self.rejected_items = 0
        self._on_given_up = on_given_up
        self._video = video
        self._failures: dict[int, int] = {}
        self._seen: set[int] = set()
        self._given_up: set[int] = set()
        self._undecided: dict[int, list[_Given] | None] = {}
        self._begun: set[int] = set()
        self._breaks: set[int] = set()

    @property
    def holds(self) -> bool:
        """Whether items wait for the next ones to tell their times."""
        return self.timeline.holds or self._merger.holds

    def code(
        self,
        media: Media,
        index: int,
        ticks: int | None,
        *,
        discontinuity: bool,
        arrival: int | None = None,
        size: int = 0,
        captured: Captured | None = None,
    ) -> list[Coded]:
        """The access units that come out when ``media`` of stream ``index`` comes, its source time being ``ticks``.

        While its time is in doubt it waits for the next ones. ``arrival`` is when live media came, in ticks
        of the monotonic clock. ``size`` is what it holds of the memory, in bytes. ``captured`` is when a frame
        was taken; a live unit says so itself.

        A stream of which item after item cannot be encoded is given up; raises MediaError when
        there is no other.
        """
        self._seen.add(index)
        if index in self._given_up:
            self.rejected_items += 1
            return []
        if index in self._breaks:
            self._breaks.discard(index)
            discontinuity = True
        given = _Given(
            media, discontinuity, ticks is not None, is_live=arrival is not None, size=size, captured=captured
        )
        coded: list[Coded] = []
        placed: list[Placed[_Given]] = []
        try:
            if isinstance(media, VideoFrame):
                self.ways.video(index)
                rate = self._video.frame_rate
                duration = round(TICKS_PER_SECOND / rate) if rate else 0
                placed = self.timeline.put(index, given, ticks, duration, arrival=arrival, size=size)
            elif isinstance(media, AudioFrame):
                self.ways.audio(index)
                duration = nearest(media.samples * TICKS_PER_SECOND, media.sample_rate)
                placed = self.timeline.put(index, given, ticks, duration, arrival=arrival, size=size)
            elif isinstance(media, EncodedUnit):
                placed = self._unit(media, given, index, ticks)
            else:
                placed = self._packet(given, index, ticks, arrival)
        except MediaError as error:
            self._reject(index, error)
        for one in placed:
            coded += self._merged(one)
        return self._taken.noted(coded)

    def _merged(self, placed: Placed[_Given]) -> list[Coded]:
        """Code it, once other streams that are to be encoded and are behind it have come near."""
        given = placed.item
        if (
            given.is_live
            or not isinstance(given.media, _FRAMES)
            or self._merger.passes(placed.stream, placed.place)
        ):
            return self._coded(placed)
        self._merger.put(placed.stream, placed.place, placed, given.size)
        return self._ready()

    def _ready(self) -> list[Coded]:
        coded: list[Coded] = []
        while (one := self._merger.take()) is not None:
            coded += self._coded(one)
        return coded

    def want_keyframe(self, ticks: int) -> bool:
        """Make the first frame of the video from ``ticks`` on a keyframe; False if its frames are not encoded."""
        way = self.ways.of.get(VIDEO)
        if isinstance(way, VideoEncoder):
            way.key_from = ticks
            return True
        return isinstance(way, LivePictures) and way.want_keyframe(ticks)

    def settle(self) -> list[Coded]:
        """Place what waits by what is known now, and code it: nothing more comes for a while."""
        coded = [coded for one in self.timeline.settle() for coded in self._merged(one)]
        self._merger.release()
        return self._taken.noted(coded + self._ready())

    def break_off(self, closed: int | None) -> list[Coded]:
        """The recording has paused: what waits is placed and coded, and all streams go on behind that.

        With ``closed`` so many ticks are missing in the source and not in the recording; without it a gap stays,
        which no silence and no frame fills.
        """
        waiting: list[Placed[_Given]] = []
        for index, way in self.ways.of.items():
            if index not in self._given_up and isinstance(way, LivePictures):
                waiting += self._in_decoding_order(index, way.times.flush())
        coded = self._taken.noted([unit for one in waiting for unit in self._coded(one)]) + self.settle()
        if closed is not None:
            self.timeline.close_up(closed)
            return coded
        self._breaks = set(self.ways.of)
        for way in self.ways.of.values():
            if isinstance(way, Sounding):
                way.leaves_gap = True
                coded += self._taken.noted(way.rest())
        return coded

    def _coded(self, placed: Placed[_Given]) -> list[Coded]:
        index, (media, discontinuity, has_time, shown_after, is_live, _, captured), place, shift = placed
        if index in self._given_up:
            self.rejected_items += 1
            return []
        coded: list[Coded] = []
        try:
            coded += self._bridged(index, place, is_live=is_live)
            if isinstance(media, VideoFrame):
                encoder = self.ways.video(index)
                coded += encoder.encode(media, place, discontinuity=discontinuity, captured=captured)
            elif isinstance(media, AudioFrame):
                # Without times of its own, audio is placed by counting from its first frame on.
                time = place if has_time or index not in self._begun else None
                self._begun.add(index)
                coded += self.ways.audio(index).encode(media, time, discontinuity=discontinuity)
            elif isinstance(media, EncodedUnit):
                way = self.ways.of[index]
                if isinstance(way, LivePictures):
                    coded += way.code(media, place, discontinuity=discontinuity, shown_after=shown_after)
                elif isinstance(way, LiveSound):
                    coded += way.code(media, place, discontinuity=discontinuity, is_live=is_live)
            else:
                coded += self._passed(media, index, place, shift, placed.item)
        except MediaError as error:
            self._reject(index, error)
            return coded
        self._failures.pop(index, None)
        return coded

    def _bridged(self, index: int, place: int, *, is_live: bool) -> list[Coded]:
        """What lies before an item of stream ``index`` at ``place`` while streams pause."""
        standing = len(self.ways.of), len(self._given_up)
        if standing != self._bridged_of:
            # Ways are only ever added.
            ways = {one: way for one, way in tuple(self.ways.of.items()) if one not in self._given_up}
            self._sounding = {one: way for one, way in ways.items() if isinstance(way, Sounding)}
            passed = {one: way for one, way in ways.items() if isinstance(way, Passthrough)}
            self._heard = self._sounding | {one: way for one, way in passed.items() if one != VIDEO}
            self._showing = {one: way for one, way in ways.items() if isinstance(way, Showing)}
            self._showing |= {one: way for one, way in passed.items() if one == VIDEO}
            self._bridged_of = standing
        way = self._sounding.get(index)
        if way is not None and way.filled_s and place < (way.end or 0):
            self.timeline.late_items += 1
            if not self._is_late_told:
                self._is_late_told = True
                log.warning("stream %d: audio came so late that silence stands in its place", index)
        laid = self._bridge.before(index, place, self._heard, self._showing, is_live=is_live)
        return [one._replace(is_filler=True) for one in laid] if laid else laid

    def _reject(self, index: int, error: MediaError) -> None:
        """Leave an item out; raises the error once it ends the recording."""
        self.rejected_items += 1
        self._failures[index] = self._failures.get(index, 0) + 1
        if self._failures[index] >= _MOST_FAILURES:
            self._given_up.add(index)
            self._merger.forget(index)
            if self._given_up >= self._seen:
                raise error
            log.error("%s; the stream is given up, the others go on", error)
            if self._on_given_up is not None:
                self._on_given_up(index, str(error))
        elif self._failures[index] == 1:
            log.warning("%s; it was left out", error)

    def close(self) -> None:
        """Let the encoders go, which hold much memory; what was counted stays. Nothing is coded any more."""
        self.ways.close()
        self._sounding, self._heard, self._showing = {}, {}, {}
        self._undecided = {}

    def flush(self) -> list[Coded]:
        """What the timeline and the encoders still hold, at the end of the recording."""
        waiting: list[Placed[_Given]] = []
        for index, way in self.ways.of.items():
            if index not in self._given_up and isinstance(way, Passthrough):
                waiting += self._ordered_packets(way, index, None, self._undecided.get(index) or [], None)
            elif index not in self._given_up and isinstance(way, LivePictures):
                waiting += self._in_decoding_order(index, way.times.flush())
        coded = self._taken.noted([unit for one in waiting for unit in self._coded(one)])
        coded += self.settle()
        for index, way in self.ways.of.items():
            if index in self._given_up or isinstance(way, Passthrough):
                continue
            try:
                coded += self._taken.noted(way.flush())
            except MediaError as error:
                self.rejected_items += 1
                log.warning("%s; the end of the stream was left out", error)
        return coded

    def _unit(self, unit: EncodedUnit, given: _Given, index: int, ticks: int | None) -> list[Placed[_Given]]:
        """Place a unit. Its time has been judged already, by its arrival, too."""
        way = self.ways.live(unit, index)
        if unit.discontinuity:
            given = given._replace(discontinuity=True)
        placed: list[Placed[_Given]] = []
        if isinstance(way, LivePictures):
            if ticks is not None:
                if unit.codec == "h264" and unit.is_entry:
                    way.times.learn(unit.data)
                return self._in_decoding_order(index, way.times.put((given, unit.duration), ticks))
            placed = self._in_decoding_order(index, way.times.flush())
        return placed + self.timeline.put(index, given, ticks, unit.duration, keep_late=unit.is_video, trusted=True)

    def _in_decoding_order(self, index: int, timed: list[Timed[tuple[_Given, int]]]) -> list[Placed[_Given]]:
        """Place live frames by their decoding times."""
        placed: list[Placed[_Given]] = []
        for (given, duration), pts, dts, is_late in timed:
            self.timeline.late_items += is_late
            if pts > dts:
                given = given._replace(shown_after=pts - dts)
            placed += self.timeline.put(index, given, dts, duration, keep_late=True, trusted=True)
        return placed

    def _packet(self, given: _Given, index: int, ticks: int | None, arrival: int | None) -> list[Placed[_Given]]:
        way = self.ways.passing(index)
        # Matroska has no DTS, and libavformat finds none for the first frames of a stream that
        # reorders them: they wait for the first that has one, and are placed back from it.
        held = self._undecided.setdefault(index, [])
        if held is not None:
            held.append(given)
            if ticks is None and index == VIDEO and len(held) < _MOST_UNDECIDED:
                return []
        return self._ordered_packets(way, index, ticks, held or [given], arrival)

    def _ordered_packets(
        self, way: Passthrough, index: int, ticks: int | None, held: list[_Given], arrival: int | None
    ) -> list[Placed[_Given]]:
        """Place the packets of ``held``, the last of them at ``ticks``, if that is known."""
        self._undecided[index] = None
        placed: list[Placed[_Given]] = []
        for before, given in zip(range(len(held) - 1, -1, -1), held, strict=True):
            packet = given.media
            if not isinstance(packet, av.Packet):
                continue
            step = way.step(packet)
            time = None if ticks is None else ticks - before * step
            placed += self.timeline.put(index, given, time, step, keep_late=True, arrival=arrival, size=packet.size)
        return placed

    def _passed(self, packet: CodedPacket, index: int, place: int, shift: int, given: _Given) -> list[Coded]:
        way = self.ways.passing(index)
        pts = None
        if packet.pts is not None:
            pts = to_ticks(packet.pts, packet.time_base) + shift
            # A damaged PTS must not move a frame by hours either.
            pts = pts if pts - place <= _FURTHEST_REORDER else None
        return way.units(packet, place, pts, discontinuity=given.discontinuity, captured=given.captured)
