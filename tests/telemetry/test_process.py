"""What is measured of the process, and that it is measured once for all who ask."""

import mmap
import os
import resource
import sys
import threading

import psutil

from recordkit.telemetry.process import ProcessProbe, _proc_kilobytes

from ..steering import GUARD_S, FakeClock, Gate, alone

A_DAY_S = 86_400.0
"""After which the USS is read again, however long reading it took."""


class Rig:
    def __init__(self):
        self.clock = FakeClock()
        self.probe = ProcessProbe(self.clock)

    def sample(self, advance_s=1.0):
        self.clock.advance(advance_s)
        return self.probe.figures()


def test_the_process_is_measured():
    rig = Rig()
    process = psutil.Process()
    # What earlier tests have left may end at this moment.
    threads, files = [process.num_threads()], [process.num_fds()]
    one = rig.sample()
    threads.append(process.num_threads())
    files.append(process.num_fds())
    assert 0 < one.uss_bytes <= one.rss_bytes <= one.peak_rss_bytes
    assert abs(one.peak_rss_bytes - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024) < 16e6
    assert min(threads) <= one.threads <= max(threads)
    assert one.threads >= threading.active_count()
    assert min(files) <= one.open_files + (sys.platform == "linux") <= max(files)


def test_memory_that_is_taken_is_seen():
    alone(take_memory)


def take_memory():
    rig = Rig()
    before = rig.sample(A_DAY_S)
    # Pages of their own: the heap may have as much free that is resident already.
    block = mmap.mmap(-1, 50_000_000)
    block.write(b"\1" * 50_000_000)
    after = rig.sample(A_DAY_S)
    for name in ("rss_bytes", "uss_bytes"):
        assert 45e6 < getattr(after, name) - getattr(before, name) < 60e6, name
    block.close()
    assert rig.sample().peak_rss_bytes >= after.rss_bytes


def test_reading_the_uss_is_kept_to_a_small_share_of_a_core(monkeypatch):
    rig = Rig()
    spent = iter([0.0, 0.0005, 1.0, 1.0001, 2.0, 2.0001])
    monkeypatch.setattr("recordkit.telemetry.process.thread_time", lambda: next(spent))
    read = [rig.sample(advance_s=1.0).uss_bytes is not None for _ in range(4)]
    assert read == [True, False, True, True]


def test_open_files_are_counted():
    alone(open_files)


def open_files():
    rig = Rig()
    before = rig.sample().open_files
    with open(os.devnull), open(os.devnull):  # noqa: PTH123
        assert rig.sample().open_files == before + 2


def test_a_system_without_proc(monkeypatch):
    rig = Rig()
    monkeypatch.setattr("recordkit.telemetry.process._proc_kilobytes", lambda path, names: None)
    one = rig.sample()
    assert (one.uss_bytes, one.peak_rss_bytes) == (None, None)
    assert one.rss_bytes > 0


def test_lines_of_proc_that_are_not_there(tmp_path):
    (tmp_path / "status").write_bytes(b"VmHWM:\t   12 kB\nVmRSS:\t 3 kB\n")
    assert _proc_kilobytes(str(tmp_path / "status"), (b"VmHWM:",)) == 12 * 1024
    assert _proc_kilobytes(str(tmp_path / "status"), (b"VmHWM:", b"VmRSS:")) == 15 * 1024
    assert _proc_kilobytes(str(tmp_path / "status"), (b"VmSwap:",)) is None
    assert _proc_kilobytes(str(tmp_path / "none"), (b"VmHWM:",)) is None


def test_what_was_measured_a_moment_ago_is_given_again():
    rig = Rig()
    one = rig.probe.figures(oldest_s=0.5)
    rig.clock.advance(0.4)
    assert rig.probe.figures(oldest_s=0.5) is one
    assert rig.probe.figures() is not one
    two = rig.probe.figures(oldest_s=0.5)
    rig.clock.advance(0.5)
    three = rig.probe.figures(oldest_s=0.5)
    assert three is not two
    assert three.measured_s == rig.clock.monotonic()


def test_nobody_waits_while_another_measures(monkeypatch):
    rig = Rig()
    before = rig.probe.figures()
    gate, found = Gate(), []
    measure = rig.probe._measure

    def slow():
        gate.pass_through()
        return measure()

    monkeypatch.setattr(rig.probe, "_measure", slow)
    rig.clock.advance(10.0)
    thread = threading.Thread(target=lambda: found.append(rig.probe.figures()))
    thread.start()
    gate.until_reached()
    assert rig.probe.figures() is before
    gate.open()
    thread.join(GUARD_S)
    assert found[0].measured_s == before.measured_s + 10.0
    assert rig.probe.figures(oldest_s=1.0) is found[0]
