"""The machine and the programs that the benchmarks ran on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

from recordkit.version import __version__

_PACKAGES = ("av", "aiortc", "numpy", "pandas")
_PROGRAMS = {"ffmpeg": "-version", "gst-launch-1.0": "--version"}


def machine() -> dict[str, object]:
    """Processor, memory and versions."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "recordkit": __version__,
        **{name: version(name) for name in _PACKAGES},
        **{name: _said(name, option) for name, option in _PROGRAMS.items()},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _said(program: str, option: str) -> str:
    if shutil.which(program) is None:
        return "not installed"
    lines = subprocess.run([program, option], capture_output=True, text=True, check=False).stdout.splitlines()
    return lines[0].partition(" Copyright")[0] if lines else "of an unknown version"
