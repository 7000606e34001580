"""An index as DataFrames: a row a frame, when each is shown and was taken, and what is missing before it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..model import CapturedBy
from ..telemetry.table import NO_ERROR
from .index import Index
from .marking import Mark
from .times import Seconds, Times
from .track import Track

if TYPE_CHECKING:
    import pandas as pd

_NAMES = np.array([None, *(str(by) for by in CapturedBy)], object)


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
    steps, breaks = np.diff(times), index.breaks[index.order][1:]
    usual = float(np.median(steps[~breaks])) if not breaks.all() else 0.0
    if usual > 0:
        lost[1:][breaks] = np.maximum(np.round(steps[breaks] / usual).astype(np.int64) - 1, 0)
    return lost


def mark_table(marks: list[Mark], track: Track, times: Times) -> pd.DataFrame:
    """One row a mark: ``name``, ``media_s``, ``time``, ``number`` of the frame that was showing, ``captured``."""
    import pandas as pd

    numbers = [times.showing(mark.media_s) for mark in marks]
    index = track.index
    taken = [index.captured(int(index.order[number])) if len(index) else None for number in numbers]
    taken_ns = pd.Series([None if one is None else one.time_ns for one in taken], dtype="Int64")
    return pd.DataFrame(
        {
            "name": pd.Series([mark.name for mark in marks], dtype="str"),
            "media_s": pd.Series([mark.media_s for mark in marks], dtype="float64"),
            "time": pd.to_datetime(pd.Series([mark.time_ns for mark in marks], dtype="int64"), unit="ns", utc=True),
            "number": pd.Series(numbers, dtype="int64"),
            "captured": pd.to_datetime(taken_ns, unit="ns", utc=True).astype("datetime64[ns, UTC]"),
        }
    )
