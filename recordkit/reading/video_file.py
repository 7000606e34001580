"""The packets of a file's video as libavformat reads them, and what they say beside the pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from ..bitstream.captured import HEAD_BYTES, captured_in
from ..bitstream.counter import PictureCounter
from ..bitstream.lengths import parse_configuration
from ..demux import demux, open_media, reference_time_ns
from ..errors import SourceError
from ..model import Captured, CapturedBy, Codec
from ..programs import Media, is_attached, main_program, main_video, playable, programs_of
from ..ticks import fraction
from .located import StoredFile
from .store import Store

if TYPE_CHECKING:
    Packet = av.Packet[Any]

_MICROSECONDS = Fraction(1, av.time_base)
LOOKS = 8
"""If so many frames do not say when they were taken, none does."""


class OpenVideo:
    """A file that is open, and the video of it that would be recorded, with its audio, if there is any.

    Raises SourceError if there is no video that can be decoded.
    """

    def __init__(self, file: VideoFile) -> None:
        self._file = file
        self._open()

    def _open(self) -> None:
        self.container = self._file.media()
        streams = playable(self.container)
        pictures = [one for one in streams if isinstance(one, VideoStream)]
        if not pictures:
            self.container.close()
            raise SourceError(self._file.path, "holds no video that can be decoded")
        self._is_at_start = True
        programs = programs_of(self.container, streams)
        within = main_program(programs)
        start = self.container.start_time
        self.start_s = Fraction(0) if start is None else start * _MICROSECONDS
        if len(programs) > 1:
            # Each has a clock of its own.
            self.start_s = min(
                (starts for one in within if (starts := _start(one)) is not None), default=self.start_s
            )
        # Of a file of audio its cover is shown.
        self.stream = main_video(self.container, within) or pictures[0]
        self.left_out = [one for one in pictures if one is not self.stream and not is_attached(one)]

    def packets(self) -> Iterator[Packet]:
        """The packets from where it stands, and an empty one at the end."""
        self._is_at_start = False
        return demux(self.container, [self.stream])

    def rewind(self) -> None:
        """Open it anew, unless it stands at its start: not all that can be read can be sought in."""
        if not self._is_at_start:
            self.container.close()
            self._open()


def _start(stream: Media) -> Fraction | None:
    base = fraction(stream.time_base)
    return None if stream.start_time is None or base is None else stream.start_time * base


class VideoFile:
    """Opens ``path``, by way of ``reads`` if that is given, as often as it is read at the same time.

    A reading has what is open to itself; when it is over, the next one has it.
    """

    def __init__(self, path: str, reads: Store | None = None) -> None:
        self.path = path
        self._reads = reads
        self._idle: OpenVideo | None = None
        self._lent: list[OpenVideo] = []
        self._is_closed = False

    def media(self) -> InputContainer:
        """The file, opened once more. Raises SourceError."""
        if self._reads is None:
            return open_media(self.path)
        return open_media(cast("BinaryIO", StoredFile(self._reads)))

    @contextmanager
    def lent(self) -> Iterator[OpenVideo]:
        """What is open, for one reading; stands anywhere. Raises SourceError."""
        if self._is_closed:
            raise SourceError(self.path, "was closed: open it anew")
        opened, self._idle = self._idle or OpenVideo(self), None
        self._lent.append(opened)
        try:
            yield opened
        finally:
            self._lent.remove(opened)
            self._take_back(opened)

    def _take_back(self, opened: OpenVideo) -> None:
        if self._idle is None and not self._is_closed:
            self._idle = opened
        else:
            opened.container.close()

    def close(self) -> None:
        """Close all that is open; who reads from it still gets a SourceError."""
        self._is_closed = True
        opened = [*self._lent, *([] if self._idle is None else [self._idle])]
        self._idle = None
        for one in opened:
            one.container.close()
        if self._reads is not None:
            self._reads.close()


class StatedTimes:
    """When the frames of a stream were taken, as their SEI messages or the container's ``prft`` boxes say."""

    def __init__(self, stream: VideoStream) -> None:
        name = stream.codec_context.name
        self._codec = Codec(name) if name in (Codec.H264, Codec.H265) else None
        configuration = None
        if self._codec is not None:
            configuration = parse_configuration(stream.codec_context.extradata or b"", self._codec)
        self._length_bytes = 0 if configuration is None else configuration.length_bytes
        self._looked = 0
        self._says_when = False

    def of(self, packet: Packet) -> Captured | None:
        """When ``packet`` was taken; where the first frames say nothing, none is searched."""
        if not self._says_when and self._looked >= LOOKS:
            return None
        self._looked += 1
        found = None
        if self._codec is not None:
            head = bytes(memoryview(packet)[:HEAD_BYTES])
            found = captured_in(_with_start_codes(head, self._length_bytes), self._codec)
        if found is None and (produced_ns := reference_time_ns(packet)) is not None:
            found = Captured(produced_ns, CapturedBy.SOURCE)
        self._says_when |= found is not None
        return found


class SecondFields:
    """Which packets of interlaced H.264 are fields that complete the frame before."""

    def __init__(self, stream: VideoStream) -> None:
        self._counter = PictureCounter(Codec.H264)
        self._length_bytes = 0
        extradata = stream.codec_context.extradata or b""
        if stream.codec_context.name == Codec.H264:
            configuration = parse_configuration(extradata, Codec.H264)
            self._length_bytes = 0 if configuration is None else configuration.length_bytes
            self._counter.feed(extradata if configuration is None else configuration.parameter_sets)

    @property
    def are_possible(self) -> bool:
        """Whether there may be any."""
        return self._counter.are_fields_possible

    def is_second(self, packet: Packet) -> bool:
        """Whether ``packet`` is one."""
        if not self.are_possible:
            return False
        head = _with_start_codes(bytes(memoryview(packet)[:HEAD_BYTES]), self._length_bytes)
        return self._counter.feed(head).is_second_field


def _with_start_codes(head: bytes, length_bytes: int) -> bytes:
    """The beginning of an access unit with start codes in place of lengths; the last NAL unit may be cut."""
    if not length_bytes:
        return head
    parts, at = [], 0
    while at + length_bytes < len(head):
        size = int.from_bytes(head[at : at + length_bytes])
        parts.append(b"\0\0\0\1" + head[at + length_bytes : at + length_bytes + size])
        at += length_bytes + size
    return b"".join(parts)
