"""What each coder takes: its sample format, its rates, the bit rate of its channels."""

from fractions import Fraction

import numpy as np
import pytest

from recordkit.encode.coders import CODERS
from recordkit.encode.layouts import CodedLayout

STEREO, MONO = CodedLayout("stereo", 2), CodedLayout("mono", 1)


@pytest.mark.parametrize("name", CODERS)
def test_a_frame_is_as_its_encoder_takes_it(name):
    coder = CODERS[name]
    rate = 48_000
    context = coder.open(rate, STEREO, 64_000)
    block = np.stack([np.full(coder.block, 0.5, np.float32), np.full(coder.block, -0.25, np.float32)])
    frame = coder.frame(block, Fraction(1, rate), STEREO, 960)
    assert (frame.format.name, frame.samples, frame.pts, frame.sample_rate) == (
        coder.samples,
        coder.block,
        960,
        rate,
    )
    context.encode(frame)
    samples = frame.to_ndarray()
    left, right = samples if frame.format.is_planar else samples.reshape(-1, 2).T
    scale = 32_768 if coder.samples == "s16" else 1
    assert set(left.tolist()) == {0.5 * scale}
    assert set(right.tolist()) == {-0.25 * scale}


def test_pcm_that_is_too_loud_is_clipped_and_does_not_wrap():
    block = np.array([[1.5, -1.5, 1.0, -1.0]], np.float32)
    assert CODERS["pcm"].frame(block, Fraction(1, 8_000), MONO, 0).to_ndarray().tolist() == [
        [32_767, -32_768, 32_767, -32_768]
    ]


def test_the_bit_rate_is_that_of_two_channels():
    six = CodedLayout("5.1", 6)
    rates = [CODERS["aac"].open(48_000, layout, 128_000).bit_rate for layout in (MONO, STEREO, six)]
    assert rates == [128_000, 128_000, 384_000]
