"""The header of an RTP packet: where its payload lies, and what two extensions say (RFC 3550, 5.1; RFC 8285)."""

from __future__ import annotations

import struct
from typing import NamedTuple

FIXED = struct.Struct("!BBHLL")
"""Version, padding, extension and count of sources; marker and type; sequence number; timestamp; SSRC."""
Header = tuple[int, int, int, int, int]
"""As FIXED unpacks it."""
_EXTENDED = struct.Struct("!HH")
_ONE_WORD = struct.Struct("!LL")
_ONE_BYTE_WORD = 0xBEDE_0001
"""Extensions with heads of one byte (RFC 8285, 4.2), of one word in all."""
_PADDED, _HAS_EXTENSION, _SOURCES = 0x20, 0x10, 0x0F
_ANYTHING = _PADDED | _HAS_EXTENSION | _SOURCES
_WITH_WORD = FIXED.size + _ONE_WORD.size
_ONE_BYTE, _TWO_BYTES = 0xBEDE, 0x1000
_PROFILES = (_ONE_BYTE, _TWO_BYTES)
_SEND_TIME_BYTES, _NTP_BYTES = 3, 8


class Numbers(NamedTuple):
    """Which numbers the extensions have in this session (RFC 8285, 5); None for what was not negotiated."""

    send_time: int | None = None
    capture_ntp: int | None = None


Body = tuple[int, int, int, int | None, int | None]
"""Where the payload begins and ends, how much padding is behind it, abs-send-time and abs-capture-time."""


def body(data: memoryview, size: int, numbers: Numbers) -> Body | None:
    """What lies behind the fixed header of a packet of ``size`` bytes at the beginning of ``data``.

    None for a packet that is cut off.
    """
    first = data[0]
    if not first & _ANYTHING:
        return FIXED.size, size, 0, None, None
    if first & _ANYTHING == _HAS_EXTENSION and size >= _WITH_WORD and numbers.send_time is not None:
        lead, word = _ONE_WORD.unpack_from(data, FIXED.size)
        if lead == _ONE_BYTE_WORD and word >> 24 == numbers.send_time << 4 | _SEND_TIME_BYTES - 1:
            # As it mostly is.
            return _WITH_WORD, size, 0, word & 0xFF_FFFF, None
    start, end = FIXED.size + 4 * (first & _SOURCES), size
    send_time = capture_ntp = None
    if first & _HAS_EXTENSION:
        if start + _EXTENDED.size > size:
            return None
        profile, words = _EXTENDED.unpack_from(data, start)
        at = start + _EXTENDED.size
        start = at + 4 * words
        if start > size:
            return None
        if profile in _PROFILES:
            while at < start:
                head = data[at]
                at += 1
                if not head:  # padding
                    continue
                if profile == _ONE_BYTE:
                    number, length = head >> 4, (head & 0x0F) + 1
                elif at < start:
                    number, length = head, data[at]
                    at += 1
                else:
                    return None
                if at + length > start:
                    return None
                if number == numbers.send_time and length == _SEND_TIME_BYTES:
                    send_time = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
                elif number == numbers.capture_ntp and length >= _NTP_BYTES:
                    capture_ntp = int.from_bytes(data[at : at + _NTP_BYTES]) or None
                at += length
    padding = 0
    if first & _PADDED:
        padding = data[size - 1]
        if not padding or padding > size - start:
            return None
        end -= padding
    return (start, end, padding, send_time, capture_ntp) if start <= end else None
