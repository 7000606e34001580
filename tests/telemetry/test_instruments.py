"""The instruments of real recordings: what is noted, that it is read back the same, that nothing harms them."""

import errno
import os
import threading
import time
from contextlib import suppress
from dataclasses import fields, replace

import av
import pytest
from pandas.testing import assert_frame_equal

from recordkit.errors import OutputExistsError, SettingsError, StateError, WriteError
from recordkit.model import EventKind
from recordkit.recorder.recorder import Recorder
from recordkit.settings import VideoSettings
from recordkit.sources.synthetic import Synthetic
from recordkit.telemetry import instruments
from recordkit.telemetry.alerts import AlertSettings
from recordkit.telemetry.frames import read_flush_log
from recordkit.telemetry.logfile import read_log
from recordkit.telemetry.sampler import Sampler

from ..steering import GUARD_S, FakeClock, FaultySystem, recordkit_threads

FAST = VideoSettings(preset="ultrafast")
SMALL = Synthetic(width=64, height=48, fps=10, seconds=2, sample_rate=8000)
OFF = AlertSettings(**{one.name: None for one in fields(AlertSettings) if one.name != "own"})
ALWAYS = replace(OFF, memory_bytes=1.0)
CALM = AlertSettings(memory_bytes=None)
"""The process of the tests may hold more than a recording should."""
LOG = "talk.flushes.jsonl"


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    with recordkit_threads():
        yield


@pytest.fixture(scope="module")
def frames():
    return list(SMALL.frames())


@pytest.fixture(scope="module")
def pictures(frames):
    return [frame for frame in frames if isinstance(frame, av.VideoFrame)]


def recorder(folder, name="talk.ts", **settings):
    return Recorder(folder / name, **{"video": FAST, "alerts": CALM} | settings)


def record(one, frames):
    with one:
        for frame in frames:
            one.write(frame)
    return one.stop()


def kinds(one):
    return one.events["kind"].tolist()


def noted(one, kind):
    """The fields of the events of a kind."""
    return [dict(event.fields) for event in one.log.contents.events if event.kind is kind]


class Sampled:
    """Tells when a sample has been taken, by an own rule that raises nothing."""

    def __init__(self):
        self._seen = threading.Condition()
        self._count = 0

    def __call__(self, sample):
        with self._seen:
            self._count += 1
            self._seen.notify_all()

    def wait_for(self, count):
        with self._seen:
            assert self._seen.wait_for(lambda: self._count >= count, GUARD_S), "no sample came"


# What is noted.


def test_a_recording_from_beginning_to_end(tmp_path, frames):
    recording = record(recorder(tmp_path), frames)
    seen = kinds(recording)
    assert seen[0] == "start"
    assert seen[-1] == "commit"
    for kind in ("start", "first byte", "stop", "commit"):
        assert seen.count(kind) == 1
    assert seen.count("stream") == 2
    assert seen.count("keyframe") == 1
    assert [one["codec"] for one in noted(recording, EventKind.STREAM)] == ["h264", "aac"]
    (commit,) = noted(recording, EventKind.COMMIT)
    assert commit == {
        "path": str(recording.path),
        "bytes": recording.bytes,
        "duration_s": recording.duration_s,
    }
    assert recording.flushes["flush_bytes"].sum() == recording.bytes
    assert recording.flushes["reason"].tolist()[-1] == "stop"
    assert recording.flushes["video_units"].sum() == recording.counters.video_units
    # The last sample is of the recording as it was left.
    assert recording.samples["file_bytes"].iloc[-1] == recording.bytes
    assert recording.flushes.attrs["codecs"] == {"0": "h264", "1": "aac"}
    assert recording.events["time"].is_monotonic_increasing


def test_what_is_read_back_is_what_the_live_recording_gave(tmp_path, frames):
    one = recorder(tmp_path, flush_interval=0.05, sample_interval=0.01, alerts=ALWAYS)
    recording = record(one, frames)
    for name in (recording.path, one.temp_output_path, tmp_path / LOG):
        log = read_flush_log(name)
        for frame in ("flushes", "samples", "events", "alerts"):
            assert len(getattr(recording, frame)) > 0
            assert_frame_equal(getattr(log, frame), getattr(recording, frame))
            assert getattr(log, frame).attrs == getattr(recording, frame).attrs


def test_while_it_is_recorded_the_log_ends_with_the_last_flush(tmp_path, frames):
    told = threading.Event()
    with recorder(tmp_path, on_flush=lambda flush: told.set(), flush_interval=3600.0) as one:
        for frame in frames:
            one.write(frame)
        one.flush()
        # flush() comes back when the bytes are in the file, which is before its record is noted.
        assert told.wait(GUARD_S)
        log = read_flush_log(one.temp_output_path)
        assert_frame_equal(log.flushes, one.flushes)
        assert log.attrs == one.log.attrs


def test_a_mark_is_in_the_log_before_the_next_flush(tmp_path, frames):
    with recorder(tmp_path, flush_interval=3600.0, sample_interval=60.0) as one:
        for frame in frames:
            one.write(frame)
        one.flush()
        one.mark("here")
        begun = time.monotonic()
        while b'"here"' not in (tmp_path / LOG).read_bytes():
            assert time.monotonic() - begun < GUARD_S
            time.sleep(0.002)
        assert len(one.flushes) == 1


def test_a_new_size_is_an_event(tmp_path, pictures):
    larger = list(Synthetic(width=96, height=64, fps=10, seconds=4, audio=False).frames())
    one = recorder(tmp_path, audio=None)
    record(one, [*pictures, *larger[20:]])
    assert [event["width"] for event in noted(one, EventKind.STREAM)] == [64]
    assert [(event["width"], event["height"]) for event in noted(one, EventKind.SIZE_CHANGE)] == [(96, 64)]


def test_a_gap_in_the_sound_is_an_event(tmp_path, frames):
    sounds = [frame for frame in frames if isinstance(frame, av.AudioFrame)]
    left = [frame for frame in sounds if not 0.5 <= float(frame.pts * frame.time_base) < 1.0]
    one = recorder(tmp_path, video=None)
    record(one, left)
    (gap,) = noted(one, EventKind.GAP)
    assert gap["seconds"] == pytest.approx(0.5, abs=0.3)
    assert gap["filled"] in (True, False)


def test_drops_are_events_and_what_follows_is_a_discontinuity(tmp_path):
    system = FaultySystem()
    gate = system.hold("write", 1)
    big = list(Synthetic(width=320, height=240, fps=10, seconds=1, audio=False).frames())
    one = recorder(tmp_path, audio=None, _system=system, flush_threshold=64 * 1024, queue_bytes=256 * 1024,
                   overflow="drop", video=VideoSettings(preset="ultrafast", crf=0.0))  # fmt: skip
    with one:
        given = 0
        while one.counters.dropped_items < 5:
            frame = big[given % len(big)]
            frame.pts = given
            given += 1
            one.write(frame)
        gate.until_reached()
        dropped = one.counters.dropped_items
        gate.open()
        assert one.flush(GUARD_S)
        frame.pts = given
        assert one.write(frame)
    assert sum(event["items"] for event in noted(one, EventKind.DROP)) == dropped
    assert len(noted(one, EventKind.DISCONTINUITY)) >= 1
    assert one.flushes["dropped_units"].iloc[-1] == dropped


def test_a_stream_that_falls_silent_is_a_stall_and_an_alert_that_ends(tmp_path, pictures):
    clock, sampled, told = FakeClock(), Sampled(), []
    # The disk, which others fill, is none of its business.
    settings = replace(OFF, own=(sampled,), silent_s=5.0)
    with recorder(tmp_path, audio=None, _clock=clock, alerts=settings, on_alert=told.append) as one:
        one.write(pictures[0])
        assert one.flush(GUARD_S)
        sampled.wait_for(1)
        clock.advance(6.0)
        sampled.wait_for(2)
        one.write(pictures[1])
        assert one.flush(GUARD_S)
        clock.advance(1.0)
        sampled.wait_for(3)
        # What happened since the last flush is in the log too once five seconds have gone by without one.
        assert "stall" in read_flush_log(tmp_path / LOG).events["kind"].tolist()
    assert [alert.rule for alert in told] == ["silent_s"]
    assert [event["silent_s"] for event in noted(one, EventKind.STALL)] == [6.0]
    assert one.alerts["rule"].tolist() == ["silent_s"]
    assert one.alerts["cleared"].notna().all()


def test_a_disk_that_fails_is_a_failure_in_the_log(tmp_path, pictures):
    system = FaultySystem()
    system.fail("sync_data", 2, errno.EIO)
    one = recorder(tmp_path, audio=None, _system=system)
    one.start()
    one.write(pictures[0])
    one.flush()
    one.write(pictures[1])
    with pytest.raises(WriteError):
        one.flush(GUARD_S)
    with pytest.raises(WriteError):
        one.stop()
    (failure,) = noted(one, EventKind.FAILURE)
    assert failure == {"error": "WriteError", "message": str(one.error)}
    assert "commit" not in kinds(one)
    assert_frame_equal(read_flush_log(tmp_path / LOG).events, one.events)


def test_the_thread_ends_after_a_failure_though_nobody_calls_stop(tmp_path, pictures):
    system = FaultySystem()
    system.fail("write", 1, errno.EIO)
    one = recorder(tmp_path, audio=None, _system=system)
    one.start()
    one.write(pictures[0])
    with suppress(WriteError, StateError):
        one.flush(GUARD_S)
    for thread in threading.enumerate():
        if thread.name.startswith("recordkit"):
            thread.join(GUARD_S)
    assert one.error is not None


# Where the log lies.


def test_no_log(tmp_path, frames):
    recording = record(recorder(tmp_path, flush_log=False), frames)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["talk.frames", "talk.ts"]
    assert len(recording.flushes) > 0


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_log_somewhere_else(tmp_path, frames, kind):
    path = tmp_path / "logs" / "my.log"
    recording = record(recorder(tmp_path, flush_log=kind(path)), frames)
    assert_frame_equal(read_flush_log(path).flushes, recording.flushes)
    assert not (tmp_path / LOG).exists()


def test_a_log_in_a_folder_has_the_usual_name(tmp_path, frames):
    (tmp_path / "logs").mkdir()
    record(recorder(tmp_path, flush_log=tmp_path / "logs"), frames)
    assert [path.name for path in (tmp_path / "logs").iterdir()] == [LOG]


@pytest.mark.parametrize("name", ["talk.ts", "talk.recording.ts", "talk.recording.tail"])
def test_the_log_cannot_lie_on_the_recording(tmp_path, name):
    with pytest.raises(SettingsError) as caught:
        recorder(tmp_path, flush_log=tmp_path / name)
    assert caught.value.name == "flush_log"


def test_where_no_media_came_there_is_no_log(tmp_path):
    one = recorder(tmp_path)
    with one:
        assert (tmp_path / LOG).exists()
    assert list(tmp_path.iterdir()) == []
    assert kinds(one) == ["start", "stop"]


def test_an_older_log_is_kept_and_comes_back_where_no_media_came(tmp_path, frames):
    first = record(recorder(tmp_path), frames)
    with recorder(tmp_path, overwrite=True):
        pass
    assert_frame_equal(read_flush_log(first.path).flushes, first.flushes)
    second = record(recorder(tmp_path, overwrite=True), frames)
    assert_frame_equal(read_flush_log(second.path).flushes, second.flushes)
    assert_frame_equal(read_flush_log(tmp_path / f"{LOG}.old").flushes, first.flushes)


def test_a_start_that_failed_leaves_no_log_and_may_be_tried_again(tmp_path, frames):
    (tmp_path / "talk.ts").write_bytes(b"mine")
    one = recorder(tmp_path)
    with pytest.raises(OutputExistsError):
        one.start()
    assert not (tmp_path / LOG).exists()
    (tmp_path / "talk.ts").unlink()
    record(one, frames)
    assert len(read_log(tmp_path / LOG)[1]) > 0


@pytest.mark.parametrize("target", ["/dev/full", "no such folder", "pipe"])
def test_a_log_that_cannot_be_written_harms_no_recording(tmp_path, frames, target, caplog):
    path = tmp_path / "logs"
    if target == "pipe":
        os.mkfifo(path)
    elif target == "/dev/full":
        path.symlink_to(target)
    else:
        path.touch()
        path /= "talk.jsonl"
    recording = record(recorder(tmp_path, flush_log=path), frames)
    assert recording.path.stat().st_size == recording.flushes["flush_bytes"].sum()
    assert caplog.text.count(str(path)) == 1


# What goes wrong beside the recording.


def test_samples_that_fail_end_neither_the_recording_nor_its_log(tmp_path, frames, monkeypatch, caplog):
    def no_more_files(self, last_flush_s):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Sampler, "sample", no_more_files)
    recording = record(recorder(tmp_path, sample_interval=0.01), frames)
    assert len(recording.samples) == 0
    assert_frame_equal(read_flush_log(recording.path).flushes, recording.flushes)
    assert caplog.text.count("A sample failed") == 1


def test_a_thread_that_cannot_be_started_takes_no_samples(tmp_path, frames, monkeypatch, caplog):
    start = threading.Thread.start

    def refuse(self):
        if self.name.startswith("recordkit-sample"):
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    recording = record(recorder(tmp_path), frames)
    assert "no samples are taken" in caplog.text
    assert len(recording.samples) == 0
    assert_frame_equal(read_flush_log(recording.path).flushes, recording.flushes)


def test_without_samples_there_is_no_thread(tmp_path, frames):
    with recorder(tmp_path, sample_interval=0) as one:
        assert not any(thread.name.startswith("recordkit-sample") for thread in threading.enumerate())
        for frame in frames:
            one.write(frame)
    assert len(one.samples) == 0
    assert_frame_equal(read_flush_log(tmp_path / LOG).events, one.events)


def test_the_thread_is_named_after_the_recording(tmp_path):
    with recorder(tmp_path):
        assert "recordkit-sample:talk.ts" in [thread.name for thread in threading.enumerate()]


def test_on_alert_may_stop_the_recording(tmp_path, pictures):
    stopped = threading.Event()
    results = []

    def stop(alert):
        results.append(one.stop())
        stopped.set()

    go = threading.Event()
    settings = replace(OFF, own=(lambda sample: "enough" if go.is_set() else None,))
    one = recorder(tmp_path, audio=None, alerts=settings, on_alert=stop, sample_interval=0.01)
    one.start()
    one.write(pictures[0])
    go.set()
    assert stopped.wait(GUARD_S)
    assert one.stop(timeout=GUARD_S) is results[0]
    assert results[0].path == tmp_path / "talk.ts"
    alerts = read_flush_log(tmp_path / LOG).alerts
    assert alerts["message"].tolist() == ["enough"]


def test_an_on_alert_that_fails_ends_nothing(tmp_path, frames, caplog):
    def fail(alert):
        raise ValueError("oops")

    recording = record(recorder(tmp_path, alerts=ALWAYS, on_alert=fail), frames)
    assert recording.path.exists()
    assert recording.alerts["rule"].tolist() == ["memory_bytes"]
    assert "on_alert failed" in caplog.text


def test_an_on_alert_that_hangs_is_not_waited_for_for_ever(tmp_path, frames, monkeypatch, caplog):
    monkeypatch.setattr(instruments, "_LONGEST_JOIN_S", 0.1)
    reached, go_on = threading.Event(), threading.Event()

    def hang(alert):
        reached.set()
        assert go_on.wait(GUARD_S)

    one = recorder(tmp_path, alerts=ALWAYS, on_alert=hang)
    one.start()
    assert reached.wait(GUARD_S)
    for frame in frames:
        one.write(frame)
    assert one.stop().path.exists()
    assert "recordkit-sample:talk.ts has not ended" in caplog.text
    go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("recordkit-sample"):
            thread.join(GUARD_S)
    assert kinds(one).count("alert raised") == 1


def test_alerts_can_be_switched_off_altogether(tmp_path, frames):
    recording = record(recorder(tmp_path, alerts=OFF), frames)
    assert len(recording.alerts) == 0
    assert recording.flushes.attrs["alert_thresholds"] == {}
