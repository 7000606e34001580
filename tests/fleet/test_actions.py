"""What is done to one of many files, and its row."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import recordkit as rk
from recordkit.fleet.actions import ACTIONS, run, stem
from recordkit.fleet.task import Task
from recordkit.fleet.verdicts import worst
from recordkit.verification.check import Problem
from tests.fleet.driving import lay_archive
from tests.recovery.material import Lying, media, unit_starts


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_archive(tmp_path_factory.mktemp("actions") / "archive")


def test_verify_says_what_is_in_a_file(archive: Path) -> None:
    found, row = rk.verify(archive / "good.ts"), run(Task("verify", str(archive / "good.ts")))
    assert row["ok"]
    assert (row["codecs"], row["streams"], row["problem"]) == ("h264 aac", 2, None)
    assert (row["duration_s"], row["bytes"], row["frames"]) == (found.duration_s, found.bytes, 25)
    assert (row["width"], row["height"], row["gaps"], row["decoded"]) == (160, 90, 0, False)
    assert run(Task("verify", str(archive / "good.ts"), options={"decode": True}))["decoded"]


def test_verify_says_what_is_wrong(archive: Path) -> None:
    row = run(Task("verify", str(archive / "day/broken.ts")))
    assert (row["ok"], row["problem"]) == (False, "cut packet")
    assert row["problems"] == len(rk.verify(archive / "day/broken.ts").problems)
    gone = run(Task("verify", str(archive / "gone.ts")))
    assert (gone["problem"], gone["failed"]) == ("cannot be read", True)
    assert gone["detail"] == "No such file or directory"


def test_the_worst_problem_is_told() -> None:
    kinds = ("PCR gap", "continuity", "cut packet", "not a transport stream")
    for number in range(1, 5):
        found = worst(tuple(Problem(kind, 1, None, "") for kind in kinds[:number]))
        assert found is not None
        assert found.kind == kinds[number - 1]
    assert worst(()) is None


def test_recover_finishes_what_was_left(tmp_path: Path) -> None:
    data = media()
    middle = unit_starts(data)[60]
    lying = Lying(tmp_path).lay(data[:middle], [(middle, data[middle:])])
    tried = run(Task("recover", str(lying.final), options={"dry_run": True}))
    assert (tried["ok"], tried["outcome"]) == (True, "recovered")
    assert not lying.final.exists()
    row = run(Task("recover", str(lying.final)))
    assert (row["ok"], row["outcome"], row["output"]) == (True, "recovered", str(lying.final))
    assert row["bytes"] == len(data)
    assert row["tail_bytes"] == len(data) - middle
    assert rk.verify(lying.final).ok


def test_recover_repairs_what_is_broken_and_leaves_what_is_whole(archive: Path, tmp_path: Path) -> None:
    target = tmp_path / "fixed" / "day" / "broken.ts"
    row = run(Task("recover", str(archive / "day/broken.ts"), str(target)))
    assert (row["ok"], row["outcome"], row["output"]) == (True, "repaired", str(target))
    assert rk.verify(target).ok
    row = run(Task("recover", str(archive / "good.ts"), str(tmp_path / "good.ts")))
    assert (row["ok"], row["outcome"], row.get("output")) == (True, "whole", None)
    row = run(Task("recover", str(archive / "day/words.ts"), str(tmp_path / "words.ts")))
    assert (row["ok"], row["outcome"], row["problem"]) == (False, "nothing", "nothing")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["broken.ts", "day", "fixed"]


def test_export_copies_and_leaves_nothing_of_what_it_cannot(archive: Path, tmp_path: Path) -> None:
    target = str(tmp_path / "good.mp4")
    row = run(Task("export", str(archive / "good.ts"), target))
    assert (row["ok"], row["output"], row["encoded"]) == (True, target, 0)
    assert rk.verify(target).ok
    again = run(Task("export", str(archive / "good.ts"), target))
    assert (again["ok"], again["problem"]) == (False, "exists already")
    assert (
        run(Task("export", str(archive / "day/words.ts"), str(tmp_path / "w.mp4")))["problem"] == "cannot be read"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["good.mp4"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_frames_are_counted_and_written(archive: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"good{suffix}"
    row = run(Task("frames", str(archive / "good.ts"), str(target)))
    assert (row["ok"], row["frames"], row["lost"], row["damaged"]) == (True, 25, 0, 0)
    assert row["output"] == str(target)
    written = pd.read_csv(target) if suffix == ".csv" else pd.read_parquet(target)
    assert len(written) == 25
    row = run(Task("frames", str(archive / "good.ts")))
    assert (row["keyframes"], row.get("output")) == (1, None)


def test_frames_that_are_damaged_are_told(archive: Path) -> None:
    row = run(Task("frames", str(archive / "day/broken.ts")))
    assert not row["ok"]
    assert row["problem"].startswith("frames ")
    assert "damaged" in row["detail"]


@pytest.mark.parametrize(
    ("name", "left"),
    [("a.ts", "a"), ("a.b.M2TS", "a.b"), ("a.mov", "a"), ("a.recording.ts", "a"), ("odd.xyz", "odd.xyz")],
)
def test_a_copy_has_its_originals_stem(name: str, left: str) -> None:
    assert stem(name) == left


def test_rows_have_no_other_columns_than_are_stated(archive: Path, tmp_path: Path) -> None:
    for name, target in (("verify", None), ("recover", "r.ts"), ("export", "e.mp4"), ("frames", "f.csv")):
        row = run(Task(name, str(archive / "day/broken.ts"), target and str(tmp_path / target)))
        assert set(row) <= {*ACTIONS[name].columns, "failed"}
