"""H.264 access units as live senders send them, made fit for a file (ITU-T H.264, 7.4.1.2.3).

Senders repeat parameter sets between the slices of one picture, send them once for a whole call or
in the session description only, and refresh pictures by and by instead of sending keyframes. What a
file needs is an access unit in the order of the standard, with its parameter sets before each point
where a decoder can start.
"""

from __future__ import annotations

from typing import NamedTuple

from ..model import Codec
from .h264 import ParameterSetFramer, nal_units
from .sei import recovery_point
from .sps import unsigned_exp_golomb

_IDR, _SEI, _SPS, _PPS, _DELIMITER, _SPS_EXTENSION, _SUBSET_SPS = 5, 6, 7, 8, 9, 13, 15
_SLICES = range(1, 6)
_SETS = (_SPS, _PPS, _SPS_EXTENSION, _SUBSET_SPS)
_HEADERS = (_SEI, *_SETS, _DELIMITER)
_ORDER = {kind: place for place, kind in enumerate((_SPS, _SPS_EXTENSION, _SUBSET_SPS, _PPS))}
_LONG_START_CODE = b"\0\0\0\1"
_SLICE_HEAD_BYTES = 8


class LiveUnit(NamedTuple):
    """An access unit in order: its bytes, whether it has a picture, and whether a decoder can start there.

    ``is_idr`` says that no picture behind it needs one before it; a recovery point is no IDR.
    ``lacks_sets`` says that a decoder could start but for the parameter sets, which nobody knows.
    ``nal_starts`` are as those of an AccessUnit: empty if its bytes had to be put in order.
    """

    data: bytes
    has_picture: bool
    is_entry: bool
    is_idr: bool
    lacks_sets: bool
    nal_starts: tuple[int, ...] = ()


class LiveUnits:
    """Puts the access units of one source in order, and remembers its parameter sets."""

    def __init__(self) -> None:
        self._sets = ParameterSetFramer(Codec.H264)
        self._brings_sets = False

    def learn(self, data: bytes) -> None:
        """Take parameter sets that begin ``data`` (Annex B): of a packet, or of a session description."""
        if starts_with_code(data) and nal_type(data) in _HEADERS:
            self._sets.learn(data)

    def in_order(self, data: bytes, *, is_cut: bool, after_loss: bool) -> LiveUnit:
        """One access unit (Annex B) as a file needs it.

        ``is_cut`` says that its beginning may be missing, ``after_loss`` that packets are missing
        before it: then they may have been new parameter sets, and those known do not count where
        the source repeats its own.
        """
        types, head, pictures, is_changed = set(), [], [], False
        starts: list[int] = []
        delimiter = b""
        is_recovery = False
        first_slice = b""
        for number, (kind, start, end) in enumerate(nal_units(data)):
            starts.append(start)
            if kind in _SLICES:
                first_slice = first_slice or data[start : min(end, start + _SLICE_HEAD_BYTES)]
                types.add(kind)
                pictures.append((start, end))
                continue
            nal = data[start:end]
            if kind == _DELIMITER:
                if number:
                    is_changed = True
                else:
                    delimiter = _LONG_START_CODE + nal
            elif kind in _SETS:
                # A picture parameter set without the sequence parameter set it refers to is thrown away.
                is_changed |= bool(pictures) or nal in head or (kind != _PPS and _PPS in types)
                types.add(kind)
                if nal not in head:
                    head.append(nal)
            elif kind == _SEI and pictures:
                is_changed = True
            elif pictures:
                pictures.append((start, end))
            else:
                is_recovery |= kind == _SEI and recovery_point(nal) is not None
                head.append(nal)
        if data.endswith(_LONG_START_CODE[1:]):
            starts.clear()  # it begins a NAL unit that is not there
        if not first_slice:
            return LiveUnit(data, False, False, False, False)
        if is_changed:
            head.sort(key=lambda nal: _ORDER.get(nal[0] & 0x1F, len(_ORDER)))
            behind = [data[start:end] for start, end in pictures]
            data = delimiter + b"".join(_LONG_START_CODE + nal for nal in head + behind)
            starts.clear()
        if is_cut and not (starts_with_code(data) and unsigned_exp_golomb(first_slice[1:], 0) == 0):
            return LiveUnit(data, True, False, False, False)
        is_idr = _IDR in types
        can_start = is_idr or is_recovery
        own = types >= {_SPS, _PPS}
        known = own or (can_start and self._sets.ready and not (after_loss and self._brings_sets))
        if can_start and not (after_loss and not known):
            self._brings_sets = own
        if can_start and known and not own:
            data = delimiter + self._sets.parameter_sets + data[len(delimiter) if delimiter else 0 :]
            starts.clear()
        lacks_sets = can_start and not known and not self._sets.ready
        return LiveUnit(data, True, can_start and known, is_idr, lacks_sets, tuple(starts))


def starts_with_code(data: bytes) -> bool:
    """Whether a NAL unit begins here, and not amid one."""
    return data.startswith((_LONG_START_CODE, b"\0\0\1"))


def nal_type(data: bytes) -> int:
    """The nal_unit_type of the first NAL unit of an Annex B byte stream; 0 if there is none."""
    start = 3 if data[2:3] == b"\1" else 4
    return data[start] & 0x1F if len(data) > start else 0


def is_picture_data(data: bytes) -> bool:
    """Whether a packet's bytes are of a slice: they begin one, or go on amid one."""
    return not starts_with_code(data) or nal_type(data) in _SLICES
