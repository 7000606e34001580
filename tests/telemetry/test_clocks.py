"""The clocks of the machine against each other."""

import time

import av
import pandas as pd
import pytest

import recordkit as rk
from recordkit.model import EventKind
from recordkit.system import Clock
from recordkit.telemetry.clocks import Clocks

from ..steering import GUARD_S, FakeClock


class Machine(FakeClock):
    """A clock that can be set, and a machine that can be suspended."""

    def __init__(self):
        super().__init__()
        self.slept_s = self.set_s = self.slow_s = 0.0

    def boottime(self):
        self.advance(self.slow_s)
        return self.monotonic() + self.slept_s

    def time_ns(self):
        return super().time_ns() + round((self.slept_s + self.set_s) * 1e9)


def test_time_that_only_passes_is_no_change():
    machine = Machine()
    clocks = Clocks(machine)
    for _ in range(5):
        machine.advance(3600)
        machine.set_s += 0.2
        assert clocks.changes() == []


@pytest.mark.parametrize("seconds", [3600.0, -3600.0, 0.75, -0.75])
def test_a_clock_that_is_set_is_told_once(seconds):
    machine = Machine()
    clocks = Clocks(machine)
    machine.advance(1)
    machine.set_s = seconds
    ((because, told),) = clocks.changes()
    assert because == "the wall clock was set"
    assert told == pytest.approx(seconds, abs=1e-3)
    assert clocks.changes() == []


def test_a_machine_that_was_suspended_is_told_once():
    machine = Machine()
    clocks = Clocks(machine)
    machine.advance(1)
    machine.slept_s = 7200
    assert clocks.changes() == [("the machine was suspended", pytest.approx(7200))]
    assert clocks.changes() == []


def test_readings_that_took_long_are_not_compared():
    machine = Machine()
    machine.slow_s = 2.0
    clocks = Clocks(machine)
    assert clocks.changes() == []
    machine.slow_s = 0.0
    assert clocks.changes() == []
    machine.set_s = 60
    machine.slow_s = 2.0
    assert clocks.changes() == []
    machine.slow_s = 0.0
    assert clocks.changes() == [("the wall clock was set", pytest.approx(60))]


def test_the_machines_own_clocks_go_alike():
    clock = Clock()
    assert clock.boottime() >= clock.monotonic() - 0.01
    assert Clocks(clock).changes() == []


def test_a_recording_tells_that_the_clock_was_set_and_its_tables_stay_in_order(tmp_path):
    machine = Machine()
    recorder = rk.Recorder(tmp_path / "talk.ts", audio=None, sample_interval=1, _clock=machine)
    with recorder:
        for number, one in enumerate(rk.Synthetic(width=64, height=48, fps=10, seconds=2).frames()):
            if isinstance(one, av.VideoFrame):
                recorder.write(one)
            if number == 10:
                recorder.flush(GUARD_S)
                machine.set_s = -3600
                machine.advance(1)
                deadline = time.monotonic() + GUARD_S
                while not told(recorder) and time.monotonic() < deadline:
                    machine.advance(1)
                    time.sleep(0.01)
    assert [event.fields for event in told(recorder)] == [
        {"because": "the wall clock was set", "seconds": pytest.approx(-3600)}
    ]
    for table in (recorder.events, recorder.samples, recorder.flushes):
        assert table.index.is_monotonic_increasing
    assert recorder.events["time"].iloc[-1] - recorder.events["time"].iloc[0] < pd.Timedelta("1min")


def told(recorder):
    return [event for event in recorder.log.contents.events if event.kind is EventKind.CLOCK]
