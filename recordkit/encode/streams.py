"""All streams of one recording: each frame or packet to its encoder, on one timeline."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import TypeAlias

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.video.frame import VideoFrame

from ..errors import MediaError
from ..model import EncodedUnit
from ..settings import AudioSettings, VideoSettings
from ..ticks import TICKS_PER_SECOND, to_ticks
from .audio import AudioEncoder
from .coded import Coded, CodedPacket
from .decode_times import Timed
from .live import LivePictures, LiveSound
from .passthrough import Passthrough
from .routing import FIRST_AUDIO, VIDEO
from .timeline import Timeline
from .video import VideoEncoder

log = logging.getLogger("recordkit")

_MOST_FAILURES = 30
"""So many items of one stream in a row that cannot be encoded end the stream."""
_MOST_UNDECIDED = 17
"""A picture is reordered by 16 at the most (H.264, A.3.1)."""
_FURTHEST_REORDER = 20 * TICKS_PER_SECOND

Media: TypeAlias = "VideoFrame | AudioFrame | CodedPacket | EncodedUnit"


class Streams:
    """Encodes or passes through what it is given; not thread-safe.

    ``rejected_items`` counts items that could not be encoded and were left out. ``on_gap`` is told
    of each gap in the sound: the stream, the seconds, and whether silence fills it; ``on_given_up``
    of each stream that is given up while others go on, and why; ``on_altered`` of what will not be as in the
    source: the stream, and a sentence.
    """

    def __init__(
        self,
        video: VideoSettings,
        audio: Sequence[AudioSettings],
        on_gap: Callable[[int, float, bool], None] | None = None,
        on_given_up: Callable[[int, str], None] | None = None,
        on_altered: Callable[[int, str], None] | None = None,
    ) -> None:
        self.timeline = Timeline()
        self.rejected_items = 0
        self._on_gap = on_gap
        self._on_given_up = on_given_up
        self._on_altered = on_altered
        self._past_gaps, self._past_gap_s, self._past_skipped = 0, 0.0, 0
        self._past_lacking: str | None = None
        self._video = video
        self._audio = audio
        self._ways: dict[int, VideoEncoder | AudioEncoder | Passthrough | LivePictures | LiveSound] = {}
        self._failures: dict[int, int] = {}
        self._seen: set[int] = set()
        self._given_up: set[int] = set()
        self._undecided: dict[int, list[tuple[CodedPacket, bool]] | None] = {}

    @property
    def gap_count(self) -> int:
        """Gaps in the sound, filled or marked."""
        ways = tuple(self._ways.values())
        return self._past_gaps + sum(way.gap_count for way in ways if isinstance(way, AudioEncoder | LiveSound))

    @property
    def gap_s(self) -> float:
        """Seconds of all gaps in the sound."""
        ways = tuple(self._ways.values())
        return self._past_gap_s + sum(way.gap_s for way in ways if isinstance(way, AudioEncoder | LiveSound))

    @property
    def skipped_units(self) -> int:
        """Pictures left out because they came before the first that a decoder can start from."""
        ways = tuple(self._ways.values())
        return self._past_skipped + sum(
            way.skipped_units for way in ways if isinstance(way, Passthrough | LivePictures)
        )

    @property
    def lacking(self) -> str | None:
        """Why no frame of the video has come out so far although some were given, or None."""
        way = self._ways.get(VIDEO)
        return way.lacking if isinstance(way, Passthrough | LivePictures) else self._past_lacking

    def needs_entry(self, index: int) -> bool:
        """Whether the decoder of stream ``index`` failed, and needs a live unit that it can start from.

        May be called from any thread.
        """
        way = self._ways.get(index)
        return isinstance(way, LivePictures) and way.failed

    def code(self, media: Media, index: int, ticks: int | None, *, discontinuity: bool) -> list[Coded]:
        """The access units that come out for ``media`` of stream ``index`` at source time ``ticks``.

        A stream of which item after item cannot be encoded is given up; raises MediaError when
        there is no other.
        """
        self._seen.add(index)
        if index in self._given_up:
            self.rejected_items += 1
            return []
        try:
            if isinstance(media, VideoFrame):
                coded = self._picture(media, index, ticks, discontinuity)
            elif isinstance(media, AudioFrame):
                coded = self._sound(media, index, ticks, discontinuity)
            elif isinstance(media, EncodedUnit):
                coded = self._unit(media, index, ticks, discontinuity)
            else:
                coded = self._packet(media, index, ticks, discontinuity)
        except MediaError as error:
            self.rejected_items += 1
            self._failures[index] = self._failures.get(index, 0) + 1
            if self._failures[index] >= _MOST_FAILURES:
                self._given_up.add(index)
                if self._given_up >= self._seen:
                    raise
                log.error("%s; the stream is given up, the others go on", error)
                if self._on_given_up is not None:
                    self._on_given_up(index, str(error))
            elif self._failures[index] == 1:
                log.warning("%s; it was left out", error)
            return []
        self._failures.pop(index, None)
        return coded

    def admit(self, packet: CodedPacket, index: int) -> None:
        """Learn what must be known of a demuxed stream; call it with the container still open.

        A packet outlives its container, the stream that it points to does not. May be called from
        any thread, before the packet is coded.

        Raises MediaError where its packets cannot be passed through, or frames were given before.
        """
        stream, way = packet.stream, self._ways.get(index)
        if way is None and isinstance(stream, av.VideoStream | av.AudioStream):
            if isinstance(stream.container, InputContainer) and not len(stream.container.streams):
                raise MediaError("the packet's container has been closed: write its packets before that", index)
            way = self._ways[index] = Passthrough(stream, index, stream.language, self._altered(index))
        elif not isinstance(way, Passthrough):
            raise MediaError("frames and packets cannot be mixed in one stream", index)
        way.look(packet)

    def _altered(self, index: int) -> Callable[[str], None] | None:
        return None if self._on_altered is None else partial(self._on_altered, index)

    def close(self) -> None:
        """Let the encoders go, which hold much memory; what was counted stays. Nothing is coded any more."""
        self._past_lacking = self.lacking
        counts = self.gap_count, self.gap_s, self.skipped_units
        self._ways = {}
        self._undecided = {}
        self._past_gaps, self._past_gap_s, self._past_skipped = counts

    def flush(self) -> list[Coded]:
        """What the encoders still hold, at the end of the recording."""
        coded: list[Coded] = []
        for index, way in self._ways.items():
            if index in self._given_up:
                continue
            try:
                if isinstance(way, Passthrough):
                    coded += self._decided(way, index, None, self._undecided.get(index) or [])
                else:
                    if isinstance(way, LivePictures):
                        coded += self._ordered(way, index, way.times.flush())
                    coded += way.flush()
            except MediaError as error:
                self.rejected_items += 1
                log.warning("%s; the end of the stream was left out", error)
        return coded

    def _picture(self, frame: VideoFrame, index: int, ticks: int | None, discontinuity: bool) -> list[Coded]:
        encoder = self._ways.get(index)
        if encoder is None:
            encoder = self._ways[index] = VideoEncoder(self._video, index, self._altered(index))
        if not isinstance(encoder, VideoEncoder):
            raise MediaError("frames and packets cannot be mixed in one stream", index)
        rate = self._video.frame_rate
        place = self.timeline.place(index, ticks, round(TICKS_PER_SECOND / rate) if rate else 0)
        return [] if place is None else encoder.encode(frame, place, discontinuity=discontinuity)

    def _sound(self, frame: AudioFrame, index: int, ticks: int | None, discontinuity: bool) -> list[Coded]:
        encoder = self._ways.get(index)
        is_first = encoder is None
        if encoder is None:
            encoder = self._ways[index] = AudioEncoder(
                self._audio_settings(index), index, self._on_gap, self._altered(index)
            )
        if not isinstance(encoder, AudioEncoder):
            raise MediaError("frames and packets cannot be mixed in one stream", index)
        duration = to_ticks(frame.samples, Fraction(1, frame.sample_rate))
        place = self.timeline.place(index, ticks, duration)
        if place is None:
            return []
        # Without times of its own, sound is placed by counting from its first frame on.
        time = place if is_first or ticks is not None else None
        return encoder.encode(frame, time, discontinuity=discontinuity)

    def _unit(self, unit: EncodedUnit, index: int, ticks: int | None, discontinuity: bool) -> list[Coded]:
        way = self._ways.get(index)
        if way is None and unit.is_video:
            way = LivePictures(self._video, index, self._altered(index))
        elif way is None:
            way = LiveSound(self._audio_settings(index), index, self._on_gap, self._altered(index))
        if not isinstance(way, LivePictures if unit.is_video else LiveSound):
            raise MediaError("live units and frames or packets cannot be mixed in one stream", index)
        self._ways[index] = way
        discontinuity |= unit.discontinuity
        if isinstance(way, LivePictures) and ticks is not None:
            if unit.codec == "h264" and unit.is_entry:
                way.times.learn(unit.data)
            return self._ordered(way, index, way.times.put((unit, discontinuity), ticks))
        coded = self._ordered(way, index, way.times.flush()) if isinstance(way, LivePictures) else []
        place = self.timeline.place(index, ticks, unit.duration, keep_late=unit.is_video, trusted=True)
        return coded if place is None else coded + way.code(unit, place, discontinuity=discontinuity)

    def _ordered(self, way: LivePictures, index: int, timed: list[Timed[tuple[EncodedUnit, bool]]]) -> list[Coded]:
        """Place live frames by their decoding times, and code them."""
        coded = []
        for (unit, discontinuity), pts, dts, is_late in timed:
            self.timeline.late_items += is_late
            place = self.timeline.place(index, dts, unit.duration, keep_late=True, trusted=True)
            if place is not None:
                coded += way.code(unit, place, discontinuity=discontinuity, shown_after=pts - dts)
        return coded

    def _audio_settings(self, index: int) -> AudioSettings:
        return self._audio[min(index - FIRST_AUDIO, len(self._audio) - 1)]

    def _packet(self, packet: CodedPacket, index: int, ticks: int | None, discontinuity: bool) -> list[Coded]:
        way = self._ways.get(index)
        if not isinstance(way, Passthrough):
            raise MediaError("frames and packets cannot be mixed in one stream", index)
        # Matroska has no DTS, and libavformat finds none for the first pictures of a stream that
        # reorders them: they wait for the first that has one, and are placed back from it.
        held = self._undecided.setdefault(index, [])
        if held is not None:
            held.append((packet, discontinuity))
            if ticks is None and index == VIDEO and len(held) < _MOST_UNDECIDED:
                return []
        return self._decided(way, index, ticks, held or [(packet, discontinuity)])

    def _decided(
        self, way: Passthrough, index: int, ticks: int | None, held: list[tuple[CodedPacket, bool]]
    ) -> list[Coded]:
        """Place the packets of ``held``, the last of them at ``ticks``, where that is known."""
        self._undecided[index] = None
        coded = []
        for before, (packet, discontinuity) in zip(range(len(held) - 1, -1, -1), held, strict=True):
            time = None if ticks is None else ticks - before * way.step(packet)
            place = self.timeline.place(index, time, way.step(packet), keep_late=True)
            if place is None:
                continue
            pts = None
            if packet.pts is not None:
                shift = self.timeline.shift(index) if time is None else place - time
                pts = to_ticks(packet.pts, packet.time_base) + shift
                # A damaged PTS must not move a picture by hours either.
                pts = pts if pts - place <= _FURTHEST_REORDER else None
            coded += way.units(packet, place, pts, discontinuity=discontinuity)
        return coded
