"""``recordkit marks``: what was marked, for people, scripts and spreadsheets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import recordkit as rk

from .driving import call


def recorded(path: Path, marked: tuple[int, ...]) -> Path:
    with rk.Recorder(path, audio=None, sample_interval=0) as recorder:
        for number, frame in enumerate(rk.Synthetic(64, 48, fps=10, seconds=1, audio=False).frames()):
            assert isinstance(recorder.write(frame), bool)
            if number in marked:
                recorder.flush()
                recorder.mark(f"mark [{number}], with a comma")
    return path


def test_marks_as_a_table(tmp_path: Path) -> None:
    code, shown, _ = call("marks", recorded(tmp_path / "talk.ts", (0, 9)))
    assert code == 0
    assert "mark [0], with a comma" in shown
    assert "mark [9], with a comma" in shown


def test_marks_for_scripts_and_spreadsheets(tmp_path: Path) -> None:
    talk = recorded(tmp_path / "talk.ts", (2, 9))
    code, shown, _ = call("marks", "--json", talk)
    first, second = json.loads(shown)
    assert code == 0
    assert (first["name"], second["name"]) == ("mark [2], with a comma", "mark [9], with a comma")
    assert 0 <= first["media_s"] < second["media_s"] == pytest.approx(1.0, abs=0.11)
    assert first["time"].endswith("+00:00")
    code, shown, _ = call("marks", "--csv", talk.with_name("talk.flushes.jsonl"))
    head, line, _ = shown.splitlines()
    assert (code, head) == (0, "media_s,time,name")
    assert line.endswith(',"mark [2], with a comma"')


def test_a_recording_without_marks_and_none_at_all(tmp_path: Path) -> None:
    talk = recorded(tmp_path / "talk.ts", ())
    assert call("marks", talk)[:2] == (0, "No marks.\n")
    assert json.loads(call("marks", "--json", talk)[1]) == []
    code, _, errors = call("marks", tmp_path / "none.ts")
    assert code == 1
    assert "none" in errors
