"""One row of figures for one recording."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from ..model import Event, EventKind, FlushRecord, Sample
from .journal import KEPT_FOR_GOOD, NEWEST_EVENTS, Contents

if TYPE_CHECKING:
    import pandas as pd

FEWEST_SAMPLES = 10
_LARGEST = 2**63 - 1
SHORTEST_SLOPE_S = 30.0
"""With fewer samples, or over a shorter time, a slope says more about the start than about a leak."""

_DTYPES = {
    "started": "datetime64[ns, UTC]",
    "duration_s": "float64",
    "elapsed_s": "float64",
    "state": "str",
    "bytes": "Int64",
    "bit_rate": "float64",
    "flush_count": "int64",
    "flushes_per_min": "float64",
    "longest_flush_interval_s": "float64",
    "write_p50_s": "float64",
    "write_p99_s": "float64",
    "write_max_s": "float64",
    "sync_p50_s": "float64",
    "sync_p99_s": "float64",
    "sync_max_s": "float64",
    "rss_start_bytes": "Int64",
    "rss_end_bytes": "Int64",
    "rss_peak_bytes": "Int64",
    "rss_slope_mb_per_h": "float64",
    "cpu_share_mean": "float64",
    "video_units": "Int64",
    "audio_units": "Int64",
    "dropped_units": "int64",
    "gaps": "Int64",
    "gap_s": "float64",
    "discontinuities": "Int64",
    "size_changes": "Int64",
    "alerts": "Int64",
    "bytes_at_risk_max": "Int64",
}
COLUMNS = tuple(_DTYPES)


class Described(Protocol):
    """What a summary is made from: a Log."""

    @property
    def header(self) -> dict[str, Any]:
        """What is known from the start."""

    @property
    def contents(self) -> Contents:
        """What has happened."""

    @property
    def attrs(self) -> dict[str, Any]:
        """The header and the codecs, as JSON can carry them."""


def summarise(log: Described) -> pd.DataFrame:
    """One row of figures; its index is the recording's name.

    ``duration_s`` is of the media, NaN if it was not committed; ``elapsed_s`` by the clock.
    ``bytes`` is the file's size; ``bit_rate`` in bits a second. ``longest_flush_interval_s`` counts
    the time since the last flush of a recording that did not commit. ``rss_slope_mb_per_h`` is a
    straight line through the samples by least squares, NaN for fewer than 10 of them or 30 s.
    ``cpu_share_mean`` is a share of one core. Counts that the newest rows no longer tell, after
    many hours, are NA: ``read_flush_log`` knows them all. Never raises.
    """
    row = {"name": _name(log.header), **_row(log.header, log.contents)}
    frame = framed([row])
    frame.attrs.update(log.attrs)
    return frame


def framed(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of figures as a frame, also if there are none."""
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=["name", *COLUMNS])
    frame["started"] = pd.to_datetime(frame["started"], utc=True)
    frame.index = pd.Index(frame.pop("name").astype("str"), name="recording")
    return frame.astype(_DTYPES)


def _name(header: Mapping[str, Any]) -> str:
    return str(header.get("recording", "recording"))


def _row(header: Mapping[str, Any], contents: Contents) -> dict[str, Any]:
    flushes, samples, events = contents.flushes, contents.samples, contents.events
    commit = next((event.fields for event in reversed(events) if event.kind is EventKind.COMMIT), {})
    state = _state(events)
    duration_s = _number(commit.get("duration_s"))
    elapsed_s = max((records[-1].elapsed_s for records in (flushes, samples, events) if records), default=math.nan)
    size = _size(commit.get("bytes"), flushes, samples)
    media_s = duration_s if duration_s > 0 else flushes[-1].elapsed_s if flushes else math.nan
    count = flushes[-1].index + 1 if flushes else 0
    intervals = [record.interval_s for record in flushes]
    if state != "committed":
        intervals.append(elapsed_s - (flushes[-1].elapsed_s if flushes else 0.0))
    measured: Sequence[Sample] | Sequence[FlushRecord] = samples or flushes
    rss = [record.rss_bytes for record in measured if record.rss_bytes is not None]
    flushed = [record.rss_bytes for record in flushes if record.rss_bytes is not None]
    return {
        "started": _started_ns(header, contents),
        "duration_s": duration_s,
        "elapsed_s": elapsed_s,
        "state": state,
        "bytes": size,
        "bit_rate": size * 8 / media_s if size is not None and media_s > 0 else math.nan,
        "flush_count": count,
        "flushes_per_min": count * 60 / elapsed_s if elapsed_s > 0 else math.nan,
        "longest_flush_interval_s": max(intervals, default=math.nan),
        **_spread("write", [record.write_s for record in flushes]),
        **_spread("sync", [record.sync_s for record in flushes]),
        "rss_start_bytes": rss[0] if rss else None,
        "rss_end_bytes": rss[-1] if rss else None,
        "rss_peak_bytes": max((*rss, *flushed), default=None),
        "rss_slope_mb_per_h": _slope(samples),
        "cpu_share_mean": _cpu_share(samples),
        **_units(flushes),
        "dropped_units": _dropped(flushes, samples),
        **_counts(events),
        "bytes_at_risk_max": max((record.bytes_at_risk for record in flushes), default=None),
    }


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _state(events: Sequence[Event]) -> str:
    kinds = {event.kind for event in events}
    if EventKind.COMMIT in kinds:
        return "committed"
    if EventKind.FAILURE in kinds:
        return "failed"
    return "stopped" if EventKind.STOP in kinds else "running or crashed"


def _started_ns(header: Mapping[str, Any], contents: Contents) -> int | None:
    started_ns = header.get("started_ns")
    if type(started_ns) is int:
        return started_ns
    first = [records[0] for records in (contents.events, contents.flushes, contents.samples) if records]
    return min((one.time_ns - round(one.elapsed_s * 1e9) for one in first), default=None)


def _size(committed: object, flushes: Sequence[FlushRecord], samples: Sequence[Sample]) -> int | None:
    if type(committed) is int:
        return committed
    return flushes[-1].file_bytes if flushes else samples[-1].file_bytes if samples else None


def _spread(name: str, values: Sequence[float]) -> dict[str, float]:
    import numpy as np

    p50, p99, most = np.percentile(values, (50, 99, 100)) if values else (math.nan,) * 3
    return {f"{name}_p50_s": float(p50), f"{name}_p99_s": float(p99), f"{name}_max_s": float(most)}


def _slope(taken: Sequence[Sample]) -> float:
    samples = [(sample.elapsed_s, sample.rss_bytes) for sample in taken if sample.rss_bytes is not None]
    if len(samples) < FEWEST_SAMPLES or samples[-1][0] - samples[0][0] < SHORTEST_SLOPE_S:
        return math.nan
    import numpy as np

    hours = np.array([elapsed_s for elapsed_s, _ in samples]) / 3600
    megabytes = np.array([rss_bytes for _, rss_bytes in samples]) / 1e6
    hours -= hours.mean()
    spread = float(hours @ hours)
    return float(hours @ (megabytes - megabytes.mean())) / spread if spread > 0 else math.nan


def _cpu_share(samples: Sequence[Sample]) -> float:
    """The mean by time: older samples stand for a longer time than the newest."""
    pairs = list(pairwise(samples))
    total_s = sum(after.elapsed_s - before.elapsed_s for before, after in pairs)
    if total_s <= 0:
        return math.nan
    return sum(after.cpu_share * (after.elapsed_s - before.elapsed_s) for before, after in pairs) / total_s


def _units(flushes: Sequence[FlushRecord]) -> dict[str, int | None]:
    if flushes and flushes[0].index > 0:  # the oldest have made room for the newest
        return {"video_units": None, "audio_units": None}
    return {
        "video_units": min(sum(record.video_units for record in flushes), _LARGEST),
        "audio_units": min(sum(record.audio_units for record in flushes), _LARGEST),
    }


def _dropped(flushes: Sequence[FlushRecord], samples: Sequence[Sample]) -> int:
    return max(flushes[-1].dropped_units if flushes else 0, samples[-1].dropped_units if samples else 0)


def _counts(events: Sequence[Event]) -> dict[str, Any]:
    counted = [event for event in events if event.kind not in (EventKind.KEYFRAME, *KEPT_FOR_GOOD)]
    if len(counted) == NEWEST_EVENTS:  # the journal is full: older ones have made room
        names = ("gaps", "gap_s", "discontinuities", "size_changes", "alerts")
        return dict.fromkeys(names)
    kinds = [event.kind for event in counted]
    lengths = [_number(event.fields.get("seconds")) for event in counted if event.kind is EventKind.GAP]
    return {
        "gaps": len(lengths),
        "gap_s": math.fsum(length for length in lengths if not math.isnan(length)),
        "discontinuities": kinds.count(EventKind.DISCONTINUITY),
        "size_changes": kinds.count(EventKind.SIZE_CHANGE),
        "alerts": kinds.count(EventKind.ALERT_RAISED),
    }
