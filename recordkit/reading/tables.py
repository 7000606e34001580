"""An index as DataFrames: a row a frame, when each is shown and was taken, and what is missing before it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..model import CapturedBy
from ..telemetry.table import NO_ERROR
from .index import Index
from .track import Track

if TYPE_CHECKING:
    import pandas as pd

Seconds = npt.NDArray[np.float64]
_NAMES = np.array([None, *(str(by) for by in CapturedBy)], object)


def media_times(track: Track) -> Seconds:
    """When each frame is shown, in seconds of media."""
    index, start = track.index, track.start_s
    base = index.time_base
    shift = int(start / base)
    rest = float(start - shift * base)
    times: Seconds = ((index.shown_pts - shift) * float(base) - rest).astype(np.float64)
    return times


def usual_step(times: Seconds) -> float:
    """How long a frame is usually shown, in seconds; 0 if there is only one."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def frame_table(track: Track, times: Seconds, path: Path) -> pd.DataFrame:
    """One row a frame, as ``Video.frames`` says."""
    import pandas as pd

    index = track.index
    order = index.order
    table = pd.DataFrame(
        {
            "pts": index.pts[order],
            "dts": index.dts[order],
            "media_s": times,
            **_taken(index),
            "keyframe": index.keyframe[order],
            "bytes": index.bytes[order],
            "offset": index.offset[order],
            "lost_before": _lost_before(index, times),
            "discontinuity": index.breaks[order],
            "damaged": index.damaged[order],
        },
        index=pd.RangeIndex(len(order), name="number"),
    )
    table.attrs.update(path=str(path), time_base=str(index.time_base), start_s=float(track.start_s))
    return table


def _taken(index: Index) -> dict[str, pd.Series[Any]]:
    import pandas as pd

    by = index.taken_by[index.order]
    errors = index.taken_error_us[index.order]
    times = pd.Series(index.taken_ns[index.order].astype("datetime64[ns]")).mask(by == 0)
    return {
        "captured": times.dt.tz_localize("UTC"),
        "captured_by": pd.Series(_NAMES[np.minimum(by, len(_NAMES) - 1)], dtype="str"),
        "captured_error_s": pd.Series(np.where((by == 0) | (errors == NO_ERROR), np.nan, errors / 1e6)),
    }


def _lost_before(index: Index, times: Seconds) -> npt.NDArray[np.int64]:
    lost = np.zeros(len(times), np.int64)
    steps, usual = np.diff(times), usual_step(times)
    breaks = index.breaks[index.order][1:]
    if usual > 0:
        lost[1:][breaks] = np.maximum(np.round(steps[breaks] / usual).astype(np.int64) - 1, 0)
    return lost


def frame_taken_at(index: Index, time_ns: int, step_s: float, path: Path) -> int:
    """The number of the frame that was taken last before ``time_ns``.

    Raises IndexError if none is known to have been, or for a time after the last one's.
    """
    dated = index.taken_by[index.order] > 0
    times = index.taken_ns[index.order][dated]
    if not len(times):
        raise IndexError(f"{path} does not say when its frames were taken")
    first, last = int(times.min()), int(times.max())
    if not first <= time_ns <= last + int(step_s * 1e9):
        asked, begin, end = (datetime.fromtimestamp(one / 1e9, UTC).isoformat() for one in (time_ns, first, last))
        raise IndexError(f"{path} has no frame of {asked}: they were taken from {begin} to {end}")
    before = np.where(times <= time_ns, times, first - 1)
    newest = len(before) - 1 - int(before[::-1].argmax())
    return int(np.flatnonzero(dated)[newest])


def mark_table(marks: list[tuple[str, float, int]], numbers: list[int]) -> pd.DataFrame:
    """One row a mark: ``name``, ``media_s``, ``time`` (UTC) and the ``number`` of the frame that was showing."""
    import pandas as pd

    return pd.DataFrame(
        {
            "name": pd.Series([name for name, _, _ in marks], dtype="str"),
            "media_s": pd.Series([media_s for _, media_s, _ in marks], dtype="float64"),
            "time": pd.to_datetime(pd.Series([at for _, _, at in marks], dtype="int64"), unit="ns", utc=True),
            "number": pd.Series(numbers, dtype="int64"),
        }
    )
