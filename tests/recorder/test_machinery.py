"""The parts of one recording, put together without the recorder before them."""

import pytest

from recordkit.errors import MediaError
from recordkit.model import EventKind
from recordkit.recorder.machinery import Machinery
from recordkit.recorder.shared import Shared
from recordkit.recorder.state import State
from recordkit.settings import RecordingSettings, VideoSettings
from recordkit.sources.synthetic import Synthetic

from ..steering import FakeClock, FaultySystem, recordkit_threads

FRAMES = list(Synthetic(width=64, height=48, fps=10, seconds=1, sample_rate=8000).frames())


def machinery(folder, **changes):
    given = {
        "path": folder / "talk.ts",
        "video": VideoSettings(preset="ultrafast"),
        "flush_threshold": 1 << 20,
        "durability": "process",
        "queue_bytes": 1 << 20,
        "sample_interval": 0.0,
        "flush_log": False,
        "_clock": FakeClock(),
        "_system": FaultySystem(),
    }
    return Machinery(RecordingSettings(**given | changes), Shared(_clock=FakeClock()))


def put(parts, frame):
    is_sound = hasattr(frame, "sample_rate")
    ticks = round(frame.pts * frame.time_base * 90_000)
    return parts.intake.put(frame, int(is_sound), ticks, 1000, entry=True)


def kinds(parts):
    return [event.kind for event in parts.instruments.log.contents.events]


def test_what_is_put_in_comes_out_as_a_recording(tmp_path):
    told = []
    with recordkit_threads():
        parts = machinery(tmp_path, on_flush=told.append)
        parts.writer.start()
        parts.start(None)
        assert parts.states.state is State.RECORDING
        assert all(put(parts, frame) for frame in FRAMES)
        parts.states.begin_to_stop()
        parts.end(commit=True)
        assert parts.pipeline.join(30.0)
        parts.instruments.join()
    recording = parts.result()
    assert parts.states.state is State.STOPPED
    assert recording.path == tmp_path / "talk.ts"
    assert recording.bytes == recording.path.stat().st_size == sum(record.flush_bytes for record in told)
    assert recording.counters.video_units == 10
    assert parts.duration_s == recording.duration_s == pytest.approx(1.0, abs=0.2)
    assert kinds(parts)[-1] is EventKind.COMMIT


def test_a_part_that_does_not_work_is_told_once_and_taken_back(tmp_path):
    parts = machinery(tmp_path)
    parts.states.go(State.RECORDING)
    parts.degrade("disk", "it is full")
    parts.degrade("disk", "it is full")
    assert parts.states.state is State.DEGRADED
    parts.restore("disk")
    parts.restore("disk")
    assert parts.states.state is State.RECORDING
    assert kinds(parts) == [EventKind.DEGRADED, EventKind.RESTORED]


def test_a_recording_that_fails_says_why_and_ends(tmp_path):
    with recordkit_threads():
        parts = machinery(tmp_path, audio=())
        parts.writer.start()
        parts.start(None)
        for _ in range(40):
            parts.intake.put(object(), 0, 0, 10, entry=True)  # nothing that could be coded
        assert parts.pipeline.join(30.0)
    assert parts.states.state is State.FAILED
    assert isinstance(parts.error, MediaError)
    assert kinds(parts)[-1] is EventKind.FAILURE
