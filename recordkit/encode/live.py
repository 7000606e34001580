"""Units of a live source: kept as they are where the file can carry them, else decoded and encoded anew."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import cast

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from ..bitstream.audio import OPUS_RATE, opus_control_header, opus_samples
from ..bitstream.h264_still import StillFrames
from ..errors import MediaError
from ..model import AccessUnit, Captured, Codec, EncodedUnit, StreamFormat
from ..settings import AudioSettings, VideoSettings
from ..ticks import TICKS_PER_SECOND, to_ticks
from .audio import LONGEST_SILENCE_S, AudioEncoder
from .coded import Coded
from .decode_times import DecodeTimes
from .framing import PictureFramer
from .video import VideoEncoder

log = logging.getLogger("recordkit")

_KEPT = {"h264": Codec.H264, "hevc": Codec.H265}
_TELEPHONE = {"pcm_mulaw": 8_000, "pcm_alaw": 8_000, "g722": 16_000}
"""Codings without a header: their sample rates, of one channel (RFC 3551, 4.5)."""
_MOST_PIXELS = 139_264 * 256
"""The largest picture of H.264 (A.3.1, level 6.2): a few bytes of a sender must not cost gigabytes."""
_MOST_INSIDE = 64
"""More frames than any decoder holds."""
_STEP = TICKS_PER_SECOND // 30
_SILENCE = bytes.fromhex("fc fffe")
_SILENCE_TICKS = TICKS_PER_SECOND // 50
"""An Opus packet of 20 ms in stereo that decodes to silence, and its length."""


class LivePictures:
    """The pictures of stream ``index``; not thread-safe.

    ``failed`` says that the decoder refused a unit, and waits for one that it can start from. ``skipped_units``
    counts those left out while nothing could be decoded: before an entry. ``on_altered`` is told what changes.
    """

    def __init__(
        self, settings: VideoSettings, index: int, on_altered: Callable[[str], None] | None = None
    ) -> None:
        self.failed = False
        self.times: DecodeTimes[tuple[EncodedUnit, bool]] = DecodeTimes()
        self._waits = True
        self._on_altered = on_altered
        self._settings = settings
        self._index = index
        self._codec = ""
        self._framer: PictureFramer | None = None
        self._encoder: VideoEncoder | None = None
        self._decoder: av.VideoCodecContext | None = None
        self._skipped = 0
        self._broken = False
        self._stills = StillFrames()
        self._newest: VideoFrame | None = None
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
        if self._framer is not None:
            if unit.codec == "h264":
                self._stills.follow(unit.data)
            access_unit = AccessUnit(
                self._index,
                place + shown_after,
                place,
                unit.data,
                discontinuity=self._broken,
                duration=unit.duration,
                captured=unit.captured,
            )
            framed = self._framer.framed(access_unit, is_key_picture=unit.is_entry)
            if framed is not None:
                coded.append(framed)
        else:
            for picture in self._decoded(unit, place, shown_after):
                coded += self._encode(picture)
        self._waits = self.failed = False
        if coded:
            self._broken = False
        return coded

    def _stand(self, place: int, shown_after: int) -> list[Coded]:
        if self._waits:
            return []
        if self._framer is None:
            coded = [] if self._newest is None else self._encode(self._newest, place)
            # How long it has stood is not how long it will be shown.
            return [one._replace(unit=replace(one.unit, duration=min(one.unit.duration, _STEP))) for one in coded]
        data = self._stills.still() if self._codec == "h264" else None
        if data is None:
            return []
        framed = self._framer.framed(
            AccessUnit(self._index, place + shown_after, place, data, duration=_STEP), is_key_picture=False
        )
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
            log.info("stream %d: %s is kept as it comes", self._index, name)
            return coded
        reason = "a size, a bit rate or transcoding was asked for" if asked else f"MPEG-TS does not carry {name}"
        log.info("stream %d: %s is decoded and encoded as H.264: %s", self._index, name, reason)
        self._encoder = VideoEncoder(self._settings, self._index, self._on_altered)
        return coded

    def _decoded(self, unit: EncodedUnit, place: int, shown_after: int) -> list[VideoFrame]:
        try:
            decoder = self._decoder
            if decoder is None:
                decoder = self._decoder = cast(av.VideoCodecContext, av.VideoCodecContext.create(unit.codec, "r"))
                # In order and at once; what is damaged is an error, not a picture.
                decoder.thread_count = 1
                flags = {} if self.times.reorders else {"flags": "low_delay"}
                decoder.options = {**flags, "err_detect": "explode", "max_pixels": str(_MOST_PIXELS)}
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

    def _encode(self, picture: VideoFrame, place: int | None = None) -> list[Coded]:
        captured = None
        if place is None and picture.pts is not None:
            place = picture.pts
            captured = self._captured.pop(place, None)
        if self._encoder is None or place is None:
            return []
        self._newest = picture
        return self._encoder.encode(picture, place, discontinuity=self._broken, captured=captured)


class LiveSound:
    """The sound of stream ``index``; not thread-safe. Counts gaps as AudioEncoder does."""

    def __init__(
        self,
        settings: AudioSettings,
        index: int,
        on_gap: Callable[[int, float, bool], None] | None = None,
        on_altered: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = settings
        self._index = index
        self._on_gap = on_gap
        self._on_altered = on_altered
        self._codec = ""
        self._encoder = AudioEncoder(settings, index, on_gap, on_altered)
        self._decoder: av.AudioCodecContext | None = None
        self._kept_gaps = 0
        self._kept_gap_s = 0.0
        self._end: int | None = None
        self._format: StreamFormat | None = None

    @property
    def gap_count(self) -> int:
        """Gaps so far, filled or marked."""
        return self._kept_gaps + self._encoder.gap_count

    @property
    def gap_s(self) -> float:
        """Seconds of all gaps."""
        return self._kept_gap_s + self._encoder.gap_s

    def code(self, unit: EncodedUnit, place: int, *, discontinuity: bool) -> list[Coded]:
        """The access units that come out for ``unit``, heard from ``place`` on; raises as for pictures."""
        coded: list[Coded] = []
        if unit.codec != self._codec:
            coded = self._choose(unit.codec)
        if self._format is not None:
            return coded + self._kept(unit, place, self._format, discontinuity)
        for number, frame in enumerate(self._decoded(unit)):
            # Times of live sound count samples: behind a loss the smallest gap is a real one.
            coded += self._encoder.encode(frame, place if number == 0 else None, exact=discontinuity)
        return coded

    @property
    def end(self) -> int | None:
        """Up to where there is audio, in ticks; None before the first."""
        return self._encoder.end if self._format is None else self._end

    @property
    def begun(self) -> int:
        """Where what goes on without a step up to ``end`` began, in ticks; the end itself if that is not known."""
        return self._encoder.begun if self._format is None else self._end or 0

    def fill(self, until: int) -> list[Coded]:
        """Lay silence up to ``until`` (ticks) if that is to be encoded, as AudioEncoder does."""
        return self._encoder.fill(until) if self._format is None else []

    def rest(self) -> list[Coded]:
        """Let out what is held: nothing is given for long."""
        return self._encoder.rest() if self._format is None else []

    def flush(self) -> list[Coded]:
        """What the encoder still holds."""
        return self._encoder.flush()

    def _choose(self, name: str) -> list[Coded]:
        was_kept = self._format is not None
        self._codec = name
        self._decoder = None
        self._format = None
        if name == "opus" and self._settings.codec == "opus":
            # What the encoder holds of another coding comes before what is kept from here on.
            coded = self._encoder.flush()
            language = self._settings.language
            self._format = StreamFormat(Codec.OPUS, sample_rate=OPUS_RATE, channels=2, language=language)
            log.info("stream %d: opus is kept as it comes, as asked", self._index)
            return coded
        if was_kept:
            self._encoder = AudioEncoder(self._settings, self._index, self._on_gap, self._on_altered)
        log.info("stream %d: %s is decoded and encoded as %s", self._index, name, self._settings.codec)
        return []

    def _decoded(self, unit: EncodedUnit) -> list[AudioFrame]:
        try:
            decoder = self._decoder
            if decoder is None:
                name = "libopus" if unit.codec == "opus" else unit.codec
                decoder = self._decoder = cast(av.AudioCodecContext, av.AudioCodecContext.create(name, "r"))
                rate = _TELEPHONE.get(unit.codec)
                decoder.sample_rate = rate or OPUS_RATE
                decoder.layout = "mono" if rate else "stereo"
            return decoder.decode(av.Packet(unit.data))
        except (av.FFmpegError, ValueError) as error:
            self._decoder = None
            raise MediaError(f"audio of {unit.codec} could not be decoded: {error}", self._index) from error

    def _kept(self, unit: EncodedUnit, place: int, stream_format: StreamFormat, discontinuity: bool) -> list[Coded]:
        samples = opus_samples(unit.data)
        if not samples:
            raise MediaError("not an Opus packet", self._index)
        duration = to_ticks(samples, Fraction(1, OPUS_RATE))
        coded = []
        tolerance = 0 if discontinuity else self._settings.gap_tolerance * TICKS_PER_SECOND
        missing = 0 if self._end is None else place - self._end
        is_gap = missing >= _SILENCE_TICKS and missing > tolerance
        is_filled = is_gap and self._settings.gaps == "silence" and missing <= LONGEST_SILENCE_S * TICKS_PER_SECOND
        if is_gap:
            self._kept_gaps += 1
            self._kept_gap_s += missing / TICKS_PER_SECOND
            if self._on_gap is not None:
                self._on_gap(self._index, missing / TICKS_PER_SECOND, is_filled)
        if is_filled:
            silence = AccessUnit(
                self._index, place, place, _SILENCE, opus_control_header(len(_SILENCE)), duration=_SILENCE_TICKS
            )
            for time in range(place - missing, place - _SILENCE_TICKS + 1, _SILENCE_TICKS):
                coded.append(Coded(stream_format, replace(silence, pts=time, dts=time)))
        whole = AccessUnit(
            self._index,
            place,
            place,
            unit.data,
            opus_control_header(len(unit.data)),
            discontinuity=is_gap and not is_filled,
            duration=duration,
        )
        self._end = place + duration
        return [*coded, Coded(stream_format, whole)]
