"""Streams that move to other PIDs on the way: one stream each, as a player shows them."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

import av
import pytest

from recordkit.recorder.record import record
from recordkit.sources.media_file import MediaFile
from recordkit.verification.verify import verify
from tests.media import make_clip

_FFMPEG = ["ffmpeg", "-v", "error", "-y"]


def film(path: Path, *second: str, more: Path | None = None) -> Path:
    """A second of one clip, and behind it a second of it laid with the options ``second``."""
    clip = make_clip(path.with_suffix(".clip.mp4"), seconds=1, options={"bf": "0", "g": "10"})
    first, other = path.with_suffix(".first.ts"), path.with_suffix(".second.ts")
    subprocess.run([*_FFMPEG, "-i", str(clip), "-c", "copy", str(first)], check=True)
    inputs = ["-i", str(clip), *(["-i", str(more), "-map", "0", "-map", "1"] if more else [])]
    behind = ["-c", "copy", "-tables_version", "7", "-output_ts_offset", "1", *second]
    subprocess.run([*_FFMPEG, *inputs, *behind, str(other)], check=True)
    path.write_bytes(first.read_bytes() + other.read_bytes())
    return path


def units(path: Path) -> list[tuple[str, int]]:
    return [(one.codec, one.access_units) for one in verify(path).streams]


MOVES = [
    ("both", ["-streamid", "0:600", "-streamid", "1:601"]),
    ("video", ["-streamid", "0:600", "-streamid", "1:257"]),
]


@pytest.mark.parametrize("moved", [one for _, one in MOVES], ids=[name for name, _ in MOVES])
def test_a_stream_that_moves_is_recorded_whole(
    moved: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "recordkit")
    source = film(tmp_path / "film.ts", *moved)
    with av.open(str(source)) as container:
        assert len(container.streams) > 2, "libavformat has more than one of it"
    done = record(MediaFile(url=str(source)), tmp_path / "out.ts")
    assert "move to other PIDs" in caplog.text
    assert "not recorded" not in caplog.text
    assert done.duration_s == pytest.approx(2, abs=0.1)
    assert [(name, count > 58) for name, count in units(tmp_path / "out.ts")] == [("h264", True), ("aac", True)]


def test_a_stream_that_comes_as_one_more_stays_one_of_its_own(tmp_path: Path) -> None:
    other = make_clip(tmp_path / "other.mp4", video=None, seconds=1)
    source = film(tmp_path / "film.ts", more=other)
    record(MediaFile(url=str(source)), tmp_path / "out.ts")
    assert [name for name, _ in units(tmp_path / "out.ts")] == ["h264", "aac", "aac"]


def test_two_cameras_in_one_program_stay_two(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = make_clip(tmp_path / "clip.mp4", audio=[], seconds=0.5)
    both = tmp_path / "both.ts"
    maps = ["-map", "0", "-map", "1"]
    subprocess.run([*_FFMPEG, "-i", str(clip), "-i", str(clip), *maps, "-c", "copy", str(both)], check=True)
    record(MediaFile(url=str(both)), tmp_path / "out.ts")
    assert "stream 1 (h264) is not recorded" in caplog.text
    assert units(tmp_path / "out.ts") == [("h264", 15)]
