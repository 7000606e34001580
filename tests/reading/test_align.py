"""Frames of two recordings side by side, by when they were taken."""

import math

import numpy as np
import pandas as pd
import pytest

import recordkit as rk
from recordkit.errors import SettingsError, SourceError
from recordkit.model import Captured, CapturedBy

NOON_NS = 1_795_780_800_000_000_000


def camera(path, times_s, error_s=0.001):
    """A recording whose frames were taken at these times; None: nobody knows."""
    frames = rk.Synthetic(64, 48, audio=False, seconds=len(times_s) / 30).frames()
    with rk.Recorder(path) as recorder:
        for frame, at_s in zip(frames, times_s, strict=True):
            ns = None if at_s is None else NOON_NS + round(at_s * 1e9)
            recorder.write(frame, captured=None if ns is None else Captured(ns, CapturedBy.DEVICE, error_s))
    return recorder.stop()


def test_the_nearest_frames_are_pairs(tmp_path):
    left = camera(tmp_path / "left.ts", [number / 30 for number in range(60)])
    right = camera(tmp_path / "right.ts", [0.5 + 0.004 + number / 30 for number in range(60)], 0.002)
    pairs = rk.align(left, right)
    assert pairs["left"].tolist() == list(range(15, 60))
    assert pairs["right"].tolist() == list(range(45))
    assert np.allclose(pairs["skew_s"], 0.004)
    assert np.allclose(pairs["error_s"], 0.003)
    assert pairs.attrs["skew_s"] == pytest.approx(0.004)
    assert pairs.attrs["drift_ppm"] == pytest.approx(0, abs=0.1)
    assert pairs["captured"].iloc[0] == pd.Timestamp(NOON_NS + 500_000_000, tz="UTC")


def test_no_frame_has_two_partners_and_none_is_far_away(tmp_path):
    left = camera(tmp_path / "left.ts", [number / 60 for number in range(30)])
    right = camera(tmp_path / "right.ts", [0.001, 1 / 30, None, 0.101, 5.0])
    with rk.open(left) as one, rk.open(right.path) as other:
        pairs = rk.align(one, other, tolerance_s=0.01)
    assert pairs[["left", "right"]].to_numpy().tolist() == [[0, 0], [2, 1], [6, 3]]


def test_drift_is_measured(tmp_path):
    left = camera(tmp_path / "left.ts", [number / 30 for number in range(30)])
    right = camera(tmp_path / "right.ts", [number / 30 * 1.0005 for number in range(30)], None)
    pairs = rk.align(left, right)
    assert pairs.attrs["drift_ppm"] == pytest.approx(500, rel=0.01)
    assert pairs["error_s"].isna().all()


def test_what_cannot_be_aligned_is_told(tmp_path):
    left = camera(tmp_path / "left.ts", [0.0])
    bare = camera(tmp_path / "bare.ts", [None])
    with pytest.raises(SourceError, match=r"bare\.ts.*does not say when its frames were taken"):
        rk.align(left, bare)
    with pytest.raises(SettingsError, match="tolerance_s"):
        rk.align(left, left, tolerance_s=0)
    late = camera(tmp_path / "late.ts", [100.0])
    pairs = rk.align(left, late)
    assert len(pairs) == 0
    assert math.isnan(pairs.attrs["skew_s"])
