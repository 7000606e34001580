"""The files of a recording in segments, opened as one: the frames, times, audio and marks of the recording."""

from pathlib import Path

import numpy as np
import pytest

import recordkit as rk
from recordkit.sources.marks import read_frame_number
from recordkit.sources.synthetic import Synthetic

FRAMES = list(Synthetic(width=64, height=48, fps=10, seconds=4, sample_rate=8000).frames())
QUICK = {"sample_interval": 0.0, "durability": "process"}


def record(pattern, frames=FRAMES, *, mark=None, **settings):
    with rk.Recorder(pattern, **QUICK, **settings) as recorder:
        for number, frame in enumerate(frames):
            recorder.write(frame)
            if number == mark:
                recorder.flush()
                recorder.mark("here")
    return recorder.stop()


@pytest.fixture(scope="module", params=[".ts", ".mp4"])
def both(request, tmp_path_factory):
    """The recording in one file, and in four."""
    folder = tmp_path_factory.mktemp("joined")
    whole = record(folder / f"whole{request.param}", mark=150)
    pattern = folder / "cam" / f"{{start:%Y}}-{{number:02d}}{request.param}"
    return whole, record(pattern, mark=150, segments=rk.Segments(every=1)), pattern


def test_frames_and_times_are_those_of_the_recording_in_one(both):
    whole, made, pattern = both
    with rk.open(whole) as one:
        for source in (made, pattern, pattern.parent, [part.path for part in made.segments]):
            with rk.open(source) as video:
                assert len(video) == len(one) == 40
                assert np.allclose(video.frames["media_s"], one.frames["media_s"], atol=1e-6)
                assert video.duration_s == pytest.approx(one.duration_s)
                assert [read_frame_number(frame.frame) for frame in video] == list(range(40))
                assert [read_frame_number(video[number].frame) for number in (39, 0, 20, 19, 11)] == [
                    39,
                    0,
                    20,
                    19,
                    11,
                ]
                assert video.frames["keyframe"].sum() >= 4


def test_audio_and_marks_go_over_the_seams(both):
    whole, made, _ = both
    with rk.open(whole) as one, rk.open(made) as video:
        samples, rate = video.audio(0.5, 3.5)
        expected, its_rate = one.audio(0.5, 3.5)
        assert rate == its_rate
        assert samples.shape == expected.shape
        # The first frame of a file is decoded without the one before.
        assert np.mean(np.abs(samples - expected) < 0.02) > 0.9
        assert video.marks["name"].tolist() == ["here"]
        assert video.marks["media_s"].tolist() == pytest.approx(one.marks["media_s"].tolist(), abs=0.15)
        assert video.at("here").number == pytest.approx(one.at("here").number, abs=1)


def test_two_recordings_in_a_folder_lie_where_the_time_of_day_puts_them(tmp_path):
    for _ in range(2):
        record(tmp_path / "{number}.ts", FRAMES[:60], segments=rk.Segments(every=1))
    with rk.open(tmp_path) as video:
        breaks = video.frames.index[video.frames["discontinuity"]].tolist()
        count = len(video) // 2
        assert breaks == [count]
        assert np.all(np.diff(video.frames["media_s"]) > 0)
        assert [read_frame_number(frame.frame) for frame in video] == [*range(count), *range(count)]


def test_while_it_grows_the_last_file_is_followed(tmp_path):
    recorder = rk.Recorder(tmp_path / "{number}.ts", segments=rk.Segments(every=1), **QUICK)
    recorder.start()
    for frame in FRAMES[:100]:
        recorder.write(frame)
    recorder.flush()
    with rk.open(tmp_path) as video:
        before = len(video)
        for frame in FRAMES[100:104]:
            recorder.write(frame)
        recorder.flush()
        assert video.refresh() > before
    recorder.stop()


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_while_it_goes_on_in_other_files_they_are_followed_and_few_are_open(tmp_path, suffix):
    pattern = tmp_path / f"{{number}}{suffix}"
    recorder = rk.Recorder(pattern, segments=rk.Segments(every=0.3), flush_interval=60, **QUICK)
    recorder.start()
    frames, video, seen = list(FRAMES), None, []
    while frames or video is None:
        for frame in frames[:20]:
            recorder.write(frame)
        del frames[:20]
        recorder.flush()
        if video is None:
            video = rk.open(pattern)
        assert video.is_growing
        seen += [read_frame_number(frame.frame) for frame in video[len(seen) : video.refresh()]]
    made = recorder.stop()
    seen += [read_frame_number(frame.frame) for frame in video[len(seen) : video.refresh()]]
    assert not video.is_growing
    assert seen == list(range(40))
    assert len(made.segments) > 10
    with rk.open(made) as whole:
        assert np.allclose(video.frames["media_s"], whole.frames["media_s"])
    assert [read_frame_number(video[number].frame) for number in range(39, -1, -3)] == list(range(39, -1, -3))
    assert sum(part.video is not None for part in video._track._parts) <= 6
    # Nobody keeps what is read no more from being deleted; the rest can be read all the same.
    closed = next(part for part in video._track._parts if part.video is None)
    made.segments[closed.place.number - 1].path.unlink()
    with pytest.raises(rk.SourceError):
        list(video._track.packets(0))
    assert read_frame_number(video[2].frame) == 2
    video.close()


def test_what_has_no_segments_is_refused_in_words(tmp_path):
    with pytest.raises(rk.SourceError, match="folder without a recording in segments"):
        rk.open(tmp_path)
    with pytest.raises(rk.SourceError, match="no file of this pattern"):
        rk.open(tmp_path / "{number}.ts")
    with pytest.raises(rk.SourceError, match="names no file"):
        rk.open([])
    assert not list(Path(tmp_path).iterdir())
