"""Disks that fill up, and disks that fail: nothing of what had been packetised is lost."""

from __future__ import annotations

import errno
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import recordkit as rk
from recordkit.mp4.scanner import Scanner

from ..mounts import KINDS as FILE_SYSTEMS
from ..mounts import MORE_KINDS, no_mount, no_mounts, remountable, tmpfs
from ..test_filesystems import UNBOUNDED, commits_and_two_at_once, fills, moves_aside, recovers
from .child import FAILED
from .children import Nursery
from .judging import begun, judged, order_for, told_by
from .outcome import Kind, Outcome, Trial, impossible_never, of

_Begin = Callable[..., AbstractContextManager[Trial]]
_DENSE = {"width": 320, "height": 180, "crf": 5, "realtime": False}
_DISK_BYTES = 8 * 1024 * 1024
_HEADROOM_BYTES = 1024 * 1024
"""What a slot of the tail has beyond the threshold."""
_SMALL_FILES_BYTES = 128 * 1024


def _ended(seed: int, nursery: Nursery, place: Path, suffix: str, **values: object) -> tuple[Outcome, bool]:
    """A recording that meets a fault, judged; and whether it had been committed before it was recovered."""
    order = order_for(place, suffix, **values)
    status = begun(nursery, order).wait()
    path, told = Path(order.path), told_by(order).snapshot()
    was_final, faults = path.exists(), []
    if status not in (0, FAILED):
        faults.append(f"the child ended with {status}: {nursery.log.read_text()[-500:]}")
    _whole_units_only(path, faults)
    try:
        rk.recover(path)
    except rk.WriteError:
        # No room at all, not even for what the tail holds: nothing may have been lost by trying.
        for one in place.glob("ballast"):
            one.unlink()
    except rk.RecoveryError:
        pass
    outcome = judged(seed, path, told, promised_bytes=told["bytes"])
    return replace(outcome, faults=(*faults, *outcome.faults)), was_final


def _whole_units_only(path: Path, faults: list[str]) -> None:
    """What the recording left ends with a whole packet, or a whole chunk, if no tail holds the rest of it."""
    left = path.with_suffix(f".recording{path.suffix}")
    if left.exists() and not path.with_suffix(".recording.tail").exists():
        size = left.stat().st_size
        whole = size - size % 188 if path.suffix == ".ts" else _usable(left)
        if size != whole:
            faults.append(f"the partial ends inside a packet or chunk: {size} bytes, and no tail is left")


def _usable(path: Path) -> int:
    scanner = Scanner()
    scanner.feed(path.read_bytes())
    scanner.close()
    return scanner.report.usable_end


@contextmanager
def full_at_a_write(folder: Path, suffix: str) -> Iterator[Trial]:
    """ENOSPC from the Nth write on; at every second trial after a write that took part of a packet."""
    with Nursery(folder / "children.log") as nursery:

        def trial(seed: int, place: Path) -> Outcome:
            fault = ("write", seed % 50 + 1, errno.ENOSPC)
            outcome, _ = _ended(
                seed, nursery, place, suffix, fault=fault, is_short=seed % 2 == 1, seconds=30, **_DENSE
            )
            return outcome

        yield trial


@contextmanager
def failing_syncs(folder: Path, suffix: str) -> Iterator[Trial]:
    """EIO from the Nth fdatasync, or once from the last fsync or the folder's: never told as a success."""
    with Nursery(folder / "children.log") as nursery:

        def trial(seed: int, place: Path) -> Outcome:
            nth = seed % 12 + 1
            fault = ("sync_data", nth) if nth <= 10 else (("sync", "sync_folder")[nth - 11], nth - 10)
            outcome, was_final = _ended(
                seed, nursery, place, suffix, fault=(*fault, errno.EIO), seconds=3 if nth > 10 else 30, **_DENSE
            )
            if was_final and fault[0] != "sync_folder":
                outcome = replace(outcome, faults=(*outcome.faults, "committed after a sync that had failed"))
            return outcome

        yield trial


@contextmanager
def full_tmpfs(folder: Path, suffix: str) -> Iterator[Trial]:
    """A disk of 8 MB that really fills up."""
    place = folder / "tmpfs"
    with Nursery(folder / "children.log") as nursery, tmpfs(place, "8m"):

        def trial(seed: int, _: Path) -> Outcome:
            threshold = (64, 256, 1024)[seed % 3] * 1024
            inside = place / str(seed)
            inside.mkdir()
            # Room for the tail, for what a start asks for, and for a few flushes.
            needed = 2 * (threshold + _HEADROOM_BYTES) + threshold + random.Random(seed).randrange(_HEADROOM_BYTES)
            (inside / "ballast").write_bytes(bytes(_DISK_BYTES - needed - _SMALL_FILES_BYTES))
            outcome, was_final = _ended(
                seed, nursery, inside, suffix, seconds=60, flush_threshold=threshold, **_DENSE
            )
            if not was_final:
                outcome = replace(
                    outcome, faults=(*outcome.faults, "not committed in the room that the tail gives")
                )
            shutil.rmtree(inside)
            inside.with_name(inside.name + ".told").unlink()
            return outcome

        yield trial


@contextmanager
def limited_files(folder: Path, suffix: str) -> Iterator[Trial]:
    """RLIMIT_FSIZE: a short write, then EFBIG; needs no root."""
    with Nursery(folder / "children.log") as nursery:

        def trial(seed: int, place: Path) -> Outcome:
            limit = 2_300_000 + random.Random(seed).randrange(1_000_000)  # the tail takes 2.2 MB
            outcome, _ = _ended(seed, nursery, place, suffix, file_limit=limit, seconds=60, **_DENSE)
            return outcome

        yield trial


_THOSE = [kind for kind in (*FILE_SYSTEMS, *MORE_KINDS) if no_mount(kind) is None]


@contextmanager
def file_systems(_: Path) -> Iterator[Trial]:
    """Each in turn: commit, two at once, kill, copy, remount, recover, move aside, and fill to the last byte."""

    def trial(seed: int, place: Path) -> Outcome:
        kind = _THOSE[seed % len(_THOSE)]
        folder = place.resolve() / "disk"
        try:
            with remountable(folder, kind) as again:
                commits_and_two_at_once(folder)
                recovers(folder, place / "aside", again)
                moves_aside(folder, place / "aside")
                if kind not in UNBOUNDED:
                    fills(folder)
        except (AssertionError, rk.RecordkitError, OSError, pytest.skip.Exception) as error:
            return Outcome(seed, (f"{kind}: {error!r}",))
        return Outcome(seed)

    yield trial


def _no_tmpfs() -> str | None:
    return no_mounts() or (None if shutil.which("mount") else "there is no mount program")


_ATTACKS: tuple[tuple[str, _Begin, int, Sequence[int], Sequence[int], Callable[[], str | None]], ...] = (
    ("disk full at the Nth write", full_at_a_write, 50, (0, 1, 7, 30), (), impossible_never),
    ("disk full, tmpfs of 8 MB", full_tmpfs, 30, (0, 1), (), _no_tmpfs),
    ("file size limit", limited_files, 30, (0, 1), (), impossible_never),
    ("sync fails at the Nth call", failing_syncs, 24, (0, 9, 10, 11), (), impossible_never),
)
"""What is hurt and how, how often in the long run, and the seeds of the short one in TS and in MP4."""

KINDS = [
    Kind(
        name + of(suffix),
        "nothing that was packetised",
        partial(begin, suffix=suffix),
        trials,
        short if suffix == ".ts" else few,
        impossible,
    )
    for suffix in (".ts", ".mp4")
    for name, begin, trials, short, few, impossible in _ATTACKS
] + [
    Kind("disk of another file system", "nothing that was packetised", file_systems, 2 * len(_THOSE), (), no_mounts)
]
