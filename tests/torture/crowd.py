"""Sixteen recordings at once in one folder, while it is looked through, recovered and watched all the time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import recordkit as rk
from recordkit.recovery.outcome import Outcome as Recovered
from recordkit.system import System
from recordkit.telemetry.watch import WatchState, scan

from .children import GUARD_S, Nursery
from .outcome import Kind, Outcome, Trial

PROCESSES, IN_EACH = 4, 4
_STARTS = 100
_UNTOUCHED = {Recovered.RECORDING, Recovered.NOTHING, Recovered.CLEANED, Recovered.REMOVED}


def names(number: int) -> list[str]:
    """What the recordings of one process are called."""
    return [f"talk{number}-{one}.ts" for one in range(IN_EACH)]


def record_several(folder: str, number: int, seconds: float) -> None:
    """The child: several recordings in threads of one process."""
    failures: list[BaseException] = []

    def one(path: Path) -> None:
        try:
            _record_one(path, seconds)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that can tell of it
            failures.append(error)

    threads = [threading.Thread(target=one, args=(Path(folder) / name,)) for name in names(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _record_one(path: Path, seconds: float) -> None:
    source = rk.Synthetic(width=64, height=48, fps=10, seconds=seconds, sample_rate=16_000, channels=1)
    recorder = rk.Recorder(path, video=rk.VideoSettings(preset="ultrafast"), flush_interval=0.05)
    for start in range(_STARTS):
        try:
            recorder.start()
            break
        except rk.OutputBusyError:
            # A recovery that met it empty cleared it away, in the moment before it was locked.
            if start == _STARTS - 1:
                raise
    begun = time.monotonic()
    for frame in source.frames():
        time.sleep(max(0.0, begun + source.due_s(frame) - time.monotonic()))
        recorder.write(frame)
    recording = recorder.stop()
    counters = recording.counters
    path.with_suffix(".units").write_text(str(counters.video_units + counters.audio_units))


class _Onlookers:
    """Threads that each do one thing with the folder, again and again."""

    def __init__(self, folder: Path) -> None:
        self.faults: list[str] = []
        self.rounds: Counter[str] = Counter()
        self._folder = folder
        self._done = threading.Event()
        self._watched = WatchState()
        self._threads = [
            threading.Thread(target=self._again, args=(work,))
            for work in (self._look, self._recover, self._recover, self._watch, self._recover_dry)
        ]

    def __enter__(self) -> _Onlookers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(GUARD_S)

    def _again(self, work) -> None:
        while not self._done.is_set() and len(self.faults) < 10:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - a fault is what is looked for
                self.faults.append(f"{work.__name__}: {error!r}")
            self.rounds[work.__name__] += 1

    def _look(self) -> None:
        for found in rk.partials(self._folder):
            if found.bytes and not found.is_recording and found.path.exists() and System().is_locked(found.path):
                self.faults.append(f"taken for dead: {found}")

    def _recover(self) -> None:
        self._judge(rk.recover(self._folder))

    def _recover_dry(self) -> None:
        self._judge(rk.recover(self._folder, dry_run=True))

    def _judge(self, found: rk.Recovery | list[rk.Recovery]) -> None:
        assert isinstance(found, list)
        for one in found:
            # The empty partial of one that begins, which another recovery cleared away since the folder was listed.
            is_gone = one.outcome is Recovered.FAILED and "there is no recording of that name" in one.message
            if one.outcome not in _UNTOUCHED and not is_gone:
                self.faults.append(f"{one.outcome}: {one.message}")

    def _watch(self) -> None:
        scan(self._folder, time.time_ns(), System(), self._watched)


@contextmanager
def crowd(folder: Path, seconds: float = 20.0) -> Iterator[Trial]:
    """One trial is one crowd."""
    with Nursery(folder / "children.log") as nursery:

        def trial(seed: int, place: Path) -> Outcome:
            with ExitStack() as stack:
                onlookers = stack.enter_context(_Onlookers(place))
                arguments = [(str(place), number, _SHORT_S if seed < 0 else seconds) for number in range(PROCESSES)]
                children = [nursery.start("torture.crowd:record_several", *one) for one in arguments]
                ends = [child.wait() for child in children]
            faults = list(onlookers.faults)
            if any(ends):
                faults.append(f"the children ended with {ends}: {nursery.log.read_text()[-1000:]}")
            wanted = sorted(name for number in range(PROCESSES) for name in names(number))
            found = sorted(one.name for one in place.glob("*.ts"))
            if found != wanted:
                faults.append(f"found {found}")
            faults += [fault for name in found if (fault := _fault_of(place / name))]
            figures = {f"rounds_of{name}": float(count) for name, count in onlookers.rounds.items()}
            return Outcome(seed, tuple(faults), figures=figures)

        yield trial


def _fault_of(path: Path) -> str | None:
    verified = rk.verify(path, decode=True)
    units = sum(one.access_units for one in verified.streams)
    told = path.with_suffix(".units")
    wanted = int(told.read_text()) if told.exists() else -1
    if not verified.ok or units != wanted:
        return f"{path.name}: {units} units of {wanted}, {verified.problems}"
    return None


_SHORT_S = 1.5
KINDS = [Kind("16 recordings in a folder under recovery", "nothing", crowd, 10, [-1])]
