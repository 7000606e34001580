"""Files one after the other, and rings, by the command line."""

import io
import os
import signal

import pytest
from rich.console import Console

import recordkit as rk
from recordkit.cli.app import run
from recordkit.cli.filing import Asks, ring_of, segments_of
from recordkit.errors import SettingsError

SMALL = ["--source", "synthetic", "--size", "64x48", "--fps", "10", "--seconds", "4", "--preset", "ultrafast"]


@pytest.fixture(autouse=True)
def _signal():
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_the_words_of_the_command_line_are_settings():
    assert segments_of("10m", "4GB", at_clock=True) == rk.Segments(
        every=600, max_bytes=4_000_000_000, at_clock=True
    )
    assert segments_of(None, None, at_clock=False) is None
    assert ring_of("60", None) == rk.Ring(seconds=60)
    assert ring_of(None, None) is None
    with pytest.raises(SettingsError, match="seconds"):
        ring_of(None, "200MB")


def test_a_signal_asks_the_ring_and_nothing_else_becomes_a_file(tmp_path):
    asks = Asks(rk.Ring(seconds=5))
    with rk.Recorder(tmp_path / "{number}.ts", ring=rk.Ring(seconds=5), sample_interval=0) as recorder:
        asks.pass_on(recorder)
        for frame in rk.Synthetic(width=64, height=48, fps=10, seconds=1).frames():
            recorder.write(frame)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert asks.is_asked.wait(60)
        asks.pass_on(recorder)
        asks.pass_on(recorder)
    assert [one.path.name for one in recorder.stop().segments] == ["1.ts"]
    assert Asks(None).is_asked.is_set() is False


def test_who_asks_for_nothing_is_told_so(tmp_path):
    said = io.StringIO()
    console = Console(file=said, width=100)
    assert run(["record", *SMALL, "--fast", "--ring", "2", str(tmp_path / "{number}.ts")], console) == 0
    assert "Nothing was asked for" in said.getvalue()
    assert not list(tmp_path.iterdir())
