"""NAL units of H.264 (ISO/IEC 14496-10) and H.265 (ISO/IEC 23008-2) as Annex B byte streams.

A receiver that joins at a random access point needs the parameter sets there. Access unit delimiters, which
only a transport stream wants, are known here and put before no unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..model import Codec
from .fields import FieldPairs
from .sei import recovery_point
from .sps import SequenceParameterSet, parse_h265_sps, parse_sps, unescape, unsigned_exp_golomb

__all__ = [
    "H264_DELIMITER",
    "H265_DELIMITER",
    "FramedUnit",
    "ParameterSetFramer",
    "SequenceParameterSet",
    "annexb_parameter_sets",
    "delimiter_bytes",
    "first_slice",
    "nal_end",
    "nal_starts",
    "nal_units",
    "parse_h265_sps",
    "parse_sps",
]

H264_DELIMITER = bytes.fromhex("00 00 00 01 09 F0")
"""An access unit delimiter whose primary_pic_type allows every slice type (7.3.2.4)."""

H265_DELIMITER = bytes.fromhex("00 00 00 01 46 01 50")
"""An access unit delimiter whose pic_type allows every slice type (7.3.2.5)."""

_LONG_START_CODE = b"\0\0\0\1"
_START_CODE = b"\0\0\1"
_START_CODES = re.compile(_START_CODE)

_H264_IDR, _H264_SEI, _H264_SPS, _H264_PPS, _H264_AUD, _H264_SPS_EXTENSION = 5, 6, 7, 8, 9, 13
_H265_VPS, _H265_SPS, _H265_PPS, _H265_AUD = 32, 33, 34, 35
_H265_RASL = (8, 9)
_H265_IDR = (19, 20)
_LARGEST_PARAMETER_SET_ID = 255
_SLICE_HEAD_BYTES = 32
_LONGEST_DELIMITER = 16
"""A delimiter has one or two bytes of header and one of its own; zeros may follow."""


def nal_starts(data: bytes) -> Iterator[int]:
    """Where each NAL unit's first byte lies; looks no further than its caller does."""
    at = data.find(_START_CODE)
    if not 0 <= at < len(data) - 3:
        return
    yield at + 3
    # Many ask for no more. Through a whole frame a search by find takes twice as long as this.
    for found in _START_CODES.finditer(data, at + 3, len(data) - 1):
        yield found.end()


def nal_end(data: bytes, start: int) -> int:
    """The end of the NAL unit that begins at ``start``, without the zeros that follow it."""
    end = data.find(_START_CODE, start)
    return _trimmed(data, start, len(data) if end < 0 else end)


def _trimmed(data: bytes, start: int, end: int) -> int:
    while end > start and data[end - 1] == 0:
        end -= 1
    return end


def nal_units(data: bytes, codec: Codec = Codec.H264) -> Iterator[tuple[int, int, int]]:
    """The NAL units of an Annex B byte stream as (nal_unit_type, start, end), start codes left out.

    Reads lazily: a caller that stops early spares the search through the rest.
    """
    starts, is_h265 = nal_starts(data), codec is Codec.H265
    start = next(starts, 0)
    while start:
        following = next(starts, 0)
        end = following - 3 if following else len(data) - 3 * data.endswith(_START_CODE)
        if not data[end - 1]:
            end = _trimmed(data, start, end)
        yield data[start] >> 1 & 0x3F if is_h265 else data[start] & 0x1F, start, end
        start = following


def _nal_type(first_byte: int, codec: Codec) -> int:
    return first_byte >> 1 & 0x3F if codec is Codec.H265 else first_byte & 0x1F


def is_slice(nal_type: int, codec: Codec) -> bool:
    """Whether a NAL unit of this type is a part of a picture."""
    return nal_type < 32 if codec is Codec.H265 else 1 <= nal_type <= 5


def _is_parameter_set(nal_type: int, codec: Codec) -> bool:
    if codec is Codec.H265:
        return _H265_VPS <= nal_type <= _H265_PPS
    return nal_type in (_H264_SPS, _H264_PPS, _H264_SPS_EXTENSION)


def _layer(data: bytes, start: int, codec: Codec) -> int:
    """nuh_layer_id of the NAL unit at ``start``: 0 is the base layer, and all that H.264 has (H.265, 7.4.2.2)."""
    return int.from_bytes(data[start : start + 2]) >> 3 & 0x3F if codec is Codec.H265 else 0


def has_slice(data: bytes, codec: Codec) -> bool:
    """Whether there is any part of a picture in an access unit."""
    return any(is_slice(_nal_type(data[start], codec), codec) for start in nal_starts(data))


def first_slice(data: bytes, codec: Codec) -> int:
    """Where the first slice of an access unit begins, its start code included; 0 if it has none."""
    for start in nal_starts(data):
        if is_slice(_nal_type(data[start], codec), codec):
            return start - (4 if data[start - 4 : start - 3] == b"\0" else 3)
    return 0


def _leading_parameter_sets(data: bytes, codec: Codec) -> Iterator[tuple[int, bytes]]:
    for start in nal_starts(data):
        nal_type = _nal_type(data[start], codec)
        if is_slice(nal_type, codec):
            return
        if _is_parameter_set(nal_type, codec):
            yield nal_type, data[start : nal_end(data, start)]


def annexb_parameter_sets(data: bytes, codec: Codec = Codec.H264) -> bytes:
    """The parameter sets before the first slice, each behind a 4-byte start code; b"" without any."""
    return b"".join(_LONG_START_CODE + nal for _, nal in _leading_parameter_sets(data, codec))


def delimiter_bytes(data: bytes, codec: Codec = Codec.H264) -> int:
    """How many bytes of an access unit are the delimiter that it begins with; 0 if it begins with none.

    The beginning of the unit is enough. A delimiter with nothing behind it counts as none.
    """
    start = 4 if data.startswith(_LONG_START_CODE) else 3 if data.startswith(_START_CODE) else 0
    if not start or start >= len(data):
        return 0
    if _nal_type(data[start], codec) != (_H265_AUD if codec is Codec.H265 else _H264_AUD):
        return 0
    behind = data.find(_START_CODE, start, start + _LONGEST_DELIMITER)
    return max(0, behind - (data[behind - 1] == 0))


@dataclass(frozen=True, slots=True)
class FramedUnit:
    """How an access unit is written: ``prefix`` are the parameter sets that it lacks, before its own bytes.

    ``random_access`` says whether a decoder can start here, ``is_idr`` that nothing behind it refers to what is
    before it. ``is_leading`` says that a decoder which starts at the frame before cannot decode it (RASL of
    H.265; H.264 does not tell). ``is_second_field`` says that it completes the frame of the unit before.
    """

    prefix: bytes
    random_access: bool
    is_idr: bool = False
    is_leading: bool = False
    is_second_field: bool = False


class ParameterSetFramer:
    """Puts the parameter sets before the access units that lack them.

    ``codec`` is H264 or H265; ``extradata_annexb`` are an encoder's parameter sets as an Annex B
    byte stream. The newest parameter sets seen are remembered, at most one per layer, type and id.
    ``width`` and ``height`` follow the newest sequence parameter set (pixels after cropping, 0
    while none is known).
    """

    def __init__(self, codec: Codec, extradata_annexb: bytes = b"") -> None:
        self.width = 0
        self.height = 0
        self._codec = codec
        self._sps_type = _H265_SPS if codec is Codec.H265 else _H264_SPS
        self._pps_type = _H265_PPS if codec is Codec.H265 else _H264_PPS
        self._sets: dict[tuple[int, int, int], bytes] = {}
        self._block = b""
        self._fields = FieldPairs()
        self.learn(extradata_annexb)

    def learn(self, annexb: bytes) -> None:
        """Remember the parameter sets that begin ``annexb``."""
        for nal_type, nal in _leading_parameter_sets(annexb, self._codec):
            self._remember(nal_type, nal)

    @property
    def parameter_sets(self) -> bytes:
        """The parameter sets that are remembered, each behind a 4-byte start code."""
        return self._block

    @property
    def ready(self) -> bool:
        """Whether a sequence and a picture parameter set are known, so that a decoder can start."""
        types = {nal_type for layer, nal_type, _ in self._sets if not layer}
        return self._sps_type in types and self._pps_type in types

    def frame(self, data: bytes, random_access: bool) -> FramedUnit:
        """How to write one access unit (Annex B without delimiter).

        ``random_access`` is the caller's keyframe flag. It counts only for H.264 pictures that
        are no IDR: an intra picture, or one behind a recovery point, is believed to be a keyframe
        if its source says so. A unit whose parameter sets nobody has seen is never a random
        access point.
        """
        codec = self._codec
        has_sps = has_pps = recovery = intra = is_idr = is_leading = is_second = False
        for start in nal_starts(data):
            nal_type = _nal_type(data[start], codec)
            if is_slice(nal_type, codec):
                intra = self._is_random_access(data, start, nal_type, random_access, recovery)
                is_idr = nal_type in (_H265_IDR if codec is Codec.H265 else (_H264_IDR,))
                is_leading = codec is Codec.H265 and nal_type in _H265_RASL
                if self._fields.are_possible:
                    is_second = self._fields.is_second(data[start : start + _SLICE_HEAD_BYTES])
                break
            if _is_parameter_set(nal_type, codec):
                self._remember(nal_type, data[start : nal_end(data, start)])
                is_base = not _layer(data, start, codec)
                has_sps |= is_base and nal_type == self._sps_type
                has_pps |= is_base and nal_type == self._pps_type
            elif nal_type == _H264_SEI and codec is Codec.H264:
                recovery |= recovery_point(data[start : nal_end(data, start)]) is not None
        intra = intra and self.ready
        lacking = intra and not (has_sps and has_pps)
        return FramedUnit(self._block if lacking else b"", intra, is_idr, is_leading, is_second)

    def _is_random_access(self, data: bytes, start: int, nal_type: int, flag: bool, recovery: bool) -> bool:
        if self._codec is Codec.H265:
            return 16 <= nal_type <= 21  # table 7-1: BLA, IDR and CRA pictures
        if nal_type == _H264_IDR or not flag:
            return nal_type == _H264_IDR
        if recovery:
            return True
        head = unescape(data[start + 1 : start + 1 + _SLICE_HEAD_BYTES])
        slice_type = unsigned_exp_golomb(head, 1)
        return slice_type is not None and slice_type % 5 in (2, 4)  # table 7-6: I and SI

    def _remember(self, nal_type: int, nal: bytes) -> None:
        layer = _layer(nal, 0, self._codec)
        key = layer, nal_type, self._identifier(nal_type, nal)
        if key[-1] < 0 or self._sets.get(key) == nal:
            return
        self._sets[key] = nal
        self._block = b"".join(_LONG_START_CODE + self._sets[known] for known in sorted(self._sets))
        if nal_type == self._sps_type and not layer:
            sps = parse_h265_sps(nal) if self._codec is Codec.H265 else parse_sps(nal)
            if sps is not None:
                self.width, self.height = sps.width, sps.height
                self._fields.learn(sps)

    def _identifier(self, nal_type: int, nal: bytes) -> int:
        """The parameter set's id; -1 where it cannot be a parameter set."""
        if self._codec is Codec.H265:
            if nal_type != _H265_PPS:
                return 0  # deep inside the unit, and senders use a single one
            skipped = 2
        else:
            skipped = 4 if nal_type == _H264_SPS else 1
        found = unsigned_exp_golomb(unescape(nal[skipped : skipped + _SLICE_HEAD_BYTES]), 0)
        return -1 if found is None or found > _LARGEST_PARAMETER_SET_ID else found
