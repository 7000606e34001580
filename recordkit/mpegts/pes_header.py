"""The header of a PES packet, as read (ISO/IEC 13818-1, 2.4.3.6)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .payload import Payload, Positions

_FIXED_BYTES = 6
_FLAGS_BYTES = 9
_WITHOUT_FLAGS = frozenset({0xBC, 0xBE, 0xBF, 0xF0, 0xF1, 0xF2, 0xF8, 0xFF})
"""stream_id values whose PES packets have no flags and no timestamps (table 2-22)."""

_HAS_FLAGS = np.array([number >= 0xBC and number not in _WITHOUT_FLAGS for number in range(256)])
_PLACES = np.array([[0], [8], [9], [14]])
"""Where eight bytes each are taken: flags, PES_header_data_length, PTS, DTS."""


class PesHeader(NamedTuple):
    """What a PES header says: ``header_length`` in bytes, ``payload_length`` (None: not stated).

    ``pts`` and ``dts`` are 33-bit ticks as sent.
    """

    stream_id: int
    header_length: int
    payload_length: int | None
    pts: int | None
    dts: int | None
    scrambled: bool


def pes_header_length(head: bytes) -> int:
    """How many bytes of a PES packet have to be there to read its header, as far as is known."""
    if len(head) < _FIXED_BYTES:
        return _FIXED_BYTES
    if head[3] in _WITHOUT_FLAGS or not head.startswith(b"\0\0\1"):
        return _FIXED_BYTES
    return _FLAGS_BYTES if len(head) < _FLAGS_BYTES else _FLAGS_BYTES + head[8]


def parse_pes_header(head: bytes) -> PesHeader | None:
    """Reads a PES header that is there as a whole; None if it is not a PES header or is inconsistent."""
    if len(head) < max(_FIXED_BYTES, pes_header_length(head)) or not head.startswith(b"\0\0\1") or head[3] < 0xBC:
        return None
    length, stream_id = int.from_bytes(head[4:6]), head[3]
    if stream_id in _WITHOUT_FLAGS:
        return PesHeader(stream_id, _FIXED_BYTES, length or None, None, None, False)
    if head[6] & 0xC0 != 0x80 or (length and length < 3 + head[8]):
        return None
    pts = dts = None
    stated = head[7] >> 6
    if stated == 1 or head[8] < (0, 0, 5, 10)[stated]:
        return None
    if stated:
        pts = _timestamp(head[9:14], stated)
        dts = _timestamp(head[14:19], 1) if stated == 3 else pts
        if pts is None or dts is None:
            return None
    header_length = _FLAGS_BYTES + head[8]
    payload_length = length + _FIXED_BYTES - header_length if length else None
    return PesHeader(stream_id, header_length, payload_length, pts, dts, bool(head[6] & 0x30))


def _timestamp(field: bytes, marker: int) -> int | None:
    value = int.from_bytes(field)
    if value & 0x01_0001_0001 != 0x01_0001_0001 or value >> 36 != marker:
        return None
    return value >> 3 & 0x1_C000_0000 | value >> 2 & 0x3FFF_8000 | value >> 1 & 0x7FFF


class PesHeaders(NamedTuple):
    """Many PES headers as columns; ``payload_length`` is -1 where none is stated."""

    header_length: Positions
    payload_length: Positions
    pts: Positions
    dts: Positions


def parse_pes_headers(payload: Payload, packets: Positions) -> PesHeaders | None:
    """Reads the PES headers that ``packets`` begin with.

    None unless each of them is in order, not encrypted, and has a PTS.
    """
    words = payload.words(payload.begin(packets) + _PLACES, packets).astype(np.int64)
    start, data_length = words[0], words[1] >> 56 & 0xFF
    pts, dts = words[2:] >> 24 & 0xFF_FFFF_FFFF
    stream_id, stated, length = start >> 32 & 0xFF, start >> 6 & 3, start >> 16 & 0xFFFF
    has_dts = stated == 3
    good = (start >> 40 == 1) & _HAS_FLAGS[stream_id] & (start >> 8 & 0xF0 == 0x80) & (stated >= 2)
    good &= (data_length >= np.where(has_dts, 10, 5)) & ((length == 0) | (length >= 3 + data_length))
    good &= _in_order(pts, stated) & (_in_order(dts, 1) | ~has_dts)
    if not good.all():
        return None
    header_length = _FLAGS_BYTES + data_length
    payload_length = np.where(length > 0, length + _FIXED_BYTES - header_length, -1)
    sent = _values(pts)
    return PesHeaders(header_length, payload_length, sent, np.where(has_dts, _values(dts), sent))


def _in_order(fields: Positions, marker: Positions | int) -> npt.NDArray[np.bool_]:
    good: npt.NDArray[np.bool_] = (fields & 0x01_0001_0001 == 0x01_0001_0001) & (fields >> 36 == marker)
    return good


def _values(fields: Positions) -> Positions:
    return fields >> 3 & 0x1_C000_0000 | fields >> 2 & 0x3FFF_8000 | fields >> 1 & 0x7FFF
