"""The command line, as it is used: arguments, exit codes, what it prints, Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from recordkit.cli import FAULT, INTERRUPTED, USAGE, run
from recordkit.sources.readback import read_back
from recordkit.verification.verify import verify
from tests.media import make_clip

SYNTHETIC = ["record", "--source", "synthetic", "--size", "64x48", "--preset", "ultrafast", "--fast"]


def call(*argv: object) -> tuple[int, str, str]:
    shown, errors = io.StringIO(), io.StringIO()
    code = run(
        [str(argument) for argument in argv],
        Console(file=shown, width=120),
        Console(file=errors, width=120, soft_wrap=True),
    )
    return code, shown.getvalue(), errors.getvalue()


def test_the_synthetic_source_is_recorded_and_found_sound(tmp_path: Path) -> None:
    out = tmp_path / "out.ts"
    code, shown, errors = call(*SYNTHETIC, "--seconds", 2, out)
    assert (code, errors) == (0, "")
    assert "stop" in shown
    assert str(out) in shown.replace("\n", "")
    code, shown, errors = call("verify", "--decode", "--synthetic", out)
    assert (code, errors) == (0, "")
    assert "nothing is wrong" in shown
    assert "60 pictures, 0 lost, 0 repeated, 0 out of order, 0 unreadable" in shown


def test_an_overview_is_drawn_where_it_was_asked_for(tmp_path: Path) -> None:
    picture = tmp_path / "overview.png"
    code, _, _ = call(*SYNTHETIC, "--seconds", 1, "--plot", picture, tmp_path / "out.ts")
    assert code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    code, _, errors = call(*SYNTHETIC, "--seconds", 1, "--plot", tmp_path / "no" / "x.png", tmp_path / "two.ts")
    assert code == USAGE
    assert "cannot be written" in errors
    assert (tmp_path / "two.ts").exists()


def test_a_file_is_recorded_with_all_its_options(tmp_path: Path) -> None:
    clip, out = make_clip(tmp_path / "clip.mp4"), tmp_path / "deep" / "er" / "out.ts"
    code, _, errors = call(
        *("record", clip, out, "--transcode", "--seconds", 1, "--size", "96x64", "--fps", 15),
        *("--bit-rate", "300k", "--preset", "ultrafast", "--flush-threshold", "64k", "--flush-interval", 0.5),
        *("--durability", "process", "--no-audio"),
    )
    assert (code, errors) == (0, "")
    found = verify(out)
    (video,) = found.streams
    assert (video.sizes[0].width, video.sizes[0].height, video.pictures) == (96, 64, 15)


def test_a_file_is_passed_through(tmp_path: Path) -> None:
    clip, out = make_clip(tmp_path / "clip.mp4"), tmp_path / "out.ts"
    assert call("record", clip, out)[0] == 0
    assert read_back(out).lost == 0
    code, _, errors = call("record", clip, out)
    assert code == FAULT
    assert "exists already" in errors
    assert call("record", clip, out, "--overwrite", "--no-video")[0] == 0
    assert [stream.codec for stream in verify(out).streams] == ["aac"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["record", "--source", "synthetic", "a.ts", "b.ts"], "give OUTPUT"),
        (["record", "a.ts"], "give INPUT OUTPUT"),
        (["record", "--source", "synthetic", "--size", "big", "a.ts"], "WIDTHxHEIGHT"),
        (["record", "--source", "synthetic", "--fps", "0", "a.ts"], "pictures a second"),
        (["record", "--source", "synthetic", "--fps", "1/0", "a.ts"], "pictures a second"),
        (["record", "--source", "synthetic", "--bit-rate", "lots", "a.ts"], "give a number"),
        (["record", "--source", "synthetic", "--bit-rate", "inf", "a.ts"], "give a number"),
        (["record", "--source", "synthetic", "--preset", "warp", "a.ts"], "choose one of"),
        (["record", "--source", "synthetic", "--flush-threshold", "1k", "a.ts"], "64 KiB to 1 GiB"),
        (["record", "--source", "synthetic", "--flush-interval", "0", "a.ts"], "seconds"),
        (["record", "--source", "synthetic", "--seconds", "-1", "a.ts"], "above 0"),
        (["record", "--source", "synthetic", "--no-audio", "--no-video", "a.ts"], "at least one"),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_made(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, errors = call(*arguments)
    assert code == USAGE
    assert words in errors
    assert list(tmp_path.iterdir()) == []


def test_unknown_options_and_missing_arguments_exit_with_2(capfd: pytest.CaptureFixture[str]) -> None:
    assert call("record", "--warp", "a.ts")[0] == USAGE
    assert call("verify")[0] == USAGE
    capfd.readouterr()


def test_a_source_that_cannot_be_opened_exits_with_1(tmp_path: Path) -> None:
    code, _, errors = call("record", tmp_path / "missing.mp4", tmp_path / "out.ts")
    assert code == FAULT
    assert "cannot be opened" in errors


def test_verify_prints_json_and_fails_for_any_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = make_clip(tmp_path / "good.ts", seconds=1), tmp_path / "bad.ts"
    call(*SYNTHETIC, "--seconds", 1, tmp_path / "ours.ts")
    data = (tmp_path / "ours.ts").read_bytes()
    bad.write_bytes(data[: 188 * 20] + data[188 * 23 : -50])
    assert good.exists()
    code, shown, _ = call("verify", "--json", tmp_path / "ours.ts", bad)
    assert code == FAULT
    first, second = json.loads(shown)
    assert (first["ok"], second["ok"]) == (True, False)
    assert {"continuity", "cut packet"} <= {problem["kind"] for problem in second["problems"]}
    code, shown, _ = call("verify", bad)
    assert code == FAULT
    assert "continuity" in shown
    code, shown, _ = call("verify", tmp_path / "missing.ts", tmp_path / "ours.ts")
    assert code == FAULT
    assert "cannot be read" in shown
    assert "nothing is wrong" in shown


def test_the_version_is_printed() -> None:
    assert call("--version") == (0, "recordkit 0.1.0\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_stops_and_commits(number: signal.Signals, tmp_path: Path) -> None:
    out = tmp_path / "out.ts"
    with recording_child(out) as child:
        child.send_signal(number)
        assert child.wait(60) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.flushes.jsonl", "out.ts"]
    found = verify(out, decode=True)
    assert found.ok, found.problems


def test_a_second_interrupt_leaves_the_partial(tmp_path: Path) -> None:
    out = tmp_path / "out.ts"
    with recording_child(out, "import os; os.fsync = lambda descriptor: time.sleep(600)") as child:
        child.send_signal(signal.SIGINT)
        wait_for_line(child, "Interrupted")
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == INTERRUPTED
    assert not out.exists()
    assert (tmp_path / "out.recording.ts").stat().st_size % 188 == 0


@contextmanager
def recording_child(out: Path, prelude: str = "") -> Iterator[subprocess.Popen[str]]:
    """A child that records, once it has flushed for the first time."""
    code = f"import sys, time\n{prelude}\nfrom recordkit.cli import run\nsys.exit(run(sys.argv[1:]))"
    arguments = ["--verbose", "record", "--source", "synthetic", "--size", "64x48", "--flush-interval", "0.1"]
    # Syncing the folder at the start is left out where fsync hangs.
    arguments += ["--durability", "process"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments, str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    ) as child:
        try:
            wait_for_line(child, "Flushed buffer")
            yield child
        finally:
            child.kill()


def wait_for_line(child: subprocess.Popen[str], words: str) -> None:
    assert child.stderr is not None
    for line in child.stderr:
        if words in line:
            return
    raise AssertionError(f"the child ended without saying {words!r}")
