"""The synthetic source: exact counts and times, the same bytes each time, and pictures that are cheap."""

import dataclasses
import hashlib
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice, pairwise

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordkit.errors import SettingsError
from recordkit.sources.marks import (
    BEEP_HZ,
    BEEP_S,
    FLASH_S,
    encode_number,
    layout,
    plane_rows,
    read_flash,
    read_frame_number,
)
from recordkit.sources.picture import Painter
from recordkit.sources.synthetic import Sound, Synthetic

TINY = {"width": 64, "height": 48}


def split(source: Synthetic) -> tuple[list[av.VideoFrame], list[av.AudioFrame]]:
    frames = list(source.frames())
    pictures = [frame for frame in frames if isinstance(frame, av.VideoFrame)]
    chunks = [frame for frame in frames if isinstance(frame, av.AudioFrame)]
    return pictures, chunks


def sound(chunks: list[av.AudioFrame]) -> np.ndarray:
    """The sound as one array, a row per sample and a column per channel."""
    return np.concatenate([c.to_ndarray().reshape(-1, c.layout.nb_channels) for c in chunks])


def fingerprints(frames: Iterator[av.VideoFrame | av.AudioFrame]) -> list[tuple[int, str]]:
    return [(frame.pts, hashlib.sha256(b"".join(map(bytes, frame.planes))).hexdigest()) for frame in frames]


# Settings


@pytest.mark.parametrize(
    ("given_fps", "rate"),
    [
        (30, Fraction(30)),
        (25.0, Fraction(25)),
        (29.97, Fraction(30000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        (23.98, Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (119.88, Fraction(120000, 1001)),
        ("30000/1001", Fraction(30000, 1001)),
        ("15", Fraction(15)),
        (Fraction(2997, 100), Fraction(2997, 100)),
        (12.5, Fraction(25, 2)),
        (0.1, Fraction(1, 10)),
        (1000, Fraction(1000)),
    ],
)
def test_frame_rates_are_made_exact(given_fps: Fraction | float | str, rate: Fraction) -> None:
    source = Synthetic(fps=given_fps)
    assert source.fps == source.rate == rate
    assert isinstance(source.fps, Fraction)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("fps", fps) for fps in (0, -1, 1000.5, "fast", "1/0", float("nan"), float("inf"), True, None, 1e-9)),
        ("fps", Fraction(1, 1 << 31)),
        *(("width", width) for width in (63, 0, -1, 8193, 640.0, "wide", True)),
        *(("height", height) for height in (47, 8193, None)),
        *(("sample_rate", rate) for rate in (0, 7999, 192_001, 48_000.0)),
        *(("channels", channels) for channels in (0, 9, -1, 2.0)),
        *(("seconds", seconds) for seconds in (0, -1, float("nan"), float("inf"), "ten", True)),
    ],
)
def test_unusable_settings_are_named(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"^{name}=") as caught:
        Synthetic(**{name: value})
    assert caught.value.name == name


def test_neither_picture_nor_sound_is_refused() -> None:
    with pytest.raises(SettingsError, match="at least one"):
        Synthetic(video=False, audio=False)


def test_it_is_a_frozen_value() -> None:
    assert Synthetic(fps=29.97) == Synthetic(fps="30000/1001")
    assert hash(Synthetic()) == hash(Synthetic())
    with pytest.raises(dataclasses.FrozenInstanceError):
        Synthetic().width = 2
    with pytest.raises(TypeError):
        Synthetic(640, 480, 30)


# Counts and times


def test_ten_seconds_are_three_hundred_pictures_and_480000_samples() -> None:
    pictures, chunks = split(Synthetic(seconds=10, **TINY))
    assert len(pictures) == 300
    assert sum(chunk.samples for chunk in chunks) == 480_000
    assert {chunk.samples for chunk in chunks} == {960}


@given(
    st.fractions(Fraction(1, 2), 60, max_denominator=1001),
    st.floats(0.001, 1.5),
    st.sampled_from([8000, 11_025, 22_050, 44_100, 48_000]),
)
@settings(max_examples=60, deadline=None)
def test_counts_times_and_order_are_exact(fps: Fraction, seconds: float, rate: int) -> None:
    source = Synthetic(fps=fps, seconds=seconds, sample_rate=rate, channels=1, **TINY)
    exact = Fraction(seconds).limit_denominator(1_000_000)
    pictures, chunks = split(source)
    assert [picture.pts for picture in pictures] == list(range(source.picture_count))
    assert source.picture_count == len([k for k in range(100) if k / fps < exact])
    assert abs(sum(chunk.samples for chunk in chunks) - exact * rate) <= Fraction(1, 2)
    assert all(one.pts + one.samples == two.pts for one, two in pairwise(chunks))
    assert all(frame.time_base == 1 / fps for frame in pictures)
    assert all(frame.time_base == Fraction(1, rate) and frame.sample_rate == rate for frame in chunks)
    assert all(chunk.samples <= -(-rate // 50) for chunk in chunks)
    due = [source.due_s(frame) for frame in source.frames()]
    assert due == sorted(due)
    assert due[-1] <= seconds + 1e-4


@pytest.mark.parametrize(
    ("seconds", "count"), [(0.1, 3), (0.1 * 3, 9), (1 / 3, 10), (0.001, 1), (0.034, 2), (2, 60)]
)
def test_counts_do_not_trip_over_binary_fractions(seconds: float, count: int) -> None:
    assert Synthetic(seconds=seconds).picture_count == count


def test_a_last_chunk_is_short() -> None:
    _, chunks = split(Synthetic(video=False, seconds=0.05))
    assert [chunk.samples for chunk in chunks] == [960, 960, 480]


def test_due_times() -> None:
    source = Synthetic(fps=25, seconds=0.1, **TINY)
    frames = [(type(frame).__name__[:5], source.due_s(frame)) for frame in source.frames()]
    assert frames == [
        ("Video", 0.0),
        ("Audio", 0.02),
        ("Audio", 0.04),
        ("Video", 0.04),
        ("Audio", 0.06),
        ("Audio", 0.08),
        ("Video", 0.08),
        ("Audio", 0.1),
    ]


def test_one_kind_alone() -> None:
    assert [len(part) for part in split(Synthetic(audio=False, seconds=1, **TINY))] == [30, 0]
    assert [len(part) for part in split(Synthetic(video=False, seconds=1))] == [0, 50]


def test_without_an_end_it_goes_on() -> None:
    source = Synthetic(**TINY)
    assert (source.picture_count, source.sample_count) == (None, None)
    assert len(list(islice(source.frames(), 500))) == 500


def test_the_same_bytes_every_time() -> None:
    source = Synthetic(width=213, height=121, fps=29.97, seconds=1.3)
    assert fingerprints(source.frames()) == fingerprints(source.frames())


def test_a_picture_depends_on_its_number_alone() -> None:
    source = Synthetic(width=322, height=181)
    walked = Painter(source)
    for number in (0, 1, 500, 30, 77):
        last = walked.paint(number)
    fresh = Painter(source).paint(77)
    assert np.array_equal(last.to_ndarray(format="rgb24"), fresh.to_ndarray(format="rgb24"))


def test_a_kept_picture_is_not_painted_over() -> None:
    painter = Painter(Synthetic(**TINY))
    kept = painter.paint(5)
    painter.paint(6)
    assert read_frame_number(kept) == 5


# Pictures


@pytest.mark.parametrize(
    ("width", "height"),
    [(64, 48), (65, 49), (641, 361), (101, 1000), (1000, 48), (720, 1280), (1921, 1081), (8192, 48)],
)
@pytest.mark.parametrize("number", [0, 30, 2**32 - 1])
def test_any_size_can_be_painted_and_read(width: int, height: int, number: int) -> None:
    frame = Painter(Synthetic(width=width, height=height)).paint(number)
    assert (frame.width, frame.height, frame.format.name) == (width, height, "yuv420p")
    assert read_frame_number(frame) == number
    assert read_flash(frame) == (number == 30 or (number >= 30 and number % 30 < 3))


@given(st.integers(64, 8192), st.integers(48, 8192))
@settings(deadline=None)
def test_the_marks_lie_inside_and_apart(width: int, height: int) -> None:
    cells, flash = layout(width, height)
    assert len(cells) == 48
    for box in (*cells, flash):
        assert 0 < box.left < box.right < width
        assert 0 < box.top < box.bottom < height
        rows, columns = box.inner()
        assert box.top - 0.5 <= rows.start < rows.stop <= box.bottom + 0.5
        assert box.left - 0.5 <= columns.start < columns.stop <= box.right + 0.5
    assert max(cell.right for cell in cells) < flash.left


@given(st.integers(0, 2**32 - 1), st.integers(0, 47))
@settings(deadline=None)
def test_no_single_wrong_bit_makes_another_number(number: int, bit: int) -> None:
    word = encode_number(number) ^ 1 << bit
    assert word != encode_number(word >> 16)


def test_black_and_white_are_no_numbers() -> None:
    assert encode_number(0) != 0
    assert encode_number(2**32 - 1) != 2**48 - 1
    assert encode_number(2**32 + 5) == encode_number(5)


@pytest.mark.parametrize("fps", [30, 29.97, 25, 12.5, 60, 10])
def test_flashes_last_a_tenth_from_each_full_second(fps: float) -> None:
    source = Synthetic(fps=fps, seconds=3.5, audio=False, **TINY)
    for frame in source.frames():
        time = frame.pts / source.rate
        assert read_flash(frame) == (time >= 1 and time % 1 < FLASH_S)


def test_colours_are_tagged_and_within_range() -> None:
    for height, code in ((720, 1), (719, 6)):
        frame = Painter(Synthetic(width=1280, height=height)).paint(31)
        assert (frame.color_range, frame.colorspace) == (1, code)
        for plane, top in zip(frame.planes, (235, 240, 240), strict=True):
            rows = plane_rows(plane)[: plane.height, : plane.width]
            assert 16 <= rows.min() <= rows.max() <= top


def test_each_picture_moves() -> None:
    pictures, _ = split(Synthetic(width=640, height=360, seconds=2, audio=False))
    strips = [plane_rows(picture.planes[0])[240:265, :640].tobytes() for picture in pictures]
    assert sum(one == two for one, two in pairwise(strips)) <= 2


# Sound


@pytest.mark.parametrize("channels", range(1, 9))
def test_each_channel_has_its_own_tone(channels: int) -> None:
    _, chunks = split(Synthetic(video=False, channels=channels, seconds=1))
    spectrum = np.abs(np.fft.rfft(sound(chunks), axis=0))
    assert spectrum.argmax(axis=0).tolist() == [440 + 110 * channel for channel in range(channels)]


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000, 192_000])
def test_beeps_start_exactly_on_the_second(rate: int) -> None:
    source = Synthetic(video=False, sample_rate=rate, channels=1, seconds=3)
    _, chunks = split(source)
    seconds = sound(chunks)[:, 0].reshape(3, rate).astype(int)
    assert np.array_equal(seconds[1], seconds[2])
    beep = np.flatnonzero(seconds[1] - seconds[0])
    assert beep[0] / rate == pytest.approx(0, abs=0.0005)
    assert beep[-1] / rate == pytest.approx(BEEP_S, abs=0.0005)
    middle = seconds[1][: rate // 10] - seconds[0][: rate // 10]
    assert np.abs(np.fft.rfft(middle)).argmax() == BEEP_HZ // 10


def test_the_sound_neither_clips_nor_clicks() -> None:
    _, chunks = split(Synthetic(video=False, channels=8, seconds=2))
    samples = sound(chunks).astype(int)
    assert np.abs(samples).max() < 16_000
    steepest = 0.4 * 32767 * 2 * np.pi * BEEP_HZ / 48_000 * 1.3
    assert np.abs(np.diff(samples, axis=0)).max() < steepest


def test_sound_is_the_same_after_many_days() -> None:
    source = Synthetic(video=False, seconds=2)
    _, chunks = split(source)
    one = chunks[60]
    start = one.pts + 48_000 * 86_400 * 365
    later = Sound(source).chunk(start, start + one.samples)
    assert later.pts == start
    assert bytes(later.planes[0]) == bytes(one.planes[0])
