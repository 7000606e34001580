"""What every way into an elementary stream gives: a unit together with the format it is in."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import av

from ..model import AccessUnit, StreamFormat

CodedPacket: TypeAlias = "av.Packet[av.stream.Stream]"


class Coded(NamedTuple):
    """An access unit and the format of its stream from this unit on.

    ``is_filler`` says that nothing was given for it: silence, or a repeated frame, while the stream pauses.
    """

    format: StreamFormat
    unit: AccessUnit
    is_filler: bool = False


def without_head(unit: AccessUnit, size: int) -> AccessUnit:
    """``unit`` without the first ``size`` bytes, whole NAL units, of its data."""
    if not size:
        return unit
    starts = tuple(start - size for start in unit.nal_starts if start > size)
    return unit.altered(data=unit.data[size:], nal_starts=starts)


def with_message(unit: AccessUnit, message: bytes, at: int) -> AccessUnit:
    """``unit`` with the NAL units ``message`` (Annex B) at ``at`` in its data, where its first slice begins."""
    if not at:
        return unit.altered(prefix=unit.prefix + message)
    # At once: this is done for each frame.
    starts = tuple(start - at for start in unit.nal_starts if start > at)
    return unit.altered(data=unit.data[at:], nal_starts=starts, prefix=unit.prefix + unit.data[:at] + message)
