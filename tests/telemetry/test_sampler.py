"""The sampler: what it measures, on a clock and a system that the test steers."""

import asyncio
import os
import threading

import pytest

from recordkit.telemetry.process import ProcessProbe
from recordkit.telemetry.sampler import LoopProbe, Sampler, Standing

from ..steering import GUARD_S, FakeClock, FaultySystem


class Rig:
    def __init__(self, path, loop=None):
        self.clock = FakeClock()
        self.system = FaultySystem(free=10**9)
        self.standing = Standing(path)
        self.probe = ProcessProbe(self.clock)
        self.sampler = Sampler(lambda: self.standing, self.probe, self.clock, self.system, loop)

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


def test_the_figures_of_the_process_are_those_of_the_probe(rig):
    one, process = rig.sample(), rig.probe.figures(oldest_s=1.0)
    for name in ("rss_bytes", "uss_bytes", "peak_rss_bytes", "threads", "open_files"):
        assert getattr(one, name) == getattr(process, name), name


def test_figures_measured_for_another_recording_keep_the_share_of_the_processor_true(rig, monkeypatch):
    seconds = iter([10.0, 10.5, 12.5])
    monkeypatch.setattr(ProcessProbe, "cpu_s", lambda self: next(seconds))
    rig.sampler = Sampler(lambda: rig.standing, rig.probe, rig.clock, rig.system, None, oldest_s=0.5)
    rig.clock.advance(1.0)
    other = rig.probe.figures()
    one = rig.sample(0.25)
    assert (one.rss_bytes, one.cpu_share, one.elapsed_s) == (other.rss_bytes, pytest.approx(0.5), 1.25)
    assert rig.sample(0.75).cpu_share == pytest.approx(2.0)


def test_cpu_time_is_a_share_of_the_time_since_the_sample_before(rig, monkeypatch):
    seconds = iter([10.0, 10.5, 10.5, 12.5])
    monkeypatch.setattr(ProcessProbe, "cpu_s", lambda self: next(seconds))
    rig.sampler = Sampler(lambda: rig.standing, rig.probe, rig.clock, rig.system, None)
    assert rig.sample(1.0).cpu_share == pytest.approx(0.5)
    # No time has passed that anything could be a share of.
    assert rig.sample(0.0).cpu_share == pytest.approx(0.5)
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
    # By what is taken from the disk, whoever takes it: as if what others took in a moment took ten seconds.
    rig.system.free -= 200_000
    assert rig.sample().full_in_s == pytest.approx(rig.system.free / 20_000)
    for _ in range(18):
        rig.system.free -= 100_000
        rig.sample()
    assert rig.sample(advance_s=0).full_in_s == pytest.approx(rig.system.free / 100_000)


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


def test_the_folder_is_listed_when_it_has_changed_and_once_a_minute(rig, path, monkeypatch):
    listings = 0
    scandir = os.scandir

    def counted(folder):
        nonlocal listings
        listings += 1
        return scandir(folder)

    monkeypatch.setattr("recordkit.telemetry.sampler.os.scandir", counted)

    def look(steps, expected, advance_s=1.0):
        nonlocal listings
        listings = 0
        for _ in range(steps):
            rig.system.free -= 2 << 20
            rig.sample(advance_s)
        assert listings == expected

    path.write_bytes(b"x")
    os.utime(path.parent, ns=(1, 1))
    look(10, 2)
    tail = path.with_name("other.recording.tail")
    tail.write_bytes(b"x" * 4_000_000)
    os.utime(path.parent, ns=(2, 2))
    look(10, 2)
    # Without a listing its size is followed: its room is given back in pieces, and the folder does not change.
    held = rig.sampler._tails.bytes(path.parent, rig.clock.monotonic())
    assert held == tail.stat().st_blocks * 512
    os.truncate(tail, 1_000_000)
    look(10, 0)
    assert rig.sampler._tails.bytes(path.parent, rig.clock.monotonic()) == tail.stat().st_blocks * 512 < held
    look(4, 2, advance_s=30.0)


def test_room_that_a_tail_takes_is_no_growth(rig, path):
    """A disk that is small: a recording that begins takes megabytes at once, and gives them back at its end."""
    path.write_bytes(b"x" * 1000)
    rig.system.free = 14_000_000
    rig.sample()
    tail = path.with_name("other.recording.tail")
    tail.write_bytes(b"x" * 4_000_000)
    taken = tail.stat().st_blocks * 512
    rig.system.free -= taken
    assert rig.sample().full_in_s is None
    tail.unlink()
    rig.system.free += taken
    assert rig.sample().full_in_s is None
    rig.system.free -= 30_000
    assert rig.sample().full_in_s == pytest.approx(rig.system.free / 3_000)
