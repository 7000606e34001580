"""The parts of one recording, put together without the recorder before them."""

import pytest

from recordkit.errors import MediaError
from recordkit.model import EventKind
from recordkit.recorder.running import RunningRecording
from recordkit.recorder.shared import Shared
from recordkit.recorder.state import Ending, State
from recordkit.settings import RecordingSettings, VideoSettings
from recordkit.sources.synthetic import Synthetic

from ..steering import GUARD_S, FakeClock, FaultySystem, recordkit_threads

FRAMES = list(Synthetic(width=64, height=48, fps=10, seconds=1, sample_rate=8000).frames())


def running(folder, **changes):
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
    return RunningRecording(RecordingSettings(**given | changes), Shared(_clock=FakeClock()))


def put(parts, frame):
    is_audio = hasattr(frame, "sample_rate")
    ticks = round(frame.pts * frame.time_base * 90_000)
    return parts.intake.put(frame, int(is_audio), ticks, 1000, entry=True)


def kinds(parts):
    return [event.kind for event in parts.instruments.log.contents.events]


def test_what_is_put_in_comes_out_as_a_recording(tmp_path):
    told = []
    with recordkit_threads():
        parts = running(tmp_path, on_flush=told.append)
        parts.writer.start()
        parts.start(None)
        assert parts.states.state is State.RECORDING
        assert all(put(parts, frame) for frame in FRAMES)
        parts.states.end(Ending.STOP)
        parts.end(commit=True)
        assert parts.pipeline.join(GUARD_S)
        parts.instruments.join()
    recording = parts.result()
    assert parts.states.state is State.STOPPED
    assert recording.path == tmp_path / "talk.ts"
    assert recording.bytes == recording.path.stat().st_size == sum(record.flush_bytes for record in told)
    assert recording.counters.video_units == 10
    assert parts.ledger.duration_s == recording.duration_s == pytest.approx(1.0, abs=0.2)
    assert kinds(parts)[-1] is EventKind.COMMIT


def test_a_part_that_does_not_work_is_told_once_and_taken_back(tmp_path):
    parts = running(tmp_path)
    parts.states.start()
    parts.note.degrade("disk", "it is full")
    parts.note.degrade("disk", "it is full")
    assert parts.states.state is State.DEGRADED
    parts.note.restore("disk")
    parts.note.restore("disk")
    assert parts.states.state is State.RECORDING
    assert kinds(parts) == [EventKind.DEGRADED, EventKind.RESTORED]


def test_a_recording_that_fails_says_why_and_ends(tmp_path):
    with recordkit_threads():
        parts = running(tmp_path, audio=())
        parts.writer.start()
        parts.start(None)
        for _ in range(40):
            parts.intake.put(object(), 0, 0, 10, entry=True)  # nothing that could be coded
        assert parts.pipeline.join(GUARD_S)
    assert parts.states.state is State.FAILED
    assert isinstance(parts.error, MediaError)
    assert kinds(parts)[-1] is EventKind.FAILURE


@pytest.mark.parametrize(
    ("commit", "because"), [(None, Ending.DISK_FULL), (True, Ending.STOP), (False, Ending.LEAVE)]
)
def test_a_full_disk_ends_it_as_was_decided_before(tmp_path, commit, because):
    parts = running(tmp_path)
    parts.states.start()
    if commit is not None:
        parts.end(commit=commit)
    assert parts.full() is (commit is not False)
    assert parts.states.ending is because
    assert not put(parts, FRAMES[0])
    stops = [event.fields for event in parts.instruments.log.contents.events if event.kind is EventKind.STOP]
    assert stops[-1] == {"because": "disk full"}
    assert len(stops) == (1 if commit is None else 2)


def test_one_that_nobody_stops_is_committed_and_says_so(tmp_path):
    with recordkit_threads():
        parts = running(tmp_path)
        parts.writer.start()
        parts.start(None)
        assert all(put(parts, frame) for frame in FRAMES)
        parts.let_end()
        assert not parts.is_recording
        assert parts.join(GUARD_S)
    assert parts.result().path == tmp_path / "talk.ts"
    told = [event for event in parts.instruments.log.contents.events if event.kind is EventKind.STOP]
    assert [event.fields for event in told] == [{"because": "nobody stopped it"}]
    assert kinds(parts)[-2:] == [EventKind.STOP, EventKind.COMMIT]
