"""What the tests of the write path steer: the clock, the file system, and ready-made access units."""

import errno
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Event

import numpy as np

from recordkit.bitstream.h264 import H264_DELIMITER
from recordkit.model import AccessUnit, Codec, StreamFormat
from recordkit.mpegts.packetiser import Packetiser
from recordkit.mpegts.report import ProblemKind, ScanReport
from recordkit.mpegts.scanner import Scanner
from recordkit.system import Clock, System

GUARD_S = 120.0
"""No test waits that long, on no busy machine: what has not come by then hangs, and the test fails."""
BUSY = "import os; os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))\nwhile True: pass"
"""A program that keeps one processor busy, and leaves some of it to others, whatever priority it was given."""
PACKET = 188
VIDEO = StreamFormat(Codec.H264, width=320, height=180)
AUDIO = StreamFormat(Codec.AAC, sample_rate=48_000, channels=2)


@dataclass(eq=False)
class _Wait:
    thread: str
    condition: Condition
    deadline: float | None


class FakeClock(Clock):
    """Time that stands still but for ``advance``.

    Threads that wait on it really wait; ``until_waiting`` tells a test when they do.
    """

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start
        self._changed = Condition()
        self._version = 0
        self._waits: list[_Wait] = []

    def monotonic(self) -> float:
        with self._changed:
            return self._now

    def boottime(self) -> float:
        return self.monotonic()

    def thread_s(self) -> float:
        return self.monotonic()

    def time_ns(self) -> int:
        return 1_700_000_000_000_000_000 + round(self.monotonic() * 1e9)

    def wait(self, condition: Condition, timeout_s: float | None) -> None:
        if timeout_s is not None and timeout_s <= 0:
            return
        with self._changed:
            deadline = None if timeout_s is None else self._now + timeout_s
            one = _Wait(threading.current_thread().name, condition, deadline)
            self._waits.append(one)
            self._tell()
        try:
            assert condition.wait(GUARD_S), f"{one.thread} was never woken"
        finally:
            with self._changed:
                self._waits.remove(one)
                self._tell()

    def sleep(self, seconds: float, interrupt: Event) -> None:
        with self._changed:
            deadline = self._now + seconds
            while self._now < deadline and not interrupt.is_set():
                self._changed.wait(0.01)

    def advance(self, seconds: float) -> None:
        """Let time pass, and wake whoever has waited long enough."""
        with self._changed:
            self._now += seconds
            due = [one for one in self._waits if one.deadline is not None and one.deadline <= self._now]
            self._tell()
        for one in due:
            with one.condition:
                one.condition.notify_all()

    def until_waiting(self, *threads: str) -> None:
        """Come back when a thread whose name begins so, for each of ``threads``, sleeps on this clock."""
        for name in threads:
            while True:
                with self._changed:
                    seen = self._version
                    found = next((one for one in self._waits if one.thread.startswith(name)), None)
                if found is not None and self._sleeps(found):
                    break
                with self._changed:
                    assert self._changed.wait_for(lambda seen=seen: self._version != seen, GUARD_S), (
                        f"{name} does not wait"
                    )

    def _sleeps(self, one: _Wait) -> bool:
        # With the lock of its condition in hand: it is inside, or was notified and is on its way out.
        with one.condition, self._changed:
            registered = [other for other in self._waits if other.condition is one.condition]
            return one in registered and len(one.condition._waiters) == len(registered)  # type: ignore[attr-defined]

    def _tell(self) -> None:
        self._version += 1
        self._changed.notify_all()


@dataclass(frozen=True)
class Call:
    """One system call: its name, what it wrote and where, and the folder's names at that moment."""

    name: str
    size: int = 0
    offset: int = 0
    names: tuple[str, ...] = ()


class Gate:
    """A call that stands still: ``reached`` is set once it does, ``open`` lets it go on."""

    def __init__(self) -> None:
        self.reached = Event()
        self._opened = Event()

    def open(self) -> None:
        self._opened.set()

    def pass_through(self) -> None:
        self.reached.set()
        assert self._opened.wait(GUARD_S), "the gate was never opened"

    def until_reached(self) -> None:
        assert self.reached.wait(GUARD_S), "the call never came"


@dataclass
class FaultySystem(System):
    """The real system calls, recorded, with faults where a test wants them. Calls count from 1.

    ``room`` is what may still be written, on a disk that is full then; what is cut off a file or
    punched out of one counts towards it again.
    """

    folder: Path | None = None
    free: int | None = None
    room: int | None = None
    full: int = errno.ENOSPC
    makes_holes: bool = True
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._plans: dict[tuple[str, int], Callable[[], int | None]] = {}
        self._lasting: dict[str, tuple[int, Callable[[], int | None]]] = {}

    def fail(self, name: str, nth: int, number: int, *, lasting: bool = False) -> None:
        """Let the ``nth`` call of ``name`` fail with errno ``number``; all from then on if ``lasting``."""

        def fault() -> None:
            raise OSError(number, os.strerror(number))

        self._plan(name, nth, fault, lasting=lasting)

    def fail_next(self, name: str, number: int, *, nth: int = 1) -> None:
        """Let the ``nth`` call of ``name`` from now on fail with errno ``number``."""
        self.fail(name, self._counts[name] + nth, number)

    def shorten(self, nth: int, count: int, *, lasting: bool = False) -> None:
        """Let the ``nth`` write take ``count`` bytes at the most."""
        self._plan("write", nth, lambda: count, lasting=lasting)

    def hold(self, name: str, nth: int) -> Gate:
        """Let the ``nth`` call of ``name`` stand still until the gate is opened."""
        gate = Gate()
        self._plan(name, nth, gate.pass_through)
        return gate

    def do(self, name: str, nth: int, action: Callable[[], None]) -> None:
        """Do something right before the ``nth`` call of ``name``."""
        self._plan(name, nth, action)

    def named(self, name: str) -> list[Call]:
        with self._lock:
            return [call for call in self.calls if call.name == name]

    def count(self, name: str) -> int:
        """How many calls of ``name`` there have been."""
        with self._lock:
            return self._counts[name]

    def _plan(self, name: str, nth: int, action: Callable[[], int | None], *, lasting: bool = False) -> None:
        if lasting:
            self._lasting[name] = (nth, action)
        else:
            self._plans[name, nth] = action

    def _called(self, name: str, size: int = 0, offset: int = 0, *, changes: bool = True) -> int | None:
        names = tuple(sorted(os.listdir(self.folder))) if self.folder and self.folder.is_dir() else ()  # noqa: PTH208
        with self._lock:
            self._counts[name] += 1
            count = self._counts[name]
            if changes:
                self.calls.append(Call(name, size, offset, names))
            first, action = self._lasting.get(name, (count + 1, None))
            action = self._plans.get((name, count), action if count >= first else None)
        return action() if action is not None else None

    def open(self, path: Path, flags: int) -> int:
        self._called(f"open {path.name}")
        return super().open(path, flags)

    def write_at(self, descriptor: int, data: memoryview, offset: int) -> int:
        limit = self._called("write", len(data), offset)
        if self.room is not None:
            if not self.room:
                raise OSError(self.full, os.strerror(self.full))
            limit = min(self.room, len(data) if limit is None else limit)
            self.room -= min(limit, len(data))
        return super().write_at(descriptor, data if limit is None else data[:limit], offset)

    def store(self, descriptor: int, data: bytes | memoryview, offset: int) -> None:
        self._called("store", len(data), offset, changes=False)
        super().store(descriptor, data, offset)

    def has_holes(self, descriptor: int) -> bool:
        return self.makes_holes and System().has_holes(descriptor)

    def sync_data(self, descriptor: int) -> None:
        self._called("sync_data")
        super().sync_data(descriptor)

    def sync(self, descriptor: int) -> None:
        self._called("sync")
        super().sync(descriptor)

    def sync_tail(self, descriptor: int) -> None:
        self._called("sync_tail")
        super().sync_tail(descriptor)

    def sync_folder(self, folder: Path, opened: int | None = None) -> None:
        self._called("sync_folder")
        super().sync_folder(folder, opened)

    def allocate(self, descriptor: int, size: int) -> None:
        self._called("allocate", size)
        super().allocate(descriptor, size)

    def truncate(self, descriptor: int, size: int) -> None:
        self._called("truncate", size)
        if self.room is not None:
            self.room += max(0, os.fstat(descriptor).st_size - size)
        super().truncate(descriptor, size)

    def punch(self, descriptor: int, start: int, size: int) -> None:
        self._called("punch", size, start)
        if not self.makes_holes:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        super().punch(descriptor, start, size)
        if self.room is not None:
            self.room += size

    def inode_at(self, path: Path) -> int | None:
        self._called("inode_at", changes=False)
        return super().inode_at(path)

    def unlink(self, path: Path) -> None:
        self._called("unlink")
        super().unlink(path)

    def link(self, source: Path, target: Path) -> bool:
        self._called("link")
        return super().link(source, target)

    def free_bytes(self, folder: Path) -> int | None:
        self._called("free_bytes")
        free = self.free if self.room is None else self.room
        return super().free_bytes(folder) if free is None else free

    def rename(self, source: Path, target: Path, *, overwrite: bool) -> None:
        self._called("rename")
        super().rename(source, target, overwrite=overwrite)


NO_SUCH_THING = errno.EOPNOTSUPP
ADTS_BYTES = 7


def packetiser(*, audio: bool = False) -> Packetiser:
    """One that knows stream 0, pictures, and if wanted stream 1, sound."""
    made = Packetiser()
    made.declare(0, VIDEO)
    if audio:
        made.declare(1, AUDIO)
    return made


def unit(number: int, size: int = 1000, *, stream: int = 0, step: int = 3000) -> AccessUnit:
    """Unit ``number`` of a stream, its bytes random but the same each time."""
    data = random.Random(number << 8 | stream).randbytes(min(size, 64)) + b"\xa5" * max(0, size - 64)
    time = 180_000 + number * step
    return AccessUnit(stream, time, time, data, random_access=number % 50 == 0, duration=step)


def scan(data: bytes) -> ScanReport:
    """What recordkit's own scanner says of a transport stream."""
    scanner = Scanner()
    scanner.feed(data)
    scanner.close()
    return scanner.report


def units_in(data: bytes) -> list[bytes]:
    """Each unit that is complete in ``data``, a transport stream without faults; its delimiter or header is off."""
    if not data:
        return []
    scanner = Scanner()
    events = scanner.feed(data) + scanner.close()
    assert not scanner.report.problem_counts, scanner.report.problems
    found = [event.data for event in events if hasattr(event, "complete") and event.complete]
    return [one.removeprefix(H264_DELIMITER)[ADTS_BYTES if one.startswith(b"\xff\xf1") else 0 :] for one in found]


def whole(path: Path) -> bytes:
    """The file's bytes, which must be whole packets."""
    data = path.read_bytes()
    assert len(data) % PACKET == 0
    assert not np.any(np.frombuffer(data, np.uint8)[::PACKET] != 0x47)
    return data


@dataclass(frozen=True)
class TailState:
    """A tail's header, as ``writer/header.py`` lays it out, and the bytes of its slots."""

    inode: int
    slots: tuple[tuple[int, bytes], ...]
    """Of each slot the offset its bytes belong at, and the valid ones."""


def read_tail(path: Path) -> TailState:
    data = path.read_bytes()
    assert data[:8] == b"RKTAIL\0\1"
    slot_bytes, inode = (int.from_bytes(data[at : at + 8], "little") for at in (8, 16))
    slots = []
    for number in range(2):
        at = 64 * (number + 1)
        offset, valid, taken = (
            int.from_bytes(data[place : place + 8], "little") for place in (at, at + 8, at + 16)
        )
        start = 4096 + number * slot_bytes
        slots.append((offset + taken, data[start + taken : start + valid]))
    return TailState(inode, tuple(slots))


def recovered(partial: Path, tail: Path) -> bytes:
    """Partial and tail put together; every byte of a slot lies at the place that the slot names."""
    data = bytearray(partial.read_bytes())
    if tail.exists():
        state = read_tail(tail)
        assert state.inode == partial.stat().st_ino
        for offset, valid in sorted(state.slots):
            if valid:
                assert offset <= len(data), f"a hole before byte {offset}"
                data[offset : offset + len(valid)] = valid
    return bytes(data)


def only_cut_at_the_end(report: ScanReport) -> bool:
    """Whether the scan found nothing wrong but that the last units of each stream are not all there."""
    allowed = {ProblemKind.PES_TOO_SHORT}
    return report.problem_counts.keys() <= allowed and sum(report.problem_counts.values()) <= len(report.pids)


def alone(scene: Callable[[], object]) -> None:
    """Run ``scene``, a function of a module, in a process of its own.

    In that of the tests what earlier ones have left takes and gives back memory, objects and files at any moment.
    """
    code = f"from {scene.__module__} import {scene.__name__} as scene; scene()"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def recordkit_threads() -> Iterator[Callable[[], list[str]]]:
    """Gives the names of recordkit's threads that were begun inside and still run."""
    before = set(threading.enumerate())

    def running() -> list[str]:
        return [one.name for one in threading.enumerate() if one not in before and one.name.startswith("recordkit")]

    yield running
    assert running() == []
