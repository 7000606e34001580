"""Real file systems of their own, gone when they are done with; they need root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

_SIZES = {"ext4": 64 << 20, "xfs": 320 << 20}


def no_mounts() -> str | None:
    """Why nothing can be mounted here, or None."""
    if os.geteuid() != 0:
        return "mounting needs root"
    # Some containers have root, and may not mount.
    status = Path("/proc/self/status").read_text()
    effective = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff")), 16)
    return None if effective >> 21 & 1 else "this container may not mount (no CAP_SYS_ADMIN)"


def no_disk(kind: str) -> str | None:
    """Why no loop-mounted disk of this kind can be had, or None."""
    reason = no_mounts()
    if reason:
        return reason
    for program in (f"mkfs.{kind}", "losetup", "mount", "umount"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not Path("/dev/loop-control").exists():
        return "there are no loop devices"
    known = Path("/proc/filesystems").read_text().split()
    found = subprocess.run(["losetup", "--find"], capture_output=True, text=True, check=False)
    if found.returncode:
        return f"no loop device is free: {found.stderr.strip()}"
    if kind not in known and shutil.which("modprobe") is None:
        return f"the kernel does not know {kind}"
    return None


class Disk:
    """A file system in a file: ``place`` is where it is mounted."""

    def __init__(self, folder: Path, kind: str, place: Path | None = None) -> None:
        self.place = place or folder / "disk"
        self.place.mkdir()
        folder.mkdir(exist_ok=True)
        image = folder / "image"
        with image.open("wb") as file:
            file.truncate(_SIZES[kind])
        quiet = ["-q", "-F"] if kind == "ext4" else ["-q"]
        _run(f"mkfs.{kind}", *quiet, str(image))
        self.device = _run("losetup", "--find", "--show", str(image)).strip()
        self._is_mounted = False

    def mount(self) -> None:
        """Mount it; what its journal holds is put in order."""
        _run("mount", self.device, str(self.place))
        self._is_mounted = True

    def unmount(self) -> None:
        """Unmount it, if it is mounted."""
        if self._is_mounted:
            _run("umount", str(self.place))
            self._is_mounted = False

    def close(self) -> None:
        """Give the device back."""
        try:
            self.unmount()
        finally:
            _run("losetup", "--detach", self.device)


@contextmanager
def disk(folder: Path, kind: str, place: Path | None = None) -> Iterator[Disk]:
    """A mounted disk of a kind, ``ext4`` or ``xfs``, given back whatever happens; its image lies in ``folder``."""
    made = Disk(folder, kind, place)
    try:
        made.mount()
        yield made
    finally:
        made.close()


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Path]:
    """A file system in memory of ``size`` ("8m") at ``folder``, which is made."""
    folder.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={size}", "recordkit-test", str(folder))
    try:
        yield folder
    finally:
        _run("umount", str(folder))


@contextmanager
def mounted(folder: Path, kind: str) -> Iterator[Path]:
    """A new file system of ``kind`` at ``folder`` for a test: "tmpfs" (8 MB), "ext4" (64 MB) or "xfs" (320 MB).

    Skips where this user may not mount it, or the program that makes it is not there.
    """
    reason = no_mounts() if kind == "tmpfs" else no_disk(kind)
    if reason:
        pytest.skip(reason)
    image = folder.with_name(f"{folder.name}-{kind}")
    with ExitStack() as stack:
        try:
            stack.enter_context(tmpfs(folder, "8m") if kind == "tmpfs" else disk(image, kind, folder))
        except RuntimeError as error:
            pytest.skip(f"{kind} cannot be mounted here: {error}")
        try:
            yield folder
        finally:
            # Frozen, it could not be unmounted.
            subprocess.run(["fsfreeze", "-u", str(folder)], capture_output=True, check=False)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
