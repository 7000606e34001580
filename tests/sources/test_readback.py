"""The marks of the synthetic source survive coding and scaling, and every fault is told to the unit."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordkit.errors import SettingsError, SourceError
from recordkit.sources.marks import BEEP_HZ, find_beeps, read_flash, read_frame_number
from recordkit.sources.picture import Painter
from recordkit.sources.readback import read_back
from recordkit.sources.readings import Audio, Numbers
from recordkit.sources.synthetic import Synthetic

SMALL = {"width": 320, "height": 180, "sample_rate": 48_000, "channels": 1}


def mux(
    path: Path,
    frames: Iterable[av.VideoFrame | av.AudioFrame],
    *,
    bit_rate: int = 200_000,
    audio_codec: str = "aac",
    audio_bit_rate: int = 64_000,
    format_options: dict[str, str] | None = None,
) -> Path:
    """A comparison file, made by libavformat from the frames as they come."""
    with av.open(path, "w", options=format_options or {}) as container:
        frames = list(frames)
        streams: dict[type, av.VideoStream | av.AudioStream] = {}
        for kind in (av.VideoFrame, av.AudioFrame):
            first = next((frame for frame in frames if isinstance(frame, kind)), None)
            if isinstance(first, av.VideoFrame):
                video = container.add_stream("libx264", rate=1 / first.time_base)
                video.width, video.height, video.pix_fmt = first.width, first.height, "yuv420p"
                video.bit_rate, video.codec_context.time_base = bit_rate, Fraction(1, 90_000)
                video.options = {"preset": "veryfast"}
                streams[kind] = video
            elif isinstance(first, av.AudioFrame):
                audio = container.add_stream(audio_codec, rate=first.sample_rate, layout=first.layout.name)
                audio.bit_rate = audio_bit_rate
                streams[kind] = audio
        for frame in frames:
            container.mux(streams[type(frame)].encode(frame))
        for stream in streams.values():
            container.mux(stream.encode(None))
    return path


def pictures(source: Synthetic, numbers: Iterable[int]) -> Iterator[av.VideoFrame]:
    """The pictures of these numbers, evenly spaced in time whatever their numbers are."""
    painter = Painter(source)
    for place, number in enumerate(numbers):
        frame = painter.paint(number)
        frame.pts = place
        yield frame


def delayed(
    frames: Iterable[av.VideoFrame | av.AudioFrame], seconds: Fraction
) -> Iterator[av.VideoFrame | av.AudioFrame]:
    for frame in frames:
        if isinstance(frame, av.AudioFrame):
            frame.pts += round(seconds * frame.sample_rate)
        yield frame


def mono(source: Synthetic) -> np.ndarray:
    chunks = [f.to_ndarray()[0, :: source.channels] for f in source.frames() if isinstance(f, av.AudioFrame)]
    return np.concatenate(chunks).astype(np.float32) / 32768


# Single pictures


@given(st.integers(0, 2**32 - 1), st.integers(64, 400), st.integers(48, 300))
@settings(max_examples=60, deadline=None)
def test_every_number_is_read_at_every_size(number: int, width: int, height: int) -> None:
    frame = Painter(Synthetic(width=width, height=height)).paint(number)
    assert read_frame_number(frame) == number


@pytest.mark.parametrize(("width", "height"), [(320, 180), (640, 480), (213, 121), (1920, 1080), (160, 90)])
@pytest.mark.parametrize("number", [0, 1234, 2**32 - 1])
def test_a_scaled_picture_is_read_as_well(width: int, height: int, number: int) -> None:
    frame = Painter(Synthetic(width=1280, height=720)).paint(number).reformat(width=width, height=height)
    assert read_frame_number(frame) == number


@pytest.mark.parametrize("pixels", ["nv12", "yuvj420p", "rgb24", "gray", "yuv420p10le", "yuv444p", "yuyv422"])
def test_other_pixel_formats_are_read(pixels: str) -> None:
    painter = Painter(Synthetic(width=640, height=360))
    frame = painter.paint(30).reformat(format=pixels)
    assert (read_frame_number(frame), read_flash(frame)) == (30, True)
    assert not read_flash(painter.paint(33).reformat(format=pixels))


@pytest.mark.parametrize("level", [0, 16, 128, 235, 255])
def test_a_flat_picture_has_no_number(level: int) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((270, 320), level, np.uint8), format="yuv420p")
    assert read_frame_number(frame) is None


def test_noise_has_no_number() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        noise = rng.choice(np.array([16, 235], np.uint8), (270, 320))
        assert read_frame_number(av.VideoFrame.from_ndarray(noise, format="yuv420p")) is None


def test_a_wrong_cell_is_noticed() -> None:
    frame = Painter(Synthetic(width=640, height=360)).paint(77)
    plane = frame.to_ndarray()
    plane[284:300, 34:58] = 235
    assert read_frame_number(av.VideoFrame.from_ndarray(plane, format="yuv420p")) is None


# Sound alone


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_beeps_are_found_within_a_millisecond(rate: int) -> None:
    onsets = find_beeps(mono(Synthetic(video=False, sample_rate=rate, seconds=4.5)), rate)
    assert onsets == pytest.approx([1, 2, 3, 4], abs=0.001)


@given(st.integers(0, 47_700), st.floats(0.05, 1.0))
@settings(max_examples=30, deadline=None)
def test_beeps_are_found_from_any_start_and_level(cut: int, gain: float) -> None:
    sound = mono(Synthetic(video=False, channels=1, seconds=3.5))[cut:] * np.float32(gain)
    assert find_beeps(sound, 48_000) == pytest.approx([n - cut / 48_000 for n in (1, 2, 3)], abs=0.001)


def test_a_beep_cut_at_the_front_is_left_out() -> None:
    sound = mono(Synthetic(video=False, seconds=2.5))[48_000 + 1000 :]
    assert find_beeps(sound, 48_000) == pytest.approx([1 - 1000 / 48_000], abs=0.001)


@pytest.mark.parametrize("kind", ["nothing", "silence", "tone", "noise", "steady", "click"])
def test_no_beeps_where_there_are_none(kind: str) -> None:
    index = np.arange(96_000)
    sound = {
        "nothing": np.zeros(0),
        "silence": np.zeros(96_000),
        "tone": 0.5 * np.sin(2 * np.pi * 440 / 48_000 * index),
        "noise": np.random.default_rng(3).normal(0, 0.2, 96_000),
        "steady": 0.4 * np.sin(2 * np.pi * BEEP_HZ / 48_000 * index),
        "click": np.where(index == 40_000, 1.0, 0.0),
    }[kind]
    assert find_beeps(sound.astype(np.float32), 48_000) == []


def test_beeps_stand_out_of_noise() -> None:
    sound = mono(Synthetic(video=False, seconds=3.5))
    noise = np.random.default_rng(5).normal(0, 0.05, sound.size).astype(np.float32)
    assert find_beeps(sound + noise, 48_000) == pytest.approx([1, 2, 3], abs=0.002)


# Whole files


def test_a_lossy_file_is_read_without_a_fault(tmp_path: Path) -> None:
    source = Synthetic(width=640, height=360, seconds=6)
    found = read_back(mux(tmp_path / "a.ts", source.frames()))
    assert (found.frames, found.numbers_ok, found.unreadable) == (180, 180, 0)
    assert (found.lost, found.repeated, found.out_of_order) == (0, 0, 0)
    assert (found.first_number, found.last_number, found.fps) == (0, 179, 30)
    assert found.frame_jitter_s == pytest.approx(0, abs=1e-9)
    assert found.sizes == ((640, 360),)
    assert found.audio_s == pytest.approx(6, abs=0.05)
    assert found.samples == pytest.approx(48_000 * 6, abs=2100)
    assert (found.audio_gaps, found.damaged_packets) == (0, 0)
    assert len(found.sync_offsets_s) == 5
    assert found.sync_worst_s == pytest.approx(0, abs=0.003)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"width": 64, "height": 48, "fps": 25}, "tiny.ts"),
        ({"fps": 29.97, **SMALL}, "ntsc.ts"),
        ({"fps": 23.976, **SMALL}, "film.mkv"),
        ({"fps": "30000/1001", **SMALL}, "ntsc.mkv"),
        ({"fps": 12.5, **SMALL}, "slow.ts"),
        ({"fps": 17, **SMALL}, "odd.ts"),
        ({"fps": 60, **SMALL, "sample_rate": 44_100}, "fast.ts"),
    ],
)
def test_rates_are_estimated_and_sync_holds(tmp_path: Path, options: dict[str, object], name: str) -> None:
    source = Synthetic(seconds=4, **options)
    found = read_back(mux(tmp_path / name, source.frames()))
    assert (found.fps, found.frames, found.unreadable) == (source.rate, source.picture_count, 0)
    # Matroska keeps times in milliseconds, MPEG-TS in 1/90000 s.
    assert found.frame_jitter_s <= (0.001 if name.endswith("mkv") else 0.00002)
    assert len(found.sync_offsets_s) == 3
    assert abs(found.sync_worst_s) < 0.003


@pytest.mark.parametrize("shift_ms", [37, -37, 180])
@pytest.mark.parametrize("name", ["shift.ts", "shift.mkv"])
def test_a_shift_of_the_sound_is_measured(tmp_path: Path, shift_ms: int, name: str) -> None:
    source = Synthetic(seconds=4, **SMALL)
    path = mux(tmp_path / name, delayed(source.frames(), Fraction(shift_ms, 1000)))
    found = read_back(path)
    assert len(found.sync_offsets_s) == 3
    assert found.sync_offsets_s == pytest.approx([shift_ms / 1000] * 3, abs=0.002)


@given(st.lists(st.integers(0, 59), max_size=8), st.lists(st.integers(0, 59), max_size=4), st.data())
@settings(max_examples=300, deadline=None)
def test_numbers_are_counted_like_a_set_would(gone: list[int], twice: list[int], data: st.DataObject) -> None:
    order = data.draw(st.permutations([n for n in range(60) if n not in gone] + twice))
    numbers, seen, repeated, late = Numbers(), set(), 0, 0
    for number in order:
        numbers.add(number)
        repeated += number in seen
        late += number not in seen and any(number < other for other in seen)
        seen.add(number)
    assert (numbers.first, numbers.last) == (min(seen), max(seen))
    assert numbers.lost == max(seen) - min(seen) + 1 - len(seen)
    assert (numbers.repeated, numbers.out_of_order) == (repeated, late)


def test_no_numbers_at_all() -> None:
    numbers = Numbers()
    assert (numbers.first, numbers.last, numbers.lost) == (None, None, 0)


def test_lost_repeated_and_swapped_pictures_are_told_to_the_unit(tmp_path: Path) -> None:
    order = list(range(10, 100))
    for number in (20, 21, 50):
        order.remove(number)
    order.insert(order.index(30), 30)
    order.insert(order.index(70), 40)
    at = order.index(80)
    order[at], order[at + 1] = order[at + 1], order[at]
    found = read_back(mux(tmp_path / "faults.ts", pictures(Synthetic(**SMALL), order)), fps=30)
    assert (found.frames, found.numbers_ok) == (89, 89)
    assert (found.first_number, found.last_number) == (10, 99)
    assert (found.lost, found.repeated, found.out_of_order) == (3, 2, 1)


def test_jitter_is_the_largest_deviation(tmp_path: Path) -> None:
    frames = list(pictures(Synthetic(**SMALL), range(60)))
    for frame in frames:
        frame.pts, frame.time_base = frame.pts * 3000, Fraction(1, 90_000)
    frames[40].pts += 1000
    found = read_back(mux(tmp_path / "jitter.ts", frames))
    assert found.fps == 30
    assert found.frame_jitter_s == pytest.approx(1000 / 90_000, abs=1e-6)


def test_unreadable_pictures_are_counted(tmp_path: Path) -> None:
    frames = list(pictures(Synthetic(**SMALL), range(30)))
    frames[7:10] = [av.VideoFrame.from_ndarray(np.full((270, 320), 60, np.uint8), "yuv420p") for _ in range(3)]
    for place, frame in enumerate(frames):
        frame.pts, frame.time_base = place, Fraction(1, 30)
    found = read_back(mux(tmp_path / "grey.ts", frames))
    assert (found.frames, found.unreadable, found.lost) == (30, 3, 3)


def test_video_alone(tmp_path: Path) -> None:
    found = read_back(mux(tmp_path / "v.ts", Synthetic(audio=False, seconds=2, **SMALL).frames()))
    assert (found.frames, found.samples, found.audio_s) == (60, 0, 0)
    assert (found.sync_offsets_s, found.sync_worst_s) == ((), None)


def test_sound_alone(tmp_path: Path) -> None:
    found = read_back(mux(tmp_path / "a.ts", Synthetic(video=False, seconds=2).frames()))
    assert (found.frames, found.fps, found.first_number, found.frame_jitter_s) == (0, None, None, None)
    assert found.audio_s == pytest.approx(2, abs=0.05)
    assert found.sync_worst_s is None


def test_a_recording_that_starts_late_still_has_its_sync(tmp_path: Path) -> None:
    source = Synthetic(seconds=5, **SMALL)
    late = (frame for frame in source.frames() if source.due_s(frame) > 1.05)
    found = read_back(mux(tmp_path / "late.ts", late))
    assert (found.first_number, found.lost) == (32, 0)
    # The first second's beep had begun before the recording did: it has no onset.
    assert len(found.sync_offsets_s) == 3
    assert abs(found.sync_worst_s) < 0.003


def test_gaps_in_the_sound_do_not_move_what_follows(tmp_path: Path) -> None:
    source = Synthetic(seconds=6, **SMALL)
    gappy = [f for f in source.frames() if isinstance(f, av.VideoFrame) or not 2.3 < source.due_s(f) < 2.7]
    found = read_back(mux(tmp_path / "gap.mkv", gappy, audio_codec="pcm_s16le"))
    assert (found.audio_gaps, len(found.sync_offsets_s)) == (1, 5)
    assert abs(found.sync_worst_s) < 0.002


def test_times_that_fold_back_at_33_bits(tmp_path: Path) -> None:
    source = Synthetic(seconds=5, **SMALL)
    offset = {"output_ts_offset": str(2**33 / 90_000 - 1.4 - 2.5)}
    found = read_back(mux(tmp_path / "fold.ts", source.frames(), format_options=offset))
    assert (found.frames, found.lost, found.fps) == (150, 0, 30)
    assert found.frame_jitter_s == pytest.approx(0, abs=1e-6)
    assert (found.audio_gaps, len(found.sync_offsets_s)) == (0, 4)
    assert abs(found.sync_worst_s) < 0.003


def test_several_sizes_in_one_file(tmp_path: Path) -> None:
    parts = []
    for place, (width, height) in enumerate([(320, 180), (640, 360), (320, 180)]):
        frames = list(pictures(Synthetic(width=width, height=height), range(place * 30, place * 30 + 30)))
        for frame in frames:
            frame.pts += place * 30
        parts.append(mux(tmp_path / f"{place}.ts", frames, format_options={"muxdelay": "0"}).read_bytes())
    path = tmp_path / "sizes.ts"
    path.write_bytes(b"".join(parts))
    found = read_back(path, fps=30)
    assert (found.frames, found.unreadable, found.lost) == (90, 0, 0)
    assert found.sizes == ((320, 180), (640, 360))


@pytest.mark.parametrize("start_s", [0, 0.9])
def test_windows_of_sound_join_without_loss_or_doubles(tmp_path: Path, start_s: float) -> None:
    source = Synthetic(seconds=31, fps=10, width=64, height=48, channels=1)
    frames = (frame for frame in source.frames() if source.due_s(frame) > start_s)
    found = read_back(mux(tmp_path / "long.mkv", frames, audio_codec="pcm_s16le"))
    assert len(found.sync_offsets_s) == 30
    assert max(map(abs, found.sync_offsets_s)) < 0.0015


def test_a_truncated_file_gives_what_is_in_it(tmp_path: Path) -> None:
    whole = mux(tmp_path / "whole.ts", Synthetic(seconds=4, **SMALL).frames()).read_bytes()
    path = tmp_path / "cut.ts"
    path.write_bytes(whole[: len(whole) // 2 + 77])
    found = read_back(path)
    assert 30 <= found.frames < 120
    # The last frame may be one that is coded before those that are shown before it, up to three of libx264's.
    assert found.lost <= 3
    assert found.out_of_order == 0
    # Half a picture lies at the cut: the decoder fills it from the one before, or with something unreadable.
    assert found.repeated + found.unreadable <= 1


def test_damage_is_counted_and_does_not_stop_the_reading(tmp_path: Path) -> None:
    damaged = bytearray(mux(tmp_path / "whole.ts", Synthetic(seconds=4, **SMALL).frames()).read_bytes())
    rng = np.random.default_rng(1)
    for at in rng.integers(20_000, len(damaged), 60):
        damaged[at] ^= 0x55
    path = tmp_path / "damaged.ts"
    path.write_bytes(damaged)
    found = read_back(path)
    assert found.damaged_packets > 0
    assert found.frames > 60
    assert found.samples > 48_000


def test_streams_that_turn_up_on_the_way_do_no_harm(tmp_path: Path) -> None:
    """Damage all over makes libavformat see new streams in a broken program map."""
    whole = mux(tmp_path / "whole.ts", Synthetic(seconds=4, **SMALL).frames()).read_bytes()
    for seed in range(6):
        damaged = bytearray(whole)
        rng = np.random.default_rng(seed)
        for at in rng.integers(0, len(damaged), 300):
            damaged[at] ^= 0x10
        path = tmp_path / f"{seed}.ts"
        path.write_bytes(damaged)
        assert read_back(path).damaged_packets > 0


def test_sound_without_a_time_is_counted_only() -> None:
    sound = Audio()
    chunks = list(Synthetic(video=False, seconds=2).frames())
    for chunk in chunks:
        sound.add(chunk, None)
    sound.search(final=True)
    assert (sound.samples, sound.seconds, sound.beeps) == (96_000, 2, [])


def test_a_bare_elementary_stream_has_numbers_but_no_times(tmp_path: Path) -> None:
    found = read_back(mux(tmp_path / "bare.h264", Synthetic(audio=False, seconds=2, **SMALL).frames()))
    assert (found.frames, found.lost, found.last_number) == (60, 0, 59)
    assert (found.fps, found.frame_jitter_s, found.sync_worst_s) == (None, None, None)


def test_one_picture_tells_no_rate(tmp_path: Path) -> None:
    found = read_back(mux(tmp_path / "one.ts", Synthetic(audio=False, seconds=0.03, **SMALL).frames()))
    assert (found.frames, found.fps, found.frame_jitter_s) == (1, None, None)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_every_sample_format_is_heard(tmp_path: Path, codec: str) -> None:
    source = Synthetic(seconds=2.5, fps=10, width=64, height=48, channels=2)
    found = read_back(mux(tmp_path / "pcm.mkv", source.frames(), audio_codec=codec))
    assert found.sync_offsets_s == pytest.approx([0, 0], abs=0.001)


def test_subtitles_alone_are_no_media(tmp_path: Path) -> None:
    path = tmp_path / "words.srt"
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    with pytest.raises(SourceError, match="neither video nor audio"):
        read_back(path)


@pytest.mark.parametrize(("codec", "name"), [("libopus", "o.mkv"), ("libmp3lame", "m.ts"), ("aac", "a.mkv")])
def test_sync_holds_in_other_codings(tmp_path: Path, codec: str, name: str) -> None:
    source = Synthetic(seconds=4, width=64, height=48)
    found = read_back(mux(tmp_path / name, source.frames(), audio_codec=codec))
    assert len(found.sync_offsets_s) == 3
    assert abs(found.sync_worst_s) < 0.003


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be opened"):
        read_back(tmp_path / "missing.ts")
    (tmp_path / "text.ts").write_text("not media")
    with pytest.raises(SourceError):
        read_back(tmp_path / "text.ts")
    with pytest.raises(SettingsError):
        read_back(tmp_path / "missing.ts", fps=0)


def test_aac_keeps_onsets_within_three_milliseconds(tmp_path: Path) -> None:
    source = Synthetic(seconds=8, width=64, height=48, channels=2)
    found = read_back(mux(tmp_path / "aac.ts", source.frames(), audio_bit_rate=64_000))
    assert len(found.sync_offsets_s) == 7
    assert max(map(abs, found.sync_offsets_s)) < 0.003
    assert all(abs(later - earlier) < 0.003 for earlier, later in pairwise(found.sync_offsets_s))
