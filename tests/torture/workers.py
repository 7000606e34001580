"""Workers of a Dask cluster that are killed while they check an archive, and while they have sources recorded."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import recordkit as rk

from ..recovery.material import media
from .children import GUARD_S
from .outcome import Kind, Outcome, Trial

_WORKERS = 2
_FILES = 600
_BROKEN_EACH = 10
_COST = "elapsed_s"


@contextmanager
def cluster() -> Iterator[Any]:
    """A client of workers in processes of their own, each of which is replaced when it dies."""
    import dask
    import distributed

    with (
        # So long after a death a LocalCluster gives up the worker of that number, if there is none at that moment:
        # also if its successor has lived since, and has just been killed, too.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 day"}),
        distributed.LocalCluster(_WORKERS, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as local,
        distributed.Client(local) as client,
    ):
        yield client


def kill_one(client: Any, chance: random.Random) -> None:
    """Kill a worker."""
    client.wait_for_workers(1, timeout=GUARD_S)
    os.kill(_one_of(client, chance), signal.SIGKILL)


def _one_of(client: Any, chance: random.Random) -> int:
    return int(chance.choice(sorted(client.run(os.getpid, on_error="ignore").values())))


@contextmanager
def kills_while_verifying(folder: Path) -> Iterator[Trial]:
    """Each row is there once, and is that of a run without a kill."""
    data = media()
    (folder / "0.ts").write_bytes(data[: 188 * 20] + data[188 * 23 :])
    (folder / "1.ts").write_bytes(data)
    for number in range(2, _FILES):
        (folder / f"{number}.ts").hardlink_to(folder / f"{min(number % _BROKEN_EACH, 1)}.ts")
    wanted = rk.verify_all(folder, progress=False).drop(columns=_COST)
    with cluster() as client:

        def trial(seed: int, place: Path) -> Outcome:
            chance = random.Random(seed)
            client.wait_for_workers(_WORKERS, timeout=GUARD_S)
            # By turns when so much is done, and at any time, also while the cluster is asked what it is.
            timer = threading.Timer(chance.uniform(0, 0.6), kill_one, (client, chance))
            last, victim = (chance.randrange(1, _FILES - _FILES // 6), _one_of(client, chance))
            rows = 0

            def count(row: dict[str, Any]) -> None:
                nonlocal rows
                rows += 1
                if seed % 2 and rows == last:
                    os.kill(victim, signal.SIGKILL)

            if seed % 2 == 0:
                timer.start()
            found = rk.verify_all(folder, engine=client, progress=False, on_row=count).drop(columns=_COST)
            if seed % 2 == 0:
                timer.join()
            faults = [] if rows == _FILES else [f"{rows} rows were told of {_FILES} files"]
            if not found.equals(wanted):
                other = found[(found != wanted).any(axis=1)] if len(found) == len(wanted) else found
                faults.append(f"{len(other)} rows are others, such as {other.head(1).to_dict('records')}")
            return Outcome(seed, tuple(faults))

        yield trial


@contextmanager
def kills_while_recording(folder: Path) -> Iterator[Trial]:
    """Recordings outlive their workers; one that is killed itself is recovered, and goes on in another file."""
    with cluster() as client:

        def trial(seed: int, place: Path) -> Outcome:
            chance = random.Random(seed)
            sources = {
                name: rk.Synthetic(width=160, height=90, fps=25, sample_rate=16_000, channels=1) for name in "ab"
            }
            fleet = rk.record_all(sources, place / "{name}.ts", engine=client, flush_interval=0.2)
            _until(lambda: fleet.figures["state"].eq("recording").all())
            time.sleep(chance.uniform(0.3, 1.5))
            before = fleet.figures
            kill_one(client, chance)
            killed = seed % 3 == 0
            if killed:
                os.kill(int(before.loc["a", "process"]), signal.SIGKILL)
                _until(lambda: str(fleet.figures.loc["a", "path"]).endswith("a-2.ts"))
            _until(lambda: fleet.figures["state"].eq("recording").all() and not _is_lost(fleet, client))
            after, faults = fleet.figures, []
            fleet.stop(timeout=GUARD_S)
            fleet.close()
            names = sorted(one.name for one in place.iterdir() if one.suffix == ".ts")
            if names != (["a-2.ts", "a.ts", "b.ts"] if killed else ["a.ts", "b.ts"]):
                faults.append(f"there are {names}")
            outlived = ["b"] if killed else ["a", "b"]
            if (before.loc[outlived, "process"] != after.loc[outlived, "process"]).any():
                faults.append("a recording has not outlived its worker")
            faults += [f"{name} is broken" for name in names if not rk.verify(place / name).ok]
            lost = [int(before.loc[one, "file_bytes"]) - (place / f"{one}.ts").stat().st_size for one in "ab"]
            faults += ["flushed bytes are gone"] if max(lost) > 0 else []
            without_s = fleet.events["without_s"].max()
            figures = {"without_s": float(without_s)} if killed else {}
            if figures and figures["without_s"] > 10:
                faults.append(f"{without_s:.1f} s were not recorded")
            return Outcome(seed, tuple(faults), max(0, *lost), 0.0, figures)

        yield trial


def _is_lost(fleet: rk.Fleet, client: Any) -> bool:
    """Whether one is with a worker that is not there any more."""
    return not set(fleet.figures["worker"]) <= set(client.scheduler_info()["workers"])


def _until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + GUARD_S
    while not there():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


KINDS = [
    Kind(
        "kill of a cluster's worker that verifies",
        "each row is there once, the same as without",
        kills_while_verifying,
        100,
        (),
    ),
    Kind(
        "kill of a cluster's worker that records",
        "it goes on; one that is killed itself is recovered, and goes on within 10 s",
        kills_while_recording,
        100,
        (),
    ),
]
