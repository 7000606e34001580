"""Each benchmark runs, in its short version, and what it finds can be told; nobody asks here how fast it is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ..documents import between
from ..judges import judge
from .__main__ import COMMAND, DEFAULT_RESULTS
from .machine import machine
from .summary import PIECES, ratios, report

FOLDER = Path(__file__).parent


def measured(name: str, folder: Path) -> dict:
    """The short version's figures; all that its children say is in the failure where it fails."""
    path = folder / "figures.json"
    words = [sys.executable, str(FOLDER / f"{name}.py"), "--quick", "--json", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(path.read_text())


@pytest.mark.parametrize("name", PIECES)
def test_the_short_version_runs_and_is_told(name, tmp_path):
    if name == "player":
        judge("chromium")
    figures = measured(name, tmp_path)
    piece = {"load_before": 0.5, "load_after": 0.7, "seconds": 3, "when": "2026-01-01", "figures": figures}
    results = {"machine": machine(), "quick": True, "pieces": {name: piece}}
    assert len(ratios(results, ("",)).splitlines()) >= 5
    assert f"## {name}" in report(results)
    if name == "recorders":
        rows = figures["sizes"]["quarter"]["rows"]
        assert rows["recordkit Recorder"]["lost"] == 0
        assert all(row["pictures"] > 0 for row in rows.values() if "missing" not in row)
    if name == "crash":
        assert figures["rows"]["recordkit Recorder"]["share"]["median"] > 0
    if name == "streams":
        assert figures["ways"]["one process"]["rows"][0]["lost"] == 0
    if name == "publishers":
        assert [figures["ways"][way]["rows"][0]["lost"] for way in ("serve", "serve, two workers")] == [0, 0]


def test_the_table_of_the_readme_is_what_was_measured():
    assert between(FOLDER.parents[1] / "README.md", COMMAND) == ratios(json.loads(DEFAULT_RESULTS.read_text()))
