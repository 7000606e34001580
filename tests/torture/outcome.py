"""What a trial ends with, and how many of them are put into one row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """``faults`` is what was not as promised, in words; a trial without any has survived.

    ``lost_bytes`` are bytes that had been packetised and are not in the result, ``lost_ms`` the
    time of all that had been handed over and is not. ``figures`` is what else was measured.
    """

    seed: int
    faults: tuple[str, ...] = ()
    lost_bytes: int = 0
    lost_ms: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)


Trial = Callable[[int, Path], Outcome]
"""Takes a seed and an empty folder."""


def impossible_never() -> str | None:
    """For what can be tried everywhere."""
    return None


@dataclass(frozen=True)
class Kind:
    """One way to hurt a recording.

    ``begin`` is given a folder for its own use and gives the trial; what it holds (a disk, a load on
    the processors) is given back at its end. ``trials`` are those of the long run, with seeds from
    0 on, ``short`` the seeds of the short one; without any it is tried in the long run alone. ``impossible`` says
    why it cannot be tried here.
    """

    name: str
    promise: str
    begin: Callable[[Path], AbstractContextManager[Trial]]
    trials: int
    short: Sequence[int]
    impossible: Callable[[], str | None] = impossible_never


def of(suffix: str) -> str:
    """What the name of a kind ends in, by the container; nothing for a transport stream."""
    return "" if suffix == ".ts" else ", MP4"


def row(kind: Kind, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The outcomes of one kind in figures that JSON can carry; of each other figure its worst."""
    names = sorted({name for one in outcomes for name in one.figures})
    return {
        "kind": kind.name,
        "promise": kind.promise,
        "trials": len(outcomes),
        "survived": sum(not one.faults for one in outcomes),
        "lost_bytes_median": median(one.lost_bytes for one in outcomes),
        "lost_bytes_worst": max(one.lost_bytes for one in outcomes),
        "lost_ms_median": round(median(one.lost_ms for one in outcomes), 1),
        "lost_ms_worst": round(max(one.lost_ms for one in outcomes), 1),
        "figures": {name: max(one.figures[name] for one in outcomes if name in one.figures) for name in names},
        "faults": [{"seed": one.seed, "faults": list(one.faults)} for one in outcomes if one.faults],
    }
