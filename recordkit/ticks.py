"""Ticks of 90 kHz, in which all times of media are counted, and counters that wrap.

They are those of MPEG-TS, where they have 33 bits (ISO/IEC 13818-1, 2.4.2.2), and of RTP's video.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

TICKS_PER_SECOND = 90_000
TICK = Fraction(1, TICKS_PER_SECOND)
"""How long one is, in seconds."""
WRAP_BITS = 33
WRAP = 1 << WRAP_BITS
"""Timestamps fold back to 0 here: after 95,443.7 s, or 26.5 hours."""


class Ratio(Protocol):
    """A rational number: a Fraction, or PyAV 19's AVRational, which is no Fraction and has few of its methods."""

    @property
    def numerator(self) -> int:
        """The part above the line."""

    @property
    def denominator(self) -> int:
        """The part below the line."""


def fraction(ratio: Ratio | None) -> Fraction | None:
    """``ratio`` as a Fraction; None if it is not set, for which PyAV 18 has None and PyAV 19 has 0/1."""
    return Fraction(ratio.numerator, ratio.denominator) if ratio is not None and ratio.numerator else None


def nearest(part: int, whole: int) -> int:
    """``part / whole``, exactly, halves rounded up."""
    return (2 * part + whole) // (2 * whole)


def to_ticks(value: int, time_base: Ratio) -> int:
    """``value`` units of ``time_base`` seconds as ticks, exactly, halves rounded up."""
    return nearest(value * time_base.numerator * TICKS_PER_SECOND, time_base.denominator)


def signed_difference(value: int, base: int, bits: int) -> int:
    """How far ``value`` lies from ``base`` on a counter of ``bits`` bits that wraps, by the shorter way."""
    half = 1 << bits - 1
    return ((value - base + half) & ((half << 1) - 1)) - half


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
            self._last += signed_difference(wire, self._last, 33)
        return self._last
