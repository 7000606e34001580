"""What a worker asks the system of its own process: its streams, its memory, the disk, and its parent."""

from __future__ import annotations

import os
from pathlib import Path

from ..system import System


def process_descriptor(process: int) -> int | None:
    """A descriptor that becomes readable when ``process`` ends; None where the system has no such thing."""
    try:
        return os.pidfd_open(process)
    except (OSError, AttributeError):
        return None


def free_bytes(folder: Path) -> int | None:
    """Bytes free on the disk of ``folder``, None if the system does not say."""
    try:
        return System().free_bytes(folder)
    except OSError:
        return None


def own_streams() -> tuple[int, int]:
    """Standard input and output for ourselves; what else speaks in this process speaks to standard error.

    Neither a print in some library nor a child that a source starts can get between the lines then.
    """
    reading, writing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return reading, writing
