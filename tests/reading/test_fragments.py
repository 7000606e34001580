"""An MP4 that is being recorded, or that broke off, by the frame."""

import os
from dataclasses import replace

import pandas as pd
import pytest

import recordkit as rk
from recordkit.model import Captured, CapturedBy, Codec
from recordkit.reading.fragments import FragmentTrack
from recordkit.reading.store import FileStore
from recordkit.reading.video import Video
from recordkit.sources.marks import find_beeps, read_frame_number

from ..mp4 import real
from ..mp4.cases import new_size
from ..mp4.laying import Declare, lay

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


def greys(video):
    """The last corner of each frame, which grows brighter with its number in its stream."""
    return [int(video[number].frame.to_ndarray(format="gray")[-1, -1]) for number in range(len(video))]


def brighten(found):
    return all(abs(level - 4 * number) < 12 for number, level in enumerate(found))


@pytest.mark.parametrize("codec", [Codec.VP9, Codec.AV1])
def test_open_codings_are_read_while_they_grow_through_a_change_of_size(codec, tmp_path):
    laid = lay(new_size(codec))
    path = tmp_path / "talk.recording.mp4"
    path.write_bytes(laid.partial[: laid.ends[40] + 30])
    track = FragmentTrack(FileStore(path))
    with Video(path, track, None, rk.open) as video:
        assert len(video) == 41
        path.write_bytes(laid.partial)
        assert (track.refresh(), len(video)) == (True, 75)
        sizes = [(one.width, one.height) for one in (video[number].frame for number in (10, 30, 60))]
        assert sizes == [(320, 180), (240, 240), (320, 180)]
    with rk.open(path) as video:
        assert type(video._track) is FragmentTrack
        found = greys(video)
    assert all(brighten(found[at : at + 25]) for at in (0, 25, 50))


def test_av1_whose_keyframes_lack_the_sequence_header_has_it_from_the_file(tmp_path):
    stream = real.video(Codec.AV1)
    bare = [replace(one, data=one.data.replace(stream.format.config, b"")) for one in stream.units]
    assert bare[0].data != stream.units[0].data
    path = tmp_path / "talk.recording.mp4"
    path.write_bytes(lay([Declare(0, stream.format), *bare]).partial)
    with rk.open(path) as video:
        assert brighten(greys(video))
