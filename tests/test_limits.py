"""A process that the system gives nothing more: descriptors, threads, memory; in children with their own limits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import recordkit as rk

CHILD = Path(__file__).with_name("limited.py")
FOLDER = CHILD.parents[1]


def child(scene, limit, folder):
    done = subprocess.run(
        [sys.executable, CHILD, scene, limit],
        cwd=folder,
        env={"PYTHONPATH": str(FOLDER), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("limit", ["descriptors", "threads", "memory"])
def test_a_recording_goes_on_and_is_committed(limit, tmp_path):
    told = child("recording", limit, tmp_path)
    assert told["committed"]
    assert told["units"] == told["taken"] == 40
    assert len(told["memory"]) >= 3
    assert all((one is None) == (limit == "descriptors") for one in told["memory"])
    assert rk.verify(tmp_path / "talk.ts", decode=True).ok
    log = rk.read_flush_log(tmp_path / "talk.ts")
    assert log.flushes["rss_bytes"].isna().any() == (limit == "descriptors")
    assert rk.plot_memory(log) is not None


@pytest.mark.parametrize("limit", ["descriptors", "threads", "memory"])
def test_one_that_cannot_begin_says_what_is_short_and_leaves_nothing(limit, tmp_path):
    told = child("beginning", limit, tmp_path)
    assert told["error"] == "AdmissionError"
    assert f"for want of {'file descriptors' if limit == 'descriptors' else limit}" in told["message"]
    assert told["threads"] == 1
    assert not list(tmp_path.iterdir())
