"""``recordkit record``, as it is used: arguments, exit codes, what it prints, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import recordkit as rk
from recordkit.cli import FAULT, INTERRUPTED, USAGE
from recordkit.recorder.capacity import Capacity
from recordkit.sources.readback import read_back
from recordkit.verification.verify import verify
from tests.cli.driving import SYNTHETIC, call, wait_for_line
from tests.media import make_clip


def test_the_synthetic_source_is_recorded_and_found_sound(tmp_path: Path) -> None:
    out = tmp_path / "out.ts"
    code, shown, errors = call(*SYNTHETIC, "--seconds", 2, out)
    assert (code, errors) == (0, "")
    assert "stop" in shown
    assert str(out) in shown.replace("\n", "")
    code, shown, errors = call("verify", "--decode", "--synthetic", out)
    assert (code, errors) == (0, "")
    assert "no problems found" in shown
    assert "60 frames, 0 lost, 0 repeated, 0 out of order, 0 unreadable" in shown


def test_a_recording_goes_on_in_one_file_after_the_other(tmp_path: Path) -> None:
    pattern = tmp_path / "{number:02d}.ts"
    code, shown, errors = call(*SYNTHETIC, "--seconds", 2, "--segment", "1s", "--segment-bytes", "1GB", pattern)
    assert (code, errors) == (0, "")
    assert "02.ts and 1 file before it" in shown.replace("\n", "")
    assert sorted(path.name for path in tmp_path.glob("*.ts")) == ["01.ts", "02.ts"]


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
    assert (video.sizes[0].width, video.sizes[0].height, video.frames) == (96, 64, 15)


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
        (["record", "--source", "synthetic", "--fps", "0", "a.ts"], "frames per second"),
        (["record", "--source", "synthetic", "--fps", "1/0", "a.ts"], "frames per second"),
        (["record", "--source", "synthetic", "--bit-rate", "lots", "a.ts"], "bits per second"),
        (["record", "--source", "synthetic", "--bit-rate", "inf", "a.ts"], "bits per second"),
        (["record", "--source", "synthetic", "--preset", "warp", "a.ts"], "choose one of"),
        (["record", "--source", "synthetic", "--flush-threshold", "1k", "a.ts"], "64 KiB to 1 GiB"),
        (["record", "--source", "synthetic", "--flush-interval", "0", "a.ts"], "seconds"),
        (["record", "--source", "synthetic", "--seconds", "-1", "a.ts"], "above 0"),
        (["record", "--source", "synthetic", "--seconds", "2 weeks", "a.ts"], "above 0"),
        (["record", "--input-option", "framerate", "a.mp4", "a.ts"], "NAME=VALUE"),
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


def test_options_of_the_input_reach_it(tmp_path: Path) -> None:
    raw = tmp_path / "raw.yuv"
    raw.write_bytes(bytes(64 * 48 * 3 // 2) * 5)
    shape = ["--input-option", "pixel_format=yuv420p", "--input-option", "video_size=64x48"]
    rate = ["--input-option", "framerate=10", "--flush-interval", "500ms", "--seconds", "1min"]
    assert call("record", "--input-format", "rawvideo", *shape, *rate, raw, tmp_path / "out.ts")[0] == 0
    (video,) = verify(tmp_path / "out.ts").streams
    assert (video.frames, video.duration_s) == (5, pytest.approx(0.5))


def test_no_file_is_no_success(tmp_path: Path) -> None:
    """A source that opens, and gives nothing."""
    raw = tmp_path / "raw.yuv"
    raw.write_bytes(bytes(10))
    shape = ["--input-option", "pixel_format=yuv420p", "--input-option", "video_size=64x48"]
    code, shown, _ = call("record", "--input-format", "rawvideo", *shape, raw, tmp_path / "out.ts")
    assert not (tmp_path / "out.ts").exists()
    assert code == FAULT, shown


def test_a_recording_that_ended_by_itself_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["recordkit.cli.record"]

    def record(*args: Any, **settings: Any) -> rk.Recording:
        return replace(rk.record(*args, **settings), ended_because="disk full")

    monkeypatch.setattr(module, "record_source", record)
    assert call(*SYNTHETIC, "--seconds", 0.5, tmp_path / "out.ts")[0] == FAULT


def test_a_source_that_cannot_be_opened_exits_with_1(tmp_path: Path) -> None:
    code, _, errors = call("record", tmp_path / "missing.mp4", tmp_path / "out.ts")
    assert code == FAULT
    assert "cannot be opened" in errors


def test_a_machine_that_cannot_carry_it_is_told_of_unless_that_is_not_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Capacity, "memory_bytes", lambda self: 1_000_000)
    code, _, errors = call(*SYNTHETIC, "--seconds", 0.5, tmp_path / "out.ts")
    assert code == FAULT
    assert "for want of memory" in errors
    assert not list(tmp_path.iterdir())
    assert call(*SYNTHETIC, "--seconds", 0.5, "--no-admission", tmp_path / "out.ts")[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_stops_and_commits(number: signal.Signals, tmp_path: Path) -> None:
    out = tmp_path / "out.ts"
    with recording_child(out) as child:
        child.send_signal(number)
        assert child.wait(60) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.flushes.jsonl", "out.frames", "out.ts"]
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
