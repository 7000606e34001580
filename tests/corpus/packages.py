"""Films that packages of the Python index carry, for tests and examples of their own."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path


def _suffixes(text: str) -> frozenset[str]:
    return frozenset(text.split())


MEDIA = _suffixes(
    ".3gp .aac .ac3 .aif .aiff .amr .asf .au .avi .flac .flv .gif .h264 .h265 .hevc .m2ts .m4a .m4v .mjpeg "
    ".mka .mkv .mov .mp2 .mp3 .mp4 .mpeg .mpg .mts .nut .oga .ogg .ogv .opus .ts .wav .webm .wma .wmv"
)
"""Suffixes of audio and video; packages are full of other things."""


def carried(names: Iterable[str], folder: Path) -> list[Path]:
    """A folder for each package that could be installed, of the files in it that may be media."""
    found = []
    for name in names:
        into = folder / name
        command = [*_pip(), "install", "--quiet", "--no-deps", "--target", str(into), name]
        if subprocess.run(command, check=False).returncode:
            print(f"{name} cannot be installed: its films are left out", file=sys.stderr)
            continue
        for path in into.rglob("*"):
            if path.is_file() and path.suffix.lower() not in MEDIA:
                path.unlink()
        found.append(into)
    return found


def _pip() -> list[str]:
    """The pip of this environment, or any: what it installs is only looked at."""
    return [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else [shutil.which("pip") or "pip"]
