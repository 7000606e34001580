"""Frames that are to be shown turned: what a container or a frame says of it goes into the coded stream."""

from __future__ import annotations

import struct

import av
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame

from ..bitstream.h264 import first_slice, nal_units
from ..bitstream.sei import Orientation, has_orientation
from ..model import AccessUnit, Codec
from .coded import CodedPacket, with_message

_SEI = {Codec.H264: 6, Codec.H265: 39}
_START_CODE = b"\0\0\0\1"
_MATRIX = struct.Struct("=9i")


def orientation_of(frame: VideoFrame) -> Orientation | None:
    """How ``frame`` is to be turned; None if nothing is said of it."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV 18 has no names for some of what stands beside frames, EXIF for one, and shows nothing then.
        return Orientation.of_degrees(frame.rotation) if frame.rotation else None
    return Orientation.of_matrix(_MATRIX.unpack(bytes(data))) if isinstance(data, SideData) else None


def orientation_beside(packet: CodedPacket) -> Orientation | None:
    """How the container of ``packet``, a keyframe, says that its stream is to be turned.

    PyAV shows that of decoded frames only. The stream's own decoder is used for this one frame, and is as new
    afterwards: it must not be in use.
    """
    decoder = packet.stream.codec_context
    if not isinstance(decoder, av.VideoCodecContext):
        return None
    try:
        frames = [*decoder.decode(packet), *decoder.decode(None)]
    except av.FFmpegError:
        return None
    finally:
        decoder.flush_buffers()
    return orientation_of(frames[0]) if frames else None


class Turned:
    """Follows how frames are to be turned.

    PyAV's ``side_data`` and its frame hold each other, and keep the frame's memory until Python looks for such
    rings: it is read only when ``rotation``, which costs nothing, is another one than before.
    """

    def __init__(self) -> None:
        self._rotation: float | None = None
        self._orientation: Orientation | None = None

    def of(self, frame: VideoFrame) -> Orientation | None:
        """How ``frame`` is to be turned; None if nothing is said of it."""
        if frame.rotation != self._rotation:
            self._rotation = frame.rotation
            self._orientation = orientation_of(frame)
        return self._orientation


class Turning:
    """Puts the orientation of frames into their access units, once one was turned.

    FFmpeg's decoder of H.264 believes it of the frame that carries it alone, so each one does.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._message = b""

    def turn(self, orientation: Orientation | None) -> None:
        """Frames are turned so from now on; upright frames need no message until others were turned."""
        if orientation is None:
            orientation = Orientation()
        if self._message or orientation != Orientation():
            self._message = _START_CODE + orientation.message(self._codec)

    def turned(self, unit: AccessUnit) -> AccessUnit:
        """``unit`` with the message before its first slice, unless it has one of its own (H.264, 7.4.1.2.3)."""
        if not self._message:
            return unit
        at = first_slice(unit.data, self._codec)
        head, message = unit.data[:at], self._message
        if any(
            kind == _SEI[self._codec] and has_orientation(head[start:end], self._codec)
            for kind, start, end in nal_units(head, self._codec)
        ):
            return unit
        return with_message(unit, message, at)
