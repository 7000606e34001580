"""Recordings by their frame tables: the same as by a scan, whatever has become of either."""

import shutil

import pandas as pd
import pytest

import recordkit as rk
from recordkit.sources.marks import read_frame_number

FRAMES = list(rk.Synthetic(160, 120, audio=False, seconds=3).frames())


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "talk.ts"
    rk.record(rk.Synthetic(160, 120, seconds=3, realtime=False), path)
    return path


@pytest.fixture
def copied(recorded, tmp_path):
    for one in recorded.parent.iterdir():
        shutil.copy(one, tmp_path)
    return tmp_path / recorded.name


def is_known(video):
    return video._track.is_from_table


def scanned(path):
    """The frames as a scan finds them."""
    table = path.with_name("talk.frames")
    table.rename(path.with_name("aside"))
    with rk.open(path) as video:
        assert not is_known(video)
        frames = video.frames
    path.with_name("aside").rename(table)
    return frames


def test_table_and_scan_tell_the_same(copied):
    with rk.open(copied) as video:
        assert is_known(video)
        pd.testing.assert_frame_equal(video.frames, scanned(copied))
        assert [read_frame_number(video[number].frame) for number in (89, 0, 61, 60)] == [89, 0, 61, 60]
        samples, rate = video.audio(0.5, 2.0)
        assert (samples.shape, rate) == ((72_000, 2), 48_000)
        assert abs(samples).max() > 0.01


@pytest.mark.parametrize("rows", [1, 2, 45, 89])
def test_what_the_table_lacks_is_scanned(copied, rows):
    table = copied.with_name("talk.frames")
    whole = scanned(copied)
    table.write_bytes(table.read_bytes()[: 40 + 40 * rows])
    with rk.open(copied) as video:
        assert is_known(video) == (rows > 1)
        pd.testing.assert_frame_equal(video.frames, whole)
        assert not video.frames["damaged"].any()


def test_what_the_file_lacks_is_left_out(copied):
    copied.write_bytes(copied.read_bytes()[: copied.stat().st_size // 2 // 188 * 188])
    with rk.open(copied) as video:
        assert is_known(video)
        pd.testing.assert_frame_equal(video.frames, scanned(copied))


def test_the_table_of_another_file_is_not_believed(copied, tmp_path):
    with rk.Recorder(tmp_path / "other.ts") as recorder:
        for frame in FRAMES[:50]:
            recorder.write(frame)
    (tmp_path / "other.frames").replace(tmp_path / "talk.frames")
    with rk.open(copied) as video:
        assert not is_known(video)
        assert len(video) == 90


def test_damage_since_is_found_where_it_is_read(copied):
    data = copied.read_bytes()
    at = len(data) // 2 // 188 * 188
    copied.write_bytes(data[:at] + bytes(188 * 6) + data[at + 188 * 6 :])
    with rk.open(copied) as video:
        assert is_known(video)
        frames = list(video)
        assert not is_known(video)
        assert any(frame.is_damaged for frame in frames)
        lost = 90 - len(frames)
        right = [frame for frame in frames if not frame.is_damaged]
        assert all(read_frame_number(one.frame) in (one.number, one.number + lost) for one in right)


def test_a_recording_that_goes_on_is_read_by_the_rows_so_far_and_a_scan(tmp_path):
    with rk.Recorder(tmp_path / "talk.ts", flush_interval=3600) as recorder:
        for frame in FRAMES[:40]:
            recorder.write(frame)
        recorder.flush()
        for frame in FRAMES[40:50]:
            recorder.write(frame)
        with rk.open(tmp_path / "talk.ts") as video:
            assert is_known(video)
            for frame in FRAMES[50:]:
                recorder.write(frame)
            recorder.stop()
            assert video.refresh() == 90
            assert [read_frame_number(video[number].frame) for number in (89, 39, 45)] == [89, 39, 45]


def test_times_that_do_not_stand_in_the_stream_stand_in_the_table(tmp_path):
    with rk.Recorder(tmp_path / "talk.ts", embed_times=False) as recorder:
        for number, frame in enumerate(FRAMES):
            recorder.write(frame, captured=number)
    with rk.open(tmp_path / "talk.ts") as video:
        assert [taken.value for taken in video.frames["captured"]] == list(range(90))


def test_none_is_made_without_video_or_if_it_is_not_wanted(tmp_path):
    rk.record(rk.Synthetic(video=False, seconds=0.5, realtime=False), tmp_path / "audio.ts")
    rk.record(rk.Synthetic(160, 120, seconds=0.5, realtime=False), tmp_path / "bare.ts", frame_table=False)
    assert not list(tmp_path.glob("*.frames"))
