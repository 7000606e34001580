"""When each frame was taken, from who writes it to who reads the recording."""

import pandas as pd
import pytest

import recordkit as rk
from recordkit.errors import SettingsError
from recordkit.model import Captured, CapturedBy
from tests.media import make_clip

NOON = pd.Timestamp("2026-11-27T12:00:00Z")
FRAMES = list(rk.Synthetic(160, 120, audio=False, seconds=1).frames())


def taken(number):
    return NOON + pd.Timedelta(number * 33_333_333, "ns")


def written(path, **settings):
    with rk.Recorder(path, **settings) as recorder:
        for number, frame in enumerate(FRAMES):
            recorder.write(frame, captured=taken(number))
    return recorder.stop()


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_the_times_that_are_given_are_read(tmp_path, suffix):
    frames = written(tmp_path / f"talk{suffix}").frames
    assert frames["captured"].tolist() == [taken(number) for number in range(len(FRAMES))]
    assert set(frames["captured_by"]) == {"caller"}
    assert rk.verify(tmp_path / f"talk{suffix}", decode=True).ok
    rk.record(tmp_path / f"talk{suffix}", tmp_path / "copy.ts")
    assert rk.open(tmp_path / "copy.ts").frames["captured"].tolist() == frames["captured"].tolist()


def test_a_frame_is_found_by_the_time_at_which_it_was_taken(tmp_path):
    written(tmp_path / "talk.ts")
    with rk.open(tmp_path / "talk.ts") as video:
        assert video.at(taken(7) + pd.Timedelta(1, "ms")).number == 7
        assert video[7].captured == taken(7)


def test_times_can_be_left_out_of_the_stream(tmp_path):
    plain = written(tmp_path / "plain.ts", embed_times=False)
    assert plain.bytes < written(tmp_path / "talk.ts").bytes


def test_an_error_is_kept_and_a_frame_without_a_time_has_none(tmp_path):
    with rk.Recorder(tmp_path / "talk.ts") as recorder:
        recorder.write(FRAMES[0], captured=Captured(NOON.value, CapturedBy.DEVICE, 0.002))
        recorder.write(FRAMES[1])
        with pytest.raises(SettingsError, match="captured"):
            recorder.write(FRAMES[2], captured="noon")
        recorder.write(FRAMES[2], live=True)
    frames = recorder.stop().frames
    assert frames["captured_by"].fillna("").tolist() == ["device", "", "arrival"]
    assert frames["captured_error_s"].iloc[0] == 0.002
    assert frames["captured"].isna().tolist() == [False, True, False]


def test_a_file_that_is_passed_through_gets_no_times(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", seconds=1, size=(160, 120))
    assert rk.record(clip, tmp_path / "talk.ts").frames["captured"].isna().all()


def test_a_source_in_real_time_takes_its_frames_when_they_are_due(tmp_path):
    frames = rk.record(rk.Synthetic(160, 120, audio=False, seconds=0.2), tmp_path / "talk.ts").frames
    assert set(frames["captured_by"]) == {"device"}
    steps_s = frames["captured"].diff().dropna().dt.total_seconds()
    assert steps_s.tolist() == pytest.approx([1 / 30] * len(steps_s), abs=1e-6)
