"""A recording that has ended: its frames, its figures and its two lines."""

from pathlib import Path

import pytest

import recordkit as rk
from recordkit.model import FlushReason, FlushRecord
from recordkit.recorder.result import Counters
from recordkit.telemetry.frames import Log
from recordkit.telemetry.journal import Contents


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    return rk.record(
        rk.Synthetic(width=320, height=180, realtime=False), tmp_path_factory.mktemp("talk") / "talk.ts", seconds=5
    )


def test_its_frames_are_those_of_its_log(talk):
    assert talk.log is talk.flush_log
    assert len(talk.flushes) == len(talk.flush_records) == len(talk.log.flushes)
    assert list(talk.flushes["file_bytes"]) == [record.file_bytes for record in talk.flush_records]
    assert len(talk.samples) >= 2
    assert {"start", "commit"} <= set(talk.events["kind"])
    assert list(talk.alerts.columns) == list(talk.log.alerts.columns)


def test_its_figures_agree_with_what_it_knows_itself(talk):
    (row,) = talk.summary().to_dict("records")
    assert row["state"] == "committed"
    assert row["bytes"] == talk.bytes == talk.path.stat().st_size
    assert row["duration_s"] == talk.duration_s
    assert row["flush_count"] == len(talk.flush_records)
    assert row["video_units"] == talk.counters.video_units
    assert row["audio_units"] == talk.counters.audio_units
    assert row["dropped_units"] == talk.counters.dropped_items
    assert row["gaps"] == talk.counters.gap_count
    assert rk.compare([talk, talk.path]).iloc[1].drop("started").equals(talk.summary().iloc[0].drop("started"))


def test_in_a_terminal_it_is_two_lines():
    record = FlushRecord(
        41, 1, 84.0, 100, 4_050_000, 0.1, 0.1, FlushReason.STOP, 2.0, 1, 1, 2.0, 1200, 0, 100, 103_000_000
    )
    recording = rk.Recording(
        Path("talks/talk.ts"), 4_050_000, 84.2, {}, Counters(), Log({}, Contents((record,), (), ()))
    )
    assert str(recording).splitlines() == [
        "talks/talk.ts: 1:24, 4.05 MB",
        "42 flushes, memory 103 MB at most, 1,200 units dropped, no alerts",
    ]


def test_its_lines_and_its_repr_are_not_the_same(talk):
    assert str(talk).startswith(f"{talk.path}: 0:05, ")
    assert repr(talk).startswith("Recording(path=")
    assert "flush_log" not in repr(talk)


def test_frames_and_the_ones_at_marks(tmp_path):
    recorder = rk.Recorder(tmp_path / "talk.ts", audio=None, sample_interval=0)
    with recorder:
        for number, frame in enumerate(rk.Synthetic(64, 48, fps=10, seconds=2, audio=False).frames()):
            recorder.write(frame)
            if number in (4, 12):
                recorder.flush()
                recorder.mark(f"after {number}")
        recording = recorder.stop()
    assert recording.frames["media_s"].tolist() == pytest.approx([number / 10 for number in range(20)])
    assert recording.frames_at(recording.marks).index.tolist() == recording.marks["number"].tolist() == [4, 12]
    with recording.open() as video:
        assert len(video) == 20
