"""What an RTP payload adds to its unit: H.264 and Opus here, as most packets are; the rest as aiortc has it."""

from __future__ import annotations

from typing import Any

from aiortc.codecs import depayload

_START_CODE = b"\0\0\0\1"
_FU_A = 28
_FIRST_FRAGMENT = 0x80
_AGGREGATE = 24
_LENGTH_BYTES = 2
_TYPE, _REST = 0x1F, 0xE0


def added(codec: Any, name: str, data: memoryview) -> bytes:  # noqa: ANN401 - untyped over there
    """The bytes that the payload ``data`` of aiortc's ``codec`` adds, ``name`` being libavcodec's.

    H.264 gets start codes: NAL units that are whole (RFC 6184, 5.6 and 5.7.1), or the first of its fragments (5.8).

    Raises ValueError for a payload that is damaged.
    """
    if name == "h264" and len(data) >= 2:
        kind = data[0] & _TYPE
        if kind == _FU_A:
            fragment = data[1]
            if fragment & _FIRST_FRAGMENT:
                return _START_CODE + bytes((data[0] & _REST | fragment & _TYPE,)) + data[2:]
            return bytes(data[2:])
        if 0 < kind < _AGGREGATE:
            return _START_CODE + data
        if kind == _AGGREGATE:
            return _aggregated(data)
    if not data:
        return b""
    return bytes(data) if name == "opus" else bytes(depayload(codec, bytes(data)))


def _aggregated(data: memoryview) -> bytes:
    """The NAL units of a payload that holds several, each behind its length. Raises ValueError."""
    units, at = bytearray(), 1
    while at < len(data):
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(data[at:begin])
        if begin > len(data) or at > len(data):
            raise ValueError("an aggregation packet is cut off")
        units += _START_CODE + data[begin:at]
    return bytes(units)
