"""The frame table of a recording that is killed: a row for each frame, before its recovery and after."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import recordkit as rk
from recordkit.telemetry.table import read_rows, table_path

from .child import FIRST_NS, FPS
from .children import Nursery
from .judging import judged, order_for
from .kills import KILLED, killed_once
from .outcome import Kind, Outcome, Trial


def _rows(path: Path) -> pd.DataFrame:
    with rk.open(path) as video:
        return video.frames


def _faults(path: Path, before: pd.DataFrame) -> Iterator[str]:
    """What the table says of ``path``, recovered, against what was there ``before``, and against the disk."""
    after = _rows(path)
    same = [name for name in before if path.suffix == ".ts" or name not in ("pts", "dts")]
    if differing := [name for name in same if not before[name].equals(after[name].head(len(before)))]:
        yield f"{len(before)} rows before the recovery and {len(after)} behind it differ in {differing}"
    taken = FIRST_NS + (np.arange(len(after)) + after["lost_before"].cumsum()) * 1_000_000_000 // FPS
    wrong = after["captured"].astype("int64") != taken
    if wrong.any():
        yield f"{wrong.sum()} rows have a time of capture that is not their own, the first is {wrong.argmax()}"
    written = read_rows(table_path(path))
    if written is not None and not np.array_equal(written["bytes"], after["bytes"].head(len(written))):
        yield "the table on the disk has rows of frames that are not there"


@contextmanager
def kills(folder: Path) -> Iterator[Trial]:
    """Frames that are encoded, some of them never given, in TS and MP4 by turns; killed at a random moment."""
    with Nursery(folder / "children.log") as nursery:

        def trial(seed: int, place: Path) -> Outcome:
            chance = random.Random(seed)
            order = order_for(
                place,
                (".ts", ".mp4")[seed % 2],
                durability=("flush", "process")[seed // 2 % 2],
                audio=chance.random() < 0.5,
                flush_threshold=chance.choice((64, 256, 4096)) * 1024,
                flush_interval=chance.choice((0.05, 0.2, 2.0)),
                # Where an MP4 lacks frames stands in its table alone, which does not tell of the last ones.
                lost=chance.choice((0.0, 0.02, 0.2)) if seed % 2 == 0 else 0.0,
            )
            told, status = killed_once(nursery, order, chance, 90)
            path = Path(order.path)
            before = None
            with suppress(rk.SourceError):  # not a frame of it yet
                before = _rows(path)
            outcome = judged(seed, path, told.snapshot(), promised_bytes=told.bytes)
            faults = list(outcome.faults)
            if before is not None and path.exists():
                faults += _faults(path, before)
            if status != KILLED:
                faults.append(f"the child ended with {status}")
            return replace(outcome, faults=tuple(faults))

        yield trial


KINDS = [Kind("rows of frames after a kill", "a row for each frame", kills, 500, (0, 1))]
