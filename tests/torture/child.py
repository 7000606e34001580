"""A recording in a process that is to die, which tells what it has packetised in a file that outlives it.

    python -m tests.torture.child

reads orders, one JSON object a line: to call a function in a process forked for it, to poll a child
or to wait for one. The forked process finds all modules loaded.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import resource
import signal
import struct
import sys
import threading
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from av import VideoFrame

import recordkit
from recordkit.errors import RecordkitError
from recordkit.model import AccessUnit
from recordkit.recorder.recorder import Recorder
from recordkit.settings import AudioSettings, RecordingSettings, Segments, VideoSettings
from recordkit.sources.synthetic import Synthetic
from recordkit.writer.buffer import Laid, NotLaid
from recordkit.writer.writer import Writer

from ..steering import FaultySystem
from .orders import Order, Told

PACKAGE = Path(recordkit.__file__).parent
WRITE_PATH = ("writer", "mpegts/packetiser.py", "mp4/packager.py", "mp4/movie.py", "mp4/samples.py", "system.py")
CUTS = (
    "recorder/cutting.py",
    "recorder/files.py",
    "recorder/segment.py",
    "telemetry/logs.py",
    "writer/writer.py",
    "writer/closing.py",
    "writer/output.py",
)
RECOVERY = ("recovery", "system.py")
FPS = 25
FIRST = 5
"""So many frames are never lost: how long each lasts is known by them."""
FIRST_NS = 10**18
"""When the first frame was taken."""
FAILED = 3
"""Exit status of a child whose recording failed with an error of recordkit's own."""
_SHORT_QUEUE_BYTES = 512 * 1024
_SHUTDOWN = 0x8004587D
_WITHOUT_FLUSH = 2
_PART_OF_A_PACKET = 1000


def cut_power(folder: Path) -> None:
    """Shut the file system down under everybody, with nothing more written, not even its journal."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _WITHOUT_FLUSH))
    finally:
        os.close(descriptor)


def hurting(order: Order) -> FaultySystem:
    """The system calls of this child."""
    system = FaultySystem()
    if order.piece is not None:
        system.shorten(1, order.piece, lasting=True)
    if order.fault is not None:
        name, nth, number = order.fault
        if order.is_short:
            system.shorten(nth, _PART_OF_A_PACKET)
            nth += 1
        system.fail(name, nth, number, lasting=number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
    if order.power_cut is not None:
        system.do(*order.power_cut, lambda: cut_power(Path(order.path).parent))
    return system


class Lines:
    """Follows every line of some modules: counts them, or kills the process as one begins."""

    def __init__(self, modules: tuple[str, ...], line: tuple[str, int, int] | None) -> None:
        self.counts: Counter[tuple[str, int]] = Counter()
        self._places = tuple(str(PACKAGE / one) for one in modules)
        self._target = None if line is None else (str(PACKAGE / line[0]), line[1])
        self._left = 0 if line is None else line[2]
        self._followed: dict[CodeType, bool] = {}

    def begin(self) -> None:
        """Follow this thread and all that begin from now on."""
        threading.settrace(self._called)
        sys.settrace(self._called)

    def _called(self, frame: FrameType, _event: str, _argument: object) -> Any:
        code = frame.f_code
        follow = self._followed.get(code)
        if follow is None:
            follow = self._followed[code] = code.co_filename.startswith(self._places)
        return self._line if follow else None

    def _line(self, frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line":
            place = (frame.f_code.co_filename, frame.f_lineno)
            if self._target is None:
                self.counts[place] += 1
            elif place == self._target:
                self._left -= 1
                if self._left <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        return self._line

    def save(self, path: str) -> None:
        """Write how often each line began."""
        listed = [
            (str(Path(name).relative_to(PACKAGE)), line, count) for (name, line), count in self.counts.items()
        ]
        Path(path).write_text(json.dumps(sorted(listed)))


def record(**values: Any) -> None:
    """Record as the order says, and tell of each unit."""
    order = Order(**values)
    told = Told(Path(order.told))
    if order.file_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.file_limit, order.file_limit))
    lay = Writer.lay
    units = 0
    laid: dict[Writer, int] = {}

    def lay_and_tell(writer: Writer, unit: AccessUnit) -> Laid | NotLaid:
        nonlocal units
        done = lay(writer, unit)
        if isinstance(done, Laid):
            units += 1
            if units == 1:
                told.tell("begin_ticks", unit.pts)
            told.tell("begin_ticks", min(told.begin_ticks, unit.pts))
            told.tell("end_ticks", max(told.end_ticks, unit.pts + unit.duration))
            laid[writer] = writer.laid_bytes
            told.tell("bytes", sum(laid.values()))
            told.tell("units", units)
        return done

    Writer.lay = lay_and_tell  # type: ignore[method-assign]
    source = Synthetic(
        width=order.width, height=order.height, fps=FPS, seconds=order.seconds, audio=order.audio, channels=1
    )

    def flushed(flush: recordkit.FlushRecord) -> None:
        told.tell("flushed_bytes", flush.file_bytes)
        told.tell("flushes", flush.index + 1)

    recorder = Recorder(
        order.path,
        video=VideoSettings(preset="ultrafast", crf=order.crf),
        audio=AudioSettings() if order.audio else None,
        flush_threshold=order.flush_threshold,
        flush_interval=order.flush_interval,
        durability="flush" if order.durability == "flush" else "process",
        _system=hurting(order),
        queue_bytes=RecordingSettings(path="talk.ts").queue_bytes if order.realtime else _SHORT_QUEUE_BYTES,
        on_flush=flushed,
        segments=None if order.every is None else Segments(every=order.every),
    )
    lines = None
    if order.line is not None or order.census is not None:
        lines = Lines(WRITE_PATH if order.every is None else CUTS, order.line)
        lines.begin()
    try:
        with recorder:
            begun, chance, is_lost = time.monotonic(), random.Random(order.path), False
            for frame in source.frames():
                is_video = isinstance(frame, VideoFrame)
                if is_video and (frame.pts or 0) > FIRST and chance.random() < order.lost:
                    is_lost = True
                    continue
                due_s = source.due_s(frame)
                if order.realtime:
                    time.sleep(max(0.0, begun + due_s - time.monotonic()))
                taken = FIRST_NS + round(due_s * 1e9)
                recorder.write(frame, captured=taken if is_video else None, discontinuity=is_video and is_lost)
                is_lost &= not is_video
                end_s = due_s + (1 / FPS if is_video else 0)
                told.tell("written_us", max(told.written_us, round(end_s * 1e6)))
        told.tell("committed", 1)
    except RecordkitError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        raise SystemExit(FAILED) from None
    finally:
        sys.settrace(None)
        if lines is not None and order.census is not None:
            lines.save(order.census)


def recover(path: str, line: tuple[str, int, int] | None = None, census: str | None = None) -> None:
    """Recover, and die at a line of the recovery if one is given."""
    lines = Lines(RECOVERY, line)
    lines.begin()
    recordkit.recover(path)
    sys.settrace(None)
    if census is not None:
        lines.save(census)


# The process that forks.


def _forked(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        # Standard input and output belong to who forks.
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        module, name = order["call"].split(":")
        function = getattr(import_module(f"tests.{module}"), name)
        arguments = order["arguments"]
        if len(arguments) == 1 and isinstance(arguments[0], dict):
            function(**arguments[0])
        else:
            function(*arguments)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - whatever it was, the parent is told by the status
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Takes orders until there are no more; children that still live die with it."""
    children: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "call" in order:
            pid = _forked(order)
            children.add(pid)
            answer = str(pid)
        else:
            pid = order.get("wait", order.get("poll"))
            found, status = os.waitpid(pid, 0 if "wait" in order else os.WNOHANG)
            answer = str(os.waitstatus_to_exitcode(status)) if found else "alive"
            children -= {found}
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
