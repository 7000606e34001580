"""Rows: what became of each file, as plain values that JSON carries, and as a DataFrame."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import (
    AdmissionError,
    DiskSpaceError,
    MediaError,
    OutputAccessError,
    OutputBusyError,
    OutputExistsError,
    OutputNameError,
    PartialExistsError,
    RecordkitError,
    SourceError,
    StillRecordingError,
    WriteError,
)

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

FIRST = {"path": "str", "ok": "bool", "problem": "str", "detail": "str"}
"""What each row begins with: the file, whether nothing is wrong, the worst that is, and that in words."""
LAST = {"elapsed_s": "Float64"}
"""And ends with: how long the work on this file took."""
DIED = "worker died"
_AT_ONCE = 4096
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (SourceError, "cannot be read"),
    (StillRecordingError, "being recorded"),
    (OutputBusyError, "busy"),
    (PartialExistsError, "unfinished recording"),
    (OutputExistsError, "exists already"),
    (OutputNameError, "cannot be written"),
    (OutputAccessError, "cannot be written"),
    (DiskSpaceError, "no room"),
    (WriteError, "cannot be written"),
    (MediaError, "cannot be carried"),
    (AdmissionError, "no room"),
    (MemoryError, "no memory"),
    (OSError, "cannot be read"),
)


def failed(path: str, problem: str, detail: str) -> Row:
    """The row of a file on which the work could not be done; the next run tries it again."""
    return {"path": path, "ok": False, "problem": problem, "detail": detail, "failed": True}


def failed_by(path: str, error: RecordkitError | OSError | MemoryError) -> Row:
    """The same by its error."""
    problem = next((words for kind, words in _WORDS if isinstance(error, kind)), "failed")
    return failed(path, problem, str(error).removeprefix(f"{path}: ") or type(error).__name__)


def table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """``rows`` in the order of their paths, with ``columns`` (names and dtypes); what a row lacks is NA.

    Rows become columns some thousands at a time, so that a million of them need no memory as dictionaries.
    """
    import pandas as pd

    pieces = []
    source = iter(rows)
    while piece := list(islice(source, _AT_ONCE)):
        pieces.append(_piece(piece, columns))
    if not pieces:
        return _piece([], columns)
    return pd.concat(pieces).sort_values("path", kind="stable").reset_index(drop=True)


def _piece(rows: list[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    # Text that is not there is no NaN, so that comparisons and len() work.
    dtypes: dict[Hashable, Any] = dict(columns.items())
    values = {name: [_value(row.get(name), dtype) for row in rows] for name, dtype in columns.items()}
    return pd.DataFrame(values, dtype="object").astype(dtypes)


def _value(value: Any, dtype: str) -> Any:  # noqa: ANN401 - whatever a cell holds
    return "" if value is None and dtype == "str" else value


def sums(rows: pd.DataFrame) -> pd.DataFrame:
    """How many files of each verdict: a row a problem, ``ok`` first, then by how many they are.

    Columns: ``files``, ``bytes``, ``duration_s`` and ``example``, the first path; the index is ``problem``.
    """
    import pandas as pd

    given = rows.assign(problem=rows["problem"].mask(rows["ok"], "ok"))
    for name in ("bytes", "duration_s"):
        if name not in given:
            given[name] = pd.NA
    groups = given.groupby("problem", sort=True)
    made = pd.DataFrame(
        {
            "files": groups.size().astype("int64"),
            "bytes": groups["bytes"].sum().astype("Int64"),
            "duration_s": groups["duration_s"].sum().astype("Float64"),
            "example": groups["path"].first(),
        }
    )
    made["_later"] = made.index != "ok"
    made = made.sort_values(["_later", "files"], ascending=[True, False], kind="stable")
    return made.drop(columns="_later")
