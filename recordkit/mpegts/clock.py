"""The system clock of MPEG-TS: ticks of 90 kHz, 33 bits on the wire (ISO/IEC 13818-1, 2.4.2.2)."""

from __future__ import annotations

from fractions import Fraction

TICKS_PER_SECOND = 90_000
WRAP = 1 << 33
"""Timestamps fold back to 0 here: after 95,443.7 s, or 26.5 hours."""


def to_ticks(value: int, time_base: Fraction) -> int:
    """``value`` units of ``time_base`` seconds as ticks, exactly, halves rounded up."""
    numerator = value * time_base.numerator * TICKS_PER_SECOND * 2 + time_base.denominator
    return numerator // (2 * time_base.denominator)


def timestamp_bytes(marker: int, ticks: int) -> bytes:
    """The five bytes of a PTS or DTS field (2.4.3.6): ``marker`` is 2 (PTS alone), 3 or 1 (PTS, DTS)."""
    return (
        (marker << 36)
        | ((ticks & 0x1_C000_0000) << 3)
        | ((ticks & 0x3FFF_8000) << 2)
        | ((ticks & 0x7FFF) << 1)
        | 0x01_0001_0001
    ).to_bytes(5)


def pcr_bytes(ticks: int) -> bytes:
    """The six bytes of a PCR whose base is ``ticks`` and whose extension is 0 (2.4.3.5)."""
    return (((ticks & (WRAP - 1)) << 15) | 0x7E00).to_bytes(6)


class Unwrapper:
    """Turns 33-bit timestamps of one stream into integers that never fold back.

    Each timestamp is taken as the nearest one to its predecessor, by signed difference, so that
    a small step back stays a small step back and never adds 26 hours.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: int | None = None

    def unwrap(self, wire: int) -> int:
        """The unwrapped value of ``wire`` (0 to 2^33 - 1)."""
        if self._last is None:
            self._last = wire
        else:
            difference = (wire - self._last) & (WRAP - 1)
            self._last += difference - WRAP if difference >= WRAP // 2 else difference
        return self._last
