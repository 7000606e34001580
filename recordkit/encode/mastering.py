"""What HDR video says of the display it was graded on, from its decoded frames into those that are encoded anew."""

from __future__ import annotations

import struct
from typing import NamedTuple

from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame

_HDR = (16, 18)
"""transfer_characteristics of SMPTE ST 2084 and of hybrid log-gamma (ITU-T H.273, table 3)."""
_RATIONALS, _FLAGS = struct.Struct("=20i"), struct.Struct("=2i")
_LEVELS = struct.Struct("=2I")
_CHROMATICITY, _LUMINANCE = 50_000, 10_000
"""Units of the SEI message: 0.00002, and 0.0001 candela per square metre (ITU-T H.264, D.2.29)."""
_BY_THE_FRAME = {
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
    "DOVI_METADATA": "Dolby Vision",
    "DOVI_RPU_BUFFER": "Dolby Vision",
}


class Mastering(NamedTuple):
    """``options`` for libx264, which repeats them before each keyframe, and the names of what has no place."""

    options: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def mastering_of(frame: VideoFrame) -> Mastering:
    """What ``frame`` says of its mastering display and content light level (ITU-T H.264, D.1.29 and D.1.31)."""
    if int(frame.color_trc) not in _HDR:
        return Mastering()
    try:
        beside = frame.side_data
    except ValueError:  # kinds that this PyAV has no names for
        return Mastering(lost=("metadata that PyAV cannot read",))
    options = []
    display = beside.get("MASTERING_DISPLAY_METADATA")
    if isinstance(display, SideData):
        options += _display(bytes(display))
    level = beside.get("CONTENT_LIGHT_LEVEL")
    if isinstance(level, SideData) and level.buffer_size >= _LEVELS.size:
        options.append("cll={},{}".format(*(min(one, 0xFFFF) for one in _LEVELS.unpack_from(bytes(level)))))
    lost = {name for kind, name in _BY_THE_FRAME.items() if beside.get(kind) is not None}
    return Mastering(tuple(options), tuple(sorted(lost)))


def _display(data: bytes) -> list[str]:
    """Of AVMasteringDisplayMetadata: red, green, blue, white and luminances, each a numerator and a divisor."""
    if len(data) < _RATIONALS.size + _FLAGS.size:
        return []
    numbers = _RATIONALS.unpack_from(data)
    if not all(_FLAGS.unpack_from(data, _RATIONALS.size)) or not all(numbers[1::2]):
        return []
    values = [numerator / divisor for numerator, divisor in zip(numbers[::2], numbers[1::2], strict=True)]
    points = [
        f"({round(x * _CHROMATICITY)},{round(y * _CHROMATICITY)})"
        for x, y in zip(values[:8:2], values[1:8:2], strict=True)
    ]
    red, green, blue, white = points
    least, most = (round(one * _LUMINANCE) for one in values[8:10])
    return [f"mastering-display=G{green}B{blue}R{red}WP{white}L({most},{least})"]
