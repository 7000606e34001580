"""The audio encoder: any rate and layout, gaps told apart from jitter, sound placed by counting."""

from __future__ import annotations

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest

from recordkit.bitstream.audio import parse_adts
from recordkit.encode.audio import LONGEST_SILENCE_S, AudioEncoder
from recordkit.encode.coded import Coded
from recordkit.errors import SettingsError
from recordkit.settings import AAC_RATES, AudioSettings

TICKS = 90_000


def sound(
    samples: int, rate: int = 48_000, layout: str = "stereo", sample_format: str = "s16", level: int = 8000
) -> av.AudioFrame:
    channels = av.AudioLayout(layout).nb_channels
    planar = sample_format.endswith("p")
    kinds = {"s16": np.int16, "s32": np.int32, "flt": np.float32, "u8": np.uint8, "dbl": np.float64}
    kind = kinds[sample_format.removesuffix("p")]
    shape = (channels, samples) if planar else (1, channels * samples)
    frame = av.AudioFrame.from_ndarray(
        np.full(shape, level / 32768 if "f" in sample_format else 1, kind), sample_format, layout
    )
    frame.sample_rate = rate
    return frame


def encode(encoder: AudioEncoder, times: list[int | None], samples: int = 960, rate: int = 48_000) -> list[Coded]:
    coded = []
    for ticks in times:
        coded += encoder.encode(sound(samples, rate), ticks)
    return coded + encoder.flush()


def assert_contiguous(coded: list[Coded]) -> None:
    for one, following in itertools.pairwise(coded):
        assert following.unit.pts == one.unit.pts + one.unit.duration


def test_units_carry_adts_headers_and_exact_times() -> None:
    coded = encode(AudioEncoder(AudioSettings(), 1), [180_000 + 1800 * number for number in range(50)])
    assert coded[0].unit.pts == 180_000 - 1920  # the encoder's priming, 1024 samples
    assert_contiguous(coded)
    for one in coded:
        header = parse_adts(one.unit.prefix + one.unit.data)
        assert header is not None
        assert header.frame_length == len(one.unit.prefix) + len(one.unit.data)
        assert (header.sample_rate, header.channels) == (48_000, 2)
    # 48,000 samples in units of 1024, after one of priming.
    assert len(coded) == -(-48_000 // 1024) + 1


@pytest.mark.parametrize("rate", [8000, 11025, 44_100, 48_000, 96_000, 37_000, 192_000])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_any_rate_and_layout_is_taken(rate: int, layout: str) -> None:
    encoder = AudioEncoder(AudioSettings(), 1)
    coded = []
    for number in range(40):
        coded += encoder.encode(
            sound(rate // 50, rate, layout), round(Fraction(number * (rate // 50) * TICKS, rate))
        )
    coded += encoder.flush()
    assert_contiguous(coded)
    assert coded[0].format.sample_rate == (rate if rate in AAC_RATES else 48_000)
    assert coded[0].format.channels == (1 if layout == "mono" else 2)
    seconds = (coded[-1].unit.pts + coded[-1].unit.duration) / TICKS
    assert (
        40 * (rate // 50) / rate <= seconds < 40 * (rate // 50) / rate + 1024 / coded[0].format.sample_rate + 0.002
    )


@pytest.mark.parametrize("sample_format", ["s16", "s16p", "s32", "flt", "fltp", "dbl", "u8"])
def test_any_sample_format_is_taken(sample_format: str) -> None:
    encoder = AudioEncoder(AudioSettings(), 1)
    coded = encoder.encode(sound(4096, sample_format=sample_format), 0) + encoder.flush()
    assert len(coded) == 5


def test_jitter_below_the_tolerance_changes_nothing() -> None:
    random = np.random.default_rng(3)
    even = encode(AudioEncoder(AudioSettings(), 1), [1800 * number for number in range(100)])
    times = [1800 * number + int(random.integers(-2500, 2500)) for number in range(1, 100)]
    uneven_encoder = AudioEncoder(AudioSettings(), 1)
    uneven = encode(uneven_encoder, [0, *times])
    assert [one.unit.data for one in even] == [one.unit.data for one in uneven]
    assert uneven_encoder.gap_count == 0


@pytest.mark.parametrize("gap_s", [0.05, 0.5, 3.0])
def test_a_gap_is_filled_with_silence(gap_s: float) -> None:
    encoder = AudioEncoder(AudioSettings(gaps="silence"), 1)
    gap = round(gap_s * TICKS)
    coded = encode(encoder, [1800 * number + (gap if number >= 25 else 0) for number in range(50)])
    assert_contiguous(coded)
    assert encoder.gap_count == 1
    assert encoder.gap_s == pytest.approx(gap_s)
    assert not any(one.unit.discontinuity for one in coded)
    end = coded[-1].unit.pts + coded[-1].unit.duration
    assert 50 * 1800 + gap <= end < 50 * 1800 + gap + 1920


def test_a_gap_is_marked_where_that_was_asked_for() -> None:
    encoder = AudioEncoder(AudioSettings(gaps="mark"), 1)
    gap = 3 * TICKS
    coded = encode(encoder, [1800 * number + (gap if number >= 25 else 0) for number in range(50)])
    marked = [number for number, one in enumerate(coded) if one.unit.discontinuity]
    assert len(marked) == 1
    steps = [b.unit.pts - a.unit.pts for a, b in itertools.pairwise(coded)]
    assert sum(step > 2000 for step in steps) == 1
    # Behind the gap the sound stands where its timestamps say, to the sample.
    assert coded[-1].unit.pts + coded[-1].unit.duration - (50 * 1800 + gap) in range(1921)


def test_a_gap_beyond_a_minute_is_marked_in_any_case() -> None:
    encoder = AudioEncoder(AudioSettings(gaps="silence"), 1)
    coded = encode(encoder, [0, (LONGEST_SILENCE_S + 5) * TICKS])
    assert sum(one.unit.discontinuity for one in coded) == 1
    assert len(coded) < 10


def test_sound_that_overlaps_is_cut() -> None:
    encoder = AudioEncoder(AudioSettings(), 1)
    coded = encode(encoder, [1800 * number - (9000 if number >= 25 else 0) for number in range(50)])
    assert_contiguous(coded)
    assert encoder.cut_samples == 4800
    end = coded[-1].unit.pts + coded[-1].unit.duration
    assert 50 * 1800 - 9000 <= end < 50 * 1800 - 9000 + 1920


def test_frames_without_times_follow_each_other() -> None:
    coded = encode(AudioEncoder(AudioSettings(), 1), [5000, *[None] * 49])
    assert coded[0].unit.pts == 5000 - 1920
    assert_contiguous(coded)


def test_the_input_may_change_its_rate_and_layout() -> None:
    encoder = AudioEncoder(AudioSettings(), 1)
    coded = encoder.encode(sound(4800), 0)
    coded += encoder.encode(sound(4410, 44_100, "mono"), 9000)
    coded += encoder.encode(sound(4800, 48_000, "5.1"), 18_000)
    coded += encoder.flush()
    assert_contiguous(coded)
    assert {one.format for one in coded} == {coded[0].format}


def test_the_callers_frame_stays_as_it_was() -> None:
    frame = sound(960)
    frame.pts = 1234
    AudioEncoder(AudioSettings(), 1).encode(frame, 0)
    assert frame.pts == 1234


def test_nothing_in_nothing_out() -> None:
    assert AudioEncoder(AudioSettings(), 1).flush() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("bit_rate", 1), ("sample_rate", 47_000), ("channels", 3), ("gaps", "guess"), ("gap_tolerance", 0)],
)
def test_unusable_settings_say_which(name: str, value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        AudioSettings(**{name: value})  # type: ignore[arg-type]
    assert (caught.value.name, caught.value.value) == (name, value)


def test_opus_says_which_samples_are_the_coders_own_and_which_only_fill_the_last_block() -> None:
    encoder = AudioEncoder(AudioSettings(codec="opus"), 1)
    units = [one.unit for one in encode(encoder, [0] + [None] * 49, samples=700)]
    heard = sum(unit.duration * 48_000 // TICKS - unit.start_trim - unit.end_trim for unit in units)
    assert units[0].start_trim == 312
    assert all(unit.start_trim == 0 for unit in units[1:])
    assert all(unit.end_trim == 0 for unit in units[:-1])
    assert heard == 50 * 700


def test_aac_has_no_place_for_trims() -> None:
    units = [one.unit for one in encode(AudioEncoder(AudioSettings(), 1), [0, 1800])]
    assert all(unit.start_trim == unit.end_trim == 0 for unit in units)
