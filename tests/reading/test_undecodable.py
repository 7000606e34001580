"""Frames that cannot be decoded: asked for they raise, gone through they are left out and told."""

from contextlib import suppress
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest

import recordkit as rk
from recordkit.errors import MediaError
from recordkit.reading.decoder import FrameDecoder
from tests.bitstream.interlaced import reordered
from tests.media import make_clip


def spoilt(path, numbers, seconds=1):
    """A film of 30 frames a second in groups of ten; the bytes of these are none of a frame."""
    make_clip(path, audio=(), seconds=seconds, options={"bf": "0", "g": "10"})
    with rk.open(path) as video:
        frames = video.frames
    data = bytearray(path.read_bytes())
    for number in numbers:
        offset, size = frames.loc[number, ["offset", "bytes"]]
        data[offset : offset + size] = b"\xff" * size
    path.write_bytes(data)
    return path


def decodable(video):
    """The numbers of the frames that come when they are asked for one by one."""
    found = []
    for number in range(len(video)):
        with suppress(MediaError):
            found.append(video[number].number)
    return found


def test_who_goes_through_a_video_gets_the_frames_that_can_be_decoded(tmp_path, caplog):
    path = spoilt(tmp_path / "talk.mp4", [5, 10, 29])
    with rk.open(path) as video:
        assert len(video) == len(video.frames) == 30
        good = decodable(video)
        assert not {5, 10, 11, 29} & set(good)
        assert {4, 6, 9, 20, 28} <= set(good)
        for way in (video, video[:], video.follow(from_number=0, timeout_s=0)):
            caplog.clear()
            assert [frame.number for frame in way] == good
            first, count = [record.getMessage() for record in caplog.records]
            assert "frame 5 of" in first
            assert f"{30 - len(good)} frames cannot be decoded" in count
        assert [frame.number for frame in video[0:30:10]] == [0, 20]
        with pytest.raises(MediaError, match="cannot be decoded: that makes no whole array"):
            np.asarray(video[:])
        with pytest.raises(MediaError, match=r"frame \d+ of .* cannot be decoded"):
            video.to_dask().compute(scheduler="synchronous")
    with rk.open_all([path], jobs=1, progress=False) as videos:
        assert [frame.number for frame in videos] == good


def test_a_video_whose_first_frame_cannot_be_decoded_has_the_size_of_the_others(tmp_path):
    path = spoilt(tmp_path / "talk.mp4", [0])
    with rk.open(path) as video:
        whole = video[10].image
        assert next(iter(video)).number == 10
        assert (whole.shape[1], whole.shape[0]) == video.size
        assert (np.asarray(video.to_dask()[10:12].compute(scheduler="synchronous"))[0] == whole).all()
    with rk.open_all([path], jobs=1, progress=False) as videos:
        assert videos.files.loc[0, ["width", "height"]].tolist() == [whole.shape[1], whole.shape[0]]
    path = spoilt(path, range(30))
    with rk.open(path) as video, pytest.raises(MediaError, match="no frame that can be decoded"):
        video.to_dask()


def test_a_long_run_that_cannot_be_decoded_is_looked_for_once(tmp_path, monkeypatch):
    path = spoilt(tmp_path / "talk.mp4", [10], seconds=2)
    begun, begin = [], FrameDecoder._begin

    def counted(self, entry, *, beside):
        begun.append((entry, beside))
        begin(self, entry, beside=beside)

    monkeypatch.setattr(FrameDecoder, "_begin", counted)
    with rk.open(path) as video:
        assert len(list(video)) >= 50
    # Of its own group and of the one before, several beside each other and alone; then as before.
    assert begun == [(0, True), (10, True), (10, False), (0, True), (0, False), (40, True)]


def test_a_frame_that_comes_out_behind_later_ones_is_found(tmp_path):
    film, path = make_clip(tmp_path / "film.mp4", audio=(), seconds=1, options={"bf": "2"}), tmp_path / "talk.mp4"
    with av.open(film) as old, av.open(path, "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = [packet for packet in old.demux(video=0) if packet.size]
        late, early = packets[1:3]
        assert early.pts < late.pts
        late.pts, early.pts = early.pts, late.pts
        for packet in packets:
            packet.stream = stream
            new.mux(packet)
    with rk.open(path) as video:
        assert len(list(video)) == 30
        assert decodable(video) == list(range(30))


def test_reordered_frames_come_where_the_stream_does_not_say_how_far_they_are(tmp_path):
    units = list(reordered(15))
    path = tmp_path / "talk.ts"
    with av.open(BytesIO(b"".join(data for _, data in units)), format="h264") as raw, av.open(path, "w") as new:
        stream = new.add_stream_from_template(raw.streams.video[0])
        for place, ((number, data), packet) in enumerate(zip(units, raw.demux(), strict=False)):
            assert bytes(packet) == data
            packet.time_base, packet.stream = Fraction(1, 25), stream
            packet.pts, packet.dts = number + 1, place
            new.mux(packet)
    with rk.open(path) as video:
        assert [int(frame.frame.to_ndarray()[0, 0]) for frame in video] == list(range(20, 35))
        assert decodable(video) == list(range(15))
