"""SIGKILL: at random moments, and before chosen lines of the write path and of the recovery itself."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import recordkit as rk

from ..recovery.material import Lying, lay_awkwardly
from .child import RECOVERY, WRITE_PATH
from .children import Nursery, load
from .judging import begun, judged, order_for, told_by
from .orders import Order, Told
from .outcome import Kind, Outcome, Trial

KILLED = -9
_FFMPEG_EACH = 10


def killed_once(nursery: Nursery, order: Order, chance: random.Random, most_units: int) -> tuple[Told, int]:
    """What a recording had told when it was killed, at a random moment after so many units; how it ended."""
    told, units = told_by(order), chance.randrange(1, most_units)
    child = begun(nursery, order)
    child.until(lambda: told.units >= units)
    # Else it would always be right after a unit.
    time.sleep(chance.uniform(0, 0.06))
    return told, child.kill()


@contextmanager
def random_kills(folder: Path, *, busy: int = 0, suffix: str = ".ts") -> Iterator[Trial]:
    """A recording in real time that is killed once so many units have been packetised."""
    with Nursery(folder / "children.log") as nursery, load(busy):

        def trial(seed: int, place: Path) -> Outcome:
            chance = random.Random(seed)
            order = order_for(
                place,
                suffix,
                durability=("flush", "process")[seed % 2],
                width=chance.choice((64, 160, 320)),
                height=chance.choice((48, 90, 180)),
                crf=chance.choice((5, 20, 35)),
                audio=chance.random() < 0.8,
                flush_threshold=chance.choice((64, 256, 4096)) * 1024,
                flush_interval=chance.choice((0.05, 0.2, 2.0)),
                piece=chance.choice((5000, None)),
            )
            told, status = killed_once(nursery, order, chance, 90)
            outcome = judged(
                seed,
                Path(order.path),
                told.snapshot(),
                promised_bytes=told.bytes,
                ffmpeg=seed % _FFMPEG_EACH == 0 and shutil.which("ffmpeg") is not None,
            )
            return outcome if status == KILLED else _with_fault(outcome, f"the child ended with {status}")

        yield trial


def _with_fault(outcome: Outcome, fault: str) -> Outcome:
    return Outcome(outcome.seed, (*outcome.faults, fault), outcome.lost_bytes, outcome.lost_ms, outcome.figures)


def chosen(seed: int, census: list[tuple[str, int, int]]) -> tuple[str, int, int]:
    """Each line in turn, at one of the times that it begins: the first, the last or one between."""
    name, line, count = census[seed % len(census)]
    return name, line, random.Random(seed).choice((1, max(1, count // 2), random.Random(seed).randint(1, count)))


@contextmanager
def kills_while_writing(folder: Path, *, suffix: str = ".ts") -> Iterator[Trial]:
    """A short recording that dies before a line of the write path begins, each line in turn."""
    with Nursery(folder / "children.log") as nursery:
        first = folder / "census"
        first.mkdir()
        short = {"seconds": 1.2, "realtime": False, "crf": 5, "piece": 20_000, "width": 320, "height": 180}
        order = order_for(first, suffix, census=str(folder / "lines.json"), **short)
        assert begun(nursery, order).wait() == 0, nursery.log.read_text()[-2000:]
        census = shuffled(json.loads((folder / "lines.json").read_text()), WRITE_PATH)

        def trial(seed: int, place: Path) -> Outcome:
            order = order_for(
                place, suffix, durability=("flush", "process")[seed % 2], line=chosen(seed, census), **short
            )
            told = told_by(order)
            status = begun(nursery, order).wait()
            figures = {"lines": float(len(census))}
            outcome = judged(seed, Path(order.path), told.snapshot(), promised_bytes=told.bytes, figures=figures)
            # A line that is not met as often in this run: then it must have ended well.
            met = status == KILLED or (status == 0 and told.committed)
            return outcome if met else _with_fault(outcome, f"the child ended with {status} at {order.line}")

        yield trial


@contextmanager
def kills_while_recovering(folder: Path, *, suffix: str = ".ts") -> Iterator[Trial]:
    """A recovery with everything to do that dies before a line of it begins; then another, which ends it."""
    with Nursery(folder / "children.log") as nursery:
        first = folder / "census"
        first.mkdir()
        kept = lay_awkwardly(Lying(first, suffix=suffix))
        lines = str(folder / "lines.json")
        child = nursery.start("torture.child:recover", str(first / f"talk{suffix}"), None, lines)
        assert child.wait() == 0, nursery.log.read_text()[-2000:]
        census = shuffled(json.loads((folder / "lines.json").read_text()), RECOVERY)

        def trial(seed: int, place: Path) -> Outcome:
            lying = Lying(place, suffix=suffix)
            lay_awkwardly(lying)
            line = chosen(seed, census)
            faults = []
            status = nursery.start("torture.child:recover", str(lying.final), line).wait()
            if status not in (KILLED, 0):
                faults.append(f"the child ended with {status} at {line}")
            rk.recover(lying.final)
            found = lying.final.read_bytes() if lying.final.exists() else b""
            if found != kept:
                faults.append(f"{len(found)} bytes, and not those {len(kept)} that were to be kept, after {line}")
            if lying.names() != sorted(["talk.rejected", f"talk{suffix}"]):
                faults.append(f"left over after {line}: {lying.names()}")
            if not any(b"wrong" * 100 in piece for piece in lying.rejects()):
                faults.append(f"what was set aside is lost after {line}")
            return Outcome(seed, tuple(faults), max(0, len(kept) - len(found)), 0.0, {"lines": float(len(census))})

        yield trial


def shuffled(lines: list[tuple[str, int, int]], modules: tuple[str, ...]) -> list[tuple[str, int, int]]:
    """In an order of its own, so that a few trials go through all of it."""
    assert {name.split("/")[0] for name, _, _ in lines} <= {one.split("/")[0] for one in modules}
    random.Random(0).shuffle(lines)
    return lines


def random_kills_under_load(folder: Path, *, suffix: str = ".ts") -> AbstractContextManager[Trial]:
    """With twice as many busy processes as there are processors."""
    return random_kills(folder, busy=2 * (os.cpu_count() or 1), suffix=suffix)


KINDS = [
    Kind("kill alone", "nothing that was packetised", random_kills, 500, range(6)),
    Kind("kill under load", "nothing that was packetised", random_kills_under_load, 500, range(1000, 1004)),
    Kind("kill at a line of the write path", "nothing that was packetised", kills_while_writing, 600, range(12)),
    Kind("kill alone, MP4", "nothing that was packaged", partial(random_kills, suffix=".mp4"), 300, range(2)),
    Kind(
        "kill under load, MP4",
        "nothing that was packaged",
        partial(random_kills_under_load, suffix=".mp4"),
        100,
        (),
    ),
    Kind(
        "kill at a line of the write path, MP4",
        "nothing that was packaged",
        partial(kills_while_writing, suffix=".mp4"),
        600,
        range(4),
    ),
    Kind("kill at a line of the recovery", "nothing", kills_while_recovering, 600, range(16)),
    Kind(
        "kill at a line of the recovery, MP4",
        "nothing",
        partial(kills_while_recovering, suffix=".mp4"),
        600,
        (0,),
    ),
]
