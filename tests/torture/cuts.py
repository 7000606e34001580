"""SIGKILL while a recording goes on from file to file: at random moments, and before each line of a cut."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import recordkit as rk
from recordkit.sources.marks import read_frame_number

from .child import CUTS
from .children import Nursery, load
from .judging import begun, order_for, row_faults, told_by
from .kills import KILLED, chosen, killed_once, shuffled
from .outcome import Kind, Outcome, Trial

_EVERY_S = 0.2
_PATTERN = " {number:04d}"


def judged(seed: int, folder: Path, suffix: str, told: dict[str, int], figures: dict[str, float]) -> Outcome:
    """Recovers what is left in ``folder``; put together it must have each unit that had been packetised, once."""
    faults = [f"{one.path.name}: {one.outcome}" for one in rk.recover(folder) if one.problems or one.cuts]
    faults += [f"left over: {one.name}" for one in folder.iterdir() if ".recording." in one.name]
    units, numbers = 0, []
    for path in sorted(one for one in folder.glob(f"*{suffix}") if ".recording." not in one.name):
        verified = rk.verify(path, decode=True)
        if not verified.ok:
            faults.append(f"{path.name} is not whole: {verified.problems}")
        faults += row_faults(path)
        units += sum(one.access_units for one in verified.streams)
        with rk.open(path) as video:
            numbers += [read_frame_number(frame.frame) for frame in video]
    if numbers != list(range(len(numbers))):
        faults.append(f"frames are lost or doubled: {numbers}")
    if not told["units"] <= units <= told["units"] + 1:
        faults.append(f"{units} access units, {told['units']} had been packetised")
    return Outcome(seed, tuple(faults), 0, 0.0, figures)


@contextmanager
def random_kills(folder: Path, *, busy: int = 0, suffix: str = ".ts") -> Iterator[Trial]:
    """A recording in files of a fifth of a second that is killed once so many units have been packetised."""
    with Nursery(folder / "children.log") as nursery, load(busy):

        def trial(seed: int, place: Path) -> Outcome:
            chance = random.Random(seed)
            order = order_for(
                place,
                _PATTERN + suffix,
                durability=("flush", "process")[seed % 2],
                flush_interval=chance.choice((0.05, 0.2, 2.0)),
                every=_EVERY_S,
            )
            told, status = killed_once(nursery, order, chance, 120)
            outcome = judged(seed, place, suffix, told.snapshot(), {})
            if status == KILLED:
                return outcome
            return Outcome(seed, (*outcome.faults, f"the child ended with {status}"))

        yield trial


@contextmanager
def kills_at_lines(folder: Path, *, suffix: str = ".ts") -> Iterator[Trial]:
    """A short recording that dies before a line of what makes, begins and ends files, each line in turn."""
    with Nursery(folder / "children.log") as nursery:
        first = folder / "census"
        first.mkdir()
        short = {"seconds": 1.0, "realtime": False, "every": _EVERY_S, "flush_interval": 2.0}
        order = order_for(first, _PATTERN + suffix, census=str(folder / "lines.json"), **short)
        assert begun(nursery, order).wait() == 0, nursery.log.read_text()[-2000:]
        census = shuffled(json.loads((folder / "lines.json").read_text()), CUTS)

        def trial(seed: int, place: Path) -> Outcome:
            line = chosen(seed, census)
            order = order_for(
                place, _PATTERN + suffix, durability=("flush", "process")[seed % 2], line=line, **short
            )
            told = told_by(order)
            status = begun(nursery, order).wait()
            outcome = judged(seed, place, suffix, told.snapshot(), {"lines": float(len(census))})
            # A line that is not met as often in this run: then it must have ended well.
            if status == KILLED or (status == 0 and told.committed):
                return outcome
            return Outcome(seed, (*outcome.faults, f"the child ended with {status} at {line}"))

        yield trial


KINDS = [
    Kind("kill among cuts", "nothing that was packetised", random_kills, 300, ()),
    Kind("kill among cuts under load", "nothing that was packetised", partial(random_kills, busy=4), 200, ()),
    Kind("kill at a line of a cut", "nothing that was packetised", kills_at_lines, 400, range(1)),
    Kind("kill at a line of a cut, MP4", "nothing", partial(kills_at_lines, suffix=".mp4"), 100, ()),
]
