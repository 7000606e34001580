"""The audio encoder: any rate and layout, gaps told apart from jitter, sound placed by counting."""

from __future__ import annotations

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest

from recordkit.bitstream.audio import parse_adts, parse_audio_specific_config
from recordkit.encode.audio import LONGEST_SILENCE_S, AudioEncoder
from recordkit.encode.coded import Coded
from recordkit.errors import SettingsError
from recordkit.mpegts.framing import framing
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


def test_units_are_raw_and_have_exact_times() -> None:
    coded = encode(AudioEncoder(AudioSettings(), 1), [180_000 + 1800 * number for number in range(50)])
    assert coded[0].unit.pts == 180_000 - 1920  # the encoder's priming, 1024 samples
    assert_contiguous(coded)
    for one in coded:
        assert parse_adts(one.unit.data) is None
        assert one.unit.header == one.unit.prefix == b""
        config = parse_audio_specific_config(one.format.config)
        assert config is not None
        assert (config.object_type, config.sample_rate, config.channels) == (2, 48_000, 2)
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
    assert coded[0].format.channels == {"mono": 1, "stereo": 2, "5.1": 6}[layout]
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
    # Fewer channels go into those that are there; for more of them a new encoder goes on.
    channels = [one.format.channels for one in coded]
    assert channels == sorted(channels)
    assert set(channels) == {2, 6}


def heard(coded: list[Coded]) -> list[list[int]]:
    """Which of three tones each channel has in the last quarter of a second."""
    decoder = av.AudioCodecContext.create("aac", "r")
    pieces = []
    for one in coded:
        frames = decoder.decode(av.Packet(framing(one.format)(one.unit) + one.unit.data))
        pieces += [frame.to_ndarray() for frame in frames]
    pieces = [piece for piece in pieces if len(piece) == len(pieces[-1])]
    last = np.concatenate(pieces, axis=1)[:, -14_000:-2_000] * np.hanning(12_000)
    times = np.arange(12_000) / 48_000
    return [
        [tone for tone in (300, 500, 900) if abs(np.exp(-2j * np.pi * tone * times) @ side) > 100] for side in last
    ]


def tones(first: int, samples: int, hertz: tuple[int, ...], layout: str) -> av.AudioFrame:
    times = np.arange(first, first + samples) / 48_000
    data = np.array([0.2 * np.sin(2 * np.pi * one * times) for one in hertz], np.float32)
    frame = av.AudioFrame.from_ndarray(data, "fltp", layout)
    frame.sample_rate = 48_000
    return frame


def test_mono_that_becomes_stereo_keeps_its_sides_apart(caplog: pytest.LogCaptureFixture) -> None:
    encoder = AudioEncoder(AudioSettings(), 1)
    with caplog.at_level("INFO", "recordkit"):
        coded = encoder.encode(tones(0, 24_100, (300,), "mono"), 0)
        coded += encoder.encode(tones(24_100, 48_000, (500, 900), "stereo"), None) + encoder.flush()
    assert_contiguous(coded)
    assert heard(coded) == [[500], [900]]
    # One unit of priming, and the last one is filled up.
    assert len(coded) == -(-72_100 // 1024) + 1
    assert "goes on in stereo, after mono" in caplog.text


def test_channels_that_were_asked_for_stay() -> None:
    encoder = AudioEncoder(AudioSettings(channels=1), 1)
    coded = encoder.encode(tones(0, 24_000, (300,), "mono"), 0)
    coded += encoder.encode(tones(24_000, 24_000, (500, 900), "stereo"), None) + encoder.flush()
    assert {one.format.channels for one in coded} == {1}
    assert heard(coded) == [[500, 900]]


@pytest.mark.parametrize(
    ("codec", "layout", "channels", "words"),
    [
        ("aac", "7.1", 6, "8 channels (7.1) are mixed to 5.1"),
        ("aac", "5.1(side)", 6, None),
        ("aac", "quad", 5, None),
        ("aac", "2.1", 6, None),
        ("opus", "5.1", 2, "6 channels (5.1) are mixed to stereo"),
        ("opus", "mono", 1, None),
    ],
)
def test_channels_that_have_no_place_are_mixed_and_that_is_told(
    codec: str, layout: str, channels: int, words: str | None
) -> None:
    told: list[str] = []
    encoder = AudioEncoder(AudioSettings(codec=codec), 1, on_altered=told.append)  # type: ignore[arg-type]
    for _ in range(3):
        coded = encoder.encode(sound(2048, layout=layout), None)
    assert coded[0].format.channels == channels
    assert len(told) == (words is not None)
    assert words is None or words in told[0]


def test_opus_goes_on_in_stereo_as_well() -> None:
    encoder = AudioEncoder(AudioSettings(codec="opus"), 1)
    coded = encoder.encode(tones(0, 24_100, (300,), "mono"), 0)
    coded += encoder.encode(tones(24_100, 48_000, (500, 900), "stereo"), None) + encoder.flush()
    assert_contiguous(coded)
    assert [one.format.channels for one in coded] == sorted(one.format.channels for one in coded)
    assert coded[-1].format.channels == 2


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


@pytest.mark.parametrize(("codec", "begun", "before"), [("opus", 312, 0), ("aac", 0, 1024), ("pcm", 0, 0)])
def test_units_say_which_samples_are_the_coders_own_and_which_only_fill_the_last_block(
    codec: str, begun: int, before: int
) -> None:
    encoder = AudioEncoder(AudioSettings(codec=codec), 1)  # type: ignore[arg-type]
    units = [one.unit for one in encode(encoder, [0] + [None] * 49, samples=700)]
    heard = sum(round(unit.duration * 48_000 / TICKS) - unit.start_trim - unit.end_trim for unit in units)
    assert units[0].start_trim == begun
    assert all(unit.start_trim == 0 for unit in units[1:])
    assert all(unit.end_trim == 0 for unit in units[:-1])
    assert heard == before + 50 * 700


def test_an_encoder_that_rests_lets_out_what_it_holds_and_goes_on_later() -> None:
    encoder = AudioEncoder(AudioSettings(), 1)
    first, later = 180_000, 180_000 + 90 * TICKS
    coded = [one for number in range(10) for one in encoder.encode(sound(960), first + number * 1800)]
    coded += encoder.rest()
    assert encoder.rest() == []
    assert_contiguous(coded)
    end = coded[-1].unit.pts + coded[-1].unit.duration
    assert first + 18_000 <= end < first + 18_000 + 1920
    after = encode(encoder, [later + number * 1800 for number in range(10)])
    assert after[0].unit.discontinuity
    assert later - 2 * 1920 <= after[0].unit.pts <= later
    assert_contiguous(after)
    assert encoder.gap_count == 1


def test_an_encoder_that_rested_goes_on_without_a_gap_if_none_was_there() -> None:
    encoder = AudioEncoder(AudioSettings(), 1)
    coded = [one for number in range(10) for one in encoder.encode(sound(1024), 180_000 + number * 1920)]
    coded += encoder.rest()
    coded += encode(encoder, [180_000 + number * 1920 for number in range(10, 20)], samples=1024)
    assert_contiguous(coded)
    assert len(coded) == 21
    assert encoder.gap_count == 0
