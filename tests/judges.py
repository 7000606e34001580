"""Programs that are not Python packages and judge our files: a test asks for each by name."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REQUIRED = "RECORDKIT_REQUIRE_JUDGES"
"""Environment variable: with 1, a judge that is missing fails the test instead of skipping it."""


def judge(name: str) -> str:
    """The path of a program; the test is skipped where it is missing, or fails where judges are required."""
    path = shutil.which(name)
    if path is None:
        reason = f"{name} is not installed"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{reason}, and {REQUIRED}=1")
        pytest.skip(reason)
    return path


def run(name: str, *arguments: str | Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """Runs a judge and gives what it said."""
    command = [judge(name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False)


def _assert_silent(done: subprocess.CompletedProcess[str], allowed: str | None = None) -> None:
    said = [line for line in done.stderr.splitlines() if not (allowed and allowed in line)]
    assert not said, "\n".join(said)
    assert done.returncode == 0, f"exit status {done.returncode}"


def assert_decodes_in_silence(path: Path, level: str = "warning", allowed: str | None = None) -> None:
    """ffmpeg decodes all of it, and says nothing of this level or above but what is ``allowed``."""
    decoder = ("-nostdin", "-v", level, "-xerror", "-err_detect", "explode")
    # Pictures of a live source may stand closer than at the rate that ffmpeg guesses, and would fall together.
    sink = ("-map", "0", "-enc_time_base:v", "1/90000", "-f", "null", "-")
    _assert_silent(run("ffmpeg", *decoder, "-i", path, *sink), allowed)


def assert_times_never_jump(path: Path) -> None:
    """ffmpeg copies its packets with their own timestamps and has nothing to say about them."""
    copier = ("-map", "0", "-c", "copy", "-f", "mpegts", "-y", os.devnull)
    done = run("ffmpeg", "-nostdin", "-v", "warning", "-copyts", "-i", path, *copier)
    # What ffmpeg writes then, audio alone, lacks something; that is not about what it read.
    _assert_silent(done, allowed="frame size not set")


def assert_tstools_are_content(path: Path) -> None:
    """tsreport finds no fault in continuity, timing and CRC_32, tsinfo none in the tables."""
    for arguments in (("tsreport", "-b", "-err", "stdout", path), ("tsinfo", path)):
        done = run(*arguments)
        faults = [line for line in (done.stdout + done.stderr).splitlines() if "###" in line or "!!!" in line]
        assert not faults, "\n".join(faults)
        assert done.returncode == 0, f"{arguments[0]}: exit status {done.returncode}"


def frame_counts(path: Path) -> list[tuple[str, int]]:
    """ffprobe's codec and number of decoded frames, stream by stream."""
    entries = ("-show_entries", "stream=codec_name,nb_read_frames", "-of", "csv=p=0")
    done = run("ffprobe", "-v", "error", "-count_frames", *entries, path)
    assert not done.stderr, done.stderr
    # Streams are printed twice, first within their program.
    lines = [line.strip(",") for line in done.stdout.split() if line.strip(",")]
    counts = [(name, int(count)) for name, count in (line.split(",")[:2] for line in lines)]
    return counts[len(counts) // 2 :]
