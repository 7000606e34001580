"""Many files at a URL that fsspec knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

import recordkit as rk
from recordkit.fleet import many
from tests.fleet.driving import Here, lay_archive


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An archive here, and the same as memory://archive; all work is done in this process."""
    monkeypatch.setattr(many, "Pool", lambda jobs: Here())
    archive = lay_archive(tmp_path / "archive")
    (archive / "gone.ts").unlink()
    files = fsspec.filesystem("memory")
    for path in archive.rglob("*.ts"):
        files.pipe_file(f"/archive/{path.relative_to(archive)}", path.read_bytes())
    files.pipe_file("/archive/notes.txt", b"words")
    files.pipe_file("/archive/sound.wav", b"RIFF\0\0\0\0WAVEfmt " + bytes(64))
    yield archive
    files.rm("/archive", recursive=True)


@pytest.mark.parametrize("url", ["memory://archive", "memory://archive/**/*.ts", "memory:///archive/**"])
def test_a_url_has_the_rows_of_the_files_here(bucket: Path, url: str) -> None:
    here, there = rk.verify_all(bucket), rk.verify_all(url)
    there = there[~there["path"].str.endswith(".wav")].reset_index(drop=True)
    names = ("day/broken.ts", "day/words.ts", "good.ts")
    assert [one.replace(":///", "://") for one in there["path"]] == [f"memory://archive/{name}" for name in names]
    assert there.drop(columns=["path", "elapsed_s"]).equals(here.drop(columns=["path", "elapsed_s"]))


def test_the_frames_of_a_url_are_counted(bucket: Path) -> None:
    assert list(rk.frames_all("memory://archive/good.ts")["frames"]) == [25]


def test_what_cannot_be_done_with_a_url_is_told(bucket: Path, tmp_path: Path) -> None:
    (row,) = rk.export_all("memory://archive/good.ts", output=tmp_path / "out").to_dict("records")
    assert "is a URL, of which verify and frames can read" in row["detail"]
    (row,) = rk.verify_all("memory://archive/good.ts", decode=True).to_dict("records")
    assert "only files here are decoded" in row["detail"]
    (row,) = rk.verify_all("memory://archive/sound.wav").to_dict("records")
    assert "is audio alone" in row["detail"]
    (row,) = rk.verify_all("memory://archive/missing.ts").to_dict("records")
    assert (row["problem"], row["ok"]) == ("cannot be read", False)
    (row,) = rk.verify_all("nonsense://archive/**").to_dict("records")
    assert (row["problem"], "nonsense" in row["detail"]) == ("cannot be listed", True)


def test_a_bucket_without_rights_is_a_row(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> object:
        raise PermissionError("Forbidden")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "walk", refuse)
    (row,) = rk.verify_all("memory://archive").to_dict("records")
    assert (row["problem"], row["detail"]) == ("cannot be listed", "cannot be read: Forbidden")
