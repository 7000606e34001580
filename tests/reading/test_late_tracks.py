"""Streams of a growing MP4 that begin late are read with the others, for what is kept of a ring."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import recordkit as rk
from recordkit.reading.laid import units_laid
from tests.encode.live_units import pictures, sound
from tests.steering import FakeClock


@pytest.mark.parametrize("late_s", [0.0, 1.0])
def test_each_unit_comes_back_with_its_bytes(late_s: float, tmp_path: Path) -> None:
    recorder = rk.Recorder(
        tmp_path / "talk.mp4",
        audio=rk.AudioSettings(codec="opus"),
        embed_times=False,
        sample_interval=0,
        _clock=FakeClock(),
    )
    video, audio = list(pictures("h264", 60, (64, 48))), list(sound("opus", 2, start=round(late_s * 90_000)))
    recorder.start()
    for unit in sorted([*video, *audio], key=lambda unit: unit.ticks or 0):
        recorder.write_unit(unit)
    recorder.flush()
    ends = {0: len(video), 1: len(audio)}
    size = (tmp_path / "talk.recording.mp4").stat().st_size
    found = list(units_laid(tmp_path / "talk.mp4", size, {}, ends))
    recorder.stop(commit=False)
    assert Counter(unit.stream for _, unit in found) == ends
    assert [bytes(unit.data) for _, unit in found if unit.stream == 1] == [unit.data for unit in audio]
