"""Real file systems of their own for a test, gone when it ends; they need root."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .torture.mounts import no_disk, no_mounts


@contextmanager
def mounted(folder: Path, kind: str, size: str) -> Iterator[Path]:
    """A new file system of ``kind`` ("tmpfs", "ext4", "xfs") and ``size`` ("8m") at ``folder``.

    Skips where this user may not mount it, or the program that makes it is not there.
    """
    reason = no_mounts() if kind == "tmpfs" else no_disk(kind)
    if reason:
        pytest.skip(reason)
    folder.mkdir()
    image = folder.with_name(f"{folder.name}.img")
    if kind == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "recordkit-test", str(folder)]
    else:
        subprocess.run(["truncate", "-s", size, str(image)], check=True)
        subprocess.run([f"mkfs.{kind}", "-q", str(image)], check=True, capture_output=True)
        command = ["mount", "-o", "loop", str(image), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{kind} cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        # Frozen, it could not be unmounted.
        subprocess.run(["fsfreeze", "-u", str(folder)], capture_output=True, check=False)
        subprocess.run(["umount", str(folder)], check=True)
        image.unlink(missing_ok=True)
