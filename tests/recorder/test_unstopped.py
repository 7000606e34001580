"""Recordings that nobody stops."""

import gc
import json
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest

from recordkit.recorder.recorder import Recorder
from recordkit.recorder.unstopped import look_after
from recordkit.settings import VideoSettings
from recordkit.sources.synthetic import Synthetic

from ..steering import GUARD_S, recordkit_threads

FRAMES = list(Synthetic(64, 48, fps=10, seconds=1, audio=False).frames())


class Recording:
    """What would have to be ended."""

    def __init__(self):
        self.is_recording = True
        self.told = []

    def end(self, *, commit):
        self.told.append(("end", commit))

    def let_end(self):
        self.told.append("let end")

    def join(self):
        self.told.append("join")


class Owner:
    """Who would have to stop it."""


def test_one_whose_recorder_is_gone_is_warned_of_and_ends():
    owners, recording = [Owner()], Recording()
    let_go = look_after(owners[0], "talk.ts", recording)
    with pytest.warns(ResourceWarning, match=r"^talk\.ts: nobody stopped this recording"):
        owners.clear()
    assert recording.told == ["let end"]
    let_go()


@pytest.mark.parametrize("is_let_go", [False, True])
def test_one_that_has_ended_is_left_alone(is_let_go):
    owner, recording = Owner(), Recording()
    let_go = look_after(owner, "talk.ts", recording)
    recording.is_recording = is_let_go
    if is_let_go:
        let_go()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del owner
        gc.collect()
    assert recording.told == []
    let_go()


def test_a_recorder_that_is_gone_commits_what_it_has(tmp_path):
    with recordkit_threads():
        recorders = [Recorder(tmp_path / "talk.ts", video=VideoSettings(preset="ultrafast"), audio=None)]
        recorders[0].start()
        assert [recorders[0].write(frame) for frame in FRAMES] == [True] * len(FRAMES)
        parts = recorders[0]._parts
        with pytest.warns(ResourceWarning, match=r"talk\.ts: nobody stopped"):
            recorders.clear()
        assert parts.join(GUARD_S)
    assert (tmp_path / "talk.ts").stat().st_size == parts.result().bytes > 0
    log = [json.loads(line) for line in (tmp_path / "talk.flushes.jsonl").read_text().splitlines()]
    assert [one["fields"]["because"] for one in log if one.get("kind") == "stop"] == ["nobody stopped it"]


PROGRAM = """
    import recordkit as rk

    source = rk.Synthetic(64, 48, fps=10, seconds=1, realtime=False)
    if {in_process}:
        recorder = rk.Recorder("talk.ts", admission="off")
        recorder.start()
        for frame in source.frames():
            recorder.write(frame)
    else:
        session = rk.start(rk.Synthetic(64, 48, fps=10), "talk.ts", admission="off")
        while not session.figures.duration_s:
            session.wait(0.05)
    raise {end}
"""


@pytest.mark.parametrize("end", ["SystemExit(3)", "ValueError('its own fault')"])
@pytest.mark.parametrize("in_process", [True, False])
def test_the_programs_end_waits_until_it_is_committed(tmp_path, in_process, end):
    code = textwrap.dedent(PROGRAM.format(in_process=in_process, end=end))
    command = [sys.executable, "-W", "default", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == (3 if "Exit" in end else 1)
    assert ("talk.ts: nobody stopped this recording" in done.stderr) is in_process
    assert sorted(path.name for path in tmp_path.iterdir()) == ["talk.flushes.jsonl", "talk.frames", "talk.ts"]


def test_a_process_that_was_forked_off_leaves_it_to_its_owner(tmp_path):
    code = textwrap.dedent("""
        import os, sys, warnings
        import recordkit as rk

        recorder = rk.Recorder("talk.ts", admission="off")
        recorder.start()
        for frame in rk.Synthetic(64, 48, fps=10, seconds=1).frames():
            recorder.write(frame)
        recorder.flush()
        child = os.fork()
        if child == 0:
            sys.exit(0)
        status = os.waitpid(child, 0)[1]
        print(status, os.path.exists("talk.recording.ts"))
        recorder.stop()
    """)
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "0 True\n"
    assert (tmp_path / "talk.ts").exists()


def test_a_failed_test_that_left_one_running_is_told_at_once(tmp_path):
    test = tmp_path / "test_it.py"
    test.write_text(
        textwrap.dedent("""
        import threading
        import recordkit as rk
        from tests.steering import FaultySystem

        def test_that_fails(tmp_path):
            system = FaultySystem()
            system.do("write", 1, threading.Event().wait)
            recorder = rk.Recorder(tmp_path / "talk.ts", admission="off", _system=system)
            recorder.start()
            for frame in rk.Synthetic(64, 48, fps=10, seconds=1, realtime=False).frames():
                recorder.write(frame)
            assert not recorder.flush(0.1), "not so far"
            raise ValueError("the reason")
        """)
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.conftest",
        "--rootdir",
        tmp_path,
        "-c",
        "/dev/null",
        test,
    ]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "ValueError: the reason" in done.stdout
