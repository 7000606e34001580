"""Many files on the command line: a line as each is done, sums, exit codes, going on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recordkit.cli import FAULT, INTERRUPTED, USAGE
from recordkit.cli.many import row_text, summary_table, sums_line
from recordkit.fleet import many
from recordkit.fleet.rows import Sums
from recordkit.fleet.state import State
from tests.cli.driving import call
from tests.fleet.driving import Here, lay_archive


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    lay_archive(tmp_path / "archive")
    return Path("archive")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Here:
    made = Here()

    def pool(jobs: int) -> Here:
        made.jobs = jobs
        return made

    monkeypatch.setattr(many, "Pool", pool)
    return made


def test_a_folder_is_checked_with_a_line_a_file(archive: Path, engine: Here) -> None:
    code, shown, errors = call("verify", archive, "--jobs", 3)
    assert (code, errors, engine.jobs) == (FAULT, "", 3)
    lines = shown.splitlines()
    assert sorted(line[0] for line in lines) == sorted("✔✘✘✘✘   ")
    assert "    cut packet: the last packet has 138 bytes only" in lines
    assert "    cannot be read: No such file or directory" in lines
    assert "✘ 3 with problems   4 files" in lines[-1]
    (good,) = [line for line in lines if line.startswith("✔")]
    assert good.endswith("h264 aac    archive/good.ts")


def test_only_problems_or_only_a_summary(archive: Path, engine: Here) -> None:
    code, shown, _ = call("verify", "archive/**/*.ts", "--problems-only")
    assert code == FAULT
    assert "good.ts" not in shown
    assert "archive/day/words.ts" in shown
    code, shown, _ = call("verify", archive, "--summary")
    assert code == FAULT
    assert [line.split()[0] for line in shown.splitlines() if "✔" in line or "✘" in line] == [*"✔✘✘✘✘"]
    assert "such as" in shown
    code, _, errors = call("verify", archive, "--summary", "--problems-only")
    assert (code, "not both" in errors) == (USAGE, True)


def test_json_is_a_line_a_file(archive: Path, engine: Here) -> None:
    code, shown, _ = call("verify", archive, "--json")
    assert code == FAULT
    rows = {row["path"]: row for row in map(json.loads, shown.splitlines())}
    assert set(rows) == {f"archive/{name}" for name in ("good.ts", "gone.ts", "day/broken.ts", "day/words.ts")}
    assert rows["archive/good.ts"]["ok"]
    code, shown, _ = call("verify", archive, "--json", "--summary")
    assert json.loads(shown.splitlines()[0])["problem"] == "ok"


def test_all_well_is_exit_code_0_and_nothing_found_is_not(archive: Path, engine: Here, tmp_path: Path) -> None:
    code, shown, _ = call("verify", archive / "good.ts", "--jobs", 1)
    assert code == 0
    assert "✔ no problems found   1 file   0:01, " in shown
    (tmp_path / "empty").mkdir()
    code, shown, _ = call("verify", tmp_path / "empty")
    assert (code, "no files were found" in shown) == (FAULT, True)
    code, shown, _ = call("verify", tmp_path / "empty", "--summary")
    assert (code, "no files were found" in shown) == (FAULT, True)


def test_an_interrupted_command_goes_on(
    archive: Path, engine: Here, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = State.add

    def interrupt(state: State, row: dict[str, object]) -> None:
        real(state, row)
        if len(engine.tasks) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(State, "add", interrupt)
        code, shown, _ = call("verify", archive, "--state", "state", "--json")
    assert code == INTERRUPTED
    assert len(shown.splitlines()) == 2
    assert "Interrupted: 2 files done. The same command goes on." in capsys.readouterr().err
    engine.tasks.clear()
    code, shown, _ = call("verify", archive, "--state", "state", "--json")
    assert code == FAULT
    assert len({json.loads(line)["path"] for line in shown.splitlines()}) == 4
    assert len(engine.tasks) < 4


def test_copies_of_many(archive: Path, engine: Here) -> None:
    code, shown, _ = call("recover", archive, "--output-dir", "fixed")
    assert code == FAULT
    assert "repaired" in shown
    assert "archive/day/broken.ts → fixed/day/broken.ts" in shown
    code, shown, _ = call("export", archive, "--suffix", ".mp4", "--output-dir", "copies", "--problems-only")
    assert code == FAULT
    assert sorted(str(path) for path in Path("copies").rglob("*.mp4")) == [
        "copies/day/broken.mp4",
        "copies/good.mp4",
    ]
    code, shown, _ = call("frames", archive, "--output-dir", "tables", "--suffix", ".csv")
    assert "25 frames" in shown
    assert sorted(str(path) for path in Path("tables").rglob("*.csv")) == [
        "tables/day/broken.csv",
        "tables/good.csv",
    ]
    code, shown, _ = call("recover", archive, "--jobs", 1)
    assert (code, "no files were found" in shown) == (FAULT, True)


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["export", "archive"], "give FILE OUT; of many files --suffix or --output-dir"),
        (["export", "archive", "--jobs", 2], "of many files give --suffix or --output-dir"),
        (["export", "archive", "--suffix", ".avi"], "give '.ts'"),
        (["export", "archive", "--suffix", ".ts", "--exact"], "a clip is made of one file"),
        (["frames", "archive", "--csv", "a.csv"], "of many files give --output-dir"),
        (["recover", "archive", "--jobs", 2, "--output", "a.ts"], "of many give --output-dir"),
        (["verify", "archive", "--synthetic"], "files that are named"),
        (["verify", "archive", "--jobs", 0], "give 1 to 1,024 processes"),
        (["verify", "archive", "--state", "archive/good.ts"], "is no state of recordkit"),
    ],
)
def test_what_does_not_fit_is_told(archive: Path, engine: Here, words: list[object], advice: str) -> None:
    code, _, errors = call(*words)
    assert (code, advice in errors) == (USAGE, True), errors
    assert engine.tasks == []


def test_names_cannot_steer_the_terminal() -> None:
    row = {"path": "a\x1b[2J.ts", "ok": False, "problem": "cannot be read", "detail": "no\x07"}
    assert "\x1b" not in row_text(row).plain
    assert "\x07" not in row_text(row).plain
    sums = Sums()
    sums.add(row)
    assert summary_table(sums).row_count == 1
    assert sums_line(sums, 2.0).plain == "✘ 1 with problems   1 file   in 2.0 s"
