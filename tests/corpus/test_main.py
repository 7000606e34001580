"""A folder of files as rows, a table and figures."""

import json
from io import StringIO

import pytest
from rich.console import Console

from ..judges import judge
from ..media import make_clip
from .__main__ import files, main, summary, table
from .comparing import Row


@pytest.mark.judge
def test_a_folder_is_run_over(tmp_path, capsys):
    judge("ffprobe")
    folder = tmp_path / "films"
    (folder / "deep").mkdir(parents=True)
    make_clip(folder / "clip.mp4", seconds=0.5)
    (folder / "deep" / "broken.mkv").write_bytes(bytes(1_000))
    (folder / "notes.txt").write_text("no film")
    into = tmp_path / "rows.jsonl"
    assert main([str(folder), "--json", str(into)]) == 0
    rows = {row["file"]: row for row in map(json.loads, into.read_text().splitlines())}
    assert set(rows) == {"clip.mp4", "deep/broken.mkv"}
    assert rows["clip.mp4"]["state"] == "agrees"
    assert rows["deep/broken.mkv"]["told"][0].startswith("SourceError: ")
    assert "'files': 2" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_told(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path / "none")])
    assert "there is no" in capsys.readouterr().err


def test_rows_are_counted_by_kind():
    rows = [Row("a"), Row("b", told=["cut"]), Row("c", disagreements={"look": "dark", "record: sync": "late"})]
    assert summary(rows) == {
        "files": 3,
        "agrees": 1,
        "disagrees": 1,
        "told": 1,
        "kinds": {"look": 1, "record: sync": 1},
    }
    assert table(rows, whole=False).row_count == 2
    assert table(rows, whole=True).row_count == 3
    console = Console(width=120, record=True, file=StringIO())
    console.print(table(rows, whole=False))
    assert "look: dark" in console.export_text()


def test_files_are_chosen_by_a_pattern(tmp_path):
    for name in ("one.ts", "two.ts", "two.py"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "empty.ts").touch()
    assert [name for _, name in files([tmp_path], "^t.*")] == ["two.ts"]
    assert [name for _, name in files([tmp_path / "one.ts"], "")] == ["one.ts"]
