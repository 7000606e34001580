"""The file by which an interrupted run goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from recordkit.errors import OutputAccessError, OutputBusyError, SettingsError
from recordkit.fleet.rows import failed
from recordkit.fleet.state import State
from recordkit.fleet.task import Task


@pytest.fixture
def media(tmp_path: Path) -> str:
    path = tmp_path / "a.ts"
    path.write_bytes(b"1234")
    return str(path)


def test_what_is_done_is_known_as_long_as_its_file_is_the_same(tmp_path: Path, media: str) -> None:
    row = {"path": media, "ok": True, "bytes": 4}
    with State(tmp_path / "state", "verify", {}) as state:
        assert state.row(media) is None
        state.add(row)
    with State(tmp_path / "state", "verify", {}) as state:
        assert state.count == 1
        assert state.row(media) == row
        assert state.row(media + "x") is None
        Path(media).write_bytes(b"12345")
        assert state.row(media) is None
        state.add(row | {"bytes": 5})
    with State(tmp_path / "state", "verify", {}) as state:
        assert state.row(media) == row | {"bytes": 5}
        os.utime(media, ns=(1, 1))
        assert state.row(media) is None


def test_what_failed_is_tried_again(tmp_path: Path, media: str) -> None:
    with State(tmp_path / "state", "verify", {}) as state:
        state.add(failed(media, "cannot be read", "for now"))
    with State(tmp_path / "state", "verify", {}) as state:
        assert state.row(media) is None


def test_what_was_being_made_is_known(tmp_path: Path, media: str) -> None:
    made = str(tmp_path / "a.mp4")
    tasks = {name: Task("export", name, made) for name in ("broken off", "done", "failed")}
    with State(tmp_path / "state", "export", {"suffix": ".mp4"}) as state:
        for task in tasks.values():
            state.begin(task)
        state.add({"path": "done", "ok": True})
        state.add(failed("failed", "busy", "now"))
        state.begin(Task("export", "had one before", media))
        state.begin(Task("verify", "makes nothing"))
    with State(tmp_path / "state", "export", {"suffix": ".mp4"}) as state:
        begun = [name for name in (*tasks, "had one before", "makes nothing") if state.was_begun(name)]
        assert begun == ["broken off"]


def test_the_line_that_a_kill_has_cut_is_done_again(tmp_path: Path, media: str) -> None:
    path = tmp_path / "state"
    with State(path, "verify", {}) as state:
        state.add({"path": "first", "ok": True})
        whole = path.stat().st_size
        state.add({"path": media, "ok": True})
    os.truncate(path, path.stat().st_size - 5)
    with State(path, "verify", {}) as state:
        assert state.count == 1
        assert state.row(media) is None
        assert path.stat().st_size == whole
        state.add({"path": media, "ok": True})
    with State(path, "verify", {}) as state:
        assert state.row(media) == {"path": media, "ok": True}


HEAD = {"format": "recordkit fleet", "version": 1, "action": "verify", "options": {}}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["what is this"], "is no state of recordkit"),
        (["{}"], "is no state of recordkit"),
        ([json.dumps(HEAD | {"version": 2})], "is of version 2, this recordkit knows 1"),
        ([json.dumps(HEAD | {"action": "export"})], "is of another run, export, and this is verify"),
        ([json.dumps(HEAD | {"options": {"decode": True}})], "is of another run, verify with {'decode': True}"),
        ([json.dumps(HEAD), "\0\0\0", json.dumps({"begun": "a"})], "is damaged at line 2"),
        ([json.dumps(HEAD), '{"row": {}}'], "is damaged at line 2"),
        ([json.dumps(HEAD), "[]"], "is damaged at line 2"),
    ],
)
def test_another_file_is_told_in_words_and_left_as_it_is(tmp_path: Path, lines: list[str], words: str) -> None:
    path = tmp_path / "state"
    path.write_text("\n".join(lines) + "\n")
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="remove it to begin anew, or name another file") as raised:
        State(path, "verify", {})
    assert words in str(raised.value)
    assert path.read_bytes() == before


def test_two_runs_do_not_share_a_state(tmp_path: Path) -> None:
    with State(tmp_path / "state", "verify", {}), pytest.raises(OutputBusyError, match="another run goes on"):
        State(tmp_path / "state", "verify", {})
    with pytest.raises(OutputAccessError, match="cannot be used for the state"):
        State(tmp_path, "verify", {})


def test_names_that_are_no_text_are_kept(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.ts")
    Path(path).write_bytes(b"1")
    with State(tmp_path / "state", "verify", {}) as state:
        state.add({"path": path, "ok": True})
    with State(tmp_path / "state", "verify", {}) as state:
        assert state.row(path) == {"path": path, "ok": True}
