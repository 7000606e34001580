"""The process that a background recording runs in, ``python -m recordkit.background.worker``.

It is told what to record, records it, and tells how that goes. When whoever started it is gone, however that
happened, it brings the recording to its end, or goes on and can be called (``on_parent_exit``). An interrupt
of the parent's terminal or kernel does not reach it: it has a session of its own.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import psutil

from ..errors import RecordkitError, StateError
from ..recorder.record import record
from ..recorder.recorder import Recorder
from ..recorder.result import Recording
from ..recorder.state import State
from ..settings import PortableOptions
from ..signatures import unknown
from ..sources.source import SignalledSource
from ..system import give_back_freed_memory
from ..telemetry.process import resident_bytes
from ..version import __version__
from .asking import answer
from .audience import Audience
from .channel import OnChannel, Signals, Teller
from .description import describe, restore
from .faults import describe_error
from .link import Link
from .mailbox import Mailbox
from .own import free_bytes, own_streams
from .protocol import PROTOCOL, Type, decode, encode

log = logging.getLogger("recordkit")

_LONGEST_EARLY_FLUSH_S = 0.5
_PORTABLE = {"seconds", *PortableOptions.__annotations__}


class Worker:
    """One recording for a parent that speaks on ``reading`` and listens on ``writing``, both descriptors."""

    def __init__(self, reading: int, writing: int) -> None:
        self._stop = threading.Event()
        self._first: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._path = ""
        self._recorder: Recorder | None = None
        self._mailbox = Mailbox()
        self._audience = Audience(reading, writing, self, self._stop)

    def run(self) -> None:
        """Record what the first line says, to the end, and tell of it."""
        self._audience.parent.begin()
        line = self._first.get()
        if line is None:
            return
        outcome: dict[str, object]
        teller, level = Teller(self._audience.tell), log.level
        log.addHandler(teller)
        try:
            recording = self._record(decode(line) or {})
            outcome = {"recording": describe("recording", recording)}
        except RecordkitError as error:
            outcome = {"error": describe_error(error), **self._committed()}
        except Exception as fault:
            log.exception("The worker has a fault of its own")
            outcome = {
                "error": describe_error(RecordkitError(f"the worker failed by a fault of its own: {fault!r}"))
            }
        finally:
            log.removeHandler(teller)
            log.setLevel(level)
        self._audience.take_leave(encode(Type.ENDED, **outcome))
        if self._recorder is not None:
            self._recorder.wait_for_hooks()

    def _record(self, request: dict[str, Any]) -> Recording:
        if request.get("protocol") != PROTOCOL:
            advice = (
                f"this process has recordkit {request.get('recordkit')} in memory, on the disk is {__version__}: "
                "restart it (in a notebook, the kernel)"
            )
            raise StateError(f"protocol {request.get('protocol')}", f"protocol {PROTOCOL}", advice)
        log.setLevel(int(request["log_level"]))
        self._audience.mode = request["on_parent_exit"]
        self._path = str(request["path"])
        self._audience.alone_s = float(request.get("alone_s", 0.0))
        source = restore("source", request["source"])
        settings = {name: restore(name, value) for name, value in request["settings"].items()}
        _check_settings(settings)
        if isinstance(source, SignalledSource):
            source = OnChannel(source, Signals(self._audience.tell, self._mailbox))
        return record(
            source,
            request["path"],
            stop=self._stop,
            on_start=self._started,
            on_progress=self._progressed,
            **settings,
        )

    def _committed(self) -> dict[str, object]:
        """What came before the source failed: that the recorder has brought to a good end."""
        recorder = self._recorder
        if recorder is None or recorder.state is not State.STOPPED:
            return {}
        return {"recording": describe("recording", recorder.stop())}

    def _started(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._audience.attend(recorder, self._path)

    def _progressed(self, recorder: Recorder) -> None:
        if not recorder.file_bytes and recorder.bytes_since_last_flush:
            # Whoever looks should see the file grow at once, not only after the first interval.
            try:
                recorder.flush(_LONGEST_EARLY_FLUSH_S)
            except StateError:  # it has ended meanwhile
                return
        figures = {
            "elapsed_s": recorder.elapsed_s,
            "duration_s": recorder.duration_s,
            "file_bytes": recorder.file_bytes,
            "bytes_at_risk": recorder.bytes_at_risk,
            "queue_bytes": recorder.queue_bytes,
            "dropped_units": recorder.counters.dropped_items,
            "free_bytes": free_bytes(recorder.temp_output_path.parent),
            "rss_bytes": resident_bytes(psutil.Process()),
        }
        for link in self._audience.everybody():
            line = encode(Type.PROGRESS, lost_lines=link.outbox.lost, **figures)
            link.outbox.put(line, sheddable=True)

    def heard(self, link: Link, lines: list[bytes]) -> bool:
        """Called by the links' threads."""
        for line in lines:
            message = decode(line)
            kind = None if message is None else message["type"]
            if message is None:
                log.warning("The worker was told something that it does not understand: %r", line[:80])
            elif kind == Type.START and link is self._audience.parent:
                self._first.put(line)
            elif kind == Type.STOP:
                self._stop.set()
            elif kind == Type.MARK and self._recorder is not None:
                self._do(partial(self._recorder.mark, message.get("name", "")), "A mark was not noted")
            elif kind == Type.CUT and self._recorder is not None:
                self._do(self._recorder.cut, "No other file is begun")
            elif kind == Type.KEEP and self._recorder is not None:
                answer(self._recorder, message, link.outbox.put)
            elif kind == Type.PAUSE and self._recorder is not None:
                self._do(partial(self._recorder.pause, message.get("gap", "mark")), "It does not pause")
            elif kind == Type.RESUME and self._recorder is not None:
                self._do(self._recorder.resume, "It does not go on")
            elif kind == Type.SIGNAL and isinstance(message.get("message"), dict):
                self._mailbox.deliver(message["message"])
        return True

    def _do(self, what: Callable[[], None], unless: str) -> None:
        try:
            what()
        except RecordkitError as error:  # it is just ending
            log.warning("%s: %s", unless, error)

    def hung_up(self, link: Link) -> None:
        """Called by the links' threads at their ends."""
        if link is self._audience.parent:
            self._first.put(None)
        self._audience.left(link)

    def ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal: the recording is to be brought to its end."""
        self._stop.set()


def _check_settings(settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        if name not in _PORTABLE:
            raise unknown(name, value, _PORTABLE)


def main() -> None:
    """Record what standard input says."""
    # To standard error what is bad alone: it goes to a file, for the session's last question.
    last_words = logging.StreamHandler(sys.stderr)
    last_words.setLevel(logging.WARNING)
    logging.getLogger().addHandler(last_words)
    give_back_freed_memory()
    worker = Worker(*own_streams())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, worker.ask_to_stop)
    worker.run()
    logging.shutdown()
    sys.stderr.flush()
    # Not by way of the interpreter's end: a source that hangs in a library would hang, or crash, it.
    os._exit(0)


if __name__ == "__main__":
    main()
