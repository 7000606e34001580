"""Whole recordings read back from their files: awkward media, and what every judge says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from recordkit.recorder.record import record
from recordkit.recorder.recorder import Recorder
from recordkit.recorder.result import Recording
from recordkit.settings import AudioSettings, VideoSettings
from recordkit.sources.readback import Readback, read_back
from recordkit.sources.synthetic import Synthetic
from recordkit.verification.verify import verify

from .judges import assert_decodes_in_silence, assert_times_never_jump, assert_tstools_are_content, frame_counts

FAST = VideoSettings(preset="ultrafast")
Frames = Iterator[av.VideoFrame | av.AudioFrame]


def time_of(frame: av.VideoFrame | av.AudioFrame) -> Fraction:
    return (frame.pts or 0) * Fraction(frame.time_base)


def recorded(
    tmp_path: Path,
    change: Callable[[Frames], Iterable[av.VideoFrame | av.AudioFrame]],
    audio: AudioSettings | None = None,
    allowed: str = "",
) -> tuple[Recording, Readback]:
    """Five seconds of the synthetic source, changed on the way."""
    source = Synthetic(width=128, height=96, seconds=5)
    with Recorder(tmp_path / "out.ts", video=FAST, audio=audio or AudioSettings()) as recorder:
        for frame in change(source.frames()):
            recorder.write(frame)
    recording = recorder.stop()
    found = verify(tmp_path / "out.ts", decode=True)
    assert {problem.kind for problem in found.problems} <= {allowed}, found.problems
    return recording, read_back(tmp_path / "out.ts", 30)


def assert_in_sync(back: Readback, within_s: float = 0.002) -> None:
    assert back.sync_worst_s is not None
    assert abs(back.sync_worst_s) < within_s


@pytest.mark.parametrize("fps", [24, 25, 29.97, 30, 60, 120, 15, 2])
def test_any_frame_rate_comes_back_to_the_picture(fps: float, tmp_path: Path) -> None:
    source = Synthetic(width=128, height=96, fps=fps, realtime=False)
    recording = record(source, tmp_path / "out.ts", seconds=3, video=FAST)
    back = read_back(tmp_path / "out.ts")
    assert back.frames == back.numbers_ok == recording.counters.video_units == -(-3 * source.rate // 1)
    assert (back.lost, back.repeated, back.out_of_order) == (0, 0, 0)
    assert back.frame_jitter_s < 1 / 90_000
    assert_in_sync(back)
    assert verify(tmp_path / "out.ts", decode=True).ok


@pytest.mark.parametrize("rate", [44_100, 22_050, 96_000])
def test_resampled_sound_stays_in_sync(rate: int, tmp_path: Path) -> None:
    source = Synthetic(width=128, height=96, sample_rate=rate, realtime=False)
    record(source, tmp_path / "out.ts", seconds=3, video=FAST, audio=AudioSettings(sample_rate=48_000))
    assert_in_sync(read_back(tmp_path / "out.ts"))


def test_irregular_times_come_back_exactly(tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    moves = [int(random.integers(-200, 200)) for _ in range(150)]

    def change(frames: Frames) -> Frames:
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                frame.pts, frame.time_base = (frame.pts or 0) * 1000 + moves[frame.pts or 0], Fraction(1, 30_000)
            yield frame

    recorded(tmp_path, change)
    with av.open(str(tmp_path / "out.ts")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    expected = [(number * 1000 + move) / 30_000 for number, move in enumerate(moves)]
    differences = np.array(times) - np.array(expected)
    assert np.ptp(differences) < 2 / 90_000


def test_frames_without_times_follow_each_other(tmp_path: Path) -> None:
    def change(frames: Frames) -> Frames:
        for frame in frames:
            frame.pts = None
            yield frame

    recording, back = recorded(tmp_path, change)
    assert recording.counters.untimed_items == recording.counters.taken_items
    assert (back.frames, back.lost) == (150, 0)
    assert_in_sync(back)


def test_frames_whose_times_go_back_are_left_out_and_counted(tmp_path: Path) -> None:
    def change(frames: Frames) -> Frames:
        for frame in frames:
            if isinstance(frame, av.VideoFrame) and frame.pts in (50, 90):
                frame.pts -= 3
            yield frame

    recording, back = recorded(tmp_path, change)
    assert recording.counters.late_items == back.lost == 2
    assert_in_sync(back)


def test_a_source_that_begins_anew_goes_on_in_the_same_file(tmp_path: Path) -> None:
    def change(frames: Frames) -> Frames:
        for frame in frames:
            if time_of(frame) >= 2.5:
                frame.pts = (frame.pts or 0) - int(2.5 / frame.time_base)
            yield frame

    recording, back = recorded(tmp_path, change)
    assert recording.counters.restarts == 1
    assert (back.frames, back.lost) == (150, 0)
    assert_in_sync(back, 0.04)
    assert recording.duration_s == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize("error_s", [3600, 20, -3600])
@pytest.mark.parametrize("kind", [av.VideoFrame, av.AudioFrame])
def test_one_damaged_time_moves_no_other_frame(error_s: int, kind: type, tmp_path: Path) -> None:
    def change(frames: Frames) -> Frames:
        for number, frame in enumerate(frames):
            if number in (150, 151, 152) and isinstance(frame, kind):
                frame.pts = (frame.pts or 0) + int(error_s / frame.time_base)
                yield frame
                break
            yield frame
        yield from frames

    recording, back = recorded(tmp_path, change)
    assert recording.counters.mistimed_items == 1
    assert (back.frames, back.lost) == (150, 0)
    assert recording.duration_s == pytest.approx(5, abs=0.1)
    assert_in_sync(back)


@pytest.mark.parametrize("gaps", ["silence", "mark"])
def test_a_gap_in_everything(gaps: str, tmp_path: Path) -> None:
    def change(frames: Frames) -> Iterable[av.VideoFrame | av.AudioFrame]:
        return (frame for frame in frames if not 2 <= time_of(frame) < 2.5)

    recording, back = recorded(tmp_path, change, AudioSettings(gaps=gaps))  # type: ignore[arg-type]
    assert (recording.counters.gap_count, recording.counters.gap_s) == (1, 0.5)
    assert back.lost == 15
    assert back.audio_gaps == (1 if gaps == "mark" else 0)
    assert_in_sync(back)


@pytest.mark.parametrize("gaps", ["silence", "mark"])
def test_sound_that_stalls_does_not_hold_up_the_pictures(gaps: str, tmp_path: Path) -> None:
    def change(frames: Frames) -> Iterable[av.VideoFrame | av.AudioFrame]:
        return (frame for frame in frames if isinstance(frame, av.VideoFrame) or not 2 <= time_of(frame) < 3)

    recording, back = recorded(tmp_path, change, AudioSettings(gaps=gaps))  # type: ignore[arg-type]
    assert (back.frames, back.lost) == (150, 0)
    assert recording.counters.gap_s == 1.0
    assert_in_sync(back)


def test_a_gap_of_sixty_hours(tmp_path: Path) -> None:
    def change(frames: Frames) -> Frames:
        for frame in frames:
            if time_of(frame) >= 2.5:
                frame.pts = (frame.pts or 0) + int(60 * 3600 / frame.time_base)
            yield frame

    # The pictures are beyond the gap before the sound's encoder has given its last units from before it.
    recording, back = recorded(tmp_path, change, allowed="DTS far behind PCR")
    assert (back.frames, back.lost) == (150, 0)
    assert recording.duration_s == pytest.approx(60 * 3600 + 5, abs=0.1)
    assert recording.bytes < 1_000_000


def test_sizes_and_pixel_formats_that_change(tmp_path: Path) -> None:
    kinds = [(128, 96, "yuv420p"), (64, 48, "rgb24"), (192, 144, "yuv444p"), (129, 97, "nv12"), (128, 96, "gray")]

    def change(frames: Frames) -> Frames:
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                width, height, pixel_format = kinds[(frame.pts or 0) // 30]
                changed = frame.reformat(width, height, pixel_format)
                changed.pts, changed.time_base = frame.pts, frame.time_base
                yield changed
            else:
                yield frame

    _, back = recorded(tmp_path, change)
    assert (back.frames, back.lost) == (150, 0)
    assert back.sizes == ((128, 96), (64, 48), (192, 144), (130, 98))
    sizes = verify(tmp_path / "out.ts").streams[0].sizes
    assert [(size.width, size.height) for size in sizes] == [(128, 96), (64, 48), (192, 144), (130, 98), (128, 96)]


def test_one_frame_object_may_be_written_again_and_again(tmp_path: Path) -> None:
    def change(frames: Frames) -> Frames:
        kept: av.VideoFrame | None = None
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                kept = kept or frame
                kept.pts = frame.pts
                yield kept
            else:
                yield frame

    recording, back = recorded(tmp_path, change)
    assert recording.counters.late_items == 0
    assert (back.frames, back.repeated) == (150, 149)


@pytest.mark.parametrize("fps", [1, 5, 120])
def test_durations_are_true_at_any_frame_rate(fps: int, tmp_path: Path) -> None:
    with Recorder(tmp_path / "out.ts", video=FAST, audio=None) as recorder:
        for frame in Synthetic(width=64, height=48, fps=fps, seconds=4, audio=False).frames():
            recorder.write(frame)
    assert recorder.stop().duration_s == pytest.approx(4, abs=1e-3)
    assert verify(tmp_path / "out.ts").duration_s == pytest.approx(4, abs=1e-3)


def test_one_unusable_stream_is_given_up_and_the_other_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Recorder(tmp_path / "out.ts", video=FAST) as recorder:
        for number, frame in enumerate(Synthetic(width=64, height=48, seconds=3, audio=False).frames()):
            recorder.write(frame)
            # Nine channels that nobody says the places of: nothing can make stereo of them.
            sound = av.AudioFrame("s16", "9 channels", 1600)
            sound.sample_rate, sound.pts, sound.time_base = 48_000, number * 1600, Fraction(1, 48_000)
            recorder.write(sound)
    recording = recorder.stop()
    assert recording.counters.video_units == recording.counters.rejected_items == 90
    assert "given up" in caplog.text


@pytest.mark.judge
def test_ten_seconds_of_full_hd_before_every_judge(tmp_path: Path) -> None:
    out = tmp_path / "out.ts"
    recording = record(Synthetic(width=1920, height=1080, fps=30, realtime=False), out, seconds=10, video=FAST)
    back = read_back(out)
    assert back.frames == back.numbers_ok == 300
    assert (back.lost, back.repeated, back.out_of_order) == (0, 0, 0)
    assert_in_sync(back)
    # 10 s of sound in units of 1024 samples, after one of priming.
    assert back.samples == (-(-480_000 // 1024) + 1) * 1024
    assert recording.bytes == out.stat().st_size
    assert out.stat().st_size % 188 == 0
    assert sum(record.flush_bytes for record in recording.flush_records) == recording.bytes
    assert all(record.flush_bytes % 188 == 0 for record in recording.flush_records)
    assert verify(out, decode=True).ok
    assert_decodes_in_silence(out)
    assert_times_never_jump(out)
    assert_tstools_are_content(out)
    assert sorted(frame_counts(out)) == [("aac", 470), ("h264", 300)]
