"""What stands beside frames, where a container or a decoded frame says it: it goes into the coded stream as SEI."""

from __future__ import annotations

import av
from av.video.frame import VideoFrame

from ..bitstream.h264 import first_slice, nal_units
from ..bitstream.sei import (
    AMBIENT_VIEWING_ENVIRONMENT,
    DISPLAY_ORIENTATION,
    FRAME_PACKING,
    Orientation,
    sei_messages,
    sei_nal,
)
from ..model import AccessUnit, Codec
from .coded import CodedPacket, with_message
from .mastering import Mastering

_SEI = {Codec.H264: 6, Codec.H265: 39}
_START_CODE = b"\0\0\0\1"
_DOLBY_VISION = 62
"""nal_unit_type of what Dolby Vision says of each frame."""
_OF_CONTAINERS = {
    "SPHERICAL": ("how its sphere is laid out (360 degrees)", None),
    "STEREO3D": ("how its frames hold two views", FRAME_PACKING),
    "AMBIENT_VIEWING_ENVIRONMENT": ("its ambient viewing environment", AMBIENT_VIEWING_ENVIRONMENT),
}
"""What has no place in a recording if only the container says it, and the message that says it in the stream."""


def shown_beside(packet: CodedPacket) -> VideoFrame | None:
    """The frame of ``packet``, a keyframe, with what its container says of the stream beside it.

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
    return frames[0] if frames else None


def lost_beside(frame: VideoFrame, annexb: bytes, codec: Codec) -> list[str]:
    """What is said beside the ``frame`` of a coded frame that is passed through, and is not in its bytes."""
    try:
        beside = frame.side_data
    except ValueError:
        return []  # kinds that this PyAV has no names for, and then shows none
    said = _messages(annexb, codec)
    lost = [
        words for kind, (words, own) in _OF_CONTAINERS.items() if beside.get(kind) is not None and own not in said
    ]
    if codec is Codec.H265 and any(kind == _DOLBY_VISION for kind, _, _ in nal_units(annexb, codec)):
        lost.append("the configuration of its Dolby Vision, whose data stay in the frames")
    return lost


def _messages(annexb: bytes, codec: Codec) -> set[int]:
    return {
        what
        for kind, start, end in nal_units(annexb, codec)
        if kind == _SEI[codec]
        for what, _ in sei_messages(annexb[start:end], codec)
    }


class Beside:
    """Puts what was said beside frames into their access units, if they do not say it themselves."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._turned = b""
        self._graded: tuple[tuple[int, bytes], ...] = ()

    def turn(self, orientation: Orientation | None) -> None:
        """Frames are turned so from now on; upright frames need no message until others were turned."""
        if orientation is None:
            orientation = Orientation()
        if self._turned or orientation != Orientation():
            self._turned = _START_CODE + orientation.message(self._codec)

    def grade(self, mastering: Mastering) -> None:
        """Frames were graded so; it is said where a decoder can start, and holds up to the next such frame."""
        self._graded = mastering.messages

    def told(self, unit: AccessUnit) -> AccessUnit:
        """``unit`` with the messages before its first slice (H.264, 7.4.1.2.3).

        FFmpeg's decoder of H.264 believes an orientation of the frame that carries it alone, so each one does.
        """
        graded = self._graded if unit.random_access else ()
        if not self._turned and not graded:
            return unit
        at = first_slice(unit.data, self._codec)
        said = _messages(unit.data[:at], self._codec)
        news = [one for one in graded if one[0] not in said]
        message = b"" if DISPLAY_ORIENTATION in said else self._turned
        message += _START_CODE + sei_nal(news, self._codec) if news else b""
        return with_message(unit, message, at) if message else unit
