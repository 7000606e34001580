"""Many recordings opened as one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recordkit as rk
from recordkit.fleet import many
from recordkit.fleet.videos import Videos
from tests.fleet.driving import Here, lay_archive
from tests.recovery.material import media


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good recordings of 25 frames, one of another size, one that is none, one that is gone."""
    folder = lay_archive(tmp_path_factory.mktemp("videos") / "archive")
    (folder / "day" / "broken.ts").write_bytes(media())
    (folder / "wide.ts").write_bytes(media(size=(192, 90)))
    return folder


@pytest.fixture
def videos(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Videos]:
    monkeypatch.setattr(many, "Pool", lambda jobs: Here())
    with rk.open_all(folder) as opened:
        yield opened


def test_what_cannot_be_opened_is_told_and_the_others_are_there(
    folder: Path, videos: Videos, caplog: pytest.LogCaptureFixture
) -> None:
    assert videos.files["path"].tolist() == [str(folder / name) for name in ("day/broken.ts", "good.ts", "wide.ts")]
    assert videos.files["first"].tolist() == [0, 25, 50]
    assert (len(videos), videos.files["width"].tolist()) == (75, [160, 160, 192])
    assert videos.problems["path"].tolist() == [str(folder / name) for name in ("day/words.ts", "gone.ts")]
    assert repr(videos) == "<Videos 3 recordings, 75 frames, 2 left out>"
    rk.open_all(folder)
    assert "2 of 5 recordings cannot be opened, such as" in caplog.text


def test_a_frame_is_that_of_its_recording(folder: Path, videos: Videos) -> None:
    with rk.open(folder / "good.ts") as good:
        assert np.array_equal(videos[30].image, good[5].image)
        assert videos[30].number == 5
        assert np.array_equal(videos[-26].image, good[24].image)
    assert [one.number for one in videos[20:30]] == [20, 21, 22, 23, 24, 0, 1, 2, 3, 4]
    assert [one.number for one in videos[1:75:30]] == [1, 6, 11]
    assert sum(1 for _ in videos) == 75
    with pytest.raises(IndexError, match="has no frame 75"):
        videos[75]


def test_the_table_has_a_row_for_each_frame(folder: Path, videos: Videos) -> None:
    frames = videos.frames
    assert frames.index.equals(pd.RangeIndex(75))
    assert frames["path"].value_counts().tolist() == [25] * 3
    with rk.open(folder / "good.ts") as good:
        alone = good.frames.reset_index().drop(columns=["pts", "dts"])
    assert frames.iloc[25:50].drop(columns="path").reset_index(drop=True).equals(alone)
    assert str(frames["captured"].dtype) == "datetime64[ns, UTC]"


def test_all_frames_are_one_array_of_the_order_of_the_table(videos: Videos, folder: Path) -> None:
    with pytest.raises(rk.SourceError, match=r"frames of 2 sizes, such as 160x90 .*: give one for all"):
        videos.to_dask()
    array = videos.to_dask(size=(80, 40))
    assert array.shape == (75, 40, 80, 3)
    assert array.numblocks == (3, 1, 1, 1)
    assert np.array_equal(array[30].compute(scheduler="synchronous"), videos[30].scaled(80, 40))
    same = rk.open_all([folder / "good.ts", folder / "day"], progress=False).to_dask()
    assert np.array_equal(same[30].compute(scheduler="synchronous"), videos[30].image)
    assert same.chunks[0] == (25, 25)


def test_a_recording_that_has_changed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "Pool", lambda jobs: Here())
    path = tmp_path / "a.ts"
    path.write_bytes(media())
    videos = rk.open_all(tmp_path)
    path.write_bytes(media()[: 188 * 60])
    with pytest.raises(rk.SourceError, match=r"had 25 frames when it was opened, and has \d+: open all anew"):
        videos[3]


def test_nothing_is_no_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "Pool", lambda jobs: Here())
    videos = rk.open_all(tmp_path)
    assert (len(videos), len(videos.frames), list(videos)) == (0, 0, [])
    (tmp_path / "a.ts").write_bytes(b"words")
    with pytest.raises(rk.SourceError, match="hold no frames: 1 could not be opened"):
        rk.open_all(tmp_path).to_dask()
