"""Ten minutes of media take no more memory than one."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tests" / "benchmarks" / "memory.py"


def test_memory_does_not_grow_from_the_first_minute_to_the_tenth():
    command = [sys.executable, str(SCRIPT), "growth", "--minutes", "10", "--json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    figures = json.loads(done.stdout)
    assert figures["flushes"] > 100
    assert figures["file_bytes"] > 5_000_000
    assert figures["growth_bytes"] <= 1_000_000
