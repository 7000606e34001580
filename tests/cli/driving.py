"""The command line as tests call it."""

from __future__ import annotations

import io
import subprocess

from recordkit.cli import run
from recordkit.telemetry.terminal import terminal

SYNTHETIC = ["record", "--source", "synthetic", "--size", "64x48", "--preset", "ultrafast", "--fast"]


def call(*argv: object, width: int = 120) -> tuple[int, str, str]:
    shown, errors = io.StringIO(), io.StringIO()
    code = run(
        [str(argument) for argument in argv],
        terminal(file=shown, width=width),
        terminal(file=errors, width=120, soft_wrap=True),
    )
    return code, shown.getvalue(), errors.getvalue()


def wait_for_line(child: subprocess.Popen[str], words: str) -> None:
    assert child.stderr is not None
    for line in child.stderr:
        if words in line:
            return
    raise AssertionError(f"the child ended without saying {words!r}")
