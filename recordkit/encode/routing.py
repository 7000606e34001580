"""Which stream a frame or packet belongs to, and at which time: told before it is queued."""

from __future__ import annotations

from typing import NamedTuple

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from ..errors import MediaError, SettingsError
from ..model import EncodedUnit
from ..ticks import Ratio, to_ticks
from .coded import CodedPacket

VIDEO = 0
FIRST_AUDIO = 1
MOST_AUDIO = 16
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 768_000


class Route(NamedTuple):
    """Stream number, source time in ticks (None: it has none), size in bytes, whether a decoder can start there."""

    stream: int
    ticks: int | None
    size: int
    entry: bool


class Routing:
    """Numbers the streams of one recording: video is stream 0, audio 1 and on."""

    def __init__(self, *, has_video: bool, has_audio: bool) -> None:
        self._has_video = has_video
        self._has_audio = has_audio
        self._video_stream: tuple[object, int] | None = None
        self._audio_streams: dict[int, int] = {}
        self._pictures: tuple[tuple[str, int, int], int] = (("", 0, 0), 0)

    def frame(self, frame: VideoFrame | AudioFrame, stream: int) -> Route:
        """The way of a frame; ``stream`` numbers its audio stream.

        Raises MediaError where the recording has no stream for it, SettingsError for the number.
        """
        if isinstance(frame, VideoFrame):
            index, size = self._video_index(), self._size(frame)
        elif isinstance(frame, AudioFrame):
            if not _LOWEST_RATE <= frame.sample_rate <= _HIGHEST_RATE or frame.samples <= 0:
                raise MediaError(
                    f"a frame of {frame.samples} samples at {frame.sample_rate} Hz: set sample_rate and samples"
                )
            index = self._audio_index(stream)
            # PyAV miscounts the planes of audio of eight channels.
            size = frame.samples * frame.layout.nb_channels * frame.format.bytes
        else:
            raise MediaError(
                f"write() takes av.VideoFrame or av.AudioFrame, not {type(frame).__name__}: "
                "av.VideoFrame.from_ndarray(image, format='bgr24') makes one of an image of OpenCV's"
            )
        return Route(index, _ticks(frame.pts, frame.time_base), size, entry=True)

    def packet(self, packet: CodedPacket, stream: int | None) -> Route:
        """The way of a packet; ``stream`` numbers its audio stream, None in the order they appear.

        Raises as ``frame`` does.
        """
        if not isinstance(packet, av.Packet):
            raise MediaError(f"write_packet() takes av.Packet, not {type(packet).__name__}")
        if isinstance(packet.stream, av.VideoStream):
            index = self._video_index()
            container, before = packet.stream.container, self._video_stream
            # Of another container it is the same stream, of a source that came back.
            if before is not None and before[0] is container and before[1] != packet.stream_index:
                raise MediaError("a second video stream: one recording has one; give it a recorder of its own")
            self._video_stream = container, packet.stream_index
            # A frame's PTS says nothing about its place among the others.
            time = packet.dts
        elif isinstance(packet.stream, av.AudioStream):
            if stream is None:
                stream = self._audio_streams.setdefault(packet.stream_index, len(self._audio_streams))
            index = self._audio_index(stream)
            time = packet.pts if packet.dts is None else packet.dts
        else:
            raise MediaError(
                "the packet belongs to no video or audio stream, so that its coding is not known: "
                "give write_unit() an EncodedUnit that names it"
            )
        entry = packet.is_keyframe or index != VIDEO
        return Route(index, _ticks(time, packet.time_base), packet.size, entry)

    def unit(self, unit: EncodedUnit, stream: int) -> Route:
        """The way of a live unit; ``stream`` numbers its audio stream. Raises as ``frame`` does."""
        if not isinstance(unit, EncodedUnit):
            raise MediaError(f"write_unit() takes an EncodedUnit, not {type(unit).__name__}")
        index = self._video_index() if unit.is_video else self._audio_index(stream)
        return Route(index, unit.ticks, len(unit.data), entry=unit.is_entry or index != VIDEO)

    def _size(self, frame: VideoFrame) -> int:
        """Bytes of the media in ``frame``: of frames that are alike the planes are looked at once."""
        kind = frame.format.name, frame.width, frame.height
        known, size = self._pictures
        if kind != known:
            size = sum(plane.buffer_size for plane in frame.planes)
            self._pictures = kind, size
        return size

    def _video_index(self) -> int:
        if not self._has_video:
            raise MediaError("a video frame, but the recorder was made without video")
        return VIDEO

    def _audio_index(self, stream: int) -> int:
        if not self._has_audio:
            raise MediaError("an audio frame, but the recorder was made without audio")
        if not 0 <= stream < MOST_AUDIO:
            raise SettingsError("stream", stream, f"audio streams are numbered from 0 to {MOST_AUDIO - 1}")
        return FIRST_AUDIO + stream


def _ticks(time: int | None, time_base: Ratio | None) -> int | None:
    return to_ticks(time, time_base) if time is not None and time_base else None
