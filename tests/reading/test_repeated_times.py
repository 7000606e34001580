"""Other people's times that stand, where nothing is lost, or go back, which is told."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
import pytest

import recordkit as rk
from recordkit.errors import MediaError
from tests.media import coded_packets, make_clip, remuxed

EACH = {"movflags": "frag_every_frame+empty_moov+default_base_moof"}
AUDIO, VIDEO = "audio", "video"


def one_a_fragment(folder: Path, kind: str, numbers: tuple[int, ...]) -> Path:
    """An MP4 of one frame a fragment; of these of a ``kind`` the times are those of the frames before.

    So FFmpeg itself writes them where two fragments of one stream follow each other.
    """
    film = make_clip(folder / "film.mp4", seconds=1, options={"bf": "0"})
    path = remuxed(film, folder / "each.mp4", options=EACH)
    with av.open(path) as container:
        track = 1 + next(stream.index for stream in container.streams if stream.type == kind)
    data, places = bytearray(path.read_bytes()), []
    for found in re.finditer(b"tfhd.{4}(.{4}).*?tfdt(.)", bytes(data), re.DOTALL):
        if int.from_bytes(found[1]) == track:
            at = found.end() + 3
            places.append((at, at + (8 if found[2] == b"\x01" else 4)))
    for number in numbers:
        (first, last), (begin, end) = places[number - 1], places[number]
        data[begin:end] = data[first:last]
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
@pytest.mark.parametrize("way", [rk.export, rk.record])
def test_audio_whose_time_is_that_of_the_frame_before_is_not_lost(way, suffix, tmp_path):
    path, copy = one_a_fragment(tmp_path, AUDIO, (10, 15, 16)), tmp_path / f"copy{suffix}"
    whole = coded_packets(path, AUDIO)
    with rk.open(path) as video:
        samples, rate = video.audio(0.1, 0.9)
        heard = list(video._track.coded_audio(0, 3 * 90_000))
    silent = np.abs(samples).max(1).reshape(-1, rate // 500).max(1) < 1e-3
    assert silent.sum() <= 1.5 * 1024 / (rate // 500)  # FFmpeg itself leaves one frame's time empty
    assert len(heard) == len(whole)
    way(path, copy)
    assert len(coded_packets(copy, AUDIO)) == len(whole)


@pytest.mark.parametrize("way", [rk.export, rk.record])
def test_video_whose_time_is_that_of_the_frame_before_is_shown(way, tmp_path):
    path = one_a_fragment(tmp_path, VIDEO, (10,))
    with rk.open(path) as video:
        assert len(list(video)) == len(video) == 30
    way(path, tmp_path / "copy.mp4")
    with rk.open(tmp_path / "copy.mp4") as copy:
        assert len(list(copy)) == 30


def test_audio_before_the_beginning_is_not_heard_in_the_copy_of_fragments(tmp_path):
    film = make_clip(tmp_path / "film.mp4", seconds=1)
    path = remuxed(film, tmp_path / "each.mp4", options={"movflags": "frag_keyframe+delay_moov"})
    with rk.open(path) as video, rk.open(rk.export(path, tmp_path / "copy.mp4").path) as copy:
        assert copy.frames["media_s"].tolist() == pytest.approx(video.frames["media_s"].tolist())
        assert np.abs(copy.audio(0, 0.9)[0] - video.audio(0, 0.9)[0]).max() < 1e-4


def joined(folder: Path, begins_s: float) -> Path:
    """Two transport streams of two seconds one behind the other; the second begins at a time of the first."""
    path = folder / "joined.ts"
    film = make_clip(folder / "film.mp4", seconds=2, options={"g": "15"})
    with path.open("wb") as file:
        for number, later_s in enumerate((0.0, begins_s)):

            def moved(packet, later_s=later_s):
                packet.pts += round(later_s / packet.time_base)
                packet.dts += round(later_s / packet.time_base)
                return True

            file.write(remuxed(film, folder / f"{number}.ts", moved).read_bytes())
    return path


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
@pytest.mark.parametrize(("begins_s", "step_s"), [(0.0, 2.0), (1.5, 0.5)])
def test_times_that_go_back_are_told_with_their_place_and_what_to_do(suffix, begins_s, step_s, tmp_path):
    path = joined(tmp_path, begins_s)
    with pytest.raises(MediaError, match=r"at \d+\.\d+ s the times .* go back by .* recordkit record") as told:
        rk.export(path, tmp_path / f"copy{suffix}")
    at_s, back_s = map(float, re.findall(r"(\d+\.\d+) s", str(told.value)))
    assert (at_s, back_s) == pytest.approx((2.0, step_s), abs=0.1)
    assert not (tmp_path / f"copy{suffix}").exists()
    recording = rk.record(path, tmp_path / f"copy{suffix}")
    assert recording.duration_s == pytest.approx(4, abs=0.15)
    with rk.open(recording) as video:
        assert len(video) == 120


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_times_that_overlap_a_little_are_exported(suffix, tmp_path):
    path = joined(tmp_path, 1.98)
    rk.export(path, tmp_path / f"copy{suffix}")
    assert len(coded_packets(tmp_path / f"copy{suffix}", AUDIO)) == len(coded_packets(path, AUDIO))
    with rk.open(tmp_path / f"copy{suffix}") as video:
        assert len(video) == 120
