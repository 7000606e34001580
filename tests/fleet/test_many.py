"""``rk.verify_all`` and its like, as they are called."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import recordkit as rk
from recordkit.fleet import many
from recordkit.fleet.state import State
from tests.fleet.driving import Here, lay_archive


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_archive(tmp_path_factory.mktemp("many") / "archive")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Here:
    """Everything is done in this process."""
    made = Here()
    monkeypatch.setattr(many, "Pool", lambda jobs: made)
    return made


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_a_folder_is_checked_in_processes_of_this_machine(laid: Path) -> None:
    before = names(laid)
    told = []
    found = rk.verify_all(laid, jobs=2, progress=False, on_row=told.append)
    assert list(found["path"]) == [
        str(laid / name) for name in ("day/broken.ts", "day/words.ts", "gone.ts", "good.ts")
    ]
    assert list(found["ok"]) == [False, False, False, True]
    assert list(found["problem"]) == ["cut packet", "not a transport stream", "cannot be read", ""]
    assert sorted(row["path"] for row in told) == list(found["path"])
    assert names(laid) == before


def test_the_summary_of_files_and_of_a_table_is_the_same(laid: Path, engine: Here) -> None:
    made = rk.summary(laid)
    assert made["files"].to_dict() == {"ok": 1, "cannot be read": 1, "cut packet": 1, "not a transport stream": 1}
    assert rk.summary(rk.verify_all(laid)).equals(made)
    assert rk.summary(rk.frames_all(laid))["files"].sum() == 4


def test_copies_keep_their_places_below_the_output(laid: Path, engine: Here, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = rk.export_all(laid, output=out)
    assert names(out) == ["day/broken.mp4", "good.mp4"]
    assert list(made["output"]) == [str(out / "day/broken.mp4"), "", "", str(out / "good.mp4")]
    made = rk.recover_all(laid, output=tmp_path / "fixed")
    assert names(tmp_path / "fixed") == ["day/broken.ts"]
    assert list(made["outcome"]) == ["repaired", "nothing", "", "whole"]
    rk.frames_all(f"{laid}/**/*.ts", output=tmp_path / "tables", suffix=".csv")
    assert names(tmp_path / "tables") == ["day/broken.csv", "good.csv"]


def test_copies_beside_their_originals_are_not_made_twice(laid: Path, engine: Here, tmp_path: Path) -> None:
    shutil.copy(laid / "good.ts", tmp_path)
    assert list(rk.export_all(tmp_path)["ok"]) == [True]
    assert names(tmp_path) == ["good.mp4", "good.ts"]
    again = rk.export_all(tmp_path)
    assert list(again["problem"]) == ["exists already"]
    assert sorted(rk.export_all(tmp_path, suffix=".m4a", output=tmp_path / "out")["ok"]) == [False, True], (
        "both want out/good.m4a: the second is told"
    )
    assert names(tmp_path) == ["good.mp4", "good.ts", "out/good.m4a"]


def test_an_interrupted_run_goes_on(laid: Path, engine: Here, tmp_path: Path) -> None:
    state, out = tmp_path / "state", tmp_path / "out"

    def interrupt(row: object) -> None:
        if len(engine.tasks) == 2:
            raise KeyboardInterrupt

    whole = rk.verify_all(laid)
    engine.tasks.clear()
    with pytest.raises(KeyboardInterrupt):
        rk.verify_all(laid, state=state, on_row=interrupt)
    first = {task.path for task in engine.tasks}
    engine.tasks.clear()
    found = rk.verify_all(laid, state=state)
    failed = {str(laid / "gone.ts")}
    assert {task.path for task in engine.tasks} == {*whole["path"]} - (first - failed)
    assert found.drop(columns="elapsed_s").equals(whole.drop(columns="elapsed_s"))
    engine.tasks.clear()
    rk.verify_all(laid, state=state)
    assert {task.path for task in engine.tasks} == failed, "what could not be read is tried once more"
    # A copy that was complete when the run was killed is known, though its row was not noted.
    with State(tmp_path / "copies", "export", {"suffix": ".mp4", "output": str(out)}) as kept:
        kept.begin(many.Task("export", str(laid / "good.ts"), str(out / "good.mp4")))
    rk.export(laid / "good.ts", out / "good.mp4")
    found = rk.export_all(laid / "good.ts", output=out, state=tmp_path / "copies")
    assert list(found["detail"]) == ["made before the interruption"]
    assert list(found["ok"]) == [True]


def test_many_that_are_known_come_without_waiting(engine: Here, tmp_path: Path) -> None:
    for number in range(600):
        (tmp_path / f"{number}.ts").write_bytes(b"")
    rk.verify_all(tmp_path, state=tmp_path / "state")
    assert len(engine.tasks) == 600
    assert len(rk.verify_all(tmp_path, state=tmp_path / "state")) == 600
    assert len(engine.tasks) == 600


@pytest.mark.parametrize(
    "arguments",
    [
        {"jobs": 0},
        {"jobs": "many"},
        {"engine": 3},
        {"decode": 1},
        {"state": 3},
        {"progress": None},
        {"on_row": 3},
        {"job": 2},
    ],
)
def test_arguments_that_cannot_be_used_are_told(laid: Path, arguments: dict[str, object]) -> None:
    (name,) = arguments
    with pytest.raises(rk.SettingsError, match=f"^{name}="):
        rk.verify_all(laid, **arguments)
    with pytest.raises(rk.SettingsError, match=r"^suffix="):
        rk.export_all(laid, suffix=".avi")
    with pytest.raises(rk.SettingsError, match=r"^suffix="):
        rk.frames_all(laid, suffix=".xlsx")


def test_no_files_make_an_empty_table(engine: Here, tmp_path: Path) -> None:
    found = rk.verify_all(tmp_path)
    assert found.empty
    assert "gaps_s" in found
    assert rk.summary(tmp_path).empty


def test_a_folder_that_cannot_be_listed_is_a_row(engine: Here, tmp_path: Path) -> None:
    (row,) = rk.verify_all(f"{tmp_path}/missing/*.ts").to_dict("records")
    assert (row["ok"], row["problem"], row["detail"]) == (False, "cannot be listed", "No such file or directory")
