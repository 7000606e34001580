"""Frames of VP9 as their headers state them (VP9 Bitstream and Decoding Process Specification, 6.2 and annex B)."""

from __future__ import annotations

from typing import NamedTuple

from .sps import BitReader, EndOfDataError

_MARKER, _SYNC = 2, 0x49_8342
_RGB = 7
_HEADER_BYTES = 20
_LARGEST_PROFILE = 3


class Vp9Header(NamedTuple):
    """What a keyframe says of itself.

    ``color_space`` is that of the bitstream (7.2.2), ``subsampling`` the two bits of chroma, x before y.
    """

    profile: int
    depth: int
    color_space: int
    full_range: bool
    subsampling: tuple[int, int]
    width: int
    height: int


def vp9_frames(data: bytes) -> list[bytes]:
    """The frames of a packet: one, or those that a superframe lists at its end (annex B)."""
    last = data[-1] if data else 0
    if last & 0xE0 == 0xC0:
        count, size_bytes = (last & 7) + 1, (last >> 3 & 3) + 1
        at = len(data) - 2 - count * size_bytes
        if at >= 0 and data[at] == last:
            frames, begin = [], 0
            for place in range(at + 1, len(data) - 1, size_bytes):
                size = int.from_bytes(data[place : place + size_bytes], "little")
                frames.append(data[begin : begin + size])
                begin += size
            if begin <= at:
                return [one for one in frames if one]
    return [data] if data else []


def vp9_shown(data: bytes) -> int:
    """How many frames of a packet are shown: of a superframe usually one."""
    return sum(_is_shown(one) for one in vp9_frames(data))


def vp9_keyframe(data: bytes) -> Vp9Header | None:
    """The header of a packet's first frame; None unless that is a keyframe."""
    frames = vp9_frames(data)
    try:
        return _read(BitReader(frames[0][:_HEADER_BYTES])) if frames else None
    except EndOfDataError:
        return None


def _profile(reader: BitReader) -> int | None:
    if reader.bits(2) != _MARKER:
        return None
    profile = reader.bits(1) | reader.bits(1) << 1
    if profile == _LARGEST_PROFILE and reader.bits(1):
        return None
    return profile


def _is_shown(frame: bytes) -> bool:
    try:
        reader = BitReader(frame[:2])
        if _profile(reader) is None:
            return False
        # show_existing_frame; else frame_type, and show_frame behind it.
        return bool(reader.bits(1)) or bool(reader.bits(2) & 1)
    except EndOfDataError:
        return False


def _read(reader: BitReader) -> Vp9Header | None:
    profile = _profile(reader)
    if profile is None or reader.bits(2):
        return None  # a frame that was there before, or one that refers to others
    reader.bits(2)  # show_frame, error_resilient_mode
    if reader.bits(24) != _SYNC:
        return None
    depth = (12 if reader.bits(1) else 10) if profile >= 2 else 8
    color_space = reader.bits(3)
    has_choice = profile in (1, 3)
    if color_space == _RGB:
        full_range, subsampling = True, (0, 0)
        if not has_choice or reader.bits(1):
            return None
    else:
        full_range = bool(reader.bits(1))
        subsampling = (reader.bits(1), reader.bits(1)) if has_choice else (1, 1)
        if has_choice and reader.bits(1):
            return None
    width, height = reader.bits(16) + 1, reader.bits(16) + 1
    return Vp9Header(profile, depth, color_space, full_range, subsampling, width, height)
