"""A recorder on disks that are full, slow, hang or lose its file; very short and very long recordings."""

import errno
import json
import os
import subprocess
import threading
import time
from fractions import Fraction

import av
import numpy as np
import pytest

import recordkit as rk
from recordkit.errors import StateError, WriteError
from recordkit.model import AccessUnit, EventKind
from recordkit.recorder.state import State
from recordkit.settings import RecordingSettings
from recordkit.writer.buffer import NotLaid
from recordkit.writer.closing import DISK_FULL
from recordkit.writer.room import RETRY_S
from recordkit.writer.writer import Writer

from .mounts import mounted
from .steering import GUARD_S, FakeClock, FaultySystem, packetiser, scan, whole

FRAMES = list(rk.Synthetic(width=64, height=48, fps=10, seconds=2, audio=False).frames())
FAST = rk.VideoSettings(preset="ultrafast", crf=1)
SMALLER = rk.VideoSettings(preset="ultrafast", crf=20)
"""What is coded so is smaller than the raw frames, of noise as well: the queue counts what it holds as it is."""


def frame(number, width=320, height=180):
    """A picture that compresses badly."""
    data = np.random.default_rng(number).integers(0, 256, (height * 3 // 2, width), np.uint8)
    made = av.VideoFrame.from_ndarray(data, "yuv420p")
    made.pts, made.time_base = number, Fraction(1, 25)
    return made


def feed(recorder, most=2000):
    """Write until the recording has ended; how many were taken."""
    taken = 0
    for number in range(most):
        try:
            taken += recorder.write(frame(number))
        except StateError:
            break
    return taken


def feed_until_degraded(recorder):
    """Write until the disk is waited for and the queue is full; how many were written."""
    guard_s = time.monotonic() + GUARD_S
    number = 0
    while True:
        was_degraded = recorder.state is State.DEGRADED
        taken = recorder.write(frame(number))
        number += 1
        if was_degraded and not taken:
            return number
        assert time.monotonic() < guard_s, "the disk was never full"


def kinds(recording):
    return [event.kind for event in recording.log.contents.events]


# Full.


def test_a_real_disk_that_is_full_commits_the_recording_and_says_why(tmp_path, caplog):
    with mounted(tmp_path / "mount", "tmpfs") as folder:
        recorder = rk.Recorder(folder / "talk.ts", video=FAST, audio=None, flush_threshold=1 << 16)
        recorder.start()
        feed(recorder)
        recording = recorder.stop(timeout=GUARD_S)
        assert recorder.state is State.STOPPED
        assert recording.ended_because == recorder.ended_because == DISK_FULL
        assert recording.path == folder / "talk.ts"
        with pytest.raises(StateError, match=DISK_FULL):
            recorder.write(frame(0))
        assert "the recording ends: disk full" in caplog.text
        # No unit that was packetised is missing.
        assert len(whole(recording.path)) == recording.bytes
        verified = rk.verify(recording.path, decode=True)
        assert verified.ok, verified.problems
        assert sum(one.access_units for one in verified.streams) == recording.counters.video_units
        counters = recording.counters
        assert counters.taken_items == counters.video_units + counters.abandoned_items
        assert recording.bytes > 5_000_000
        lines = (folder / "talk.flushes.jsonl").read_text().splitlines()
        events = [json.loads(line) for line in lines if json.loads(line)["type"] == "event"]
        assert any(one["kind"] == "stop" and one["fields"].get("because") == DISK_FULL for one in events)
        assert "commit" in [one["kind"] for one in events]
        assert sorted(one.name for one in folder.iterdir()) == ["talk.flushes.jsonl", "talk.frames", "talk.ts"]
        del recorder


def waiting_for_room(folder):
    """A recorder whose disk is full, and that waits: its clock, its disk, itself, the pictures it was given."""
    clock, system = FakeClock(), FaultySystem()
    recorder = rk.Recorder(
        folder / "talk.ts",
        video=SMALLER,
        audio=None,
        on_disk_full="wait",
        overflow="drop",
        flush_threshold=1 << 16,
        queue_bytes=1 << 20,
        sample_interval=0,
        _clock=clock,
        _system=system,
    )
    recorder.start()
    system.room = 100_000
    number = feed_until_degraded(recorder)
    clock.until_waiting("recordkit-write")
    return clock, system, recorder, number


def test_it_waits_for_room_degraded_and_drops_are_counted_to_the_unit(tmp_path):
    clock, system, recorder, number = waiting_for_room(tmp_path)
    assert "waiting for room" in recorder.degraded_because
    assert recorder.queue_bytes <= 1 << 20
    # Without a wait: the clock stands, whether or not the queue has been encoded by now.
    assert not recorder.flush(0)
    system.room = 1 << 40
    clock.advance(RETRY_S)
    while recorder.queue_bytes:
        time.sleep(0.01)
    assert recorder.state is State.RECORDING
    for more in range(number, number + 60):
        recorder.write(frame(more))
    recording = recorder.stop(timeout=GUARD_S)
    counters = recording.counters
    assert recording.ended_because is None
    assert counters.taken_items == counters.video_units
    assert counters.taken_items + counters.dropped_items == number + 60
    assert scan(whole(recording.path)).problem_counts == {}
    seen = kinds(recording)
    assert seen.index(EventKind.DEGRADED) < seen.index(EventKind.RESTORED)
    assert EventKind.DROP in seen
    assert EventKind.DISCONTINUITY in seen


@pytest.mark.parametrize("commit", [True, False])
def test_stopped_while_it_waits_it_keeps_all_that_was_packetised(tmp_path, commit):
    _, _, recorder, number = waiting_for_room(tmp_path)
    recording = recorder.stop(commit=commit, timeout=GUARD_S)
    counters = recording.counters
    assert recording.ended_because == DISK_FULL
    assert recording.path.name == ("talk.ts" if commit else "talk.recording.ts")
    assert counters.taken_items == counters.video_units + counters.abandoned_items
    assert counters.taken_items + counters.dropped_items == number
    verified = rk.verify(recording.path)
    assert sum(one.access_units for one in verified.streams) == counters.video_units


# Hanging, slow, gone.


def test_while_a_real_disk_hangs_the_interpreter_goes_on_and_stop_says_what_is_not_done(tmp_path):
    with mounted(tmp_path / "mount", "ext4") as folder:
        recorder = rk.Recorder(folder / "talk.ts", video=FAST, audio=None, flush_threshold=1 << 16)
        recorder.start()
        for number in range(40):
            recorder.write(frame(number))
        recorder.flush(GUARD_S)
        subprocess.run(["fsfreeze", "-f", str(folder)], check=True)
        # Only a thread of this interpreter thaws it: one that hung in a page fault would hold all up.
        thawed = threading.Event()

        def thaw():
            thawed.wait(GUARD_S)
            subprocess.run(["fsfreeze", "-u", str(folder)], check=True)

        thread = threading.Thread(target=thaw)
        thread.start()
        try:
            for number in range(40, 60):
                recorder.write(frame(number))
            with pytest.raises(StateError, match="did not end within 1 s: the disk has not done with"):
                recorder.stop(timeout=1)
            assert recorder.state is State.STOPPING
        finally:
            thawed.set()
            thread.join()
        recording = recorder.stop(timeout=GUARD_S)
        assert recording.counters.video_units == 60
        assert rk.verify(recording.path).ok
        del recorder


def test_slow_writes_do_not_hold_up_the_encoder(tmp_path):
    clock, system = FakeClock(), FaultySystem()
    writes = 0

    def slow():
        nonlocal writes
        writes += 1
        clock.advance(3.0)

    for nth in range(1, 200):
        system.do("write", nth, slow)
    recorder = rk.Recorder(
        tmp_path / "talk.ts",
        video=FAST,
        audio=None,
        flush_threshold=1 << 16,
        overflow="drop",
        queue_bytes=1 << 20,
        sample_interval=0,
        _clock=clock,
        _system=system,
    )
    recorder.start()
    # The first two frames are placed together: before the queue is full, whoever has the processor.
    for number in range(2):
        recorder.write(frame(number))
    recorder.flush(GUARD_S)
    number, guard_s = 2, time.monotonic() + GUARD_S
    # On a machine with much to do the encoder has few turns, and most of a hundred frames are dropped.
    while number < 100 or writes <= 3:
        recorder.write(frame(number))
        number += 1
        # Noise may be coded larger than it was raw: what is in hand then goes a little beyond the bound.
        assert recorder.queue_bytes <= (1 << 20) + (1 << 17)
        assert time.monotonic() < guard_s
    recording = recorder.stop(timeout=GUARD_S)
    counters = recording.counters
    assert writes > 3
    assert counters.taken_items == counters.video_units
    assert counters.taken_items + counters.dropped_items == number
    assert all(flush.write_s >= 3.0 for flush in recording.flush_records)


@pytest.mark.parametrize("how", ["removed", "renamed", "replaced", "folder removed"])
def test_a_partial_that_somebody_takes_away_is_told_and_nothing_else_gets_the_final_name(tmp_path, how):
    folder = tmp_path / "folder"
    # All frames are to be there when it is noticed, at the next flush.
    quiet = {"flush_interval": 3600, "flush_log": False, "frame_table": False}
    recorder = rk.Recorder(folder / "talk.ts", audio=None, **quiet)
    recorder.start()
    recorder.write(FRAMES[0])
    recorder.flush(GUARD_S)
    partial = recorder.temp_output_path
    if how == "renamed":
        partial.rename(folder / "elsewhere.ts")
    else:
        partial.unlink()
    if how == "replaced":
        partial.write_bytes(b"another's")
    if how == "folder removed":
        recorder._writer._tail.path.unlink()
        folder.rmdir()
    for one in FRAMES[1:]:
        recorder.write(one)
    with pytest.raises(WriteError, match="removed or renamed by somebody else"):
        recorder.stop(timeout=GUARD_S)
    assert recorder.error.errno == errno.ENOENT
    assert not (folder / "talk.ts").exists()
    if how == "replaced":
        assert partial.read_bytes() == b"another's"
    if how == "renamed":
        (folder / "elsewhere.ts").rename(partial)
        found = rk.recover(folder / "talk.ts")
        assert sum(one.access_units for one in rk.verify(found.final_path).streams) == len(FRAMES)


# Clocks, and how long it lasts.


def test_a_wall_clock_that_jumps_changes_nothing_but_the_column_of_times(tmp_path):
    class Jumping(FakeClock):
        jump_ns = 0

        def time_ns(self):
            return super().time_ns() + self.jump_ns

    sizes = []
    for jump_s in (0, -3600, 3600):
        clock = Jumping()
        recorder = rk.Recorder(tmp_path / f"{jump_s}.ts", audio=None, sample_interval=0, _clock=clock)
        recorder.start()
        for number, one in enumerate(FRAMES):
            if number == 10:
                recorder.flush(GUARD_S)
                clock.jump_ns = jump_s * 10**9
            recorder.write(one)
        recording = recorder.stop(timeout=GUARD_S)
        sizes.append(whole(recording.path))
        first, last = recording.flush_records[0], recording.flush_records[-1]
        assert last.elapsed_s == first.elapsed_s
        assert last.time_ns - first.time_ns == jump_s * 10**9
    assert sizes[0] == sizes[1] == sizes[2]


@pytest.mark.parametrize("jumps_too", [True, False])
def test_suspend_and_resume_is_a_gap_where_the_source_has_one_and_harms_nothing(tmp_path, jumps_too):
    clock = FakeClock()
    recorder = rk.Recorder(tmp_path / "talk.ts", sample_interval=0, _clock=clock)
    recorder.start()
    frames = list(rk.Synthetic(width=64, height=48, fps=10, seconds=2).frames())
    for number, one in enumerate(frames):
        if number == len(frames) // 2:
            recorder.flush(GUARD_S)
            clock.advance(3600)
        if jumps_too and number >= len(frames) // 2:
            one.pts += round(3600 / one.time_base)
        recorder.write(one)
    assert recorder.state is State.RECORDING
    recording = recorder.stop(timeout=GUARD_S)
    counters = recording.counters
    assert counters.taken_items == len(frames)
    assert (counters.dropped_items, counters.rejected_items, counters.video_units) == (0, 0, 20)
    assert recording.flush_records[1].interval_s >= 3600
    verified = rk.verify(recording.path, decode=True)
    assert verified.ok, verified.problems
    gap_s = 3600 if jumps_too else 0
    assert recording.duration_s == pytest.approx(2 + gap_s, abs=1.2)
    assert counters.gap_s == pytest.approx(gap_s, abs=0.2)
    assert counters.gap_count == (EventKind.GAP in kinds(recording)) == jumps_too
    assert (EventKind.DISCONTINUITY in kinds(recording)) == jumps_too


def test_a_stream_that_is_given_up_leaves_the_recorder_degraded_and_the_other_goes_on(tmp_path):
    recorder = rk.Recorder(tmp_path / "talk.ts", sample_interval=0)
    recorder.start()

    def write(numbers):
        for number in numbers:
            recorder.write(frame(number, 64, 48))
            # Nine channels that nobody says the places of: nothing can make stereo of them.
            sound = av.AudioFrame("s16", "9 channels", 1920)
            sound.sample_rate, sound.pts, sound.time_base = 48_000, number * 1920, Fraction(1, 48_000)
            recorder.write(sound)

    write(range(29))
    recorder.flush(GUARD_S)
    assert recorder.state is State.RECORDING
    write(range(29, 40))
    recorder.flush(GUARD_S)
    assert recorder.state is State.DEGRADED
    assert "stream 1" in recorder.degraded_because
    write(range(40, 60))
    recording = recorder.stop(timeout=GUARD_S)
    assert recorder.state is State.STOPPED
    assert recording.counters.video_units == recording.counters.rejected_items == 60
    assert kinds(recording).count(EventKind.DEGRADED) == 1
    assert rk.verify(recording.path, decode=True).ok


def test_a_fifth_of_a_second_with_sound(tmp_path):
    source = rk.Synthetic(width=64, height=48, fps=25, realtime=False)
    recording = rk.record(source, tmp_path / "talk.ts", seconds=0.2)
    verified = rk.verify(recording.path, decode=True)
    assert verified.ok, verified.problems
    assert verified.streams[0].access_units == 5
    assert recording.duration_s == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("hours", [27, 60])
def test_very_long_recordings_are_continuous_over_the_wrap(tmp_path, hours):
    """A picture a minute, and one each second for two minutes around the wraps of 33 bits."""
    wrap = 1 << 33
    minutes = range(180_000, hours * 3600 * 90_000, 60 * 90_000)
    near = [at + second * 90_000 for at in (wrap, 2 * wrap) for second in range(-60, 60) if at < minutes[-1]]
    times = sorted({*minutes, *near})
    writer = Writer(RecordingSettings(path=tmp_path / "talk.ts", durability="process"), packetiser())
    writer.start()
    for ticks in times:
        one = AccessUnit(0, ticks, ticks, bytes(50), random_access=True, duration=3000)
        while writer.lay(one) is NotLaid.FULL:
            writer.flush(GUARD_S)
    writer.close(commit=True)
    assert writer.join(GUARD_S)
    assert writer.error is None
    report = scan(whole(tmp_path / "talk.ts"))
    assert report.problem_counts == {}
    (found,) = [one for one in report.pids if one.pes_packets]
    assert found.pes_packets == len(times)
    assert (found.first_pts, found.last_pts) == (times[0], times[-1])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_very_short_recordings(tmp_path, count):
    with rk.Recorder(tmp_path / "talk.ts", audio=None) as recorder:
        for one in FRAMES[:count]:
            recorder.write(one)
    recording = recorder.stop()
    if not count:
        assert recording.path is None
        assert os.listdir(tmp_path) == []  # noqa: PTH208
        return
    verified = rk.verify(recording.path, decode=True)
    assert verified.ok, verified.problems
    assert verified.streams[0].access_units == count
