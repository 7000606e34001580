"""Edit lists: what a file holds and does not show is not shown by the recording either."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import av
import pytest

from recordkit.recorder.record import record
from recordkit.recorder.recorder import Recorder
from recordkit.sources.edits import Hidden, hidden_frames
from recordkit.sources.media_file import MediaFile
from tests.media import make_clip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("edits") / "whole.mp4", seconds=4, options={"bf": "2", "g": "60"})


def trimmed(whole: Path, path: Path, from_s: float) -> Path:
    """``whole`` from ``from_s`` on, without encoding anew: it begins at a keyframe, an edit list hides the rest."""
    command = ["ffmpeg", "-v", "error", "-ss", str(from_s), "-i", str(whole), "-c", "copy", str(path)]
    subprocess.run(command, check=True)
    return path


def times(path: Path, kind: str) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time or 0.0 for frame in container.decode(**{kind: 0})]


def test_a_film_is_recorded_from_where_its_edit_list_begins(whole: Path, tmp_path: Path) -> None:
    part = trimmed(whole, tmp_path / "part.mp4", 2.5)
    recording = record(MediaFile(url=str(part)), tmp_path / "out.ts")
    shown, source = times(tmp_path / "out.ts", "video"), times(part, "video")
    assert len(shown) == len(source) == 45
    assert [round(b - a, 3) for a, b in pairwise(shown)] == [round(b - a, 3) for a, b in pairwise(source)]
    heard, source_heard = times(tmp_path / "out.ts", "audio"), times(part, "audio")
    assert abs(len(heard) - len(source_heard)) <= 1
    assert shown[0] - heard[0] == pytest.approx(source[0] - source_heard[0], abs=0.03)
    assert recording.counters.late_items == 0


def test_what_nothing_refers_to_is_left_out_of_what_is_passed_through(whole: Path, tmp_path: Path) -> None:
    with av.open(str(whole)) as container:
        assert hidden_frames(container.streams.video[0]) == Hidden()
    part = trimmed(whole, tmp_path / "part.mp4", 2.5)
    with av.open(str(part)) as container:
        assert hidden_frames(container.streams.video[0]) == Hidden(15, are_needed=True)
    groups = make_clip(tmp_path / "groups.mp4", audio=[], seconds=1, options={"g": "1"})
    film = trimmed(groups, tmp_path / "film.mp4", 0.5)
    record(MediaFile(url=str(film)), tmp_path / "out.ts")
    assert len(times(tmp_path / "out.ts", "video")) == len(times(film, "video"))


def test_priming_that_decoders_need_stays(whole: Path, tmp_path: Path) -> None:
    with av.open(str(whole)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    assert packets[0].is_discard
    recording = record(MediaFile(url=str(whole)), tmp_path / "out.ts")
    assert recording.counters.audio_units == len(packets)


def test_packets_that_are_given_one_by_one_are_shown_and_that_is_told(whole: Path, tmp_path: Path) -> None:
    part = trimmed(whole, tmp_path / "part.mp4", 2.5)
    with av.open(str(part)) as container, Recorder(tmp_path / "out.ts", audio=None) as recorder:
        for packet in container.demux(video=0):
            recorder.write_packet(packet)
    events = recorder.stop().events
    (told,) = events[events["kind"] == "altered"]["fields"]
    assert "edit list" in told["because"]
    assert len(times(tmp_path / "out.ts", "video")) == 60


def test_trims_of_opus_are_passed_through(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ogg", video=None, audio=["libopus"], seconds=1)
    record(MediaFile(url=str(clip)), tmp_path / "out.ts")
    data = (tmp_path / "out.ts").read_bytes()
    first = data.index(b"\x7f\xf0")  # a control header with a start trim
    at = first + 2
    while data[at] == 0xFF:
        at += 1
    assert int.from_bytes(data[at + 1 : at + 3]) == 312
    assert b"\x7f\xe8" in data  # and one with an end trim
