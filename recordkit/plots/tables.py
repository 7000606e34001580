"""What a plot is made from: the frames of one recording, wherever they come from."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import SettingsError
from ..model import EventKind
from ..telemetry.frames import Log, read_flush_log
from ..telemetry.journal import Contents

MOST_POINTS = 2000
Numbers = npt.NDArray[np.float64]


class Recorded(Protocol):
    """What has a recording's frames: Recorder, Recording, Log."""

    @property
    def flushes(self) -> pd.DataFrame:
        """One row a flush."""

    @property
    def samples(self) -> pd.DataFrame:
        """One row a sample."""

    @property
    def events(self) -> pd.DataFrame:
        """One row an event."""


Source = Recorded | str | os.PathLike[str] | pd.DataFrame | list[pd.DataFrame] | tuple[pd.DataFrame, ...]
"""A recording, the path of one or of its log, or one or several of its frames."""


@dataclass(frozen=True, slots=True)
class AlertSpan:
    """An alert from ``start_s`` to ``end_s`` (infinity while it stands), in seconds since the start."""

    start_s: float
    end_s: float
    rule: str


@dataclass(frozen=True)
class Tables:
    """The frames of one recording; ``alerts`` are placed on the same seconds as the rows."""

    flushes: pd.DataFrame
    samples: pd.DataFrame
    alerts: tuple[AlertSpan, ...]
    attrs: dict[str, Any]

    @property
    def end_s(self) -> float:
        """Seconds from the start to the last row."""
        ends = [frame["elapsed_s"].iloc[-1] for frame in (self.flushes, self.samples) if len(frame)]
        starts = [alert.start_s for alert in self.alerts]
        return float(max((*ends, *starts), default=0.0))

    def flush(self, column: str) -> Numbers:
        """A column of the flushes."""
        return numbers(self.flushes[column])

    def sample(self, column: str) -> Numbers:
        """A column of the samples, NaN where nothing is known; empty where there is no such column."""
        return numbers(self.samples[column]) if column in self.samples else np.empty(0)

    def setting(self, name: str) -> float:
        """A number that the recording was made with, NaN where it is unknown."""
        value = self.attrs.get(name)
        return float(value) if isinstance(value, int | float) else math.nan

    def limit(self, rule: str) -> float:
        """The threshold of an alert, NaN where there is none."""
        limits = self.attrs.get("alert_thresholds")
        value = limits.get(rule) if isinstance(limits, dict) else None
        return float(value) if isinstance(value, int | float) else math.nan


def tables(recording: Source) -> Tables:
    """The frames of ``recording``; what it does not give is empty.

    Raises LogError where there is no log at a path, SettingsError for what is no recording.
    """
    found: Recorded
    if isinstance(recording, str | os.PathLike):
        found = read_flush_log(Path(recording))
    elif isinstance(recording, pd.DataFrame):
        return _sorted_out([recording])
    elif isinstance(recording, list | tuple):
        return _sorted_out(recording)
    elif all(hasattr(recording, name) for name in ("flushes", "samples", "events")):
        found = recording
    else:
        advice = "give a Recorder, a Recording, a Log, a path, or frames of one"
        raise SettingsError("recording", recording, advice)
    flushes = found.flushes
    return Tables(flushes, found.samples, _spans_of_events(found.events), _named(flushes))


def _sorted_out(frames: Iterable[pd.DataFrame]) -> Tables:
    nothing = Log({}, Contents((), (), ()))
    kinds = {"flush_bytes": nothing.flushes, "cpu_share": nothing.samples, "kind": None, "cleared": None}
    attrs: dict[str, Any] = {}
    for frame in frames:
        kind = next((column for column in kinds if isinstance(frame, pd.DataFrame) and column in frame), None)
        if kind is None:
            raise SettingsError("recording", type(frame).__name__, "give .flushes, .samples, .events or .alerts")
        if "recording" in frame and frame["recording"].nunique() > 1:
            raise SettingsError("recording", "several in one frame", "choose one of them, or use groupby")
        kinds[kind] = frame
        attrs = attrs | _named(frame)
    flushes, samples = cast("pd.DataFrame", kinds["flush_bytes"]), cast("pd.DataFrame", kinds["cpu_share"])
    alerts: tuple[AlertSpan, ...] = ()
    if kinds["kind"] is not None:
        alerts = _spans_of_events(kinds["kind"])
    elif kinds["cleared"] is not None:
        rows = samples if len(samples) else flushes
        alerts = _spans_of_alerts(kinds["cleared"], rows)
    return Tables(flushes, samples, alerts, attrs)


def _named(frame: pd.DataFrame) -> dict[str, Any]:
    return {str(name): value for name, value in frame.attrs.items()}


def _spans_of_events(events: pd.DataFrame) -> tuple[AlertSpan, ...]:
    spans: list[AlertSpan] = []
    standing: dict[str, int] = {}
    some = events[events["kind"].isin([EventKind.ALERT_RAISED.value, EventKind.ALERT_CLEARED.value])]
    for elapsed_s, kind, fields in zip(some["elapsed_s"], some["kind"], some["fields"], strict=True):
        rule = str(fields.get("rule"))
        if kind == EventKind.ALERT_RAISED.value:
            standing[rule] = len(spans)
            spans.append(AlertSpan(elapsed_s, math.inf, rule))
        elif rule in standing:
            place = standing.pop(rule)
            spans[place] = AlertSpan(spans[place].start_s, elapsed_s, rule)
    return tuple(spans)


def _spans_of_alerts(alerts: pd.DataFrame, rows: pd.DataFrame) -> tuple[AlertSpan, ...]:
    """The alerts on the seconds of ``rows``; nowhere, where there are no rows to tell when the start was."""
    if not len(rows):
        return ()
    start = rows.index[0] - pd.Timedelta(seconds=float(rows["elapsed_s"].iloc[0]))
    begins = (alerts["time"] - start).dt.total_seconds()
    ends = (alerts["cleared"] - start).dt.total_seconds().fillna(math.inf)
    return tuple(
        AlertSpan(float(a), float(b), str(rule)) for a, b, rule in zip(begins, ends, alerts["rule"], strict=True)
    )


def numbers(column: pd.Series[Any]) -> Numbers:
    """A column as floats, NaN where nothing is known."""
    return column.to_numpy(dtype="float64", na_value=np.nan)


def thinned(values: Numbers, most: int = MOST_POINTS) -> npt.NDArray[np.int64]:
    """At most ``most`` places of ``values`` to draw: the first, the last, each stretch's lowest and highest.

    So a peak that lasts for one row is still seen, and a stretch of nothing but NaN still breaks the line.
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    edges = np.linspace(0, count, most // 2).astype(np.int64)
    low = np.where(np.isnan(values), np.inf, values)
    high = np.where(np.isnan(values), -np.inf, values)
    places = {0, count - 1}
    for begin, end in pairwise(edges):
        places.add(int(begin + low[begin:end].argmin()))
        places.add(int(begin + high[begin:end].argmax()))
    return np.array(sorted(places), dtype=np.int64)
