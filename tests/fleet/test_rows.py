"""Rows as a DataFrame, and their sums."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from recordkit.errors import OutputExistsError, RecordkitError, SourceError, StateError
from recordkit.fleet.rows import failed, failed_by, sums, table

COLUMNS = {"path": "str", "ok": "bool", "problem": "str", "bytes": "Int64", "duration_s": "Float64"}


def test_rows_stand_in_the_order_of_their_paths_and_lack_what_they_lack() -> None:
    made = table([{"path": "b", "ok": True, "bytes": 2, "more": 1}, failed("a", "cannot be read", "gone")], COLUMNS)
    assert list(made["path"]) == ["a", "b"]
    assert list(made["problem"]) == ["cannot be read", ""]
    assert made["bytes"].isna().tolist() == [True, False]
    assert {name: str(dtype) for name, dtype in made.dtypes.items()} == COLUMNS | {
        name: str(pd.Series([], dtype="str").dtype) for name in ("path", "problem")
    }


def test_without_rows_the_columns_are_the_same() -> None:
    one, none = table([{"path": "b", "ok": True}], COLUMNS), table([], COLUMNS)
    assert none.empty
    assert none.dtypes.equals(one.dtypes)


def test_many_rows_come_together_in_pieces() -> None:
    made = table(({"path": f"{number:05}", "ok": True} for number in reversed(range(10_000))), COLUMNS)
    assert made["path"].is_monotonic_increasing
    assert list(made.index) == list(range(10_000))


@pytest.mark.parametrize(
    ("error", "problem", "detail"),
    [
        (SourceError("a.ts", "is a folder"), "cannot be read", "is a folder"),
        (OutputExistsError(Path("b.mp4"), "exists already"), "exists already", "b.mp4: exists already"),
        (StateError("new", "old", "no"), "failed", "no (state: new, needed: old)"),
        (MemoryError(), "no memory", "MemoryError"),
    ],
)
def test_an_error_is_a_row(error: RecordkitError, problem: str, detail: str) -> None:
    row = failed_by("a.ts", error)
    assert row == {"path": "a.ts", "ok": False, "problem": problem, "detail": detail, "failed": True}


def test_sums_have_a_row_a_problem_the_well_ones_first() -> None:
    rows = [
        {"path": "a", "ok": False, "problem": "cut packet", "bytes": 5, "duration_s": 1.0},
        {"path": "b", "ok": True, "bytes": 10, "duration_s": 2.5},
        *(failed(name, "cannot be read", "gone") for name in "cd"),
    ]
    made = sums(table(rows, COLUMNS))
    assert list(made.index) == ["ok", "cannot be read", "cut packet"]
    assert list(made["files"]) == [1, 2, 1]
    assert list(made["bytes"]) == [10, 0, 5]
    assert list(made["example"]) == ["b", "c", "a"]
    assert sums(table([], COLUMNS)).empty
