"""Counts the frames of VP9, AV1 and FLAC, which come one packet at a time."""

from __future__ import annotations

from ..model import Codec
from .av1 import av1_sequence, parse_av1_sequence
from .columns import Bytes, Positions
from .counter import AudioFrameColumns, AudioFrames, PictureColumns, Pictures
from .flac import parse_flac
from .vp9 import vp9_keyframe, vp9_shown


class WholeCounter:
    """Does for packets of VP9 and AV1 what PictureCounter does for pieces of an elementary stream."""

    def __init__(self, codec: Codec) -> None:
        self.width = self.height = 0
        self._codec = codec

    def feed(self, data: bytes) -> Pictures:
        """Looks at a packet's header; whether a decoder can start there says its container."""
        header = vp9_keyframe(data) if self._codec is Codec.VP9 else parse_av1_sequence(av1_sequence(data))
        if header is not None:
            self.width, self.height = header.width, header.height
        # A temporal unit of AV1 shows one frame (7.5); VP9 may have one that is never shown alone.
        return Pictures(vp9_shown(data) if self._codec is Codec.VP9 else 1, 0, may_begin=True)

    def feed_many(self, data: Bytes, begin: Positions, end: Positions) -> PictureColumns | None:
        """No transport stream has them."""
        return None


class FlacCounter:
    """Does for packets of FLAC what AudioFrameCounter does for pieces of an elementary stream."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.channels = self.layer = 0

    def forget(self) -> None:
        """A packet is a whole frame."""

    def feed(self, data: bytes) -> AudioFrames:
        """Looks at a packet's header."""
        header = parse_flac(data)
        if header is None:
            return AudioFrames(0, 0, len(data))
        self.sample_rate, self.channels = header.sample_rate or self.sample_rate, header.channels
        return AudioFrames(1, header.samples, 0)

    def feed_many(self, data: Bytes, begin: Positions, end: Positions) -> AudioFrameColumns | None:
        """No transport stream has them."""
        return None
