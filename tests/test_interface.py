"""The public interface as one guesses it: names, signatures, what a value says of itself."""

import inspect

import pytest

import recordkit as rk

from .steering import recordkit_threads

SMALL = {"width": 64, "height": 48, "fps": 10, "seconds": 1}
CALLABLES = [name for name in rk.__all__ if callable(getattr(rk, name)) and not name.endswith(("Error", "Kind"))]


@pytest.mark.parametrize("name", CALLABLES)
def test_what_only_tests_use_is_in_no_signature(name):
    try:
        parameters = inspect.signature(getattr(rk, name)).parameters
    except ValueError:  # an enumeration
        return
    assert not {"clock", "system", "capacity"} & parameters.keys()
    assert not [one for one in parameters if one.startswith("_")]


@pytest.mark.parametrize("name", ["Recorder", "MediaRecorder", "record", "start", "serve"])
def test_settings_are_named_in_the_signature_with_their_defaults(name):
    parameters = inspect.signature(getattr(rk, name)).parameters
    kinds = {one.kind for one in parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds
    assert parameters["flush_interval"].default == 2.0
    assert parameters["video"].default == rk.VideoSettings()
    assert parameters["overflow"].default == ("drop" if name in ("MediaRecorder", "serve") else "block")
    assert ("on_flush" in parameters) == (name != "start")
    assert ("seconds" in parameters) == (name in ("record", "start"))


def test_what_only_recordkit_calls_is_not_completed(tmp_path):
    recorder = rk.Recorder(tmp_path / "talk.ts")
    assert not {"note", "degrade", "restore", "received", "of"} & set(dir(recorder))
    assert {"start", "write", "write_unit", "mark", "flush", "stop", "counters", "summary"} <= set(dir(recorder))
    session = object.__new__(rk.Session)
    assert not {"begin", "heard", "hung_up", "connect", "ask_to_stop"} & set(dir(session))
    assert {"stop", "wait", "mark", "recover", "figures"} <= set(dir(session))


def test_a_recorder_says_how_it_stands(tmp_path):
    path = tmp_path / "talk.ts"
    with recordkit_threads():
        recorder = rk.Recorder(path, audio=None)
        assert repr(recorder) == f"<Recorder {path}, new, 0:00, 0 B>"
        recorder.start()
        for frame in rk.Synthetic(**SMALL, audio=False).frames():
            assert recorder.write(frame)
        recording = recorder.stop()
    assert repr(recorder).startswith(f"<Recorder {path}, stopped, 0:01, {recording.bytes / 1000:.1f} kB")
    assert repr(recording.log).startswith(f"<Log {path}, 1 flush, ")
    assert repr(rk.verify(path)).startswith(f"<Verification {path}, H.264, 0:01, ")
    assert repr(rk.verify(path)).endswith(", ok>")
    assert repr(rk.MediaRecorder(tmp_path / "other.ts")).endswith("other.ts, new, 0:00, 0 B, no tracks>")
    panel = rk.RecordingPanel(folder=tmp_path)
    assert repr(panel) == f"<RecordingPanel {tmp_path}, nothing recorded yet>"
    panel.close()


def test_a_damaged_file_and_what_was_left_behind_say_what_they_are(tmp_path):
    path = tmp_path / "talk.ts"
    with recordkit_threads():
        recorder = rk.Recorder(path, audio=None)
        recorder.start()
        for frame in rk.Synthetic(**SMALL, audio=False).frames():
            assert recorder.write(frame)
        recorder.stop(commit=False)
    (partial,) = rk.partials(tmp_path)
    assert repr(partial).startswith(f"<Partial {tmp_path / 'talk.recording.ts'}, ")
    assert "recoverable, last written 0:0" in repr(partial)
    recovery = rk.recover(path)
    assert repr(recovery).startswith(f"<Recovery {tmp_path / 'talk.recording.ts'}, recovered as {path}, 0:01, ")
    path.write_bytes(path.read_bytes()[188 * 7 : -100])
    assert "problem" in repr(rk.verify(path))


@pytest.mark.parametrize("name", ["stop", "on_start", "on_progress", "shared", "on_flush", "seconds"])
def test_arguments_of_another_kind_are_told_by_their_names(tmp_path, name):
    with recordkit_threads(), pytest.raises(rk.SettingsError, match=f"^{name}='now': give "):
        rk.record(rk.Synthetic(**SMALL), tmp_path / "talk.ts", **{name: "now"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["recover", "partials", "verify", "attach", "read_flush_log", "read_flush_logs"])
def test_what_is_no_path_is_told_by_the_arguments_name(name):
    with pytest.raises(rk.SettingsError, match=r"^(path|folder)=7: give a path"):
        getattr(rk, name)(7)
