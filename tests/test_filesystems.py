"""The same on each file system that can be mounted.

Record, two at once, kill, copy, remount, recover, move aside, fill.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import recordkit as rk
from recordkit.errors import OutputBusyError
from recordkit.recorder.leftover import clear_the_way
from recordkit.system import System

from .mounts import KINDS, remountable
from .steering import units_in, whole
from .writer.rig import Rig, rigged

UNBOUNDED = (
    "ramfs",
    "overlay",
    "bindfs",
    "mergerfs",
    "rclone",
    "sshfs",
    "gocryptfs",
    "unionfs",
    "fuse-overlayfs",
    "encfs",
    "cryfs",
    "securefs",
    "mhddfs",
)
"""What has no size of its own: they are not filled."""


def killed(folder: Path, aside: Path) -> list[bytes]:
    """A recording that was killed: what lies there at that moment, put back after its end."""
    aside.mkdir(exist_ok=True)
    with rigged(folder / "talk.ts", flush_threshold=1 << 20) as rig:
        rig.lay(30, 5000)
        rig.writer.flush(60)
        rig.lay(40, 5000)
        rig.idle()
        for one in (rig.partial, rig.tail):
            shutil.copyfile(one, aside / one.name)
        rig.close(commit=False)
    for one in aside.iterdir():
        (folder / one.name).unlink(missing_ok=True)
        shutil.copyfile(one, folder / one.name)
    return datas(rig)


def datas(rig: Rig) -> list[bytes]:
    return [one.data for one in rig.laid]


def units_of(path: Path) -> list[bytes]:
    """What was laid, without the delimiters that the packager puts before each unit."""
    return [one.removeprefix(b"\0\0\0\x01\x09\xf0") for one in units_in(whole(path))]


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir() if one.name.startswith("talk"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_holds_on(tmp_path: Path, kind: str) -> None:
    with remountable(tmp_path / "disk", kind) as again:
        folder = tmp_path / "disk"
        commits_and_two_at_once(folder)
        recovers(folder, tmp_path / "aside", again)
        moves_aside(folder, tmp_path / "aside")
        if kind not in UNBOUNDED:
            fills(folder)


def commits_and_two_at_once(folder: Path) -> None:
    with rigged(folder / "talk.ts") as rig:
        rig.lay(10, 5000)
        with pytest.raises(OutputBusyError):
            Rig(folder / "talk.ts").writer.start()
        rig.lay(10, 5000)
        rig.writer.flush(60)
        assert rig.close(commit=True)
        assert rig.writer.committed
    assert units_of(folder / "talk.ts") == datas(rig)
    assert names(folder) == ["talk.ts"]
    (folder / "talk.ts").unlink()


def recovers(folder: Path, aside: Path, again: Callable[[], None]) -> None:
    """Other inodes each time: the files are copies, and mounted anew."""
    units = killed(folder, aside)
    again()
    assert rk.partials(folder)[0].problem is None
    found = rk.recover(folder / "talk.ts")
    assert found.ok
    assert found.tail_bytes > 100_000
    assert units_of(folder / "talk.ts") == units
    assert names(folder) == ["talk.ts"]
    (folder / "talk.ts").unlink()


def moves_aside(folder: Path, aside: Path) -> None:
    for how, name in (("rename", "talk (1).ts"), ("recover", "talk (recovered).ts")):
        units = killed(folder, aside)
        clear_the_way(folder / "talk.ts", how, System())  # type: ignore[arg-type]
        if how == "rename":
            assert rk.recover(folder / name).ok
        assert names(folder) == [name]
        assert units_of(folder / name) == units
        (folder / name).unlink()


def fills(folder: Path) -> None:
    with rigged(folder / "talk.ts") as rig:
        rig.lay(10, 5000)
        rig.writer.flush(60)
        with (folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
            size = 1 << 20
            while size >= 4096:
                try:
                    file.write(bytes(size))
                    os.fsync(file.fileno())
                except OSError:
                    size //= 2
        held = rig.system.hold("write", 2)
        while rig.lay(1, 40_000):
            pass
        held.open()
        while (rig.lay(1, 40_000) or not rig.writer.ended_because) and rig.writer.error is None:
            pass
        assert rig.close(commit=True)
        assert rig.writer.error is None
        assert rig.writer.committed
    assert units_of(folder / "talk.ts") == datas(rig)
    assert names(folder) == ["talk.ts"]
