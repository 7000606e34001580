"""A worker's begin: what is told to a library while it is loaded is told to nobody else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SAYS = """
import os
loaded = os.environ.get("OPENBLAS_NUM_THREADS")
def main():
    print(loaded, os.environ.get("OPENBLAS_NUM_THREADS"))
    return 3
"""


@pytest.mark.parametrize(("given", "told"), [(None, "1 None\n"), ("7", "7 7\n")])
def test_only_what_is_loaded_finds_one_thread(given: str | None, told: str, tmp_path: Path) -> None:
    (tmp_path / "says.py").write_text(SAYS)
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *sys.path])
    if given is not None:
        environment["OPENBLAS_NUM_THREADS"] = given
    command = [sys.executable, "-m", "recordkit.background.alone", "says"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (3, told), done.stderr
