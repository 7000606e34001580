"""The project's own files say the same thing."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import yaml

from .judges import judge

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_conda_environment_names_every_requirement_of_the_package() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    names = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    wanted = set(PROJECT["dependencies"])
    for name, extra in PROJECT["optional-dependencies"].items():
        if name != "fuzz":  # what it needs is not on conda-forge, and nothing but `make fuzz` needs it
            wanted |= set(extra)
    *from_pip, own = pip
    assert {*names, *from_pip} == wanted | {f"python{PROJECT['requires-python']}", "pip"}
    assert own == "-e ."
    assert environment["channels"] == ["conda-forge"]


def test_the_readme_names_only_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", (ROOT / "README.md").read_text())) <= targets


def test_committed_notebooks_carry_neither_outputs_nor_counts() -> None:
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in json.loads(path.read_text())["cells"]:
            assert not cell.get("outputs"), path.name
            assert cell.get("execution_count") is None, path.name


def test_no_tracked_file_is_larger_than_a_megabyte() -> None:
    listed = subprocess.run([judge("git"), "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in listed.splitlines()]
    large = [path.name for path in files if path.is_file() and path.stat().st_size > 1 << 20]
    assert large == []


def test_each_finding_can_be_run_and_is_listed() -> None:
    folder = ROOT / "findings"
    listed = (folder / "README.md").read_text()
    for script in folder.glob("*.sh"):
        assert script.stat().st_mode & 0o111, script.name
        assert f"({script.name})" in listed
        assert "recordkit" not in script.read_text()
