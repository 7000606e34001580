"""Big files, checked in parts beside each other."""

from __future__ import annotations

from pathlib import Path

import pytest

import recordkit as rk
from recordkit.fleet import many, parts
from recordkit.fleet.actions import run
from recordkit.fleet.parts import Parts
from recordkit.fleet.rows import failed
from recordkit.fleet.task import Task
from tests.fleet.driving import Here, lay_archive
from tests.recovery.material import media


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are big from 20 kB on."""
    monkeypatch.setattr(parts, "SPLIT_FROM_BYTES", 20_000)
    monkeypatch.setattr(parts, "PART_BYTES", 188 * 70)
    monkeypatch.setattr(parts, "EARLY_BYTES", 188 * 50)


def test_the_rows_are_those_of_files_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    archive = lay_archive(tmp_path / "archive")
    (archive / "named.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(30_000))
    engine = Here()
    monkeypatch.setattr(many, "Pool", lambda jobs: engine)
    whole = rk.verify_all(archive)
    engine.tasks.clear()
    request.getfixturevalue("small")
    in_parts = rk.verify_all(archive)
    assert in_parts.drop(columns="elapsed_s").equals(whole.drop(columns="elapsed_s"))
    kinds = [task.action for task in engine.tasks]
    assert (kinds.count("join parts"), kinds.count("check part") > 6) == (3, True)


def test_real_processes_do_the_parts(tmp_path: Path, small: None) -> None:
    (tmp_path / "a.ts").write_bytes(media())
    assert rk.verify_all(tmp_path, jobs=2, progress=False)["frames"].tolist() == [25]


def rows_of(path: Path) -> tuple[Parts, list[Task]]:
    made = Parts()
    return made, list(made.of(Task("verify", str(path))))


def test_a_part_that_fails_is_told_once(tmp_path: Path, small: None) -> None:
    path = tmp_path / "a.ts"
    path.write_bytes(media())
    made, tasks = rows_of(path)
    told = [made.whole(task.row(failed(task.path, "worker died", "twice"))) for task in tasks]
    assert [one and one["problem"] for one in told] == ["worker died", *[None] * (len(tasks) - 1)]
    assert not made.are_waited_for
    assert not list(made.due())


def test_a_file_that_grew_meanwhile_is_checked_in_one(tmp_path: Path, small: None) -> None:
    path = tmp_path / "a.ts"
    path.write_bytes(media()[: 188 * 200])
    made, tasks = rows_of(path)
    assert [made.whole(run(task)) for task in tasks] == [None] * len(tasks)
    path.write_bytes(media())
    (join,) = made.due()
    row = made.whole(run(join))
    assert row is not None
    assert (row["ok"], row["frames"], made.are_waited_for) == (True, 25, False)


@pytest.mark.parametrize("when", ["before a part", "before they are joined"])
def test_a_file_that_vanishes_meanwhile_is_one_row(tmp_path: Path, small: None, when: str) -> None:
    path = tmp_path / "a.ts"
    path.write_bytes(media())
    made, tasks = rows_of(path)
    told = [made.whole(run(task)) for task in tasks[:-1]]
    last = run(tasks[-1])
    path.unlink()
    if when == "before a part":
        last = run(tasks[-1])
    told += [made.whole(last), *(made.whole(run(join)) for join in made.due())]
    (row,) = (one for one in told if one is not None)
    assert (row["problem"], row["failed"], made.are_waited_for) == ("cannot be read", True, False)


def test_what_cannot_be_checked_in_parts_is_one_task(tmp_path: Path, small: None) -> None:
    path = tmp_path / "a.ts"
    path.write_bytes(media())
    for task in (
        Task("frames", str(path)),
        Task("verify", str(path), options={"decode": True}),
        Task("verify", "memory://a.ts"),
        Task("verify", str(tmp_path / "gone.ts")),
    ):
        assert list(Parts().of(task)) == [task]
