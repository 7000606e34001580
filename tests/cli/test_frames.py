"""``recordkit frames`` and ``recordkit image``: a table, files of it, and single frames."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import recordkit as rk

from .driving import call

NOON_NS = 1_795_867_200_000_000_000


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("frames") / "talk.ts"
    with rk.Recorder(path, audio=None, sample_interval=0) as recorder:
        for number, frame in enumerate(rk.Synthetic(128, 96, fps=10, seconds=3, audio=False).frames()):
            recorder.write(frame, captured=NOON_NS + number * 100_000_000)
            if number == 9:
                recorder.flush()
                recorder.mark("here")
    return path


def test_a_table_with_the_first_frames(talk: Path) -> None:
    code, shown, _ = call("frames", talk)
    assert code == 0
    assert "30 frames, 3.000 s, 10 fps" in shown
    assert "keyframe" in shown
    assert "and 10 more" in shown


def test_the_whole_table_as_a_file(talk: Path, tmp_path: Path) -> None:
    code, _, _ = call("frames", talk, "--csv", tmp_path / "a.csv", "--parquet", tmp_path / "a.parquet")
    assert code == 0
    table = pd.read_csv(tmp_path / "a.csv", index_col="number")
    assert len(table) == len(pd.read_parquet(tmp_path / "a.parquet")) == 30
    assert table["media_s"].iloc[-1] == pytest.approx(2.9)


def test_one_frame_as_an_image(talk: Path, tmp_path: Path) -> None:
    code, shown, _ = call("image", talk, tmp_path / "a.png", "--at", "1.25")
    assert code == 0
    assert shown.startswith("Frame 12 at 1.200 s")
    with Image.open(tmp_path / "a.png") as made:
        assert made.size == (128, 96)
    assert call("image", talk, tmp_path / "b.jpg", "--number", "-1")[1].startswith("Frame 29 ")
    assert call("image", talk, tmp_path / "c.png", "--at", "here")[1].startswith("Frame 9 ")
    noon = pd.Timestamp(NOON_NS, tz="Europe/Vienna") + pd.Timedelta("1.25s")
    assert call("image", talk, tmp_path / "d.png", "--at", noon.isoformat())[1].startswith("Frame 12 ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--at", "99"), "it ends at 3.000 s"),
        (("--at", "nowhere"), "there are 'here'"),
        (("--at", "2026-11-28T12:00:01"), "there are 'here'"),  # of which zone?
        (("--at", "2026-11-28T11:00:01Z"), "they were taken from"),
        (("--number", "30"), "there are 0 to 29"),
        (("--at", "1", "--number", "1"), "not both"),
    ],
)
def test_what_is_not_there_is_told(talk: Path, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    code, _, errors = call("image", talk, tmp_path / "a.png", *arguments)
    assert code == 2
    assert said in errors
    assert not (tmp_path / "a.png").exists()


def test_a_suffix_that_is_no_image(talk: Path, tmp_path: Path) -> None:
    code, _, errors = call("image", talk, tmp_path / "a.xyz")
    assert code == 2
    assert ".png" in errors
