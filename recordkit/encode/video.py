"""Frames to H.264: any pixel format, any size, any and varying frame rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
from av.video.frame import PictureType, VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from ..bitstream.h264 import annexb_parameter_sets
from ..bitstream.lengths import lay_start_codes
from ..errors import MediaError
from ..model import AccessUnit, Captured, Codec, StreamFormat
from ..settings import VideoSettings
from ..system import Clock
from ..ticks import TICKS_PER_SECOND
from .beside import Beside
from .coded import Coded, CodedPacket
from .deinterlace import Deinterlacer, Shown
from .effort import Effort
from .filtering import FrameFilter
from .mastering import Mastering, is_hdr, mastering_of
from .orientation import Turned

_TIME_BASE = Fraction(1, TICKS_PER_SECOND)
_HD_LINES = 720
_LONGEST_SHOWN = 2 * TICKS_PER_SECOND
_UNSPECIFIED = 2
_SMPTE170M = 6
_RGB = 0
"""matrix_coefficients of RGB (ITU-T H.273): palettes and bitmaps carry it too."""


class VideoEncoder:
    """Encodes the frames of stream ``stream``; not thread-safe.

    No frame is held back, but for one of interlaced frames: each unit comes out of the call that its frame
    went into, so that a crash finds nothing half encoded. A new size or look of the frames (range, matrix,
    primaries, transfer) starts a new encoder, and with it an IDR picture, from which on its parameter set holds.
    So does a keyframe before which one thread of libx264 was busy for half of the time (see ``Effort``).
    Interlaced frames are made progressive, which ``on_altered`` is told of. ``key_from``, in ticks, makes the first
    frame from then on a keyframe.
    """

    def __init__(
        self,
        settings: VideoSettings,
        stream: int,
        on_altered: Callable[[str], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._size, self._interval = settings.size, settings.keyframe_interval * TICKS_PER_SECOND
        self._stream = stream
        self._context: av.VideoCodecContext | None = None
        self._format: StreamFormat | None = None
        self._coded_look: tuple[int, ...] = ()
        self._on_altered = on_altered
        self._is_tagged = False
        self._most_bits = 8
        self._is_mastering_told = False
        self._reformatter = VideoReformatter()
        self._kind: tuple[object, ...] = ()
        self._is_as_it_is = False
        self._progressive = Deinterlacer(on_altered)
        self._own = FrameFilter("sidedata", "mode=delete", threads=1)
        self._frame_rate = settings.frame_rate or Fraction(30)
        self.key_from: int | None = None
        self._group_start: int | None = None
        self._group_frames = 0
        self._last_ticks: int | None = None
        self._turned = Turned()
        self._beside = Beside(Codec.H264)
        self._effort = Effort(settings.preset, clock or Clock())
        self._step = round(TICKS_PER_SECOND / self._frame_rate)
        self._newest: VideoFrame | None = None
        self._given_ticks: int | None = None
        self._captured: dict[int, Captured] = {}

    @property
    def end(self) -> int | None:
        """When the last frame is shown, in ticks; None before the first."""
        return self._last_ticks

    @property
    def filled_s(self) -> float:
        """Seconds for which the last frame that was given has been repeated."""
        if self._last_ticks is None or self._given_ticks is None:
            return 0.0
        return (self._last_ticks - self._given_ticks) / TICKS_PER_SECOND

    def fill(self, until: int) -> list[Coded]:
        """Show the last frame once more at ``until`` (ticks), so that players and converters see no step.

        Nothing comes out if the last one could not be encoded, or waits to be deinterlaced.
        Raises MediaError if it cannot be encoded.
        """
        if self._newest is None or (self._last_ticks or 0) >= until:
            return []
        try:
            return self._encoded(self._newest, until, discontinuity=False)
        except av.FFmpegError as error:
            raise MediaError(f"a frame could not be repeated: {error}", self._stream) from error

    def encode(
        self, frame: VideoFrame, ticks: int, *, discontinuity: bool = False, captured: Captured | None = None
    ) -> list[Coded]:
        """Encode ``frame``, shown at ``ticks``, later than the frame before it, and taken when ``captured`` says.

        Raises MediaError where the frame or the settings cannot be encoded.
        """
        coded: list[Coded] = []
        self._newest = None
        # Behind a repeated one that its own time is not behind of, it follows at once.
        ticks = ticks if self._last_ticks is None else max(ticks, self._last_ticks + 1)
        try:
            for shown in self._progressive.put(Shown(frame, ticks, discontinuity, captured)):
                coded += self._encoded(*shown)
                self._given_ticks = shown.ticks
                if shown.frame is frame:
                    self._newest = frame
        except av.FFmpegError as error:
            raise MediaError(f"a frame could not be encoded: {error}", self._stream) from error
        return coded

    def flush(self) -> list[Coded]:
        """End the encoder; a later frame starts a new one."""
        coded: list[Coded] = []
        try:
            for shown in self._progressive.flush():
                coded += self._encoded(*shown)
        except av.FFmpegError as error:
            raise MediaError(f"the last frame could not be encoded: {error}", self._stream) from error
        return coded + self._ended()

    def _encoded(
        self, frame: VideoFrame, ticks: int, discontinuity: bool, captured: Captured | None = None
    ) -> list[Coded]:
        picture = self._converted(frame)
        self._tag(picture)
        coded: list[Coded] = []
        look = _look(picture)
        if self._context is not None and look != self._coded_look:
            coded = self._ended()
        self._coded_look = look
        if self._wants_key_picture(ticks) or discontinuity:
            is_too_busy = self._effort.begin_group()
            if self._frame_rate_is_off(ticks) or is_too_busy:
                coded += self._ended()
            self._group_start, self._group_frames = ticks, 0
            if self.key_from is not None and ticks >= self.key_from:
                self.key_from = None
            picture.pict_type = PictureType.I
        else:
            picture.pict_type = PictureType.NONE
        self._group_frames += 1
        context, stream_format = self._opened(picture, frame)
        if self._last_ticks is not None and not discontinuity:
            # How long a frame will be shown is told by the next one; the last step is the best guess.
            self._step = min(ticks - self._last_ticks, _LONGEST_SHOWN)
        self._last_ticks = ticks
        self._beside.turn(self._turned.of(frame))
        picture.pts, picture.time_base = ticks, _TIME_BASE
        if captured is not None:
            self._captured[ticks] = captured
        return coded + self._units(self._effort.encode(context, picture), stream_format, discontinuity)

    def _ended(self) -> list[Coded]:
        """What the encoder still holds; the next frame starts a new one."""
        context, stream_format = self._context, self._format
        self._context = self._format = None
        self._group_start = None
        if context is None or stream_format is None:
            return []
        return self._units(context.encode(None), stream_format, discontinuity=False)

    def _wants_key_picture(self, ticks: int) -> bool:
        if self._context is None or self._group_start is None:
            return True
        if self.key_from is not None and ticks >= self.key_from:
            return True
        return ticks - self._group_start >= self._interval

    def _frame_rate_is_off(self, ticks: int) -> bool:
        """Whether the rate control believes in a wrong frame rate, and so would miss the bit rate.

        libx264 cannot be told a new one while it runs; a new encoder costs no more than the
        keyframe that is due anyway.
        """
        if self._settings.bit_rate is None or self._group_start is None or self._group_frames < 2:
            return False
        seen = Fraction(self._group_frames * TICKS_PER_SECOND, ticks - self._group_start)
        if Fraction(4, 5) <= seen / self._frame_rate <= Fraction(5, 4):
            return False
        self._frame_rate = max(Fraction(1), seen).limit_denominator(1001)
        return True

    def _converted(self, frame: VideoFrame) -> VideoFrame:
        """A new frame: ``frame`` as 4:2:0 of 8 bits and even size; of the same samples if it is that already."""
        kind = (frame.format.name, *_look(frame))
        if kind == self._kind and self._is_as_it_is:
            return self._own.put_one(frame)
        width, height = self._size or (frame.width, frame.height)
        # Not tagged: a frame of RGB has no matrix of its own, so it gets the one that players
        # assume for its size; a frame of YUV keeps what it has.
        matrix = None
        is_rgb = frame.format.is_rgb or frame.format.has_palette or frame.colorspace == _RGB
        if is_rgb:
            matrix = _assumed_matrix(height)
        if kind != self._kind:
            # One reformatter keeps the range and matrix that it began with.
            self._reformatter, self._kind = VideoReformatter(), kind
            self._tell_depth(frame)
            self._tell_size(width, height)
        picture = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="yuv420p",
            dst_colorspace=matrix,
            dst_color_range=ColorRange.MPEG if is_rgb else None,
        )
        self._is_as_it_is = picture is frame and not (width % 2 or height % 2)
        if width % 2 or height % 2:
            return _evened(picture)
        # The caller's frame stays as it is: it may be written again, with another time. A filter gives another
        # frame of the same samples, which costs a hundredth of a copy; what stands beside them goes its own way.
        return self._own.put_one(frame) if picture is frame else picture

    def _tell_depth(self, frame: VideoFrame) -> None:
        bits = max((component.bits for component in frame.format.components), default=8)
        if bits > self._most_bits and self._on_altered is not None:
            self._on_altered(f"its {bits} bits a sample are encoded with 8, as most players need it")
        self._most_bits = max(bits, self._most_bits)

    def _tell_size(self, width: int, height: int) -> None:
        if (width % 2 or height % 2) and self._on_altered is not None:
            whole = f"{width + width % 2}x{height + height % 2}"
            self._on_altered(f"its {width}x{height} pixels are encoded as {whole}: 4:2:0 has even sizes only")

    def _tag(self, picture: VideoFrame) -> None:
        """Say of a frame that says nothing what players assume, once another one has said something.

        A parameter set that says nothing of it does not take back what the one before said.
        """
        if picture.color_range or picture.colorspace != _UNSPECIFIED:
            self._is_tagged = True
        if self._is_tagged:
            picture.color_range = picture.color_range or ColorRange.MPEG
            if picture.colorspace == _UNSPECIFIED:
                picture.colorspace = _assumed_matrix(picture.height)

    def _opened(self, picture: VideoFrame, source: VideoFrame) -> tuple[av.VideoCodecContext, StreamFormat]:
        if self._context is not None and self._format is not None:
            return self._context, self._format
        context = av.VideoCodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = picture.width, picture.height, "yuv420p"
        context.time_base, context.framerate = _TIME_BASE, self._frame_rate
        context.thread_count = self._effort.threads(picture.width, picture.height, self._frame_rate)
        # Keyframes are asked for by time (see encode); by count they never come.
        context.gop_size = 1 << 30
        context.color_range, context.colorspace = int(picture.color_range), int(picture.colorspace)
        context.color_primaries = int(picture.color_primaries)
        context.color_trc = int(picture.color_trc)
        if self._settings.pixel_aspect is not None:
            context.sample_aspect_ratio = self._settings.pixel_aspect
        mastering = mastering_of(source) if is_hdr(source) else Mastering()
        if mastering.lost and not self._is_mastering_told and self._on_altered is not None:
            self._is_mastering_told = True
            self._on_altered(f"what {' and '.join(mastering.lost)} says of each frame is left out")
        options = {
            "preset": self._settings.preset,
            "tune": "zerolatency",
            "forced-idr": "1",
            # With lengths it says where the NAL units begin: nobody has to search for that.
            "x264-params": ":".join(("repeat-headers=1:annexb=0:scenecut=0", *mastering.options)),
        }
        if self._settings.bit_rate is None:
            options["crf"] = str(self._settings.crf)
        else:
            context.bit_rate = self._settings.bit_rate
        context.options = options
        context.open()
        self._context = context
        self._format = StreamFormat(Codec.H264, width=picture.width, height=picture.height)
        return context, self._format

    def _units(self, packets: list[CodedPacket], stream_format: StreamFormat, discontinuity: bool) -> list[Coded]:
        units = []
        for packet in packets:
            if packet.pts is None:
                continue
            starts = lay_start_codes(memoryview(packet))
            data = bytes(packet)
            if not stream_format.config:
                stream_format = self._format = replace(stream_format, config=annexb_parameter_sets(data))
            unit = AccessUnit(
                stream=self._stream,
                pts=packet.pts,
                dts=packet.pts,
                data=data,
                nal_starts=starts,
                random_access=packet.is_keyframe,
                discontinuity=discontinuity,
                duration=self._step,
                captured=self._captured.pop(packet.pts, None),
            )
            units.append(Coded(stream_format, self._beside.told(unit)))
        return units


def _assumed_matrix(height: int) -> Colorspace:
    return Colorspace.ITU709 if height >= _HD_LINES else Colorspace.ITU601


def _look(picture: VideoFrame) -> tuple[int, ...]:
    """What must stay for one encoder to go on (ITU-T H.264, E.2.1: it is said once, in the parameter set)."""
    return (
        picture.width,
        picture.height,
        int(picture.color_range),
        # 5 and 6 are one matrix (table E-5), and a conversion makes one of the other.
        Colorspace.ITU601 if picture.colorspace == _SMPTE170M else int(picture.colorspace),
        int(picture.color_primaries),
        int(picture.color_trc),
    )


def _evened(picture: VideoFrame) -> VideoFrame:
    """A copy of a 4:2:0 frame of odd size, its last column and row doubled."""
    copy = VideoFrame(picture.width + picture.width % 2, picture.height + picture.height % 2, "yuv420p")
    for source, target in zip(picture.planes, copy.planes, strict=True):
        rows = _rows(source)
        copied = _rows(target)
        copied[: source.height, : source.width] = rows
        copied[source.height :, : source.width] = rows[-1:]
        copied[:, source.width :] = copied[:, source.width - 1 : source.width]
    copy.color_range, copy.colorspace = picture.color_range, picture.colorspace
    copy.color_primaries, copy.color_trc = picture.color_primaries, picture.color_trc
    return copy


def _rows(plane: VideoPlane) -> NDArray[np.uint8]:
    whole = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size]
    return whole.reshape(plane.height, plane.line_size)[:, : plane.width]
