"""An MP4 that is being recorded, or that broke off, by the frame."""

import os

import pandas as pd

import recordkit as rk
from recordkit.model import Captured, CapturedBy
from recordkit.sources.marks import find_beeps, read_frame_number

FRAMES = list(rk.Synthetic(160, 120, seconds=3).frames())
COUNT = 90


def written(recorder, frames):
    for frame in frames:
        taken = None if frame.time_base.denominator > 1000 else Captured(frame.pts, CapturedBy.DEVICE)
        recorder.write(frame, captured=taken)


def numbers(video, asked):
    return [read_frame_number(video[number].frame) for number in asked]


def test_a_partial_is_not_taken_for_a_transport_stream(tmp_path, monkeypatch):
    monkeypatch.setattr("recordkit.reading.opening.TransportTrack", None)
    with rk.Recorder(tmp_path / "talk.mp4", flush_interval=3600) as recorder:
        written(recorder, FRAMES[:60])
        recorder.flush()
        with rk.open(tmp_path / "talk.mp4") as video:
            assert numbers(video, (10, 0)) == [10, 0]


def test_a_recording_is_read_while_it_grows_and_when_it_is_finished(tmp_path):
    path = tmp_path / "talk.mp4"
    half = len(FRAMES) // 2
    with rk.Recorder(path, flush_interval=3600) as recorder:
        written(recorder, FRAMES[:half])
        recorder.flush()
        with rk.open(path) as video:
            first = len(video)
            assert first >= 40
            assert numbers(video, (first - 1, 0, 17)) == [first - 1, 0, 17]
            assert video[17].captured == pd.Timestamp(17, tz="UTC")
            samples, rate = video.audio(0.9, 1.2)
            assert (samples.shape, rate) == ((14_400, 2), 48_000)
            assert len(find_beeps(samples[:, 0].copy(), rate)) == 1
            written(recorder, FRAMES[half:])
            recorder.stop()
            assert video.refresh() == COUNT
            assert numbers(video, (89, 30, 61)) == [89, 30, 61]
            growing = video.frames
    with rk.open(path) as video:
        finished = video.frames
        assert numbers(video, (89, 30, 61)) == [89, 30, 61]
    same = ["captured", "captured_by", "keyframe", "bytes", "lost_before"]
    pd.testing.assert_frame_equal(growing[same], finished[same])
    assert (growing["media_s"] - finished["media_s"]).abs().max() < 0.05


def test_one_that_broke_off_is_read_to_its_last_whole_frame(tmp_path):
    path = tmp_path / "talk.mp4"
    recorder = rk.Recorder(path)
    recorder.start()
    written(recorder, FRAMES)
    partial = recorder.stop(commit=False).path
    os.truncate(partial, partial.stat().st_size // 2)
    with rk.open(path) as video:
        count = len(video)
        assert 20 < count < COUNT
        assert numbers(video, range(count)) == list(range(count))
