"""Real file systems of their own, gone when they are done with; they need root."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

_SIZES = {"ext4": 64 << 20, "xfs": 320 << 20, "btrfs": 128 << 20, "ext2": 64 << 20, "ext3": 64 << 20}
_MORE = {
    "exfat": "mount.exfat-fuse",
    "gocryptfs": "gocryptfs",
    "unionfs": "unionfs",
    "fuse-overlayfs": "fuse-overlayfs",
    "fuse2fs": "fuse2fs",
    "encfs": "encfs",
    "cryfs": "cryfs",
    "securefs": "securefs",
    "mhddfs": "mhddfs",
}
_FUSE = {
    "ntfs-3g": "ntfs-3g",
    "bindfs": "bindfs",
    "mergerfs": "mergerfs",
    "rclone": "rclone",
    "sshfs": "sshfs",
} | _MORE
_IMAGES = {"ntfs-3g": ["mkntfs", "-q", "-F", "-f"], "exfat": ["mkfs.exfat"], "fuse2fs": ["mkfs.ext4", "-q", "-F"]}
"""Those that lie in a file of their own, and what makes it one."""
_MADE = {
    "gocryptfs": ("gocryptfs", "-q", "-init", "-scryptn", "10", "-extpass", "echo x"),
    "securefs": ("securefs", "create", "--pass", "x"),
}
"""What puts one into a folder."""
_OPTIONS = {
    "gocryptfs": ("-q", "-extpass", "echo x", "{below}"),
    "fuse-overlayfs": ("-o", "lowerdir={below}/lower,upperdir={below}/upper,workdir={below}/work"),
    "unionfs": ("{below}=RW",),
    "encfs": ("--standard", "--extpass=echo x", "{below}"),
    "cryfs": ("{below}",),  # asks for its password
    "securefs": ("mount", "-b", "--pass", "x", "--log", "/dev/null", "{below}"),
    "mhddfs": ("{below}/upper,{below}/lower",),
}
_SFTP = "/usr/lib/openssh/sftp-server"
MORE_KINDS = tuple(_MORE)
KINDS = (*_SIZES, "tmpfs", "ramfs", "overlay", *(kind for kind in _FUSE if kind not in _MORE))
"""What ``mounted`` knows, besides ``MORE_KINDS``, which are tried where they are installed."""


def no_mounts() -> str | None:
    """Why nothing can be mounted here, or None."""
    if os.geteuid() != 0:
        return "mounting needs root"
    # Some containers have root, and may not mount.
    status = Path("/proc/self/status").read_text()
    effective = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff")), 16)
    return None if effective >> 21 & 1 else "this container may not mount (no CAP_SYS_ADMIN)"


def no_mount(kind: str) -> str | None:
    """Why no file system of this kind can be had, or None."""
    if kind in _SIZES:
        return no_disk(kind)
    if reason := no_mounts():
        return reason
    if kind not in _FUSE:
        known = Path("/proc/filesystems").read_text().split()
        return None if kind in known else f"the kernel does not know {kind}"
    for program in (_FUSE[kind], *_IMAGES.get(kind, [])[:1], *([_SFTP] if kind == "sshfs" else [])):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None if Path("/dev/fuse").exists() else "there is no /dev/fuse"


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
        quiet = ["-q", "-F"] if kind.startswith("ext") else ["-q"]
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


class Fuse:
    """A file system of a program of its own, over ``folder``; ``again`` mounts it anew, as after a restart."""

    def __init__(self, folder: Path, kind: str, place: Path) -> None:
        self.kind, self.place = kind, place
        self._device = ""
        self._below = folder / "below"
        self._below.mkdir(parents=True)
        place.mkdir()
        if kind in _IMAGES:
            self._below = folder / "image"
            with self._below.open("wb") as file:
                file.truncate(64 << 20)
            _run(*_IMAGES[kind], str(self._below))
            if kind == "exfat":
                self._device = _run("losetup", "--find", "--show", str(self._below)).strip()
        elif kind in _MADE:
            _run(*_MADE[kind], str(self._below))
        for name in ("lower", "upper", "work") if kind in ("fuse-overlayfs", "mhddfs") else ():
            (self._below / name).mkdir()
        self._server: subprocess.Popen[bytes] | None = None
        self._mount()

    def _mount(self) -> None:
        below, place = self._device or str(self._below), str(self.place)
        if self.kind == "sshfs":
            # An SFTP server on a pair of pipes: no network, no keys.
            ends = socket.socketpair()
            self._server = subprocess.Popen([_SFTP], stdin=ends[0], stdout=ends[0], stderr=subprocess.DEVNULL)
            command = ["sshfs", "-o", "passive", f":{below}", place]
            mounting = subprocess.Popen(command, stdin=ends[1], stdout=ends[1], stderr=subprocess.DEVNULL)
            for end in ends:
                end.close()
            self._mounting = mounting
        elif self.kind == "rclone":
            options = ["--vfs-cache-mode", "writes", "--daemon", "--config", "/dev/null"]
            _run("rclone", "mount", f":local:{below}", place, *options)
        else:
            given = _OPTIONS.get(self.kind, ("{below}",))
            options = [one.format(below=below) for one in given]
            _run(_FUSE[self.kind], *options, place, text="x\n")
        end_s = time.monotonic() + 20
        while not place_is_mount(self.place):
            if time.monotonic() > end_s:
                raise RuntimeError(f"{self.kind} was not mounted")
            time.sleep(0.02)

    def again(self) -> None:
        """Unmount it and mount it anew: what is remembered of inodes is forgotten."""
        self._unmount()
        self._mount()

    def close(self) -> None:
        """Unmount it, and give its device back."""
        self._unmount()
        if self._device:
            _run("losetup", "--detach", self._device)

    def _unmount(self) -> None:
        """Unmount it, and wait for its programs."""
        _run("umount", str(self.place))
        for process in (self._server, getattr(self, "_mounting", None)):
            if process is not None:
                process.wait(20)


def place_is_mount(place: Path) -> bool:
    """Whether something is mounted there."""
    return any(line.split()[1] == str(place) for line in Path("/proc/mounts").read_text().splitlines())


@contextmanager
def _mounted(folder: Path, kind: str) -> Iterator[Callable[[], None]]:
    """What mounts it anew."""
    image = folder.with_name(f"{folder.name}-{kind}")
    if kind in _SIZES:
        with disk(image, kind, folder) as made:

            def again() -> None:
                made.unmount()
                made.mount()

            yield again
    elif kind in _FUSE:
        mounted_by = Fuse(image, kind, folder)
        try:
            yield mounted_by.again
        finally:
            mounted_by.close()
    elif kind == "overlay":
        for name in ("lower", "upper", "work"):
            (image / name).mkdir(parents=True)
        options = f"lowerdir={image}/lower,upperdir={image}/upper,workdir={image}/work"
        folder.mkdir()
        _run("mount", "-t", "overlay", "-o", options, "recordkit-test", str(folder))
        try:
            yield lambda: None
        finally:
            _run("umount", str(folder))
    elif kind == "ramfs":
        folder.mkdir()
        _run("mount", "-t", "ramfs", "recordkit-test", str(folder))
        try:
            yield lambda: None
        finally:
            _run("umount", str(folder))
    else:
        with tmpfs(folder, "8m"):
            yield lambda: None


@contextmanager
def remountable(folder: Path, kind: str) -> Iterator[Callable[[], None]]:
    """A new file system of one of ``KINDS`` at ``folder`` for a test; what mounts it anew.

    Skips, and says why, if this user may not mount it, or the program that makes it is not there.
    """
    if reason := no_mount(kind):
        pytest.skip(reason)
    with ExitStack() as stack:
        try:
            again = stack.enter_context(_mounted(folder, kind))
        except RuntimeError as error:
            pytest.skip(f"{kind} cannot be mounted here: {error}")
        try:
            yield again
        finally:
            # Frozen, it could not be unmounted.
            subprocess.run(["fsfreeze", "-u", str(folder)], capture_output=True, check=False)


@contextmanager
def mounted(folder: Path, kind: str) -> Iterator[Path]:
    """The same, of "tmpfs" (8 MB), "ext4" (64 MB), "xfs" (320 MB), "btrfs" (128 MB) and the others."""
    with remountable(folder, kind):
        yield folder


def _run(*command: str, text: str | None = None) -> str:
    quiet = {"CRYFS_FRONTEND": "noninteractive", "CRYFS_NO_UPDATE_CHECK": "true"}
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=os.environ | quiet)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
