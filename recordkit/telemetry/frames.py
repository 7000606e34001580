"""Records as DataFrames, live or read back from a log; pandas is imported here and nowhere below."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import LogError
from ..model import Event, EventKind, FlushRecord, Sample
from ..names import SUFFIXES
from ..values import PathLike
from ..values import path as read_path
from .alerts import Alert
from .journal import Contents, in_order
from .logfile import SCHEMA_VERSION, SUFFIX, log_of, read_log
from .schema import RECORDS, Record, Schema
from .summary import summarise
from .words import count_text, json_text

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("recordkit")

_ALERT = Schema(Alert)
_EVENT_COLUMNS: dict[str, Any] = {
    "stream": "Int64",
    "name": "str",
    "media_s": "Float64",
    "seconds": "Float64",
    "because": "str",
    "message": "str",
}
_LARGEST = 1 << 63
_SET_BACK_NS = 500_000_000


@dataclass(frozen=True)
class Log:
    """All that is known of one recording; each DataFrame is built when it is asked for.

    ``header`` holds what is known from the start: path, settings, thresholds.
    """

    header: dict[str, Any]
    contents: Contents = field(repr=False)

    def __repr__(self) -> str:
        counts = (
            count_text(len(self.contents.flushes), "flush", "flushes"),
            count_text(len(self.contents.samples), "sample"),
            count_text(len(self.contents.events), "event"),
        )
        return f"<Log {self.header.get('path', 'of a recording')}, {', '.join(counts)}>"

    @property
    def attrs(self) -> dict[str, Any]:
        """The header with the streams' codecs, as plain values that JSON can carry."""
        streams = [event.fields for event in self.contents.events if event.kind is EventKind.STREAM]
        codecs = {str(one.get("stream")): str(one.get("codec")) for one in streams}
        return {"schema_version": SCHEMA_VERSION, **self.header, "codecs": codecs}

    @property
    def flushes(self) -> pd.DataFrame:
        """One row a flush, indexed by ``time`` (``datetime64[ns, UTC]``); columns as in FlushRecord."""
        frame = _frame(self.contents.flushes, "flush", drop=("index",))
        frame.attrs.update(self.attrs)
        return frame

    @property
    def samples(self) -> pd.DataFrame:
        """One row a sample, indexed by ``time``; columns as in Sample, what is optional nullable."""
        frame = _frame(self.contents.samples, "sample")
        frame.attrs.update(self.attrs)
        return frame

    @property
    def events(self) -> pd.DataFrame:
        """One row an event, numbered from 0: ``time``, ``elapsed_s``, ``kind``, what several kinds say, ``fields``.

        Several events may be of one moment: as an index, ``time`` would not tell them apart.
        ``stream``, ``name``, ``media_s``, ``seconds``, ``because`` and ``message`` are missing where a kind does
        not say that; ``fields`` is all that it says, as a dict (see ``plain``).
        """
        import pandas as pd

        frame = _frame(self.contents.events, "event").reset_index()
        for place, (name, dtype) in enumerate(_EVENT_COLUMNS.items()):
            values = [_said(fields.get(name), dtype) for fields in frame["fields"]]
            # By way of objects: a float cannot hold each integer.
            column = pd.Series(values, index=frame.index, dtype="object").astype(dtype)
            frame.insert(3 + place, name, column)
        frame.attrs.update(self.attrs)
        return frame

    @property
    def alerts(self) -> pd.DataFrame:
        """One row an alert, numbered from 0: ``time`` is when it was raised.

        ``cleared`` is when it ended (NaT while it stands); ``rule``, ``value``, ``threshold`` and
        ``message`` say what it was.
        """
        import pandas as pd

        raised: list[dict[str, Any]] = []
        standing: dict[Any, dict[str, Any]] = {}
        for event in self.contents.events:
            rule = event.fields.get("rule")
            if event.kind is EventKind.ALERT_RAISED:
                standing[rule] = {"time_ns": event.time_ns, "cleared": None, **_alert(event)}
                raised.append(standing[rule])
            elif event.kind is EventKind.ALERT_CLEARED and rule in standing:
                standing.pop(rule)["cleared"] = event.time_ns
        dtypes = {"time_ns": "int64", "cleared": "Int64"}
        dtypes |= {column.name: column.kind.nullable_dtype for column in _ALERT.columns}
        columns = {name: pd.Series([row[name] for row in raised], dtype=dtype) for name, dtype in dtypes.items()}
        columns["cleared"] = _times(columns["cleared"])
        frame = _indexed(pd.DataFrame(columns)).reset_index()
        frame.attrs.update(self.attrs)
        return frame

    def summary(self) -> pd.DataFrame:
        """One row of figures about the whole recording; see ``recordkit.telemetry.summary``."""
        return summarise(self)


class Logged(ABC):
    """What has a log offers its parts by their names.

    ``_ours`` are public names that only recordkit calls: completion does not offer them.
    """

    _ours: ClassVar[frozenset[str]] = frozenset()

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if name not in self._ours]

    @property
    @abstractmethod
    def log(self) -> Log:
        """All that is known of the recording until now."""

    @property
    def flushes(self) -> pd.DataFrame:
        """One row a flush, indexed by time."""
        return self.log.flushes

    @property
    def samples(self) -> pd.DataFrame:
        """One row a second, indexed by time."""
        return self.log.samples

    @property
    def events(self) -> pd.DataFrame:
        """One row an event, numbered from 0."""
        return self.log.events

    @property
    def alerts(self) -> pd.DataFrame:
        """One row an alert, numbered from 0."""
        return self.log.alerts

    def summary(self) -> pd.DataFrame:
        """One row of figures: sizes, rates, flush times, memory, drops, gaps, alerts."""
        return self.log.summary()


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """A copy of a table for Excel, SQL, JSON and whatever knows neither time zones nor mappings.

    Times are in UTC without saying so, mappings are JSON text, and the index, if it has a name, is the
    first column: ``plain(recording.flushes).to_excel("flushes.xlsx", index=False)``.
    """
    import pandas as pd

    table = table.reset_index() if table.index.name is not None else table.copy()
    table.attrs = {}
    for name, column in table.items():
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            table[name] = column.dt.tz_convert("UTC").dt.tz_localize(None)
        elif column.dtype == object:
            table[name] = [json_text(dict(one)) if isinstance(one, Mapping) else one for one in column]
    return table


def _said(value: object, dtype: str) -> object:
    """A field of an event, if it is of its column's type."""
    if dtype == "str":
        return None if value is None else str(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if dtype == "Int64":
        return value if isinstance(value, int) and abs(value) < _LARGEST else None
    return float(value) if abs(value) < _LARGEST else None  # NaN is neither


def _alert(event: Event) -> dict[str, Any]:
    """What an alert raised says, in its columns' types even if the log holds something else."""
    row: dict[str, Any] = {}
    for column in _ALERT.columns:
        value = event.fields.get(column.name)
        if column.type is str:
            row[column.name] = None if value is None else str(value)
        else:
            row[column.name] = value if isinstance(value, float) else None
    return row


def _frame(
    records: Sequence[Record], name: str, drop: Iterable[str] = (), *, is_of_one: bool = True
) -> pd.DataFrame:
    import pandas as pd

    dtypes = {column.name: column.kind.dtype for column in RECORDS[name].columns if column.name not in drop}
    # First as objects: by way of a float a large count beside a None would lose its last digits.
    columns = {}
    for name, dtype in dtypes.items():
        values = [getattr(record, name) for record in records]
        # A member of an enumeration passes for text, but is not what other programs expect.
        columns[name] = pd.Series([str(one) for one in values] if dtype == "str" else values, dtype="object")
    frame = pd.DataFrame(columns).astype(dtypes)
    return _indexed(_in_order(frame) if is_of_one else frame)


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of one recording with times that never go back.

    What was noted before the wall clock was set back gets the times of the clock as it is since then.
    """
    elapsed_ns = (frame["elapsed_s"] * 1e9).round().astype("int64")
    steps = (frame["time_ns"] - elapsed_ns).diff().fillna(0).clip(-9e18, 9e18).astype("int64")
    steps[steps > -_SET_BACK_NS] = 0
    after = steps[::-1].cumsum()[::-1].shift(-1, fill_value=0)
    frame["time_ns"] += after
    return frame


def _indexed(frame: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    frame.index = pd.DatetimeIndex(_times(frame.pop("time_ns")), name="time")
    return frame


def _times(nanoseconds: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    # By way of nullable integers: a float cannot hold a nanosecond of our days.
    return pd.to_datetime(nanoseconds.astype("Int64"), unit="ns", utc=True).astype("datetime64[ns, UTC]")


def read_flush_log(path: PathLike) -> Log:
    """The log of a recording, running, finished or crashed: the same that ``.flushes`` and the others returned.

    ``path`` is the log's own, or the recording's (final or partial); that of an export has its marks alone. Raises
    LogError if there is no log, or the file is not a log of flushes.
    """
    path = read_path("path", path)
    header, records = read_log(log_of(path) if path.suffix in SUFFIXES else path)
    return Log(
        header,
        Contents(
            tuple(record for record in records if isinstance(record, FlushRecord)),
            tuple(record for record in records if isinstance(record, Sample)),
            in_order(record for record in records if isinstance(record, Event)),
        ),
    )


def read_flush_logs(folder: PathLike, *, on_progress: Callable[[int, int], None] | None = None) -> pd.DataFrame:
    """The flushes of all recordings in ``folder`` (and below) in one frame, with a ``recording`` column.

    ``recording`` is the log's path in the folder, without its ending. A log that cannot be read
    is left out, with a warning in the log. ``on_progress`` is called with (done, total) logs.

    Raises LogError if ``folder`` is not a directory.
    """
    import pandas as pd

    folder = read_path("folder", folder)
    if not folder.is_dir():
        raise LogError(folder, "is not a directory")
    paths = sorted(folder.rglob("*" + SUFFIX))
    names: list[str] = []
    flushes: list[FlushRecord] = []
    for number, path in enumerate(paths):
        try:
            found = read_flush_log(path).contents.flushes
        except LogError as error:
            log.warning("%s; it is left out", error)
        else:
            flushes += found
            names += [path.relative_to(folder).as_posix().removesuffix(SUFFIX)] * len(found)
        if on_progress is not None:
            on_progress(number + 1, len(paths))
    # One frame of them all: a thousand small ones take longer to make than to read.
    together = _frame(flushes, "flush", drop=("index",), is_of_one=False)
    together.insert(0, "recording", pd.Series(names, dtype="str", index=together.index))
    together.attrs = {"schema_version": SCHEMA_VERSION, "folder": str(folder)}
    return together
