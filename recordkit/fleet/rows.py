"""Rows: what became of each file, as plain values that JSON carries, and as a DataFrame."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
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
    words = str(error).removeprefix(f"{path}: ").removeprefix(f"{problem}: ")
    return failed(path, problem, words or type(error).__name__)


def table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """``rows`` in the order of their paths, with ``columns`` (names and dtypes); what a row lacks is NA.

    Rows become columns some thousands at a time, so that a million of them need no memory as dictionaries.
    """
    tables = []
    source = iter(rows)
    while some := list(islice(source, _AT_ONCE)):
        tables.append(piece(some, columns))
    if not tables:
        return piece([], columns)
    import pandas as pd  # not before the work has begun

    return pd.concat(tables).sort_values("path", kind="stable").reset_index(drop=True)


def piece(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """``rows`` in their order, with ``columns``; what a row lacks is NA, or empty text."""
    import pandas as pd

    # Text that is not there is no NaN, so that comparisons and len() work.
    dtypes: dict[Hashable, Any] = dict(columns.items())
    values = {name: [_value(row.get(name), dtype) for row in rows] for name, dtype in columns.items()}
    return pd.DataFrame(values, dtype="object").astype(dtypes)


def _value(value: Any, dtype: str) -> Any:  # noqa: ANN401 - whatever a cell holds
    return "" if value is None and dtype == "str" else value


@dataclass(slots=True)
class Sum:
    """Files with one verdict: the ``problem`` or "ok", how many, their bytes and seconds of media, one's path."""

    problem: str
    example: str
    files: int = 0
    bytes: int = 0
    duration_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values that JSON can carry."""
        return asdict(self)


class Sums:
    """How many files have which problem, as they come; memory for the kinds only."""

    def __init__(self) -> None:
        self.files = self.bad = 0
        self._by_problem: dict[str, Sum] = {}

    def __iter__(self) -> Iterator[Sum]:
        """``ok`` first, then the most frequent problem."""
        return iter(
            sorted(self._by_problem.values(), key=lambda one: (one.problem != "ok", -one.files, one.problem))
        )

    def add(self, row: Mapping[str, Any]) -> None:
        """One more row."""
        problem = "ok" if row["ok"] else row["problem"]
        one = self._by_problem.setdefault(problem, Sum(problem, row["path"]))
        self.files += 1
        self.bad += not row["ok"]
        one.files += 1
        one.bytes += row.get("bytes") or 0
        one.duration_s += row.get("duration_s") or 0.0


def sums(rows: pd.DataFrame) -> pd.DataFrame:
    """How many files of each verdict, as a table: columns of ``Sum``; the index is ``problem``."""
    import pandas as pd

    counted = Sums()
    wanted = [name for name in ("path", "ok", "problem", "bytes", "duration_s") if name in rows]
    for row in rows[wanted].to_dict("records"):
        counted.add({str(name): None if value is pd.NA else value for name, value in row.items()})
    columns = {"problem": "str", "files": "int64", "bytes": "Int64", "duration_s": "Float64", "example": "str"}
    return piece([one.to_dict() for one in counted], columns).set_index("problem")
