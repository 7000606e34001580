"""What an RTP payload adds to its unit: H.264 here, of which most packets are; the rest as aiortc has it."""

from __future__ import annotations

from typing import Any

from aiortc.codecs import depayload

_START_CODE = b"\0\0\0\1"
_FU_A = 28
_FIRST_FRAGMENT = 0x80
_SINGLE = 24
_TYPE, _REST = 0x1F, 0xE0


def added(codec: Any, name: str, data: memoryview) -> bytes:  # noqa: ANN401 - untyped over there
    """The bytes that the payload ``data`` of aiortc's ``codec`` adds, ``name`` being libavcodec's.

    H.264 gets start codes: a NAL unit that is whole (RFC 6184, 5.6), or the first of its fragments (5.8).

    Raises ValueError for a payload that is damaged.
    """
    if name == "h264" and len(data) >= 2:
        kind = data[0] & _TYPE
        if kind == _FU_A:
            fragment = data[1]
            if fragment & _FIRST_FRAGMENT:
                return _START_CODE + bytes((data[0] & _REST | fragment & _TYPE,)) + data[2:]
            return bytes(data[2:])
        if 0 < kind < _SINGLE:
            return _START_CODE + data
    if not data:
        return b""
    return bytes(data) if name == "opus" else bytes(depayload(codec, bytes(data)))
