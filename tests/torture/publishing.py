"""An endpoint that is killed while several publish to it: what it had received until shortly before is there."""

from __future__ import annotations

import asyncio
import os
import random
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import recordkit as rk
from recordkit.endpoint.serve import serve
from recordkit.endpoint.whip import Whip
from recordkit.model import EncodedUnit
from recordkit.recorder.inlet import Inlet

from ..endpoint.rig import synthetic
from .children import Child, Nursery, load
from .outcome import Kind, Outcome, Trial

PUBLISHERS = 3
ALLOWED_S = 0.5
"""What came so shortly before the kill may be lost."""
_LONGEST_S = 6.0
_ROW = struct.Struct("=d?")
_GUARD_S = 120.0
_OPUS_S = 0.02


class Heard:
    """Notes when each unit came, in a file beside each recording, which outlives the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, int] = {}
        self._once: Counter[tuple[object, ...]] = Counter()
        self._lock = threading.Lock()

    def put(self, path: Path, unit: EncodedUnit, *, is_early: bool) -> None:
        """A unit of the recording ``path`` came; it comes twice if it is kept safe before it has its place.

        Others may have the same bytes, as silence has: they are counted.
        """
        what = (path, unit.is_video, len(unit.data), hash(bytes(unit.data)))
        with self._lock:
            if self._once[*what, not is_early]:
                self._once[*what, not is_early] -= 1
                return
            self._once[*what, is_early] += 1
            if path not in self._files:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                self._files[path] = os.open(self._folder / f"{path.name}.heard", flags, 0o666)
            os.write(self._files[path], _ROW.pack(time.monotonic(), unit.is_video))


def serving(folder: str, told: str) -> None:
    """Serve into ``folder`` until killed; the URL and what is received are told in the folder ``told``."""
    heard = Heard(Path(told))
    put, put_early = Inlet.put, Inlet.put_early

    def noted(self: Inlet, unit: EncodedUnit, stream: int) -> bool:
        heard.put(self._recorder.final_output_path, unit, is_early=False)
        return put(self, unit, stream)

    def noted_early(self: Inlet, unit: EncodedUnit | None, stream: int) -> bool:
        if unit is not None:
            heard.put(self._recorder.final_output_path, unit, is_early=True)
        return put_early(self, unit, stream)

    Inlet.put, Inlet.put_early = noted, noted_early  # type: ignore[method-assign]

    serve(folder, Whip(port=0, name_template="{stream}-{counter}.ts"), on_ready=partial(tell_url, told))


def tell_url(told: str, url: str) -> None:
    """Write it into the folder ``told``, whole or not at all."""
    (Path(told) / "url.new").write_text(url)
    (Path(told) / "url.new").rename(Path(told) / "url")


@contextmanager
def endpoint(nursery: Nursery, how: str, place: Path) -> Iterator[tuple[Child, str, Path, Path]]:
    """A process that serves as ``how`` says until it is killed: itself, its URL, where it records and tells."""
    out, told = place / "out", place / "told"
    out.mkdir()
    told.mkdir()
    child = nursery.start(how, str(out), str(told))
    try:
        child.until((told / "url").exists)
        yield child, (told / "url").read_text(), out, told
    finally:
        with suppress(OSError):
            child.kill()


async def _published(url: str, child: Child, after_s: float, heard: Callable[[], bool]) -> float:
    """Publish and kill ``after_s`` seconds after something has been received of all; when that was."""
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(synthetic(url)) for _ in range(PUBLISHERS)))
        async with asyncio.timeout(_GUARD_S):
            while not heard():
                await asyncio.sleep(0.01)
        await asyncio.sleep(after_s)
        killed_s = time.monotonic()
        os.kill(child.pid, 9)
        await asyncio.to_thread(child.kill)
        return killed_s


@contextmanager
def kills_of_serve(folder: Path, *, busy: int = 0) -> Iterator[Trial]:
    """Every other kill is within 2.5 s, where the clocks may not be known yet."""
    with Nursery(folder / "children.log") as nursery, load(busy):

        def trial(seed: int, place: Path) -> Outcome:
            chance = random.Random(seed)
            after_s = chance.uniform(0.3, 2.5) if seed % 2 == 0 else chance.uniform(0.3, _LONGEST_S)
            with endpoint(nursery, "torture.publishing:serving", place) as (child, url, out, told):
                heard = lambda: len(list(told.glob("*.heard"))) == PUBLISHERS  # noqa: E731
                killed_s = asyncio.run(_published(url, child, after_s, heard))
            return judged(seed, out, told, killed_s)

        yield trial


def judged(seed: int, out: Path, told: Path, killed_s: float) -> Outcome:
    """Recover what is there, and count its frames against those that had come ``ALLOWED_S`` before the kill."""
    faults, lost_ms = [], 0.0
    for log in sorted(told.glob("*.heard")):
        data = log.read_bytes()
        rows = list(_ROW.iter_unpack(data[: len(data) // _ROW.size * _ROW.size]))
        path = out / log.name.removesuffix(".heard")
        with suppress(rk.RecoveryError):
            rk.recover(path)
        report = rk.verify(path, decode=True) if path.exists() else None
        if report is not None and not report.ok:
            faults.append(f"{path.name}: {report.problems}")
        for is_video in (True, False):
            times = [at_s for at_s, one in rows if one == is_video]
            found = [one for one in report.streams if one.is_video == is_video] if report is not None else []
            # What came as 20 ms of Opus may have become AAC, which has blocks of another length.
            kept = is_video or any(one.codec == "opus" for one in found)
            there = sum(one.access_units if kept else int(one.duration_s / _OPUS_S) for one in found)
            # The first that is missing.
            missing_ms = (killed_s - times[there]) * 1000 if there < len(times) else 0.0
            lost_ms = max(lost_ms, missing_ms)
            if missing_ms > ALLOWED_S * 1000:
                what = "video" if is_video else "audio"
                began_s = killed_s - times[0]
                faults.append(
                    f"{path.name}: of {len(times)} units of {what} in {began_s:.2f} s {there} are there: "
                    f"the last {missing_ms:.0f} ms are missing"
                )
    return Outcome(seed, tuple(faults), lost_ms=lost_ms)


# No short trials: what half a second is enough for depends on how busy the machine is.
KINDS = [
    Kind("kill of serve, three publishers", "the last half second", kills_of_serve, 200, ()),
    Kind(
        "kill of serve under load",
        "the last half second",
        partial(kills_of_serve, busy=os.cpu_count() or 1),
        100,
        (),
    ),
]
