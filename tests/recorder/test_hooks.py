"""What is called after a commit: functions and commands, those that fail, hang or are not there."""

import sys
import threading
from pathlib import Path

import pytest

from recordkit.errors import SettingsError
from recordkit.model import EventKind
from recordkit.recorder.hooks import MOST_WAITING, Hooks
from recordkit.recorder.recorder import Recorder
from recordkit.recorder.result import Counters, Recording
from recordkit.settings import RecordingSettings, Segments
from recordkit.sources.synthetic import Synthetic
from recordkit.telemetry.frames import Log
from recordkit.telemetry.journal import Contents

from ..steering import GUARD_S, recordkit_threads


def recording(path):
    return Recording(path, 1, 1.0, {}, Counters(), Log({}, Contents((), (), ())))


def told_by(hook, *paths, timeout_s=GUARD_S):
    """The events that come of handing on recordings of these paths."""
    told = []
    with recordkit_threads():
        hooks = Hooks("talk.ts", hook, timeout_s, lambda kind, **fields: told.append((kind, fields)))
        for path in paths:
            hooks.committed(recording(path))
        hooks.end()
        assert hooks.join(GUARD_S)
    return told


def test_a_function_is_given_each_recording_in_its_turn():
    given = []
    assert told_by(given.append, Path("a.ts"), Path("b.ts")) == []
    assert [one.path.name for one in given] == ["a.ts", "b.ts"]


def test_one_that_raises_is_told_and_called_again(caplog):
    def fails(one):
        raise ValueError(one.path.name)

    told = told_by(fails, Path("a.ts"), Path("b.ts"))
    assert [fields["because"] for _, fields in told] == ["ValueError: a.ts", "ValueError: b.ts"]
    assert {kind for kind, _ in told} == {EventKind.HOOK_FAILED}
    assert "on_commit failed for a.ts" in caplog.text


def test_a_command_gets_the_path_in_its_place_and_no_shell(tmp_path):
    out = tmp_path / "out"
    code = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    path = tmp_path / "a; touch b $HOME.ts"
    assert told_by((sys.executable, "-c", code, str(out), "<{path}>"), path) == []
    assert out.read_text() == f"<{path}>"


@pytest.mark.parametrize(
    ("words", "because"),
    [
        ((sys.executable, "-c", "raise SystemExit('no room there')"), "ended with 1: no room there"),
        ((sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"), "was ended by signal 9"),
        (("no-such-command", "{path}"), "there is no command no-such-command"),
        (("/", "{path}"), "the command / cannot be run: Permission denied"),
    ],
)
def test_a_command_that_fails_or_is_not_there_is_told(words, because):
    ((kind, fields),) = told_by(words, Path("a.ts"))
    assert (kind, fields["path"]) == (EventKind.HOOK_FAILED, "a.ts")
    assert because in fields["because"]


def test_a_command_that_hangs_is_ended_and_told():
    ((_, fields),) = told_by((sys.executable, "-c", "import time; time.sleep(1000)"), Path("a.ts"), timeout_s=0.05)
    assert "was ended: it was not done after 0.05 s" in fields["because"]


def test_a_function_that_hangs_is_told_and_what_is_too_much_is_left_out(caplog):
    free, told, late = threading.Event(), [], threading.Event()

    def tell(kind, **fields):
        told.append(fields["because"])
        late.set()

    hooks = Hooks("talk.ts", lambda one: free.wait(GUARD_S), 0.01, tell)
    with recordkit_threads():
        hooks.committed(recording(Path("a.ts")))
        assert late.wait(GUARD_S)
        for _ in range(MOST_WAITING + 1):
            hooks.committed(recording(Path("b.ts")))
        assert hooks.left_out == 1
        assert not hooks.join(0)
        free.set()
        hooks.end()
        assert hooks.join(GUARD_S)
    assert told[:2] == ["not done after 0.01 s", f"{MOST_WAITING} recordings wait for it already"]
    assert "on_commit for a.ts: not done" in caplog.text


def test_a_recorder_calls_it_with_the_finished_recording(tmp_path):
    given = []
    path = tmp_path / "talk.ts"
    with recordkit_threads():
        recorder = Recorder(path, audio=None, on_commit=given.append)
        with recorder:
            for frame in Synthetic(width=64, height=48, fps=10, seconds=0.3, audio=False).frames():
                recorder.write(frame)
        assert recorder.wait_for_hooks()
    assert [(one.path, one.bytes) for one in given] == [(path, path.stat().st_size)]


def test_what_is_not_committed_is_not_handed_on(tmp_path):
    given = []
    recorder = Recorder(tmp_path / "talk.ts", audio=None, on_commit=given.append)
    recorder.start()
    for frame in Synthetic(width=64, height=48, fps=10, seconds=0.3, audio=False).frames():
        recorder.write(frame)
    recorder.stop(commit=False)
    assert recorder.wait_for_hooks()
    assert given == []


@pytest.mark.parametrize("hook", ["rclone {path}", [], ["", "x"], [1], ["a\0b"], 7])
def test_what_is_no_hook(tmp_path, hook):
    with pytest.raises(SettingsError, match="on_commit"):
        RecordingSettings(path=tmp_path / "talk.ts", on_commit=hook)


def test_each_file_of_several_is_handed_on_as_it_is_committed(tmp_path):
    given = []
    segments = Segments(every="1.5s")
    with recordkit_threads():
        with Recorder(
            tmp_path / "talk-{number}.ts", audio=None, segments=segments, on_commit=given.append
        ) as recorder:
            for frame in Synthetic(width=64, height=48, fps=10, seconds=3, audio=False).frames():
                recorder.write(frame)
        assert recorder.wait_for_hooks()
    assert sorted((one.path.name, one.bytes) for one in given) == [
        (path.name, path.stat().st_size) for path in sorted(tmp_path.glob("*.ts"))
    ]
    assert [one.duration_s for one in given] == pytest.approx([1.5, 1.5], abs=0.11)
