"""Frames that are to be shown turned: what stands beside them says how."""

from __future__ import annotations

import struct

from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame

from ..bitstream.sei import Orientation

_MATRIX = struct.Struct("=9i")


def orientation_of(frame: VideoFrame) -> Orientation | None:
    """How ``frame`` is to be turned; None if nothing is said of it."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV 18 has no names for some of what stands beside frames, EXIF for one, and shows nothing then.
        return Orientation.of_degrees(frame.rotation) if frame.rotation else None
    return Orientation.of_matrix(_MATRIX.unpack(bytes(data))) if isinstance(data, SideData) else None


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
