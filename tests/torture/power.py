"""Power cuts: a file system that is shut down with nothing more written, unmounted and mounted again."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..mounts import Disk, disk, no_disk
from .child import FAILED, cut_power
from .children import Nursery
from .judging import begun, judged, order_for, told_by
from .outcome import Kind, Outcome, Trial, of

_BUS_ERROR = -7
_BOOT = (24, 40)
_AIMS = (("sync_folder", 1), ("write", 1), ("write", 3), ("sync_data", 1), ("sync_data", 2), ("sync_data", 5))
_AIMS_AT_THE_END = (("sync", 1), ("rename", 1), ("sync_folder", 2), ("never", 1))
"""The last is met by no call: the recording is committed, and the power cut right after."""


@contextmanager
def power_cuts(folder: Path, kind: str, suffix: str = ".ts") -> Iterator[Trial]:
    """Cut at a random moment, or before a chosen call; each third time the tail finds the boot it was made in."""
    with Nursery(folder / "children.log") as nursery, disk(folder, kind) as drive:

        def trial(seed: int, _: Path) -> Outcome:
            return _trial(seed, nursery, drive, suffix)

        yield trial


def _trial(seed: int, nursery: Nursery, drive: Disk, suffix: str) -> Outcome:
    chance = random.Random(seed)
    place = drive.place / f"{seed}"
    place.mkdir()
    aim = chance.choice((None, chance.choice(_AIMS), chance.choice(_AIMS_AT_THE_END)))
    order = order_for(
        place,
        suffix,
        realtime=aim is None,
        seconds=60 if aim is None else 1.5,
        crf=chance.choice((5, 20, 35)),
        flush_interval=chance.choice((0.1, 0.3, 2.0)) if aim is None else 0.1,
        flush_threshold=chance.choice((64, 1024)) * 1024,
        power_cut=aim,
    )
    # What is told must outlast the disk.
    order = replace(order, told=str(drive.place.with_name(f"{seed}.told")))
    told, units = told_by(order), chance.randrange(1, 140)
    child = begun(nursery, order)
    if aim is None:
        child.until(lambda: told.units >= units)
        time.sleep(chance.uniform(0, 0.1))
        promised = told.flushed_bytes
        cut_power(place)
        snapshot = told.snapshot()
        child.kill()
    else:
        status = child.wait()
        snapshot = told.snapshot()
        promised = snapshot["flushed_bytes"]
        if status not in (0, FAILED, _BUS_ERROR):
            raise AssertionError(f"the child ended with {status}: {nursery.log.read_text()[-1000:]}")
        with suppress(OSError):  # the aimed cut has come
            cut_power(place)
    drive.unmount()
    drive.mount()
    path = Path(order.path)
    was_final = path.exists()
    if was_final:
        # A final name always means a complete file.
        promised = snapshot["bytes"]
    if seed % 3:
        _boot_anew(path.with_suffix(".recording.tail"))
    outcome = judged(seed, path, snapshot, promised_bytes=promised, may_cut=True)
    if snapshot["committed"] and not was_final:
        outcome = replace(outcome, faults=(*outcome.faults, "told as committed, and the final name is gone"))
    shutil.rmtree(place, ignore_errors=True)  # its name may not have come to the disk, either
    Path(order.told).unlink()
    return outcome


def _boot_anew(tail: Path) -> None:
    """Make the tail's boot another than this one, as it is after a real power cut."""
    if tail.exists():
        with tail.open("r+b") as file:
            # One that never reached the disk holds zeros, and no boot.
            if any(file.read(_BOOT[1])):
                file.seek(_BOOT[0])
                file.write(b"an earlier boot.")


def _kind(name: str, suffix: str, short: Sequence[int]) -> Kind:
    begin: Callable[[Path], AbstractContextManager[Trial]] = partial(power_cuts, kind=name, suffix=suffix)
    called = f"power cut, {name}" + of(suffix)
    return Kind(called, "what came after the last flush", begin, 200, short, partial(no_disk, name))


KINDS = [
    _kind("ext4", ".ts", (0, 14, 21)),
    _kind("xfs", ".ts", (12, 21)),
    _kind("ext4", ".mp4", (14,)),
    _kind("xfs", ".mp4", ()),
]
