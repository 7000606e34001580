"""What the panel shows as HTML: nothing that comes from outside is markup."""

from dataclasses import replace
from pathlib import Path

import pytest

from recordkit.panel import page
from recordkit.panel.watched import CommittedFile
from recordkit.recorder.result import Counters, Recording, SegmentFile
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
        page.files([CommittedFile(Path("x") / EVIL.replace("/", ""), 1, 1.0, 0)], 1, 2),
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


def test_the_files_of_a_recording_are_listed_the_newest_first():
    assert page.files([], 0, 1) == ""
    rows = [CommittedFile(Path(f"recordings/cam-{number}.ts"), 4_200_000, 600.0, 0) for number in (4, 5)]
    html = page.files(rows, 5, 6)
    assert "5 files committed, file 6 is being written; 3 older ones are not listed" in html
    assert html.index("cam-5.ts") < html.index("cam-4.ts")
    assert "<td>10:00</td><td>4.20 MB</td>" in html


def test_each_file_of_a_finished_recording_is_linked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = [SegmentFile(tmp_path / "cam" / f"{number}.ts", number, 188, 0.0, 1.0, True) for number in (1, 2, 3)]
    parts[0] = replace(parts[0], committed=False)
    nothing = Log({}, Contents((), (), ()))
    html = page.finished(Recording(parts[-1].path, 564, 3.0, {}, Counters(), nothing, segments=tuple(parts)))
    assert "2 files in <code>cam</code>" in html
    assert [name in html for name in ('href="cam/3.ts"', 'href="cam/2.ts"', 'href="cam/1.ts"')] == [
        True,
        True,
        False,
    ]
    assert "panel.recording.open()" in html
