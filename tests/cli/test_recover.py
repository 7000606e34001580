"""``recordkit recover``, as it is used: what it says, its exit codes, Ctrl-C in the middle."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import recordkit as rk
from recordkit.cli import FAULT, INTERRUPTED, USAGE
from tests.cli.driving import call, wait_for_line
from tests.recovery.material import Lying, media, unit_starts
from tests.test_kill import SMALL, WHOLE, child


@pytest.fixture
def dead(tmp_path: Path) -> Lying:
    """A recording with the half of its bytes in the tail, and part of a packet at the end of the file."""
    return lay_dead(tmp_path / "dead")


def lay_dead(folder: Path, name: str = "talk") -> Lying:
    folder.mkdir(exist_ok=True)
    data = media()
    middle = unit_starts(data)[60]
    return Lying(folder, name).lay(data[:middle], [(middle, data[middle:])])


def lay_torn(folder: Path, name: str) -> Lying:
    return Lying(folder, name).lay(media() + media()[:100])


def test_a_killed_recording_comes_back(tmp_path: Path) -> None:
    out = tmp_path / "talk.ts"
    with child(out, "process", SMALL, WHOLE) as process:
        for _ in range(200):
            process.stdout.readline()
        process.kill()
        process.communicate(timeout=60)
    code, shown, errors = call("recover", out)
    assert (code, errors) == (0, "")
    assert f"✔ {out}   recovered" in shown
    assert "s of it from the tail; nothing was cut" in " ".join(shown.split())
    assert rk.verify(out, decode=True).ok
    assert call("recover", out)[0] == 0, "it may be asked for twice"


def test_what_was_cut_is_told_with_its_place_and_reason(tmp_path: Path) -> None:
    lying = lay_torn(tmp_path, "torn")
    lying.final.write_bytes(b"in the way")
    code, shown, _ = call("recover", lying.partial)
    assert code == 0
    assert "torn (recovered).ts   recovered" in shown
    assert f"100 B at byte {len(media()):,} of the file: part of a packet" in shown
    assert str(lying.rejected) in shown
    assert lying.rejects() == [media()[:100]]
    assert lying.final.read_bytes() == b"in the way"


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_dry_run_changes_nothing(dead: Lying, form: list[str]) -> None:
    before = {name: (dead.folder / name).read_bytes() for name in dead.names()}
    code, shown, _ = call("recover", "--dry-run", *form, dead.folder)
    assert code == 0
    assert {name: (dead.folder / name).read_bytes() for name in dead.names()} == before
    if form:
        (one,) = json.loads(shown)
        assert (one["outcome"], one["dry_run"], one["bytes"]) == ("recovered", True, len(media()))
    else:
        assert "recoverable" in shown
        assert "nothing was changed" in shown


@pytest.mark.parametrize("width", [80, 120])
def test_a_folder_gets_one_table_and_a_line_of_sums(dead: Lying, width: int) -> None:
    lay_torn(dead.folder, "torn")
    lay_dead(dead.folder, "a recording with a name so long that it cannot be shown whole anywhere")
    live = lay_dead(dead.folder, "live")
    Lying(dead.folder, "empty").lay(b"")
    with live.partial.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        code, shown, _ = call("recover", dead.folder, width=width)
        assert code == 0, "a running recording in a folder is no fault"
        assert live.partial.exists()
        assert "3 recovered   1 empty   1 recording" in shown
        assert f"100 B at byte {len(media()):,} of the file: part of a packet" in " ".join(shown.split())
        assert max(map(len, shown.splitlines())) <= width
        (row,) = [line for line in shown.splitlines() if "talk.ts" in line]
        assert "…" not in row, "figures are never cut short"
        code, shown, _ = call("recover", live.final)
        assert code == FAULT, "one that was named is"
        assert "right now" in shown
    assert sorted(path.name for path in dead.folder.glob("*.recording.*")) == [live.tail.name, live.partial.name]


def test_one_that_fails_does_not_hold_up_the_others(dead: Lying) -> None:
    (dead.folder / "link.recording.ts").symlink_to("/etc/passwd")
    Lying(dead.folder, "noise").lay(b"no transport stream" * 1000)
    code, shown, _ = call("recover", "--json", dead.folder, dead.folder / "missing.ts", dead.folder / "a.mkv")
    assert code == FAULT
    found = {Path(one["path"]).name: one["outcome"] for one in json.loads(shown)}
    assert found == {
        "link.recording.ts": "failed",
        "noise.recording.ts": "nothing",
        "talk.recording.ts": "recovered",
        "missing.recording.ts": "failed",
        "a.mkv": "failed",
    }
    code, shown, _ = call("recover", dead.folder)
    assert code == FAULT
    assert "links are not followed" in shown
    assert "everything was left as it is" in shown
    code, shown, _ = call("recover", dead.folder / "noise.ts")
    assert code == FAULT
    assert "unusable" in shown
    assert Lying(dead.folder, "noise").partial.exists()


def test_a_folder_with_nothing_to_do_is_well(tmp_path: Path) -> None:
    code, shown, _ = call("recover", tmp_path)
    assert (code, "no unfinished recordings" in shown) == (0, True)
    assert json.loads(call("recover", "--json", tmp_path)[1]) == []


def test_a_broken_file_is_repaired_to_another(tmp_path: Path) -> None:
    broken, fixed = tmp_path / "broken.ts", tmp_path / "fixed.ts"
    broken.write_bytes(media()[:18800] + b"noise" * 33 + media()[18800:])
    code, shown, _ = call("recover", broken, "--output", fixed, "--dry-run")
    assert (code, fixed.exists(), "repairable" in shown) == (0, False, True)
    code, shown, _ = call("recover", broken, "--output", fixed)
    assert code == 0
    assert "165 B at byte 18,800 of the file: no transport packets" in shown
    assert fixed.read_bytes() == media()
    code, shown, _ = call("recover", broken, "--output", fixed)
    assert (code, "exists already" in shown) == (FAULT, True)
    code, _, errors = call("recover", tmp_path, "--output", tmp_path / "x.ts")
    assert (code, "is a folder: name the files in it" in errors) == (USAGE, True)


def test_several_files_are_repaired_into_a_folder(tmp_path: Path) -> None:
    names = [tmp_path / "a.ts", tmp_path / "b.m2ts", tmp_path / "noise.ts"]
    for name in names:
        name.write_bytes(b"noise" * 999 if name.stem == "noise" else media() + b"noise")
    code, _, errors = call("recover", *names[:2], "--output", tmp_path / "x.ts")
    assert (code, "2 files are to be repaired" in errors) == (USAGE, True)
    assert "name a folder that exists" in errors
    folder = tmp_path / "fixed"
    folder.mkdir()
    assert call("recover", *names[:2], "--output", folder)[0] == 0
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == {"a.ts": media(), "b.ts": media()}
    code, shown, _ = call("recover", names[2], names[0], "--output", folder)
    assert (code, "no media" in shown, "exists already" in shown) == (FAULT, True, True)


def test_what_is_repaired_in_part_only_is_a_fault(tmp_path: Path) -> None:
    data = media()
    at = unit_starts(data)[0]
    # Without its first unit, which alone is a keyframe, nothing can be decoded.
    (tmp_path / "broken.ts").write_bytes(data[:at] + data[unit_starts(data)[3] :])
    code, shown, _ = call("recover", tmp_path / "broken.ts", "--output", tmp_path / "fixed.ts")
    assert (code, "repaired in part" in shown, "still there: no keyframe" in shown) == (FAULT, True, True)
    (found,) = json.loads(call("recover", "--json", tmp_path / "broken.ts", "--output", tmp_path / "other.ts")[1])
    assert (found["outcome"], found["added_bytes"]) == ("repaired in part", 0)


def test_names_are_shown_without_what_a_terminal_would_obey(tmp_path: Path) -> None:
    lay_torn(tmp_path, "a\x1b[31mb[red]c")
    code, shown, _ = call("recover", tmp_path)
    assert code == 0
    assert "\x1b" not in shown
    assert "b[red]c.ts" in shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_all_as_recoverable_as_before(dead: Lying, number: signal.Signals) -> None:
    other = lay_dead(dead.folder, "zebra")
    shown, errors = interrupt_at("zebra", number, dead.folder)
    assert "1 recovered" in shown
    assert "Interrupted: 1 recording done; the others can still be recovered." in errors
    assert f"recordkit recover {dead.folder}" in errors
    assert other.tail.exists()
    assert call("recover", dead.folder)[0] == 0
    assert other.final.read_bytes() == dead.final.read_bytes() == media()


def test_an_interrupt_of_the_first_does_not_say_that_nothing_is_there(dead: Lying) -> None:
    shown, errors = interrupt_at("talk", signal.SIGINT, dead.folder)
    assert shown == ""
    assert "Interrupted: no recordings done" in errors
    assert call("recover", dead.folder)[0] == 0
    assert dead.final.read_bytes() == media()


def interrupt_at(name: str, number: signal.Signals, folder: Path) -> tuple[str, str]:
    """Recovers a folder in a child that is sent a signal while it syncs ``name``; what it printed."""
    code = f"""
import os, sys, time
from recordkit.system import System
whole = System.sync
def sync(self, descriptor):
    if {name!r} in os.readlink("/proc/self/fd/%d" % descriptor).rsplit("/")[-1]:
        print("in the middle", file=sys.stderr, flush=True)
        for _ in range(6000):  # a signal may come right before one sleep, which it does not end then
            time.sleep(0.1)
    whole(self, descriptor)
System.sync = sync
from recordkit.cli import run
sys.exit(run(sys.argv[1:]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, "recover", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_for_line(process, "in the middle")
            process.send_signal(number)
            shown, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == INTERRUPTED
    return shown, errors
