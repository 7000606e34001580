"""Coded frames of VP9 and AV1: each stands alone in its packet, and keyframes say what is in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import av

from ..bitstream.av1 import av1_sequence, av1_stored, parse_av1_sequence
from ..bitstream.sei import Orientation
from ..bitstream.vp9 import vp9_keyframe
from ..model import AccessUnit, Codec, StreamFormat
from .coded import Coded
from .framing import skipped_text
from .mastering import Mastering

_AV1_RECORD_BYTES = 4


class WholeFrames:
    """Does for VP9 and AV1 what PictureFramer does for H.264 and H.265.

    ``skipped_units`` counts frames before the first keyframe. ``on_altered`` is told of them, and of what
    only the container says and neither coding can: how frames are to be turned, and how they were graded.
    """

    def __init__(
        self, codec: Codec, context: av.VideoCodecContext, on_altered: Callable[[str], None] | None = None
    ) -> None:
        self.skipped_units = 0
        self._codec = codec
        self._on_altered = on_altered
        self._config = _beforehand(codec, context)
        self._format = StreamFormat(codec)
        self._size = context.width, context.height

    @property
    def lacking(self) -> str | None:
        """Why no frame has come out so far, or None."""
        if not self.skipped_units or self._format.width:
            return None
        return f"{self.skipped_units} frames came without a keyframe, and no decoder could start"

    def see(self, orientation: Orientation | None, mastering: Mastering) -> None:
        """Frames are to be shown turned so, and were graded so."""
        if self._on_altered is None:
            return
        if orientation is not None and orientation != Orientation():
            self._on_altered(f"its frames are to be turned, which {self._codec} cannot say: let it be encoded anew")
        if mastering.messages and self._codec is Codec.VP9:
            self._on_altered("how it was graded (HDR metadata) is left out: only its container says it")

    def framed(self, unit: AccessUnit, *, is_key_picture: bool) -> Coded | None:
        """The unit as files have it; None if no decoder could start yet."""
        if self._codec is Codec.AV1:
            data = av1_stored(unit.data)
            if not data:
                return None
            unit = unit if data is unit.data else unit.altered(data=data)
        has_begun = bool(self._format.width)
        if is_key_picture:
            size = self._size_of(unit.data)
            if size != (self._format.width, self._format.height):
                from ..mp4.records import known_beforehand  # for who records VP9 or AV1 alone

                config = known_beforehand(unit.data, self._codec, self._config)
                self._format = replace(self._format, width=size[0], height=size[1], config=config)
        if not self._format.width:
            self.skipped_units += 1
            return None
        if not has_begun and self.skipped_units and self._on_altered is not None:
            self._on_altered(skipped_text(self.skipped_units))
        return Coded(self._format, unit.altered(random_access=is_key_picture))

    def _size_of(self, data: bytes) -> tuple[int, int]:
        header = vp9_keyframe(data) if self._codec is Codec.VP9 else parse_av1_sequence(av1_sequence(data))
        return self._size if header is None else (header.width, header.height)


def _beforehand(codec: Codec, context: av.VideoCodecContext) -> bytes:
    """What a decoder is told before the first frame: the sequence header of AV1, the colours of VP9."""
    if codec is Codec.AV1:
        extradata = context.extradata or b""
        return av1_sequence(extradata[_AV1_RECORD_BYTES:] if extradata[:1] == b"\x81" else extradata)
    colors = context.color_primaries, context.color_trc, context.colorspace
    return bytes(one if 0 < one <= 0xFF else 2 for one in map(int, colors))
