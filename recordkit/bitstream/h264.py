"""NAL units of H.264 (ISO/IEC 14496-10) and H.265 (ISO/IEC 23008-2) as Annex B byte streams.

ISO/IEC 13818-1 (2.14.1, 2.17.1) wants each access unit to begin with an access unit delimiter; a
receiver that joins at a random access point needs the parameter sets there as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..model import Codec
from .sps import SequenceParameterSet, parse_h265_sps, parse_sps, unescape, unsigned_exp_golomb

__all__ = [
    "H264_DELIMITER",
    "H265_DELIMITER",
    "FramedUnit",
    "ParameterSetFramer",
    "SequenceParameterSet",
    "annexb_parameter_sets",
    "is_delimiter_first",
    "nal_units",
    "parse_h265_sps",
    "parse_sps",
    "recovery_point",
]

H264_DELIMITER = bytes.fromhex("00 00 00 01 09 F0")
"""An access unit delimiter whose primary_pic_type allows every slice type (7.3.2.4)."""

H265_DELIMITER = bytes.fromhex("00 00 00 01 46 01 50")
"""An access unit delimiter whose pic_type allows every slice type (7.3.2.5)."""

_LONG_START_CODE = b"\0\0\0\1"
_START_CODE = b"\0\0\1"

_H264_IDR, _H264_SEI, _H264_SPS, _H264_PPS, _H264_AUD, _H264_SPS_EXTENSION = 5, 6, 7, 8, 9, 13
_H265_VPS, _H265_SPS, _H265_PPS, _H265_AUD = 32, 33, 34, 35
_RECOVERY_POINT = 6
_LARGEST_PARAMETER_SET_ID = 255
_SLICE_HEAD_BYTES = 16


def _nal_starts(data: bytes) -> Iterator[int]:
    """Where each NAL unit's first byte lies; looks no further than its caller does."""
    at = data.find(_START_CODE)
    while 0 <= at < len(data) - 3:
        yield at + 3
        at = data.find(_START_CODE, at + 3)


def _nal_end(data: bytes, start: int) -> int:
    """The end of the NAL unit that begins at ``start``, without the zeros that follow it."""
    end = data.find(_START_CODE, start)
    end = len(data) if end < 0 else end
    while end > start and data[end - 1] == 0:
        end -= 1
    return end


def nal_units(data: bytes, codec: Codec = Codec.H264) -> Iterator[tuple[int, int, int]]:
    """The NAL units of an Annex B byte stream as (nal_unit_type, start, end), start codes left out.

    Reads lazily: a caller that stops early spares the search through the rest.
    """
    for start in _nal_starts(data):
        yield _nal_type(data[start], codec), start, _nal_end(data, start)


def _nal_type(first_byte: int, codec: Codec) -> int:
    return first_byte >> 1 & 0x3F if codec is Codec.H265 else first_byte & 0x1F


def _is_slice(nal_type: int, codec: Codec) -> bool:
    return nal_type < 32 if codec is Codec.H265 else 1 <= nal_type <= 5


def _is_parameter_set(nal_type: int, codec: Codec) -> bool:
    if codec is Codec.H265:
        return _H265_VPS <= nal_type <= _H265_PPS
    return nal_type in (_H264_SPS, _H264_PPS, _H264_SPS_EXTENSION)


def _leading_parameter_sets(data: bytes, codec: Codec) -> Iterator[tuple[int, bytes]]:
    for start in _nal_starts(data):
        nal_type = _nal_type(data[start], codec)
        if _is_slice(nal_type, codec):
            return
        if _is_parameter_set(nal_type, codec):
            yield nal_type, data[start : _nal_end(data, start)]


def annexb_parameter_sets(data: bytes, codec: Codec = Codec.H264) -> bytes:
    """The parameter sets before the first slice, each behind a 4-byte start code; b"" without any."""
    return b"".join(_LONG_START_CODE + nal for _, nal in _leading_parameter_sets(data, codec))


def recovery_point(nal: bytes) -> int | None:
    """The recovery_frame_cnt of an SEI NAL unit of H.264 (7.3.2.3, D.1.8); None when it has no recovery point."""
    payload = unescape(nal[1:])
    at = 0
    while at < len(payload) - 1:
        what = size = 0
        while at < len(payload) and payload[at] == 0xFF:
            what, at = what + 0xFF, at + 1
        what, at = what + (payload[at] if at < len(payload) else 0), at + 1
        while at < len(payload) and payload[at] == 0xFF:
            size, at = size + 0xFF, at + 1
        size, at = size + (payload[at] if at < len(payload) else 0), at + 1
        if what == _RECOVERY_POINT:
            return unsigned_exp_golomb(payload[at : at + size], 0)
        at += size
    return None


def is_delimiter_first(data: bytes, codec: Codec = Codec.H264) -> bool:
    """Whether the access unit begins with an access unit delimiter."""
    start = 4 if data.startswith(_LONG_START_CODE) else 3 if data.startswith(_START_CODE) else 0
    if not start or start >= len(data):
        return False
    return _nal_type(data[start], codec) == (_H265_AUD if codec is Codec.H265 else _H264_AUD)


@dataclass(frozen=True, slots=True)
class FramedUnit:
    """How an access unit is written: ``prefix``, then its bytes from ``skip`` on.

    ``skip`` is 0 but for the rare unit that brings a delimiter and lacks parameter sets: they
    have to come between the two, so the delimiter moves into ``prefix``. ``random_access`` says
    whether a decoder can start here.
    """

    prefix: bytes
    skip: int
    random_access: bool


class ParameterSetFramer:
    """Puts the access unit delimiter and the parameter sets where a transport stream needs them.

    ``codec`` is H264 or H265; ``extradata_annexb`` are an encoder's parameter sets as an Annex B
    byte stream. The newest parameter sets seen are remembered, at most one per type and id.
    ``width`` and ``height`` follow the newest sequence parameter set (pixels after cropping, 0
    while none is known).
    """

    def __init__(self, codec: Codec, extradata_annexb: bytes = b"") -> None:
        self.width = 0
        self.height = 0
        self._codec = codec
        self._delimiter = H265_DELIMITER if codec is Codec.H265 else H264_DELIMITER
        self._sps_type = _H265_SPS if codec is Codec.H265 else _H264_SPS
        self._pps_type = _H265_PPS if codec is Codec.H265 else _H264_PPS
        self._sets: dict[tuple[int, int], bytes] = {}
        self._block = b""
        for nal_type, nal in _leading_parameter_sets(extradata_annexb, codec):
            self._remember(nal_type, nal)

    @property
    def parameter_sets(self) -> bytes:
        """The parameter sets that are remembered, each behind a 4-byte start code."""
        return self._block

    @property
    def ready(self) -> bool:
        """Whether a sequence and a picture parameter set are known, so that a decoder can start."""
        types = {nal_type for nal_type, _ in self._sets}
        return self._sps_type in types and self._pps_type in types

    def frame(self, data: bytes, random_access: bool) -> FramedUnit:
        """How to write one access unit (Annex B).

        ``random_access`` is the caller's keyframe flag. It counts only for H.264 pictures that
        are no IDR: an intra picture, or one behind a recovery point, is believed to be a keyframe
        if its source says so. A unit whose parameter sets nobody has seen is never a random
        access point.
        """
        codec = self._codec
        delimited = -1  # where the NAL unit behind the unit's own delimiter begins
        has_sps = has_pps = recovery = intra = False
        for number, start in enumerate(_nal_starts(data)):
            nal_type = _nal_type(data[start], codec)
            if delimited == 0:
                delimited = start - (4 if data[start - 4] == 0 else 3)
            if _is_slice(nal_type, codec):
                intra = self._is_random_access(data, start, nal_type, random_access, recovery)
                break
            if _is_parameter_set(nal_type, codec):
                self._remember(nal_type, data[start : _nal_end(data, start)])
                has_sps |= nal_type == self._sps_type
                has_pps |= nal_type == self._pps_type
            elif number == 0 and start <= 4 and is_delimiter_first(data, codec):
                delimited = 0
            elif nal_type == _H264_SEI and codec is Codec.H264:
                recovery |= recovery_point(data[start : _nal_end(data, start)]) is not None
        intra = intra and self.ready
        lacking = intra and not (has_sps and has_pps)
        if delimited < 0:
            return FramedUnit(self._delimiter + self._block if lacking else self._delimiter, 0, intra)
        if lacking:
            return FramedUnit(self._delimiter + self._block, delimited, intra)
        return FramedUnit(b"", 0, intra)

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
        key = nal_type, self._identifier(nal_type, nal)
        if key[1] < 0 or self._sets.get(key) == nal:
            return
        self._sets[key] = nal
        self._block = b"".join(_LONG_START_CODE + self._sets[known] for known in sorted(self._sets))
        if nal_type == self._sps_type:
            sps = parse_h265_sps(nal) if self._codec is Codec.H265 else parse_sps(nal)
            if sps is not None:
                self.width, self.height = sps.width, sps.height

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
