"""Resampling: as much comes out as goes in, however little that is."""

from __future__ import annotations

import av
import numpy as np
import pytest

from recordkit.encode.audio import AudioEncoder
from recordkit.encode.resampling import Resampler
from recordkit.settings import AudioSettings


def frame(samples: int, rate: int, layout: str = "mono") -> av.AudioFrame:
    made = av.AudioFrame.from_ndarray(
        np.full((1, samples * av.AudioLayout(layout).nb_channels), 8192, np.int16), "s16", layout
    )
    made.sample_rate = rate
    return made


@pytest.mark.parametrize("rate", [1_234, 8_000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("samples", [1, 10, 40, 300])
def test_all_that_goes_in_comes_out(rate: int, samples: int) -> None:
    resampler = Resampler("stereo", 48_000)
    out = [*resampler.put(frame(samples, rate)), *resampler.end()]
    assert abs(sum(piece.shape[1] for piece in out) - samples * 48_000 / rate) <= 2
    assert {piece.shape[0] for piece in out} == {2}


def test_a_few_samples_are_what_they_were() -> None:
    resampler = Resampler("mono", 48_000)
    out = np.concatenate([*resampler.put(frame(10, 1_234)), *resampler.end()], axis=1)
    # What was before the first sample is silence to the filter.
    assert np.abs(out[0, out.shape[1] // 2 :] - 0.25).max() < 0.05


def test_frames_of_eight_channels_are_read_whole() -> None:
    resampler = Resampler("stereo", 48_000)
    out = [*resampler.put(frame(3, 8_000, "7.1")), *resampler.end()]
    assert sum(piece.shape[1] for piece in out) == 18


def test_nothing_is_left_of_nothing() -> None:
    assert Resampler("mono", 48_000).end() == []


def test_ten_samples_at_a_rate_that_no_coding_has_are_recorded() -> None:
    encoder = AudioEncoder(AudioSettings(), 1)
    coded = [*encoder.encode(frame(10, 1_234), 0), *encoder.flush()]
    assert len(coded) == 2  # the encoder's own first block, and the audio
