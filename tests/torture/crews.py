"""Several processes behind one endpoint, of which one is killed, or the endpoint's own, or all at once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil

import recordkit as rk
from recordkit.endpoint.serve import serve
from recordkit.endpoint.whip import Whip
from recordkit.sources.readback import read_back

from ..endpoint.rig import synthetic, until
from .children import GUARD_S, Child, Nursery
from .outcome import Kind, Outcome, Trial
from .publishing import ALLOWED_S, endpoint, tell_url

WORKERS = 2
STREAMS, LATER, FPS = ("a", "b", "c"), "later", 30
_LOOK_S = 0.05
VICTIMS = ("a worker", "the endpoint", "all")


def serving(folder: str, told: str) -> None:
    """Serve into ``folder`` until killed; the URL is told in the folder ``told``."""
    whip = Whip(port=0, name_template="{stream}-{counter}.ts")
    serve(folder, whip, on_ready=partial(tell_url, told), workers=WORKERS, on_partial="recover")


def workers_of(pid: int) -> list[psutil.Process]:
    """Those that run."""
    found = []
    for one in psutil.Process(pid).children():
        with suppress(psutil.Error):  # it has just ended
            if "workers.worker" in " ".join(one.cmdline()):
                found.append(one)
    return found


def streams_of(worker: psutil.Process) -> set[str]:
    """What it records: it has those partials open."""
    names = {Path(one.path).name for one in worker.open_files()}
    return {stream for stream in STREAMS for name in names if name.startswith(f"{stream}-")}


async def _killed(url: str, child: Child, out: Path, victim: str, chance: random.Random) -> dict[str, int]:
    """Publish and kill, who is left goes on; how many frames had been sent of what the victims recorded."""
    async with AsyncExitStack() as stack:
        media = {one: await stack.enter_async_context(synthetic(url, stream=one)) for one in STREAMS}
        await until(lambda: all(any(out.glob(f"{one}-*.recording.ts")) for one in STREAMS))
        await asyncio.sleep(chance.uniform(0.3, 5.0))
        workers = workers_of(child.pid)
        dead = [chance.choice(workers)] if victim == VICTIMS[0] else workers if victim == VICTIMS[2] else []
        lost = set().union(*map(streams_of, dead))
        # A machine that is busy sends late, too: what counts is what has been coded by now.
        sent = {one: media[one].video._number for one in STREAMS}
        for one in dead:
            one.kill()
        if victim != VICTIMS[0]:
            os.kill(child.pid, signal.SIGKILL)
            await asyncio.to_thread(child.kill)
            return sent
        await until(lambda: len(workers_of(child.pid)) == WORKERS and not dead[0].is_running())
        async with synthetic(url, seconds=1.0, stream=LATER) as later:
            await later.wait()
    # Who leaves is committed, and of the victim all is recovered.
    await until(lambda: all(any(_finished(out, one)) for one in (*STREAMS, LATER)))
    return {one: sent[one] for one in lost}


def _finished(out: Path, stream: str) -> list[Path]:
    return [one for one in out.glob(f"{stream}-*.ts") if not one.name.endswith(".recording.ts")]


@contextmanager
def kills_of_workers(folder: Path) -> Iterator[Trial]:
    """Who is with another worker loses nothing; of the others what came last may be missing."""
    with Nursery(folder / "children.log") as nursery:

        def trial(seed: int, place: Path) -> Outcome:
            chance, victim = random.Random(seed), VICTIMS[seed % len(VICTIMS)]
            with endpoint(nursery, "torture.crews:serving", place) as (child, url, out, _):
                sent = asyncio.run(_killed(url, child, out, victim, chance))
                _until_all_have_ended(out)
                return judged(seed, out, victim, sent)

        yield trial


def _until_all_have_ended(out: Path) -> None:
    """Workers whose endpoint is gone bring to its end what they record."""
    end = time.monotonic() + GUARD_S
    while any(one.is_recording for one in rk.partials(out)):
        assert time.monotonic() < end, "a recording does not end"
        time.sleep(_LOOK_S)


def judged(seed: int, out: Path, victim: str, sent: dict[str, int]) -> Outcome:
    """Recover what is unfinished; each file is whole, and the victim's go on until shortly before the kill."""
    rk.recover(out)
    faults, lost_ms = [], 0.0
    for stream in STREAMS if victim != VICTIMS[0] else (*STREAMS, LATER):
        files = _finished(out, stream)
        if len(files) != 1:
            faults.append(f"{victim}: of {stream} there are {[one.name for one in files]}")
            continue
        report = rk.verify(files[0], decode=True)
        if not report.ok:
            faults.append(f"{victim}: {files[0].name}: {report.problems}")
            continue
        back = read_back(files[0])
        if stream not in sent:
            if back.lost:
                faults.append(f"{victim}: {files[0].name}, which it did not record, lacks {back.lost} frames")
            continue
        there = 0 if back.last_number is None else back.last_number + 1
        missing_ms = max(0.0, 1000 * (sent[stream] - there) / FPS)
        lost_ms = max(lost_ms, missing_ms)
        if missing_ms > 1000 * ALLOWED_S:
            faults.append(f"{victim}: {files[0].name}: the last {missing_ms:.0f} ms are missing")
    return Outcome(seed, tuple(faults), lost_ms=lost_ms)


KINDS = [
    Kind(
        "kill of serve with two workers, three publishers",
        "the last half second of those with the victim",
        kills_of_workers,
        120,
        (),
    ),
]
