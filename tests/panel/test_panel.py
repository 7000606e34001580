"""The panel driven from code, and by its buttons, with real recordings in real processes."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest
from ipywidgets.widgets.widget import _instances

import recordkit as rk
from recordkit.background.account import SessionState
from recordkit.background.session import Session
from recordkit.errors import SettingsError, SourceError, StateError
from recordkit.model import EventKind
from recordkit.panel import cells
from recordkit.panel.parts import close_all
from recordkit.recorder.result import Counters, Recording, SegmentFile
from recordkit.telemetry.frames import Log
from recordkit.telemetry.journal import Contents
from tests.plots.test_fonts import fonts_open
from tests.steering import GUARD_S
from tests.telemetry.records import event

SMALL = rk.Synthetic(width=320, height=240, fps=15)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def panel(tmp_path):
    one = rk.RecordingPanel({"small": SMALL}, tmp_path / "recordings")
    yield one
    one.close()


def click(button):
    """As the browser does, and wait for what it sets off."""
    before = set(threading.enumerate())
    button.click()
    for thread in set(threading.enumerate()) - before:
        if thread.name == "recordkit-panel-click":
            thread.join(GUARD_S)


def begun(session):
    """Wait until something is recorded: until then there is nothing to stop, recover or show."""
    while not session.figures.file_bytes:
        assert not session.wait(0.05)


def words(panel):
    return panel._face.head.value + panel._face.message.value


def test_from_code(panel):
    session = panel.start()
    assert session is panel.session
    assert panel.is_running
    assert panel._face.start.disabled
    assert not panel._face.stop.disabled
    begun(session)
    panel.mark("here")
    recording = panel.stop()
    assert rk.verify(recording.path).ok
    assert recording.path.name == "recording-1.ts"
    assert panel.recording.path == recording.path
    marks = recording.events.query("kind == 'mark'")["fields"]
    assert [one["name"] for one in marks] == ["here"]
    assert panel._form.name.value == "recording-2.ts"
    assert panel._face.stop.disabled
    assert not panel._face.start.disabled
    assert "Committed" in panel._face.finished.outputs[0]["data"]["text/html"]
    assert all(bytes(image.value).startswith(b"\x89PNG") for image in panel._face.images)
    assert [words.split()[:4] for words in panel._face.presence.charts] == [
        ["Chart", "over", "time.", name] for name in ("Memory:", "File:")
    ]
    panel._follower.join(GUARD_S)
    assert fonts_open() == 0


def test_by_its_buttons(panel):
    click(panel._face.start)
    assert panel.is_running, words(panel)
    begun(panel.session)
    click(panel._face.mark)
    click(panel._face.stop)
    assert panel.recording is not None
    assert "stopped" in words(panel)


def test_what_goes_wrong_is_said_where_one_looks(panel):
    panel._form.name.value = "../elsewhere.ts"
    click(panel._face.start)
    assert "give a file&#x27;s name" in panel._face.message.value
    assert not panel.is_running
    assert not panel._face.start.disabled
    with pytest.raises(SettingsError):
        panel.start()
    assert not panel._form.name.disabled


def test_a_name_that_is_taken_counts_on(panel):
    panel.folder.mkdir()
    (panel.folder / "talk.ts").touch()
    panel._form.name.value = "talk.ts"
    begun(panel.start())
    assert panel.stop().path == panel.folder / "talk-1.ts"


def test_calls_that_make_no_sense(panel):
    for call in (panel.stop, panel.mark):
        with pytest.raises(StateError, match="nothing is being recorded"):
            call()
    panel.start()
    with pytest.raises(StateError, match="stop that first"):
        panel.start()


def test_a_worker_that_is_killed_is_told_and_offered_for_recovery(panel):
    session = panel.start()
    begun(session)
    os.kill(session.worker_pid, signal.SIGKILL)
    panel._follower.join(GUARD_S)
    assert "failed" in panel._face.head.value
    assert "signal 9" in panel._face.message.value
    row = panel._leftovers.box.children[0]
    assert "recording-1.recording.ts" in row.children[0].value
    click(row.children[1])
    assert "Recovered recording-1.ts" in panel._leftovers._told.value
    assert rk.verify(panel.folder / "recording-1.ts").ok
    assert panel.start().wait(0) is False


def test_closing_ends_the_recording_and_leaves_no_widget(tmp_path):
    before = set(_instances)
    panel = rk.RecordingPanel({"small": SMALL}, tmp_path)
    session = panel.start()
    begun(session)
    panel.close()
    panel.close()
    assert session.state is rk.SessionState.STOPPED
    assert (tmp_path / "recording-1.ts").exists()
    assert set(_instances) == before
    with pytest.raises(StateError, match="closed"):
        panel.start()


def test_a_panel_that_nobody_has_is_gone(tmp_path):
    before = set(_instances)
    panel = rk.RecordingPanel(["synthetic", "file"], tmp_path)
    gone = weakref.ref(panel)
    del panel
    gc.collect()
    assert gone() is None
    assert set(_instances) == before


def test_a_cell_that_runs_again_takes_over_what_runs(tmp_path, monkeypatch):
    first = rk.RecordingPanel({"small": SMALL}, tmp_path)
    session = first.start()
    with monkeypatch.context() as patch:
        patch.setattr(cells, "_shell", lambda: None)
        patch.setattr("recordkit.panel.panel.predecessor", lambda panel: first)
        second = rk.RecordingPanel({"small": SMALL}, tmp_path)
    try:
        assert second.session is session
        assert second.is_running
        assert first.widget.comm is None
        begun(session)
        recording = second.stop()
        assert recording.path.name == "recording-1.ts"
    finally:
        second.close()


KERNEL = """
import signal, sys
import recordkit as rk
panel = rk.RecordingPanel({"small": rk.Synthetic(width=320, height=240, fps=15)}, sys.argv[1])
print(panel.start().worker_pid, flush=True)
signal.pause()
"""


def test_a_kernel_that_comes_back_finds_the_recording_again(tmp_path):
    with subprocess.Popen([sys.executable, "-c", KERNEL, tmp_path], stdout=subprocess.PIPE, cwd=ROOT) as kernel:
        worker = int(kernel.stdout.readline())
        # While it has its kernel nobody else's panel takes it.
        other = rk.RecordingPanel({"small": SMALL}, tmp_path)
        assert not other.is_running
        other.close()
        kernel.kill()
    deadline = time.monotonic() + GUARD_S
    while time.monotonic() < deadline:
        panel = rk.RecordingPanel({"small": SMALL}, tmp_path)
        if panel.is_running:
            break
        panel.close()
    try:
        assert panel.session.worker_pid == worker
        assert "nothing of the recording was lost" in panel._face.message.value
        assert panel._form.name.value == "recording-1.ts"
        assert not panel._face.stop.disabled
        begun(panel.session)
        recording = panel.stop()
        assert rk.verify(recording.path, decode=True).ok
        assert recording.counters.dropped_items == 0
        assert recording.path.name == "recording-1.ts"
        assert not panel.start().wait(0)
    finally:
        panel.close()


def test_ten_panels_live_side_by_side(tmp_path):
    panels = [rk.RecordingPanel({"small": SMALL}, tmp_path / str(number)) for number in range(10)]
    try:
        sessions = [panels[number].start() for number in (0, 9)]
        for session in sessions:
            begun(session)
        assert [session.path.parent.name for session in sessions] == ["0", "9"]
        assert [one.is_running for one in panels] == [True, *[False] * 8, True]
    finally:
        for one in panels:
            one.close()
    assert (tmp_path / "9" / "recording-1.ts").exists()


def test_what_is_shown_lives_as_long_as_it_is_shown(tmp_path):
    panel = rk.RecordingPanel(["synthetic"], tmp_path)
    assert "application/vnd.jupyter.widget-view+json" in panel._repr_mimebundle_()
    widget, gone = panel.widget, weakref.ref(panel)
    del panel
    gc.collect()
    assert gone() is not None
    close_all(widget)


def test_sources_that_are_none(tmp_path):
    with pytest.raises(SettingsError, match="sources"):
        rk.RecordingPanel(["camcorder"], tmp_path)


def test_an_endpoint_says_where_to_publish(tmp_path):
    panel = rk.RecordingPanel({"studio": rk.Whip(port=0)}, tmp_path)
    try:
        session = panel.start()
        while "Publish to" not in panel._face.address.value:
            assert not session.wait(0.1)
        (url,) = [one["url"] for one in session.events.query("kind == 'listening'")["fields"]]
        assert url.endswith("/whip/NAME")
        assert ":0/" not in url
        assert url in panel._face.address.value
        panel.stop()
        assert panel._face.address.value == ""
    finally:
        panel.close()


class SlowToStart:
    """In place of ``recordkit.start``: waits until the test lets it go on."""

    def __init__(self, monkeypatch):
        self.begun, self.may_go_on, self.count = threading.Event(), threading.Event(), 0
        monkeypatch.setattr("recordkit.panel.panel.start", self)

    def __call__(self, *values, **settings):
        self.count += 1
        self.begun.set()
        assert self.may_go_on.wait(GUARD_S)
        return rk.start(*values, **settings)


def test_two_clicks_start_one_recording(panel, monkeypatch):
    slow = SlowToStart(monkeypatch)
    panel._face.start.click()
    assert slow.begun.wait(GUARD_S)
    panel._face.start.click()
    assert panel._face.start.disabled
    slow.may_go_on.set()
    panel._lock.acquire()
    panel._lock.release()
    assert panel.is_running
    assert slow.count == 1
    assert panel._face.message.value == ""


@pytest.mark.parametrize("again", [False, True], ids=["closed", "cell run again"])
def test_a_panel_that_goes_while_its_recording_starts_loses_no_recording(again, tmp_path, monkeypatch):
    slow = SlowToStart(monkeypatch)
    panel = rk.RecordingPanel({"small": SMALL}, tmp_path)
    panel._face.start.click()
    assert slow.begun.wait(GUARD_S)
    timer = threading.Timer(0.2, slow.may_go_on.set)
    timer.start()
    if again:
        monkeypatch.setattr("recordkit.panel.panel.predecessor", lambda _: panel)
        second = rk.RecordingPanel({"small": SMALL}, tmp_path)
        assert second.session is panel.session
        assert second.is_running
        second.close()
    else:
        panel.close()
    timer.join()
    assert rk.sessions() == []
    assert panel.session.state is rk.SessionState.STOPPED
    with pytest.raises(StateError, match="closed"):
        panel.start()


def test_an_interrupted_start_leaves_the_panel_ready(panel, monkeypatch):
    def interrupted(*values, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("recordkit.panel.panel.start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        panel.start()
    assert not panel._face.start.disabled
    assert not panel._form.name.disabled
    assert "ready" in panel._face.head.value


@pytest.mark.parametrize("name", ["file/recordings", "x" * 300], ids=["below a file", "a name too long"])
def test_a_folder_that_cannot_be_made_is_said(name, tmp_path):
    (tmp_path / "file").touch()
    panel = rk.RecordingPanel({"small": SMALL}, tmp_path / name)
    click(panel._face.start)
    assert isinstance(panel.error, rk.OutputError)
    assert str(panel.error.path.name) in panel._face.message.value
    assert not panel._face.start.disabled
    panel.close()


def test_after_a_start_that_failed_nothing_of_the_one_before_is_shown_as_new(panel, monkeypatch):
    begun(panel.start())
    recording = panel.stop()
    # What is typed in is wrong: nothing was begun, and the last one stands.
    panel._form.name.value = "../elsewhere.ts"
    click(panel._face.start)
    assert "give a file&#x27;s name" in panel._face.message.value
    assert panel.recording is recording
    panel._form.name.value = "recording-1.ts"

    def refused(*_, **__):
        raise SourceError("camera", "is not there")

    monkeypatch.setattr("recordkit.panel.panel.start", refused)
    click(panel._face.start)
    assert "is not there" in panel._face.message.value
    assert "ready" in panel._face.head.value
    assert panel._face.tiles.value == ""
    assert panel._face.finished.outputs == ()
    with pytest.raises(StateError, match="nothing is being recorded"):
        panel.stop()


def test_an_unfinished_recording_of_this_name_is_left_alone(panel):
    session = panel.start()
    begun(session)
    os.kill(session.worker_pid, signal.SIGKILL)
    panel._until_shown(GUARD_S)
    panel._form.name.value = "recording-1.ts"
    begun(panel.start())
    assert panel.stop().path.name == "recording-2.ts"
    assert "recording-1.recording.ts" in panel._leftovers.box.children[0].children[0].value


def test_a_chart_that_cannot_be_drawn_does_not_end_the_recording(panel, monkeypatch):
    def broken(watched):
        raise MemoryError("no room for a picture")

    monkeypatch.setattr("recordkit.panel.watched.Watched.update", broken)
    session = panel.start()
    while "no room for a picture" not in panel._face.message.value:
        assert not session.wait(0.1)
    begun(session)
    assert panel.is_running
    assert panel.stop().path.exists()


def test_a_camera_of_the_callers_own_outlives_its_panels(tmp_path):
    camera = rk.Camera()
    for _ in range(2):
        panel = rk.RecordingPanel([camera], tmp_path)
        assert camera.comm is not None
        panel.close()
    assert camera.comm is not None
    camera.close()


def test_a_cell_that_runs_again_keeps_the_camera_that_is_recorded(tmp_path, monkeypatch):
    first = rk.RecordingPanel(["synthetic", "camera"], tmp_path)
    first._form.kind.value = 1
    camera = first._form.choices[1].camera
    session = first.start()
    monkeypatch.setattr("recordkit.panel.panel.predecessor", lambda _: first)
    second = rk.RecordingPanel(["camera", "synthetic"], tmp_path)
    assert camera.comm is not None
    assert second._form.source() is camera
    assert second._form.options.children == (second._form.choices[0].box,)
    second.close()
    assert session.state is rk.SessionState.STOPPED
    assert camera.comm is None


def test_a_click_on_recover_holds_up_no_other(panel):
    may_go_on, begun = threading.Event(), threading.Event()
    panel._leftovers._in_background(lambda: (begun.set(), may_go_on.wait(GUARD_S)))
    assert begun.wait(GUARD_S)
    click(panel._face.start)
    assert panel.is_running
    may_go_on.set()


class Told(Session):
    """A session whose process is the test: what it is sent is kept, and what it shows is what it is told."""

    def __init__(self, path):
        super().__init__(path)
        self.sent = []
        self._account._move(SessionState.RECORDING)

    def _send(self, line):
        self.sent.append(json.loads(line))

    def tell(self, *records):
        for one in records:
            self._account._take_record(one)

    def stop(self, **_):
        self._account._move(SessionState.STOPPING)
        self._account._move(SessionState.STOPPED)
        self._ended.set()
        parts = tuple(SegmentFile(self.path.with_name(f"{number}.ts"), number, 9, 0, 1, True) for number in (1, 2))
        nothing = Log({}, Contents((), (), ()))
        self._account.recording = Recording(parts[-1].path, 18, 2.0, {}, Counters(), nothing, segments=parts)
        return self._account.recording


def test_it_pauses_goes_on_and_lists_the_files_that_are_committed(panel, monkeypatch):
    sessions = []

    def started(source, path, **settings):
        sessions.append(Told(path))
        assert settings["segments"] == rk.Segments(every=600)
        return sessions[0]

    monkeypatch.setattr("recordkit.panel.panel.start", started)
    panel._form.several.every.value, panel._form.gap.value = "10min", "close"
    assert panel._face.pause.disabled
    session = panel.start()
    assert "recording-1_….ts" in panel._face.head.value
    click(panel._face.pause)
    assert panel.is_paused
    assert (panel._face.pause.description, panel._face.pause.icon) == ("Resume", "play")
    assert 'data-state="paused"' in panel._face.head.value
    click(panel._face.pause)
    assert not panel.is_paused
    assert panel._face.pause.description == "Pause"
    assert [(one["type"], one.get("gap")) for one in session.sent] == [("pause", "close"), ("resume", None)]
    session.tell(
        event(EventKind.PAUSE, gap="close"),
        event(EventKind.COMMIT, path="recordings/1.ts", bytes=4_200_000, duration_s=600.0),
        event(EventKind.SEGMENT, number=2, stream=0, pts=0),
    )
    panel._redraw(session)
    assert panel.is_paused
    assert "1 file committed, file 2 is being written" in panel._face.files.value
    panel.stop()
    assert panel._face.files.value == ""
    assert "2 files in" in panel._face.finished.outputs[0]["data"]["text/html"]
    assert panel._face.pause.disabled


def test_a_setting_that_cannot_be_used_is_said_and_shown(panel):
    panel._form.bounds.max_age.value = "a week"
    click(panel._face.start)
    assert "Keep for=&#x27;a week&#x27;: give a time of at least a second" in panel._face.message.value
    assert panel._form.folded.selected_index == 0
    assert not panel.is_running
    assert not panel._face.start.disabled
    with pytest.raises(StateError, match="nothing is being recorded"):
        panel.pause()
