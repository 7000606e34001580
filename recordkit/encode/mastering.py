"""What HDR video says of the display it was graded on, from its decoded frames into the recording's coded ones."""

from __future__ import annotations

import struct
from typing import NamedTuple

from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame

from ..bitstream.sei import CONTENT_LIGHT_LEVEL, MASTERING_DISPLAY

_HDR = (16, 18)
"""transfer_characteristics of SMPTE ST 2084 and of hybrid log-gamma (ITU-T H.273, table 3)."""
_RATIONALS, _FLAGS = struct.Struct("=20i"), struct.Struct("=2i")
_LEVELS = struct.Struct("=2I")
_DISPLAY_MESSAGE, _LEVEL_MESSAGE = struct.Struct(">8H2I"), struct.Struct(">2H")
_CHROMATICITY, _LUMINANCE = 50_000, 10_000
"""Units of the SEI message: 0.00002, and 0.0001 candela per square metre (ITU-T H.264, D.2.29)."""
_BY_THE_FRAME = {
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
    "DOVI_METADATA": "Dolby Vision",
    "DOVI_RPU_BUFFER": "Dolby Vision",
}


class Mastering(NamedTuple):
    """The mastering display and content light level (ITU-T H.264, D.1.29 and D.1.31), and what has no place.

    ``display`` is x and y of green, blue, red and white, and the highest and lowest luminance, ``level`` the
    highest of a pixel and of a frame's average, all in the units of their messages.
    """

    display: tuple[int, ...] = ()
    level: tuple[int, int] | None = None
    lost: tuple[str, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """For libx264, which repeats them before each keyframe."""
        found = []
        if self.display:
            found.append("mastering-display=G({},{})B({},{})R({},{})WP({},{})L({},{})".format(*self.display))
        if self.level is not None:
            found.append("cll={},{}".format(*self.level))
        return tuple(found)

    @property
    def messages(self) -> tuple[tuple[int, bytes], ...]:
        """For SEI NAL units: payloadType and payload of each."""
        found = []
        if self.display:
            found.append((MASTERING_DISPLAY, _DISPLAY_MESSAGE.pack(*self.display)))
        if self.level is not None:
            found.append((CONTENT_LIGHT_LEVEL, _LEVEL_MESSAGE.pack(*self.level)))
        return tuple(found)


def is_hdr(frame: VideoFrame) -> bool:
    """Whether what is said of a mastering display has a meaning for ``frame``."""
    return int(frame.color_trc) in _HDR


def mastering_of(frame: VideoFrame) -> Mastering:
    """What ``frame`` says of its mastering display and content light level."""
    try:
        beside = frame.side_data
    except ValueError:  # kinds that this PyAV has no names for
        return Mastering(lost=("metadata that PyAV cannot read",))
    points: tuple[int, ...] = ()
    light: tuple[int, int] | None = None
    display = beside.get("MASTERING_DISPLAY_METADATA")
    if isinstance(display, SideData):
        points = _display(bytes(display))
    level = beside.get("CONTENT_LIGHT_LEVEL")
    if isinstance(level, SideData) and level.buffer_size >= _LEVELS.size:
        most, average = _LEVELS.unpack_from(bytes(level))
        light = min(most, 0xFFFF), min(average, 0xFFFF)
    lost = {name for kind, name in _BY_THE_FRAME.items() if beside.get(kind) is not None}
    return Mastering(points, light, tuple(sorted(lost)))


def _display(data: bytes) -> tuple[int, ...]:
    """Of AVMasteringDisplayMetadata: red, green, blue, white and luminances, each a numerator and a divisor."""
    if len(data) < _RATIONALS.size + _FLAGS.size:
        return ()
    numbers = _RATIONALS.unpack_from(data)
    if not all(_FLAGS.unpack_from(data, _RATIONALS.size)) or not all(numbers[1::2]):
        return ()
    values = [numerator / divisor for numerator, divisor in zip(numbers[::2], numbers[1::2], strict=True)]
    red, green, blue, white = (
        [_within(one * _CHROMATICITY, 16) for one in values[at : at + 2]] for at in range(0, 8, 2)
    )
    least, most = (_within(one * _LUMINANCE, 32) for one in values[8:10])
    return *green, *blue, *red, *white, most, least


def _within(value: float, bits: int) -> int:
    return min(max(round(value), 0), (1 << bits) - 1)
