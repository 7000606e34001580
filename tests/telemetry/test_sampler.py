"""The sampler: what it measures, on a clock and a system that the test steers."""

import asyncio
import os
import resource
import sys
import threading

import psutil
import pytest

from recordkit.telemetry.sampler import LoopProbe, Sampler, Standing

from ..steering import GUARD_S, FakeClock, FaultySystem


class Rig:
    def __init__(self, path, loop=None):
        self.clock = FakeClock()
        self.system = FaultySystem(free=10**9)
        self.standing = Standing(path)
        self.sampler = Sampler(lambda: self.standing, self.clock, self.system, loop)

    def sample(self, advance_s=1.0, last_flush_s=0.0):
        self.clock.advance(advance_s)
        return self.sampler.sample(last_flush_s)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "talk.recording.ts"


@pytest.fixture
def rig(path):
    return Rig(path)


def test_what_the_recorder_knows_is_passed_on(rig, path):
    rig.standing = Standing(path, buffer_bytes=1, queue_bytes=2, dropped_units=3, silent_s=4.0)
    one = rig.sample(advance_s=2.5, last_flush_s=1.0)
    assert (one.buffer_bytes, one.queue_bytes, one.dropped_units, one.silent_s) == (1, 2, 3, 4.0)
    assert (one.elapsed_s, one.since_flush_s, one.time_ns) == (2.5, 1.5, rig.clock.time_ns())
    assert one.loop_lag_s is None


def test_no_time_is_negative(rig):
    # The flushes count from the writer's start, which is a little before.
    assert rig.sample(advance_s=1.0, last_flush_s=1.001).since_flush_s == 0.0


def test_the_process_is_measured(rig):
    one = rig.sample()
    process = psutil.Process()
    assert 0 < one.uss_bytes <= one.rss_bytes <= one.peak_rss_bytes
    assert abs(one.peak_rss_bytes - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024) < 16e6
    assert one.threads == process.num_threads() >= threading.active_count()
    assert one.open_files == process.num_fds() - (sys.platform == "linux")


def test_memory_that_is_taken_is_seen(rig):
    before = rig.sample(60.0)
    block = bytearray(b"\1") * 50_000_000
    after = rig.sample(60.0)
    for name in ("rss_bytes", "uss_bytes"):
        assert 45e6 < getattr(after, name) - getattr(before, name) < 60e6, name
    del block
    assert rig.sample().peak_rss_bytes >= after.rss_bytes


def test_reading_the_uss_is_kept_to_three_thousandths_of_a_core(rig, monkeypatch):
    spent = iter([0.0, 0.006, 1.0, 1.001, 2.0, 2.001])
    monkeypatch.setattr("recordkit.telemetry.sampler.thread_time", lambda: next(spent))
    read = [rig.sample(advance_s=1.0).uss_bytes is not None for _ in range(4)]
    assert read == [True, False, True, True]


def test_open_files_are_counted(rig):
    before = rig.sample().open_files
    with open(os.devnull), open(os.devnull):  # noqa: PTH123
        assert rig.sample().open_files == before + 2


def test_cpu_time_is_a_share_of_the_time_since_the_sample_before(rig, monkeypatch):
    seconds = iter([10.0, 10.5, 10.5, 12.5])
    monkeypatch.setattr(Sampler, "_cpu_seconds", lambda self: next(seconds))
    rig.sampler = Sampler(lambda: rig.standing, rig.clock, rig.system, None)
    assert rig.sample(1.0).cpu_share == pytest.approx(0.5)
    assert rig.sample(0.0).cpu_share == 0.0
    assert rig.sample(2.0).cpu_share == pytest.approx(1.0)


def test_the_file_is_measured_by_the_file_system(rig, path):
    assert rig.sample().file_bytes is None
    path.write_bytes(b"x" * 1234)
    assert rig.sample().file_bytes == 1234


def test_seconds_until_the_disk_is_full(rig, path):
    path.write_bytes(b"")
    assert rig.sample().full_in_s is None
    path.write_bytes(b"x" * 1000)
    # By what we write, where the system tells of free space with a delay.
    assert rig.sample().full_in_s == pytest.approx(10**9 / 1000)
    # By what is taken from the disk, whoever takes it.
    rig.system.free = 10**9 - 200_000
    assert rig.sample().full_in_s == pytest.approx(rig.system.free / 100_000)


def test_only_the_last_minute_counts(rig, path):
    path.write_bytes(b"")
    rig.sample()
    path.write_bytes(b"x" * 60_000)
    assert rig.sample().full_in_s == pytest.approx(10**9 / 60_000)
    for _ in range(58):
        rig.sample()
    assert rig.sample().full_in_s == pytest.approx(10**9 / 1000)
    rig.sample()
    assert rig.sample().full_in_s is None
    assert len(rig.sampler._disk) <= 62


def test_a_disk_that_does_not_tell(rig, path):
    path.write_bytes(b"x")
    rig.system.fail("free_bytes", 1, 5, lasting=True)
    one = rig.sample()
    assert (one.free_bytes, one.full_in_s, one.file_bytes) == (None, None, 1)


def test_a_system_without_proc(rig, monkeypatch):
    monkeypatch.setattr("recordkit.telemetry.sampler._proc_kilobytes", lambda path, names: None)
    one = rig.sample()
    assert (one.uss_bytes, one.peak_rss_bytes) == (None, None)
    assert one.rss_bytes > 0


def test_lines_of_proc_that_are_not_there(monkeypatch, tmp_path):
    from recordkit.telemetry.sampler import _proc_kilobytes

    (tmp_path / "status").write_bytes(b"VmHWM:\t   12 kB\nVmRSS:\t 3 kB\n")
    assert _proc_kilobytes(str(tmp_path / "status"), (b"VmHWM:",)) == 12 * 1024
    assert _proc_kilobytes(str(tmp_path / "status"), (b"VmHWM:", b"VmRSS:")) == 15 * 1024
    assert _proc_kilobytes(str(tmp_path / "status"), (b"VmSwap:",)) is None
    assert _proc_kilobytes(str(tmp_path / "none"), (b"VmHWM:",)) is None


# The event loop's lag.


class RunningLoop:
    """A loop that runs its callbacks when the test says so."""

    def __init__(self):
        self.callbacks = []
        self.running = True
        self.closed = False

    def is_running(self):
        return self.running

    def call_soon_threadsafe(self, callback):
        if self.closed:
            raise RuntimeError("Event loop is closed")
        self.callbacks.append(callback)

    def run(self):
        callbacks, self.callbacks = self.callbacks, []
        for callback in callbacks:
            callback()


def test_the_lag_is_from_the_question_to_the_answer():
    clock, loop = FakeClock(), RunningLoop()
    probe = LoopProbe(loop, clock)
    assert probe.lag_s() is None  # nothing was asked before
    clock.advance(0.25)
    loop.run()
    clock.advance(0.75)
    assert probe.lag_s() == 0.25
    clock.advance(1.0)
    assert probe.lag_s() == 1.0  # no answer as yet
    clock.advance(1.0)
    assert probe.lag_s() == 2.0
    assert len(loop.callbacks) == 1  # one question at a time, however long it takes
    clock.advance(0.5)
    loop.run()
    assert probe.lag_s() == 2.5
    loop.run()
    assert probe.lag_s() == 0.0


def test_a_loop_that_does_not_run_has_no_lag_and_begins_anew():
    clock, loop = FakeClock(), RunningLoop()
    probe = LoopProbe(loop, clock)
    probe.lag_s()
    loop.running = False
    clock.advance(100.0)
    assert probe.lag_s() is None
    loop.running = True
    assert probe.lag_s() is None
    loop.run()  # the old question is answered too
    assert probe.lag_s() == 0.0


def test_a_loop_that_is_closed_at_this_moment():
    clock, loop = FakeClock(), RunningLoop()
    loop.closed = True
    probe = LoopProbe(loop, clock)
    assert probe.lag_s() is None
    clock.advance(1.0)
    assert probe.lag_s() == 1.0


def test_a_real_loop_that_is_blocked():
    clock = FakeClock()

    async def main():
        probe = LoopProbe(asyncio.get_running_loop(), clock)
        seen = []

        def sampling():
            probe.lag_s()
            clock.advance(3.0)  # the loop is held up by the join below
            seen.append(probe.lag_s())

        thread = threading.Thread(target=sampling)
        thread.start()
        thread.join(GUARD_S)  # blocks the loop
        clock.advance(1.0)
        await asyncio.sleep(0)
        clock.advance(10.0)
        return seen, probe.lag_s()

    seen, lag_s = asyncio.run(main())
    assert seen == [3.0]
    assert lag_s == 4.0
