"""What is known of a recording's flushes, and how pandas gets to see it."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from .model import FlushRecord

if TYPE_CHECKING:
    import pandas as pd

NEWEST_KEPT = 20_000
"""Flush records kept in memory: eleven hours of one every two seconds."""


class FlushLog:
    """The newest flush records of one recording, in order."""

    def __init__(self) -> None:
        self._records: deque[FlushRecord] = deque(maxlen=NEWEST_KEPT)

    def append(self, record: FlushRecord) -> None:
        """Add the newest record."""
        self._records.append(record)

    @property
    def records(self) -> tuple[FlushRecord, ...]:
        """The records, oldest first."""
        return tuple(self._records)


def flush_frame(records: tuple[FlushRecord, ...]) -> pd.DataFrame:
    """One row a flush, indexed by ``time`` (``datetime64[ns, UTC]``); columns as FlushRecord's fields."""
    import pandas as pd

    columns = [field.name for field in fields(FlushRecord) if field.name != "time_ns"]
    frame = pd.DataFrame([asdict(record) for record in records], columns=["time_ns", *columns])
    index = pd.DatetimeIndex(
        pd.to_datetime(frame.pop("time_ns"), unit="ns", utc=True).dt.as_unit("ns"), name="time"
    )
    frame.index = index
    sizes = [name for name in columns if name.endswith(("_bytes", "_units")) or name in ("index", "bytes_at_risk")]
    return frame.astype(dict.fromkeys(sizes, "int64") | {"reason": "str"})
