"""Any file, URL or device that PyAV can open."""

from __future__ import annotations

import heapq
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from fractions import Fraction
from typing import Any, cast

import av
import av.filter
from av.stream import Disposition
from av.video.frame import VideoFrame

from ..encode.passthrough import passthrough_codec
from ..encode.routing import MOST_AUDIO
from ..errors import SettingsError, SourceError
from ..mpegts.clock import fraction
from ..values import PathLike, RateLike, Setting, flag, maybe, named, rate, text
from .source import OpenSource, SourceItem

log = logging.getLogger("recordkit")

_OPEN_TIMEOUT_S = 30.0
_READ_TIMEOUT_S = 30.0
_WITHOUT_DISPLAY_TIMES = {"avi", "h264", "hevc"}


def _url(name: str, value: Any) -> str:  # noqa: ANN401 - whatever a caller gives
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise SettingsError(name, value, "give a path or URL")
    return os.path.expanduser(os.fsdecode(value))  # noqa: PTH111 - a URL is no path


@named
@dataclass(frozen=True)
class MediaFile:
    """Records ``url``: a path, a URL, or a device together with its ``format`` (``"v4l2"``, ``"lavfi"``).

    Streams in H.264, H.265, AAC, MP3 or Opus are passed through as packets, all others decoded.
    ``transcode`` decodes the video too where it need not be (``transcode_audio`` the sound), ``fps`` gives
    pictures at that rate and so decodes them. ``options`` go to libavformat as they are.

    The best video stream and all audio streams are taken. A packet that cannot be decoded is
    left out and counted in the log; a live source silent for 30 s ends with SourceError.
    """

    url: Setting[PathLike, str] = Setting(_url)
    _: KW_ONLY
    format: Setting[str | None, str | None] = Setting(maybe(text), None)
    options: Mapping[str, str | float] = field(default_factory=dict)
    video: Setting[bool, bool] = Setting(flag, True)
    audio: Setting[bool, bool] = Setting(flag, True)
    transcode: Setting[bool, bool] = Setting(flag, False)
    transcode_audio: Setting[bool, bool] = Setting(flag, False)
    fps: Setting[RateLike | None, Fraction | None] = Setting(maybe(rate), None)

    def __post_init__(self) -> None:
        options = self.options
        if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
            raise SettingsError("options", options, "give a mapping of libavformat's options to their values")
        object.__setattr__(self, "options", {name: str(value) for name, value in options.items()})

    @property
    def name(self) -> str:
        """The path or URL."""
        return self.url

    @contextmanager
    def open(self) -> Iterator[OpenSource]:
        """Open it; raises SourceError where that fails, or nothing in it can be recorded."""
        try:
            container = av.open(
                self.url,
                format=self.format,
                options=cast("dict[str, str]", dict(self.options)),
                timeout=(_OPEN_TIMEOUT_S, _READ_TIMEOUT_S),
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(self.url, f"cannot be opened: {_words(error)}") from error
        with container:
            video = self._video_stream(container)
            audio = list(container.streams.audio) if self.audio else []
            if len(audio) > MOST_AUDIO:
                log.warning("%s: of %d audio streams the first %d are taken", self.url, len(audio), MOST_AUDIO)
                audio = audio[:MOST_AUDIO]
            if video is None and not audio:
                raise SourceError(self.url, "holds neither video nor audio that was asked for")
            chosen: list[Any] = ([video] if video is not None else []) + audio
            passed = {stream.index: self._is_passed(stream) for stream in chosen}
            for stream in chosen:
                if not passed[stream.index]:
                    stream.thread_type = "AUTO"
            average = fraction(video.average_rate) if video is not None else None
            yield OpenSource(
                items=self._items(container, chosen, passed),
                has_video=video is not None,
                has_audio=bool(audio),
                frame_rate=self.fps or average,
                pixel_aspect=_pixel_aspect(video),
                languages=tuple(None if stream.language == "und" else stream.language for stream in audio),
            )

    def _video_stream(self, container: av.container.InputContainer) -> av.VideoStream | None:
        if not self.video:
            return None
        moving = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
        return max(moving, key=lambda stream: stream.width * stream.height, default=None)

    def _is_passed(self, stream: av.VideoStream | av.AudioStream) -> bool:
        """Whether the packets go into the recording as they are; the log says why or why not."""
        name = stream.codec_context.name
        wanted = (
            self.transcode_audio if isinstance(stream, av.AudioStream) else self.transcode or self.fps is not None
        )
        if wanted:
            reason = "encoded anew, as asked"
        elif _lacks_display_times(stream):
            reason = "encoded anew: its pictures are reordered, and it does not say when they are shown"
        elif passthrough_codec(stream) is None:
            reason = "encoded anew: MPEG-TS has no place for it as it is"
        else:
            log.info("%s: stream %d (%s) is passed through", self.url, stream.index, name)
            return True
        log.info("%s: stream %d (%s) is %s", self.url, stream.index, name, reason)
        return False

    def _items(
        self, container: av.container.InputContainer, chosen: list[Any], passed: dict[int, bool]
    ) -> Iterator[SourceItem]:
        numbers = {stream.index: 0 for stream in chosen}
        audio = [stream.index for stream in chosen if isinstance(stream, av.AudioStream)]
        numbers |= {index: number for number, index in enumerate(audio)}
        pacer = _FrameRate(self.fps) if self.fps is not None else None
        undecodable = 0
        order = _DisplayOrder()
        reordered = next((stream.index for stream in chosen if _lacks_display_times(stream)), None)
        try:
            for packet in container.demux(chosen):
                # Not packet.stream_index: the empty packets at the end have none.
                number = numbers[packet.stream.index]
                if passed[packet.stream.index]:
                    if packet.size:
                        yield SourceItem(packet, number)
                    continue
                try:
                    frames = packet.decode()
                except av.FFmpegError as error:
                    undecodable += 1
                    if undecodable == 1:
                        log.warning("%s: a packet cannot be decoded (%s); it is left out", self.url, _words(error))
                    continue
                if reordered == packet.stream.index:
                    order.give_times(packet, frames)
                for frame in frames:
                    if isinstance(frame, VideoFrame) and pacer is not None:
                        yield from (SourceItem(picture, number) for picture in pacer.paced(frame))
                    elif isinstance(frame, av.VideoFrame | av.AudioFrame):
                        yield SourceItem(frame, number)
            if pacer is not None:
                yield from (SourceItem(picture) for picture in pacer.flush())
        except IndexError:
            # PyAV 18 trips at the very end of a file in which streams appeared on the way.
            log.warning("%s: streams that appeared later on were left out", self.url)
        except (av.FFmpegError, OSError) as error:
            raise SourceError(self.url, f"cannot be read on: {_words(error)}") from error
        if undecodable:
            log.warning("%s: %d packets could not be decoded", self.url, undecodable)


class _DisplayOrder:
    """Times of pictures whose packets say only when they are decoded: in order, those are when they are shown."""

    def __init__(self) -> None:
        self._times: list[int] = []

    def give_times(self, packet: Any, frames: list[Any]) -> None:  # noqa: ANN401 - PyAV's generics
        """Note ``packet``'s time, and give the frames that came out of it theirs."""
        if packet.dts is not None:
            heapq.heappush(self._times, packet.dts)
        for frame in frames:
            if self._times:
                frame.pts = heapq.heappop(self._times)


def _lacks_display_times(stream: av.VideoStream | av.AudioStream) -> bool:
    """Whether the container has no PTS of its own (raw streams, AVI) while pictures are coded out of order.

    libavformat makes some up then, in the order of decoding.
    """
    if not isinstance(stream, av.VideoStream) or not stream.codec_context.has_b_frames:
        return False
    return stream.container.format.name in _WITHOUT_DISPLAY_TIMES


def _pixel_aspect(stream: av.VideoStream | None) -> Fraction | None:
    aspect = fraction(stream.codec_context.sample_aspect_ratio) if stream is not None else None
    return aspect if aspect and Fraction(1, 100) <= aspect <= 100 else None


class _FrameRate:
    """Pictures at a constant rate, by libavfilter's ``fps``; a new size starts a new filter."""

    def __init__(self, fps: Fraction) -> None:
        self._fps = fps
        self._graph: av.filter.Graph | None = None
        self._kind: tuple[int, int, str] | None = None

    def paced(self, frame: VideoFrame) -> list[VideoFrame]:
        """The pictures that ``frame`` makes due: none, one or several."""
        kind = (frame.width, frame.height, frame.format.name)
        pictures: list[VideoFrame] = []
        if kind != self._kind or self._graph is None:
            pictures = self.flush()
            self._graph, self._kind = av.filter.Graph(), kind
            self._graph.link_nodes(
                self._graph.add_buffer(
                    width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
                ),
                self._graph.add("fps", f"{self._fps.numerator}/{self._fps.denominator}"),
                self._graph.add("buffersink"),
            ).configure()
        self._graph.push(frame)
        return pictures + self._pulled(self._graph)

    def flush(self) -> list[VideoFrame]:
        """The pictures that the last frame makes due until its end."""
        graph, self._graph = self._graph, None
        if graph is None:
            return []
        graph.push(None)
        return self._pulled(graph)

    @staticmethod
    def _pulled(graph: av.filter.Graph) -> list[VideoFrame]:
        pictures: list[VideoFrame] = []
        while True:
            try:
                picture = graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return pictures
            if isinstance(picture, VideoFrame):
                pictures.append(picture)


def _words(error: Exception) -> str:
    if isinstance(error, av.ExitError):
        return f"nothing came for {_READ_TIMEOUT_S:.0f} s"
    return getattr(error, "strerror", None) or str(error)
