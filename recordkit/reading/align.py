"""Frames of two recordings that were taken at the same time."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import SettingsError, SourceError
from ..telemetry.table import NO_ERROR
from .opening import open as open_video
from .times import dated
from .video import Video

if TYPE_CHECKING:
    import pandas as pd

Integers = npt.NDArray[np.int64]


def align(left: Any, right: Any, tolerance_s: float = 0.02) -> pd.DataFrame:  # noqa: ANN401 - as recordkit.open
    """The frames of ``left`` and ``right`` that were taken at the same time, by their times of capture.

    Each of the two is a Video, or what ``recordkit.open`` takes. One row a pair: ``left`` and ``right`` are the
    frames' numbers, each at most once; ``captured`` is when the left one was taken (UTC), ``skew_s`` how much
    later the right one was, and ``error_s`` by how much that may be off (NaN if nobody knows). Two frames are a
    pair if neither has a nearer one on the other side, and they are at most ``tolerance_s`` seconds apart. In
    ``attrs`` are ``skew_s``, the median, and ``drift_ppm``, by how much it grows, in parts per million.

    Raises SettingsError for a tolerance that is none, SourceError if one of them cannot be opened, or does not say
    when its frames were taken.
    """
    import pandas as pd

    if not isinstance(tolerance_s, int | float) or not 0 < tolerance_s < float("inf"):
        raise SettingsError("tolerance_s", tolerance_s, "give seconds, more than 0")
    with ExitStack() as opened:
        sides = []
        for one in (left, right):
            video = one if isinstance(one, Video) else opened.enter_context(open_video(one))
            sides.append(_taken(video))
    (numbers, taken, errors), (others, their, their_errors) = sides
    nearest = _nearest(taken, their)
    back = _nearest(their, taken)
    skew_ns = their[nearest] - taken
    is_pair = (back[nearest] == np.arange(len(taken))) & (np.abs(skew_ns) <= tolerance_s * 1e9)
    pairs = np.flatnonzero(is_pair)
    skew_s = skew_ns[pairs] / 1e9
    table = pd.DataFrame(
        {
            "left": numbers[pairs],
            "right": others[nearest[pairs]],
            "captured": pd.to_datetime(taken[pairs], unit="ns", utc=True).as_unit("ns"),
            "skew_s": skew_s,
            "error_s": errors[pairs] + their_errors[nearest[pairs]],
        }
    )
    table.attrs["skew_s"] = float(np.median(skew_s)) if len(pairs) else float("nan")
    table.attrs["drift_ppm"] = _drift_ppm(taken[pairs], skew_s)
    return table


def _taken(video: Video) -> tuple[Integers, Integers, npt.NDArray[np.float64]]:
    """The frames of which it is known when they were taken, in that order: numbers, times and errors."""
    numbers, times, errors = dated(video._track.index)
    if not len(numbers):
        raise SourceError(str(video.path), "does not say when its frames were taken")
    return numbers, times, np.where(errors == NO_ERROR, np.nan, errors / 1e6)


def _nearest(times: Integers, others: Integers) -> Integers:
    """For each of ``times`` the place of the nearest of ``others``, the earlier of two; both ascend."""
    after = np.clip(np.searchsorted(others, times), 0, len(others) - 1)
    before = np.maximum(after - 1, 0)
    nearer: Integers = np.where(np.abs(others[before] - times) <= np.abs(others[after] - times), before, after)
    # Of several at one time the first.
    first: Integers = np.searchsorted(others, others[nearer])
    return first


def _drift_ppm(taken: Integers, skew_s: npt.NDArray[np.float64]) -> float:
    seconds = (taken - taken[:1]) / 1e9
    if len(seconds) < 3 or not seconds[-1]:
        return float("nan")
    return float(np.polyfit(seconds, skew_s, 1)[0] * 1e6)
