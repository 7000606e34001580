"""The benchmarks still run, and tell every figure that they promise; how large it is, is not judged here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .judges import judge

ROOT = Path(__file__).parents[1]
SPREAD = {"median", "low", "high"}


def quick(name: str, folder: Path) -> dict:
    script, figures = ROOT / "tests" / "benchmarks" / f"{name}.py", folder / "figures.json"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, script, "--quick", "--json", figures]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") > 2
    return json.loads(figures.read_text("ascii"))


@pytest.fixture(scope="module")
def packetiser(tmp_path_factory) -> dict:
    return quick("packetiser", tmp_path_factory.mktemp("packetiser"))


@pytest.mark.parametrize("sink", ["file", "memory"])
def test_packetiser(packetiser, sink):
    assert packetiser["cases"].keys() == {"720p 4 Mbit/s", "audio only"}
    for sinks in packetiser["cases"].values():
        row = sinks[sink]
        assert row["ratio"].keys() == row["floor"].keys() == SPREAD
        assert all(row[f"{label}_cpu_s"]["low"] > 0 for label in ("recordkit", "libavformat", "plain"))
        # The same bytes went through each: ours are those, and at most some headers and stuffing.
        assert 1 < row["bytes"]["recordkit"] / row["bytes"]["plain"] < 2
        assert row["bytes"]["recordkit"] % 188 == 0


def test_scanner(tmp_path):
    judge("ffprobe")
    (case,) = quick("scanner", tmp_path)["cases"].values()
    assert case["bytes"] >= 8_000_000
    for program in ("verify", "recover", "ffprobe"):
        assert case[program]["ratio"].keys() == SPREAD
        assert case[program]["mb_per_cpu_s"] > 0
        assert case[program]["peak_rss_mb"]["low"] > 1
    assert case["ffprobe"]["ratio"]["median"] == 1


def test_export(tmp_path):
    judge("ffmpeg")
    (case,) = quick("export", tmp_path)["cases"].values()
    for program in ("recordkit", "ffmpeg"):
        assert case[program]["ratio"].keys() == SPREAD
        assert case[program]["mb_per_cpu_s"] > 0
