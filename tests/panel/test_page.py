"""What the panel shows as HTML: nothing that comes from outside is markup."""

from pathlib import Path

import pytest

from recordkit.panel import page
from recordkit.recorder.result import Counters, Recording
from recordkit.telemetry.frames import Log
from recordkit.telemetry.journal import Contents

EVIL = '<img src=x onerror="alert(1)">'


@pytest.mark.parametrize(
    "html",
    [
        page.head(EVIL, EVIL, EVIL),
        page.tiles([(EVIL, EVIL, True)]),
        page.notes([EVIL]),
        page.leftover(EVIL, EVIL),
        page.finished(
            Recording(Path(EVIL.replace("/", "")), 1, 1.0, {}, Counters(), Log({}, Contents((), (), ())))
        ),
    ],
)
def test_what_comes_from_outside_is_text(html):
    assert "<img src=x" not in html
    assert "&lt;img" in html


def test_a_live_state_has_its_dot_and_is_told_to_screen_readers():
    assert "● recording" in page.head("recording", "0:12", "talk.ts")
    assert "●" not in page.head("stopped", "0:12", "talk.ts")
    assert 'role="status"' in page.head("recording", "", None)
    assert 'role="alert"' in page.notes(["disk full"])


def test_a_recording_is_linked_relative_to_where_the_kernel_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nothing = Log({}, Contents((), (), ()))
    near = Recording(tmp_path / "recordings" / "my talk.ts", 188, 1.0, {}, Counters(), nothing)
    assert 'href="recordings/my%20talk.ts"' in page.finished(near)
    assert "No media came" in page.finished(Recording(None, 0, 0.0, {}, Counters(), nothing))
