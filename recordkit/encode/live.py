"""Frames of a live source: kept as they are if the file can carry them, else decoded and encoded anew."""

from __future__ import annotations

import logging
from collections.abc import Callable
from fractions import Fraction
from typing import Any, cast

import av
from av.video.frame import VideoFrame

from ..demux import MOST_PIXELS, decoder_name
from ..errors import MediaError
from ..model import AccessUnit, Captured, Codec, EncodedUnit
from ..settings import VideoSettings
from ..system import Clock
from ..ticks import TICKS_PER_SECOND
from .coded import Coded
from .decode_times import DecodeTimes
from .framing import PictureFramer
from .standing import STEP, StandingFrame
from .video import VideoEncoder

log = logging.getLogger("recordkit")

_KEPT = {"h264": Codec.H264, "hevc": Codec.H265}
_MOST_INSIDE = 64
"""More frames than any decoder holds."""


class LivePictures:
    """The frames of stream ``index``; not thread-safe.

    ``failed`` says that the decoder refused a unit, and waits for one that it can start from. ``skipped_units``
    counts those left out while nothing could be decoded: before an entry. ``times`` finds out when frames are
    decoded, for who calls. ``end`` is when the last frame is decoded, in ticks, None before the first.
    ``on_altered`` is told what changes.
    """

    def __init__(
        self,
        settings: VideoSettings,
        index: int,
        on_altered: Callable[[str], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.failed = False
        self.times: DecodeTimes[Any] = DecodeTimes()
        self.end: int | None = None
        self._waits = True
        self._on_altered = on_altered
        self._clock = clock
        self._settings = settings
        self._index = index
        self._codec = ""
        self._framer: PictureFramer | None = None
        self._encoder: VideoEncoder | None = None
        self._decoder: av.VideoCodecContext | None = None
        self._skipped = 0
        self._broken = False
        self._standing: StandingFrame | None = None
        self._captured: dict[int, Captured] = {}

    @property
    def skipped_units(self) -> int:
        """Units left out so far."""
        return self._skipped + (self._framer.skipped_units if self._framer is not None else 0)

    @property
    def lacking(self) -> str | None:
        """Why nothing has come out so far, or None."""
        if self._waits:
            return f"no keyframe came; {self._skipped} frames were left out" if self._skipped else None
        return self._framer.lacking if self._framer is not None else None

    def want_keyframe(self, ticks: int) -> bool:
        """Make the first frame from ``ticks`` on a keyframe; False if frames are kept as they come."""
        if self._encoder is not None:
            self._encoder.key_from = ticks
        return self._encoder is not None

    def code(self, unit: EncodedUnit, place: int, *, discontinuity: bool, shown_after: int = 0) -> list[Coded]:
        """The access units that come out for ``unit``, decoded at ``place``, shown ``shown_after`` ticks later.

        One without bytes shows the last frame once more, where that can be done.

        Raises MediaError where it cannot be decoded or encoded.
        """
        if not unit.data:
            return self._stand(place, shown_after)
        coded: list[Coded] = []
        if unit.codec != self._codec:
            coded = self._choose(unit.codec)
        if self._waits and not unit.is_entry:
            self._skipped += 1
            return coded
        self._broken |= discontinuity
        if self.end is not None:
            # Behind a repeated one that its own time is not behind of, it follows at once.
            moved = max(0, self.end + 1 - place)
            place, shown_after = place + moved, max(0, shown_after - moved)
        if self._framer is not None:
            access_unit = AccessUnit(
                self._index,
                place + shown_after,
                place,
                unit.data,
                discontinuity=self._broken,
                duration=unit.duration,
                captured=unit.captured,
                nal_starts=unit.nal_starts,
            )
            framed = self._framer.framed(access_unit, is_key_picture=unit.is_entry)
            if framed is not None and self._standing is not None:
                self._standing.follow(framed.unit)
                coded.append(framed)
        else:
            for picture in self._decoded(unit, place, shown_after):
                coded += self._encode(picture)
        self._waits = self.failed = False
        if coded:
            self._broken = False
            self.end = place
        return coded

    def fill(self, until: int) -> list[Coded]:
        """Show the last frame once more at ``until`` (ticks), if that can be done."""
        return self._stand(until, 0)

    def _stand(self, place: int, shown_after: int) -> list[Coded]:
        if self._waits or place <= (self.end or 0):
            return []
        coded = self._repeated(place, shown_after)
        self.end = place if coded else self.end
        return coded

    def _repeated(self, place: int, shown_after: int) -> list[Coded]:
        if self._framer is None:
            coded = [] if self._encoder is None else self._encoder.fill(place)
            return [one._replace(unit=one.unit.altered(duration=min(one.unit.duration, STEP))) for one in coded]
        again = None if self._standing is None else self._standing.again(self._index, place, shown_after)
        framed = None if again is None else self._framer.framed(again, is_key_picture=False)
        return [] if framed is None else [framed]

    def flush(self) -> list[Coded]:
        """What the decoder and the encoder still hold."""
        coded = []
        if self._decoder is not None and not self._waits:
            try:
                for picture in self._decoder.decode(None):
                    coded += self._encode(picture)
            except av.FFmpegError as error:
                raise MediaError(f"frames of {self._codec} could not be decoded: {error}", self._index) from error
        return coded + (self._encoder.flush() if self._encoder is not None else [])

    def _choose(self, name: str) -> list[Coded]:
        coded = self.flush()
        self._codec = name
        self._skipped = self.skipped_units
        self._framer = self._encoder = self._decoder = None
        self._waits = True
        asked = self._settings.transcode or self._settings.size or self._settings.bit_rate
        if name in _KEPT and not asked:
            self._framer = PictureFramer(_KEPT[name], on_altered=self._on_altered)
            self._standing = StandingFrame(_KEPT[name], self._on_altered)
            log.info("stream %d: %s is kept as it comes", self._index, name)
            return coded
        kept = "only H.264 and H.265 are kept as they come"
        reason = "a size, a bit rate or transcoding was asked for" if asked else kept
        log.info("stream %d: %s is decoded and encoded as H.264: %s", self._index, name, reason)
        self._encoder = VideoEncoder(self._settings, self._index, self._on_altered, self._clock)
        return coded

    def _decoded(self, unit: EncodedUnit, place: int, shown_after: int) -> list[VideoFrame]:
        try:
            decoder = self._decoder
            if decoder is None:
                name = decoder_name(unit.codec)
                decoder = self._decoder = cast(av.VideoCodecContext, av.VideoCodecContext.create(name, "r"))
                # In order and at once; what is damaged is an error, not a frame.
                decoder.thread_count = 1
                flags = {} if self.times.reorders else {"flags": "low_delay"}
                decoder.options = {**flags, "err_detect": "explode", "max_pixels": str(MOST_PIXELS)}
            packet = av.Packet(unit.data)
            packet.pts, packet.dts = place + shown_after, place
            packet.time_base = Fraction(1, TICKS_PER_SECOND)
            if unit.captured is not None:
                while len(self._captured) >= _MOST_INSIDE:
                    self._captured.pop(next(iter(self._captured)))
                self._captured[packet.pts] = unit.captured
            pictures = decoder.decode(packet)
        except (av.FFmpegError, ValueError) as error:
            self._fail()
            raise MediaError(f"a frame of {unit.codec} could not be decoded: {error}", self._index) from error
        if any(picture.is_corrupt for picture in pictures):
            self._fail()
            raise MediaError(f"a frame of {unit.codec} came out damaged", self._index)
        return pictures

    def _fail(self) -> None:
        self._decoder = None
        self._waits = self.failed = True
        self._broken = True

    def _encode(self, picture: VideoFrame) -> list[Coded]:
        if self._encoder is None or picture.pts is None:
            return []
        captured = self._captured.pop(picture.pts, None)
        return self._encoder.encode(picture, picture.pts, discontinuity=self._broken, captured=captured)
