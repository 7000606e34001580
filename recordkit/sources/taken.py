"""When the frames of a file, a device or a camera were taken, as far as libavformat tells."""

from __future__ import annotations

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..demux import reference_time_ns
from ..demuxed import DemuxedPacket
from ..model import Captured, CapturedBy
from ..system import Clock
from ..ticks import Ratio, fraction

_NO_FILE = 1
"""AVFMT_NOFILE: a format that opens what it reads by itself, such as a device."""
_MADE_UP = {"lavfi"}
_NEAR_S = 10.0
_DEVICE_ERROR_S = 0.04
"""A device stamps a frame when it is there: it was exposed up to a frame's time before."""
_REPORT_ERROR_S = 0.04


class Taken:
    """Dates the video of ``container``; None for what says nothing.

    Drivers stamp frames by UTC or by the monotonic clock, whatever they count in; a time that is near to neither
    is none of these. Sender reports (RTSP) come as side data of packets, as do the ``prft`` boxes of MP4.
    """

    def __init__(
        self, container: av.container.InputContainer, *, is_live: bool, clock: Clock | None = None
    ) -> None:
        self._is_device = bool(container.format.flags & _NO_FILE) and container.format.name not in _MADE_UP
        self._is_live = is_live
        self._clock = clock or Clock()

    def packet(self, packet: DemuxedPacket) -> Captured | None:
        """When the frame in ``packet`` was taken."""
        if not isinstance(packet.stream, VideoStream):
            return None
        if (produced_ns := reference_time_ns(packet)) is not None:
            by = CapturedBy.SENDER_REPORT if self._is_live else CapturedBy.SOURCE
            return Captured(produced_ns, by, _REPORT_ERROR_S if self._is_live else None)
        return self._stamped(packet.pts, packet.time_base)

    def frame(self, frame: VideoFrame) -> Captured | None:
        """When ``frame``, decoded here, was taken."""
        return self._stamped(frame.pts, frame.time_base)

    def _stamped(self, pts: int | None, time_base: Ratio | None) -> Captured | None:
        base = fraction(time_base)
        if not self._is_device or pts is None or base is None:
            return None
        time_s = float(pts * base)
        now_ns, monotonic_s = self._clock.time_ns(), self._clock.monotonic()
        if abs(now_ns / 1e9 - time_s) < _NEAR_S:
            return Captured(round(time_s * 1e6) * 1000, CapturedBy.DEVICE, _DEVICE_ERROR_S)
        if abs(monotonic_s - time_s) < _NEAR_S:
            return Captured(now_ns - round((monotonic_s - time_s) * 1e9), CapturedBy.DEVICE, _DEVICE_ERROR_S)
        return None
