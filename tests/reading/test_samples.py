"""A finished MP4 opened by its tables: the same frames as by all of its packets."""

import shutil

import av
import pandas as pd
import pytest

import recordkit as rk
from recordkit.demux import demux, open_media
from recordkit.reading.container import ContainerTrack
from recordkit.sources.marks import read_frame_number
from tests.media import make_clip

FOREIGN = {
    "plain.mp4": {},
    "b-frames.mp4": {"options": {"bf": "3", "g": "20"}},
    "b-frames.mov": {"options": {"bf": "2", "g": "20"}},
    "jpeg.mov": {"video": "mjpeg", "pixel_format": "yuvj420p"},
    "vp9.mp4": {"video": "libvpx-vp9", "options": {"deadline": "realtime"}},
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("samples") / "talk.mp4"
    with rk.Recorder(path) as recorder:
        for number, frame in enumerate(rk.Synthetic(160, 120, audio=False, seconds=2).frames()):
            recorder.write(frame, captured=1_795_867_200_000_000_000 + number * 40_000_000)
    return path


def both(path):
    """The frames of a file by its tables, and by its packets."""
    with rk.open(path) as video:
        assert video._track.is_from_table
        listed = video.frames
        numbers = [read_frame_number(video[one].frame) for one in (len(video) - 1, 0, len(video) // 2)]
        assert numbers == [len(video) - 1, 0, len(video) // 2]
    track = ContainerTrack(str(path))
    scanned = rk.Video(path, track, None, rk.open).frames
    track.close()
    return listed, scanned


@pytest.mark.parametrize("name", FOREIGN)
def test_files_of_others(tmp_path, name):
    listed, scanned = both(make_clip(tmp_path / name, seconds=2, size=(320, 180), **FOREIGN[name]))
    pd.testing.assert_frame_equal(listed, scanned)


def test_our_own_with_its_frame_table_and_its_times_of_capture(recorded):
    listed, scanned = both(recorded)
    pd.testing.assert_frame_equal(listed.drop(columns="captured_error_s"), scanned.drop(columns="captured_error_s"))
    assert listed["captured"].notna().all()


def test_without_the_frame_table_frames_that_say_when_they_were_taken_are_all_asked(recorded, tmp_path):
    path = tmp_path / "talk.mp4"
    shutil.copy(recorded, path)
    with rk.open(path) as video:
        assert not video._track.is_from_table
        assert video.frames["captured"].notna().all()


def test_a_clip_that_leaves_frames_out_is_scanned(recorded, tmp_path):
    rk.export(recorded, tmp_path / "clip.mp4", start=0.5, end=1.5)
    with rk.open(tmp_path / "clip.mp4") as video:
        assert not video._track.is_from_table
        assert [read_frame_number(one.frame) for one in video] == list(range(15, 45))


def test_what_begins_where_an_edit_ends_is_not_shown(tmp_path):
    path = make_clip(tmp_path / "film.mp4", fps=25, seconds=2, audio=())
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12
    assert int.from_bytes(data[at : at + 4]) == 2000
    data[at : at + 4] = (1960).to_bytes(4)
    path.write_bytes(data)
    with av.open(path) as film, rk.open(path) as video:
        assert len(video) == len(list(video)) == len(list(film.decode(video=0))) == 49


def test_a_file_that_is_cut_is_scanned(tmp_path):
    path = tmp_path / "cut.mp4"
    with (
        av.open(str(make_clip(tmp_path / "whole.mp4", seconds=2, audio=()))) as whole,
        av.open(str(path), "w", options={"movflags": "faststart"}) as container,
    ):
        stream = container.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with rk.open(path) as video:
        assert not video._track.is_from_table
        assert 0 < len(video) < 60


def test_a_file_is_opened_once_to_be_scanned(tmp_path, monkeypatch):
    path, asked = make_clip(tmp_path / "clip.mkv", seconds=1, audio=()), []
    monkeypatch.setattr(
        "recordkit.reading.video_file.open_media", lambda *given: (asked.append(given), open_media(*given))[1]
    )
    with rk.open(path) as video:
        assert len(video) == 30
        assert len(asked) == 1
        assert read_frame_number(video[20].frame) == 20


def test_nothing_but_the_tables_is_read(tmp_path, monkeypatch):
    path = make_clip(tmp_path / "long.mp4", seconds=4, size=(320, 180))
    read = []
    monkeypatch.setattr(
        "recordkit.reading.video_file.demux", lambda *given: (read.append(one) or one for one in demux(*given))
    )
    with rk.open(path) as video:
        assert len(video) == 120
        assert len(read) == 8  # the first few say nothing of when they were taken
