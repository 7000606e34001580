"""The packets of a file that are decoded: frames with the times at which they are shown, and what gave none."""

from __future__ import annotations

import heapq
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias

import av

from ..demux import words
from ..demuxed import WITHOUT_DISPLAY_TIMES, DemuxedPacket

log = logging.getLogger("recordkit")

Frame: TypeAlias = "av.VideoFrame | av.AudioFrame"
_VP8_IS_SHOWN = 0x10


class Decoding:
    """Decodes packets of several streams; what gives no frame is left out and told in the log."""

    def __init__(self, name: str, streams: Sequence[av.VideoStream | av.AudioStream]) -> None:
        self._name = name
        self._orders = {stream.index: _DisplayOrder() for stream in streams if lacks_display_times(stream)}
        self._refused: Counter[int] = Counter()
        self._awaited: Counter[int] = Counter()
        self._packets: Counter[int] = Counter()
        self._hidden: set[tuple[int, int | None]] = set()

    def frames(self, packet: DemuxedPacket) -> Sequence[Frame]:
        """The frames that ``packet`` completes; those of an empty one are what the decoder still holds."""
        index = packet.stream.index
        try:
            frames: list[Frame] = [
                frame for frame in packet.decode() if isinstance(frame, av.VideoFrame | av.AudioFrame)
            ]
        except av.FFmpegError as error:
            if index not in self._refused:
                log.warning(
                    "%s: stream %d: a packet cannot be decoded (%s); it is left out",
                    self._name,
                    index,
                    words(error),
                )
            self._refused[index] += 1
            return []
        if isinstance(packet.stream, av.VideoStream):
            if packet.is_discard:
                self._hidden.add((index, packet.pts))
            # Most decoders leave out by themselves what an edit list hides, that of GIF does not.
            frames = [frame for frame in frames if (index, frame.pts) not in self._hidden]
            is_shown = packet.size and not packet.is_discard and not _is_hidden(packet)
            self._packets[index] += bool(is_shown)
            self._awaited[index] += bool(is_shown) - len(frames)
        if index in self._orders:
            self._orders[index].give_times(packet, frames)
        return frames

    def tell_losses(self) -> None:
        """Say at the end how many packets gave nothing: threads that decode keep some errors for themselves."""
        for index, count in self._refused.items():
            log.warning("%s: stream %d: %d packets could not be decoded", self._name, index, count)
        for index, count in self._awaited.items():
            # Half of them: each packet is one field of two.
            if 0 < count < self._packets[index] // 2:
                log.warning(
                    "%s: stream %d: %d of %d packets gave no frame", self._name, index, count, self._packets[index]
                )


class _DisplayOrder:
    """Times of frames whose packets say only when they are decoded: in order, those are when they are shown."""

    def __init__(self) -> None:
        self._times: list[int] = []

    def give_times(self, packet: DemuxedPacket, frames: Sequence[Any]) -> None:
        """Note ``packet``'s time, and give the frames that came out of it theirs."""
        if packet.dts is not None:
            heapq.heappush(self._times, packet.dts)
        for frame in frames:
            if self._times:
                frame.pts = heapq.heappop(self._times)


def lacks_display_times(stream: av.VideoStream | av.AudioStream) -> bool:
    """Whether the container has no PTS of its own (raw streams, AVI) while frames are coded out of order.

    libavformat makes some up then, in the order of decoding.
    """
    if not isinstance(stream, av.VideoStream) or not stream.codec_context.has_b_frames:
        return False
    return stream.container.format.name in WITHOUT_DISPLAY_TIMES


def _is_hidden(packet: DemuxedPacket) -> bool:
    """Whether a packet is there for others to refer to, and not to be shown (RFC 6386, 9.1)."""
    return packet.stream.codec_context.name == "vp8" and not bytes(memoryview(packet)[:1])[0] & _VP8_IS_SHOWN
