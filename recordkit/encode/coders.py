"""What audio is encoded with: how libavcodec's encoders are called, and what each of them takes."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from ..bitstream.audio import AAC_SAMPLES, OPUS_RATE
from ..model import Codec
from ..settings import AAC_RATES
from .layouts import CodedLayout
from .resampling import Samples

OPUS_BLOCK = OPUS_RATE // 50
"""Samples a channel in one packet of Opus: 20 ms, as everybody sends it."""
_FULL_SCALE = 32_768


class Coder(NamedTuple):
    """How libavcodec's encoder is called, what it takes, and how many samples go into one unit.

    ``rates`` are those that it has, all if there are none; ``widens`` says that more channels may come later.
    """

    codec: Codec
    name: str
    samples: str
    block: int
    rates: tuple[int, ...]
    channels: int
    widens: bool

    def open(self, rate: int, layout: CodedLayout, bit_rate: int) -> av.AudioCodecContext:
        """An encoder of ``layout`` at ``rate`` Hz; ``bit_rate`` is that of two channels. Raises av.FFmpegError."""
        context = cast("av.AudioCodecContext", av.CodecContext.create(self.name, "w"))
        context.sample_rate, context.layout = rate, layout.name
        context.format = self.samples
        context.bit_rate = bit_rate * max(2, layout.channels) // 2
        context.time_base = Fraction(1, rate)
        context.open()
        return context

    def frame(self, block: Samples, base: Fraction, layout: CodedLayout, position: int) -> AudioFrame:
        """A frame of ``block``, whose rows are contiguous, in the sample format that the encoder takes.

        ``position`` is in samples, ``base`` how long one is.
        """
        # As AudioFrame.from_ndarray does it, which takes twice as long.
        frame = AudioFrame(self.samples, layout.name, block.shape[1])
        if self.samples in ("flt", "s16"):
            block = np.ascontiguousarray(block.T).reshape(1, -1)
        given = block if self.samples != "s16" else _whole(block)
        for plane, row in zip(frame.planes, given, strict=True):
            plane.update(row)
        frame.sample_rate, frame.pts, frame.time_base = base.denominator, position, base
        return frame


def _whole(block: Samples) -> NDArray[np.int16]:
    return np.clip(np.rint(block * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)


CODERS: Mapping[str, Coder] = {
    "aac": Coder(Codec.AAC, "aac", "fltp", AAC_SAMPLES, AAC_RATES, 6, True),
    "opus": Coder(Codec.OPUS, "libopus", "flt", OPUS_BLOCK, (OPUS_RATE,), 2, True),
    "mp3": Coder(Codec.MP3, "libmp3lame", "fltp", 1152, (48_000, 44_100, 32_000), 2, False),
    "pcm": Coder(Codec.PCM, "pcm_s16le", "s16", 1024, (), 2, False),
}
