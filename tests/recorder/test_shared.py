"""What the recordings of one process share, how they find it, and that none holds up another."""

import os
import subprocess
import sys
import threading
from fractions import Fraction

import av
import numpy as np
import pytest

import recordkit as rk
from recordkit.recorder.admission import Load, Needs
from recordkit.recorder.capacity import Capacity
from recordkit.recorder.shared import Shared
from recordkit.system import Clock

from ..steering import GUARD_S, FakeClock, FaultySystem, Gate, recordkit_threads

MIB = 1024 * 1024
FAST = rk.VideoSettings(preset="ultrafast")
EXACT = rk.VideoSettings(preset="ultrafast", crf=0)


def video_frames(**source):
    return [frame for frame in rk.Synthetic(**source).frames() if hasattr(frame, "width")]


VIDEO_FRAMES = video_frames(width=64, height=48, fps=10, seconds=2)


def noise(count):
    """Frames that no encoder makes smaller: half a megabyte each."""
    random = np.random.default_rng(7)
    for number in range(count):
        rows = random.integers(0, 256, (720, 640), np.uint8)
        frame = av.VideoFrame.from_ndarray(rows, "yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 30)
        yield frame


def write_until_it_drops(recorder, clock):
    """Each frame once the one before is coded: it is the disk, and not the encoder, that fills the queue."""
    for frame in noise(40):
        clock.until_waiting(f"recordkit-encode:{recorder.final_output_path.name}")
        if not recorder.write(frame):
            return
    raise AssertionError("nothing was dropped")


class Machine(Capacity):
    def __init__(self, memory=1 << 40):
        self.memory = memory

    def memory_bytes(self):
        return self.memory

    def total_memory_bytes(self):
        return self.memory

    def descriptors(self):
        return None


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    with recordkit_threads():
        yield


def recorder(folder, name="talk.ts", **settings):
    clock = FakeClock()
    given = {"video": FAST, "audio": None, "sample_interval": 0, "flush_log": False, "_clock": clock}
    return rk.Recorder(folder / name, **given | settings)


def test_recordings_of_one_process_find_the_same_and_those_on_another_clock_one_of_their_own():
    assert Shared.of_process(Clock()) is Shared.of_process(Clock())
    clock = FakeClock()
    assert Shared.of_process(clock) is not Shared.of_process(clock)
    assert Shared.of_process(clock) is not Shared.of_process(Clock())


def test_it_is_made_once_however_many_ask_at_the_same_time(monkeypatch):
    monkeypatch.setattr(Shared, "_of_process", None)
    together, found = threading.Barrier(8), []

    def ask():
        together.wait(GUARD_S)
        found.append(Shared.of_process(Clock()))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GUARD_S)
    assert len(set(map(id, found))) == 1


def test_a_process_that_was_forked_off_has_one_of_its_own(monkeypatch):
    parents = Shared()
    parents._pid = os.getppid()
    monkeypatch.setattr(Shared, "_of_process", parents)
    childs = Shared.of_process(Clock())
    assert childs is not parents
    assert Shared.of_process(Clock()) is childs


@pytest.mark.parametrize(
    ("memory", "limit"), [(64 << 30, 256 * MIB), (1 << 30, 128 * MIB), (1 << 20, 32 * MIB)], ids=str
)
def test_the_bound_goes_by_the_memory(memory, limit):
    assert Shared(_capacity=Machine(memory)).budget.limit == limit


def test_a_bound_that_cannot_be_used():
    with pytest.raises(rk.SettingsError):
        Shared(1000)


def test_who_has_left_is_not_asked_any_more(tmp_path):
    shared = Shared(_capacity=Machine())
    needs = Needs("new.ts", 1, encodes=True)

    def load():
        return Load("old.ts", since_drop_s=0.0)

    shared.join(load)
    with pytest.raises(rk.AdmissionError):
        shared.admit(needs)
    shared.leave(load)
    shared.leave(load)
    shared.admit(needs)


def test_a_recording_counts_from_its_start_to_its_end(tmp_path):
    shared = Shared(_capacity=Machine())
    one, other = (recorder(tmp_path, name, shared=shared) for name in ("one.ts", "other.ts"))
    assert shared.budget.members == 0
    with one, other:
        assert shared.budget.members == 2
        one.write(VIDEO_FRAMES[0])
    assert (shared.budget.members, shared.budget.used) == (0, 0)


def test_a_recording_that_could_not_start_counts_nowhere(tmp_path):
    shared = Shared(_capacity=Machine())
    (tmp_path / "talk.ts").touch()
    with pytest.raises(rk.OutputExistsError):
        recorder(tmp_path, shared=shared).start()
    assert shared.budget.members == 0


def test_one_whose_disk_hangs_holds_up_no_other(tmp_path):
    """The first hogs the budget behind a write that hangs; the second goes on, flushes and commits."""
    shared = Shared(4 * MIB, _capacity=Machine())
    clock, system = FakeClock(), FaultySystem()
    gate = system.hold("write", 1)
    hanging = recorder(
        tmp_path, "hanging.ts", video=EXACT, _clock=clock, _system=system, shared=shared, overflow="drop"
    )
    healthy = recorder(tmp_path, "healthy.ts", shared=shared, overflow="drop")
    with hanging, healthy:
        write_until_it_drops(hanging, clock)
        assert shared.budget.used > 3 * MIB
        for frame in VIDEO_FRAMES:
            assert healthy.write(frame)
        assert healthy.flush(GUARD_S)
        assert healthy.file_bytes
        recording = healthy.stop(timeout=GUARD_S)
        assert recording.counters.dropped_items == 0
        assert recording.counters.video_units == len(VIDEO_FRAMES)
        gate.open()
    assert hanging.stop().path == tmp_path / "hanging.ts"
    assert shared.budget.used == 0


def test_one_that_must_wait_for_the_budget_goes_on_when_another_gives_it_back(tmp_path):
    shared = Shared(2 * MIB, _capacity=Machine())
    one = shared.budget.share()
    one.join()
    assert one.take(2 * MIB)
    blocked = recorder(tmp_path, shared=shared, overflow="block")
    blocked.start()
    done = threading.Event()

    def write():
        for frame in VIDEO_FRAMES:
            blocked.write(frame)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    one.give(2 * MIB)
    one.leave()
    assert done.wait(GUARD_S)
    thread.join(GUARD_S)
    assert blocked.stop(timeout=GUARD_S).counters.video_units == len(VIDEO_FRAMES)


# Admission.


def test_a_recording_that_is_refused_leaves_nothing_and_may_try_again(tmp_path):
    machine = Machine(1 << 20)
    shared = Shared(_capacity=machine)
    made = recorder(tmp_path / "folder", shared=shared, flush_threshold=1 << 20, queue_bytes=1 << 20)
    with pytest.raises(rk.AdmissionError) as caught:
        made.start()
    # Tail, queue and something for the encoder.
    assert caught.value.short == "memory"
    assert (2 + 1 + 2) << 20 < caught.value.needed < 32 << 20
    assert caught.value.available == 1 << 20
    assert (made.state, shared.budget.members) == (rk.State.NEW, 0)
    assert not (tmp_path / "folder").exists()
    machine.memory = 1 << 30
    with made:
        assert made.state is rk.State.RECORDING


def test_without_the_check_it_starts(tmp_path):
    with recorder(tmp_path, shared=Shared(_capacity=Machine(0)), admission="off") as made:
        assert made.state is rk.State.RECORDING


def test_a_policy_that_there_is_none_of(tmp_path):
    with pytest.raises(rk.SettingsError, match="'check' or 'off'"):
        recorder(tmp_path, admission="perhaps")


def test_a_recording_that_loses_media_to_a_hanging_disk_keeps_another_off_that_disk_for_a_while(tmp_path):
    clock, system = FakeClock(), FaultySystem()
    shared = Shared(_capacity=Machine(), _clock=clock)
    gate = system.hold("write", 1)
    behind = recorder(
        tmp_path, "behind.ts", video=EXACT, _clock=clock, _system=system, shared=shared, overflow="drop"
    )
    other = recorder(tmp_path, "other.ts", shared=shared, _clock=clock)
    with behind:
        write_until_it_drops(behind, clock)
        with pytest.raises(rk.AdmissionError, match="is losing media to it") as caught:
            other.start()
        assert caught.value.short == "disk"
        clock.advance(11.0)
        other.start()
        gate.open()
    other.stop()


def test_a_recording_whose_encoder_is_too_slow_keeps_other_video_away_but_no_audio(tmp_path, monkeypatch):
    clock, gate = FakeClock(), Gate()
    shared = Shared(_capacity=Machine(), _clock=clock)
    slow = recorder(tmp_path, "slow.ts", shared=shared, _clock=clock, overflow="drop", queue_bytes=1 << 16)
    code = slow._parts.streams.code

    def slowly(*args, **settings):
        gate.pass_through()
        return code(*args, **settings)

    monkeypatch.setattr(slow._parts.streams, "code", slowly)
    video_too = recorder(tmp_path, "video.ts", shared=shared, _clock=clock)
    audio = recorder(tmp_path, "audio.ts", shared=shared, _clock=clock, video=None, audio=rk.AudioSettings())
    with slow:
        assert not all(slow.write(frame) for frame in VIDEO_FRAMES)
        with pytest.raises(rk.AdmissionError, match="is not encoded fast enough") as caught:
            video_too.start()
        assert caught.value.short == "processor"
        audio.start()
        audio.stop()
        clock.advance(11.0)
        with video_too:
            assert video_too.state is rk.State.RECORDING
        gate.open()


def test_a_process_with_few_descriptors_left(tmp_path):
    """By a real limit, in a process of its own."""
    code = """
import os, resource, sys
import recordkit as rk
recorder = rk.Recorder(sys.argv[1], audio=None)
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 5, hard))
try:
    recorder.start()
except rk.AdmissionError as error:
    print(error.short, error.available, recorder.state)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "talk.ts")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=GUARD_S, check=True)
    assert done.stdout.split() == ["file", "descriptors", "5", "new"]
    assert not list(tmp_path.iterdir())


def test_record_refuses_before_anything_is_made(tmp_path):
    with pytest.raises(rk.AdmissionError, match="for want of memory"):
        rk.record(rk.Synthetic(seconds=1), tmp_path / "talk.ts", shared=Shared(_capacity=Machine(0)))
    assert not list(tmp_path.iterdir())
