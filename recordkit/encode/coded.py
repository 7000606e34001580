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
