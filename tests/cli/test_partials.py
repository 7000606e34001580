"""``recordkit partials``, as it is used."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from recordkit.cli import FAULT
from tests.cli.driving import call
from tests.recovery.material import Lying, media, unit_starts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "what's there"
    folder.mkdir()
    data = media()
    middle = unit_starts(data)[60]
    Lying(folder).lay(data[:middle], [(middle, data[middle:])])
    Lying(folder, "live").lay(data)
    Lying(folder, "noise").lay(b"no transport stream" * 1000)
    (folder / "link.recording.ts").symlink_to("/etc/passwd")
    return folder


@pytest.mark.parametrize("width", [80, 120])
def test_what_lies_unfinished_is_listed_with_what_to_do(folder: Path, width: int) -> None:
    with (folder / "live.recording.ts").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        code, shown, errors = call("partials", folder, width=width)
    assert (code, errors) == (0, "")
    rows = {line.split()[0]: line for line in shown.splitlines() if ".ts " in line and "▲" not in line}
    assert "unfinished" in rows["talk.ts"]
    assert "recording" in rows["live.ts"]
    assert "no media" in rows["noise.ts"]
    assert "…" not in "".join(rows.values())
    assert "▲ link.ts is a link" in " ".join(shown.split())
    assert "1 recoverable" in shown
    assert "2 with nothing to recover   1 being recorded" in shown
    assert "recordkit recover '" in shown, "quoted for the shell"
    assert max(len(line) for line in shown.splitlines() if "→" not in line) <= width


def test_json_has_every_field(folder: Path) -> None:
    code, shown, _ = call("partials", "--json", folder)
    assert code == 0
    found = {Path(one["final_path"]).name: one for one in json.loads(shown)}
    assert found["talk.ts"]["recoverable_bytes"] == len(media())
    assert found["noise.ts"]["problem"].startswith("there is not one whole access unit")


def test_an_empty_folder_and_one_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, shown, _ = call("partials")
    assert (code, "no unfinished recordings" in shown) == (0, True)
    code, _, errors = call("partials", tmp_path / "missing")
    assert (code, "cannot be listed" in errors) == (FAULT, True)
