"""SEI messages of H.264 (ITU-T H.264, annex D) and H.265 (ITU-T H.265, annex D): what stands beside the frames."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..model import Codec
from .sps import escape, unescape, unsigned_exp_golomb

_RECOVERY_POINT = 6
DISPLAY_ORIENTATION = 47
FRAME_PACKING = 45
MASTERING_DISPLAY = 137
CONTENT_LIGHT_LEVEL = 144
AMBIENT_VIEWING_ENVIRONMENT = 148
_TURN = 1 << 16
"""anticlockwise_rotation counts so many to a full turn (D.2.27)."""
_NAL_HEADERS = {Codec.H264: b"\x06", Codec.H265: b"\x4e\x01"}
"""A NAL unit of type 6, and a prefix SEI of type 39 in the base layer."""


def sei_messages(nal: bytes, codec: Codec = Codec.H264) -> Iterator[tuple[int, bytes]]:
    """The messages of an SEI NAL unit as (payloadType, payload); one that is cut is cut (H.264 7.3.2.3)."""
    payload = unescape(nal[len(_NAL_HEADERS[codec]) :])
    at = 0

    def count() -> int:
        nonlocal at
        number = 0
        while at < len(payload) and payload[at] == 0xFF:
            number, at = number + 0xFF, at + 1
        number += payload[at] if at < len(payload) else 0
        at += 1
        return number

    while at < len(payload) - 1:
        what, size = count(), count()
        yield what, payload[at : at + size]
        at += size


def recovery_point(nal: bytes) -> int | None:
    """The recovery_frame_cnt of an SEI NAL unit of H.264 (D.1.8); None when it has no recovery point."""
    # Many senders put an SEI NAL unit before each frame: most need not be read for this.
    for what, payload in sei_messages(nal) if _RECOVERY_POINT in nal[1:] else ():
        if what == _RECOVERY_POINT:
            return unsigned_exp_golomb(payload, 0)
    return None


@dataclass(frozen=True, slots=True)
class Orientation:
    """How frames are turned to be shown: flipped first, then rotated.

    ``rotation`` is anticlockwise, in 65,536ths of a turn.
    """

    rotation: int = 0
    is_flipped: bool = False
    """Left and right change places."""

    @classmethod
    def of_matrix(cls, matrix: Sequence[int]) -> Orientation:
        """What a display matrix says (ISO/IEC 14496-12, 8.3.2: nine numbers, row by row); sizes are left out."""
        a, b, _, c, d = matrix[:5]
        is_flipped = a * d - b * c < 0
        if is_flipped:
            a, b = -a, -b
        turns = -math.atan2(b, a) / math.tau
        return cls(round(turns * _TURN) % _TURN, is_flipped)

    @classmethod
    def of_degrees(cls, anticlockwise: float) -> Orientation:
        """Rotated by so much."""
        return cls(round(anticlockwise / 360 * _TURN) % _TURN)

    def message(self, codec: Codec) -> bytes:
        """The SEI NAL unit that says so until another one does (H.264 D.1.27, H.265 D.2.26), without start code."""
        flags_and_rotation = self.is_flipped << 17 | self.rotation  # no cancel flag, no vertical flip
        if codec is Codec.H264:  # repetition period 1 as ue(v): 010; no extension; a bit that ends the payload
            payload = (flags_and_rotation << 5 | 0b010_0_1).to_bytes(3)
        else:  # it persists; a bit that ends the payload
            payload = (flags_and_rotation << 5 | 0b1_1000).to_bytes(3)
        return sei_nal([(DISPLAY_ORIENTATION, payload)], codec)


def sei_nal(messages: Sequence[tuple[int, bytes]], codec: Codec) -> bytes:
    """An SEI NAL unit of ``messages`` as (payloadType, payload), without start code (H.264 7.3.2.3)."""
    payload = bytearray()
    for what, content in messages:
        for number in (what, len(content)):
            payload += b"\xff" * (number // 0xFF) + bytes([number % 0xFF])
        payload += content
    return _NAL_HEADERS[codec] + escape(bytes(payload) + b"\x80")
