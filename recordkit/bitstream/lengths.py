"""NAL units behind their lengths, as MP4, Matroska and FLV have them, made a byte stream with start codes."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import MediaError
from ..model import Codec

_START_CODE = b"\0\0\0\1"
_ARRAYS_AT = 22
"""numOfArrays of an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1.2)."""
_COUNT_AT = 5
"""numOfSequenceParameterSets of an AVCDecoderConfigurationRecord (5.3.3.1.2)."""


class Configuration(NamedTuple):
    """How the NAL units of a stream are cut: bytes of each length, and the parameter sets as Annex B."""

    length_bytes: int
    parameter_sets: bytes


def parse_configuration(extradata: bytes, codec: Codec) -> Configuration | None:
    """Reads a decoder configuration record of H.264 or H.265; None if it is none (Annex B has start codes).

    Sets that the record cuts short are left out: the frames may bring theirs.
    """
    if len(extradata) <= _COUNT_AT or extradata[0] != 1:
        return None
    if codec is Codec.H264:
        sets, at = _sets(extradata, _COUNT_AT + 1, extradata[_COUNT_AT] & 31)
        sets += _sets(extradata, at + 1, extradata[at])[0] if at < len(extradata) else []
        return Configuration((extradata[4] & 3) + 1, b"".join(sets))
    if len(extradata) <= _ARRAYS_AT:
        return None
    sets, at = [], _ARRAYS_AT + 1
    for _ in range(extradata[_ARRAYS_AT]):
        found, at = _sets(extradata, at + 3, int.from_bytes(extradata[at + 1 : at + 3]))
        sets += found
    return Configuration((extradata[21] & 3) + 1, b"".join(sets))


def _sets(data: bytes, at: int, count: int) -> tuple[list[bytes], int]:
    """``count`` NAL units from ``at`` on, each behind 16 bits of length, as Annex B; and where they end."""
    found: list[bytes] = []
    for _ in range(count):
        length = int.from_bytes(data[at : at + 2])
        nal = data[at + 2 : at + 2 + length]
        if len(nal) < length or not nal:
            return found, len(data)
        found.append(_START_CODE + nal)
        at += 2 + length
    return found, at


def lay_start_codes(data: memoryview) -> tuple[int, ...]:
    """Put a start code in place of each length of four bytes; returns where the NAL units begin.

    Raises MediaError if the lengths lie.
    """
    starts: list[int] = []
    at, end = 0, len(data)
    while at < end:
        length = int.from_bytes(data[at : at + 4])
        data[at : at + 4] = _START_CODE
        starts.append(at + 4)
        at += 4 + length
    if at != end:
        raise MediaError(f"a frame is damaged: its NAL units have {at:,} bytes, and it has {end:,}")
    return tuple(starts)


def with_start_codes(data: bytes, length_bytes: int) -> tuple[bytes, tuple[int, ...]]:
    """One access unit with a start code in place of each length, and where its NAL units begin in that.

    Raises MediaError if the lengths lie.
    """
    parts: list[bytes] = []
    starts: list[int] = []
    at, end, laid = 0, len(data), 0
    while at + length_bytes <= end:
        length = int.from_bytes(data[at : at + length_bytes])
        at += length_bytes
        if length > end - at:
            raise MediaError(f"a packet is damaged: it has {end - at:,} of {length:,} bytes of a NAL unit")
        if length:
            parts += (_START_CODE, data[at : at + length])
            starts.append(laid + len(_START_CODE))
            laid += len(_START_CODE) + length
        at += length
    return b"".join(parts), tuple(starts)
