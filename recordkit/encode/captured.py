"""When frames were taken: what a caller says of it, what stands in the coded frames, and what is put there."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..bitstream.captured import HEAD_BYTES, RANKS, captured_in, captured_nal
from ..bitstream.h264 import first_slice
from ..errors import SettingsError
from ..model import Captured, CapturedBy
from .coded import Coded, with_message
from .routing import VIDEO

if TYPE_CHECKING:
    CapturedLike = datetime | int | Captured

_START_CODE = b"\0\0\0\1"
_LOOKS = 8
_MICROSECOND_NS = 1_000
_SECOND_NS = 1_000_000_000
_LATEST_NS = 253_402_300_800 * _SECOND_NS
"""The year 10000, which no calendar here has."""


def captured_of(value: Any) -> Captured:  # noqa: ANN401 - whatever a caller gives
    """What a caller says of when a frame was taken: a time with its zone, nanoseconds since the epoch, or Captured.

    Raises SettingsError for anything else; a pandas.Timestamp is such a time, and keeps its nanoseconds.
    """
    if isinstance(value, Captured):
        found = value
    elif isinstance(value, datetime) and value.tzinfo is not None:
        # Seconds as a float would be off by a tenth of a microsecond.
        whole_ns = int(value.replace(microsecond=0).timestamp()) * _SECOND_NS
        rest_ns = value.microsecond * _MICROSECOND_NS + int(getattr(value, "nanosecond", 0))
        found = Captured(whole_ns + rest_ns, CapturedBy.CALLER)
    elif isinstance(value, int) and not isinstance(value, bool):
        found = Captured(value, CapturedBy.CALLER)
    else:
        raise SettingsError(
            "captured", value, "give a datetime or pandas.Timestamp with its time zone, or nanoseconds since 1970"
        )
    if not 0 <= found.time_ns < _LATEST_NS:
        raise SettingsError("captured", value, "give a time between 1970 and 9999, in nanoseconds since 1970")
    return found


class CaptureTimes:
    """Brings together what is known beside a coded frame and what it says itself; the better of both holds.

    With ``embeds`` a frame that does not say so yet gets a message before its first slice (H.264, 7.4.1.2.3).
    What comes of a file says what it says, and is not touched.
    """

    def __init__(self, *, embeds: bool) -> None:
        self._embeds = embeds
        self._looked = 0
        self._says_when = False

    def noted(self, coded: list[Coded]) -> list[Coded]:
        """``coded`` with when its frames were taken, as far as anybody knows."""
        return [self._noted(one) if one.unit.stream == VIDEO else one for one in coded]

    def _noted(self, coded: Coded) -> Coded:
        codec, unit = coded.format.codec, coded.unit
        beside, inside = unit.captured, None
        if not codec.has_nal_units:
            return coded  # nothing has a place in a frame: the frame table says it
        # Where the first frames say nothing, none is searched.
        if self._says_when or self._looked < _LOOKS:
            self._looked += 1
            inside = captured_in(unit.prefix + unit.data[:HEAD_BYTES], codec)
            self._says_when |= inside is not None
        if inside is not None and (beside is None or RANKS[inside.by] <= RANKS[beside.by]):
            return coded._replace(unit=unit.altered(captured=inside))
        if beside is None or beside.by is CapturedBy.SOURCE or not self._embeds:
            return coded
        message = _START_CODE + captured_nal(beside, codec)
        return coded._replace(unit=with_message(unit, message, first_slice(unit.data, codec)))
