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
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

import psutil

from ..errors import AdmissionError, RecordkitError, SettingsError, StateError
from ..model import Sample
from ..recorder.record import record
from ..recorder.recorder import Recorder
from ..recorder.result import Recording
from ..recorder.state import State
from ..settings import PortableOptions
from ..signatures import unknown
from ..sources.source import SignalledSource
from ..system import give_back_freed_memory
from ..telemetry.frames import Log
from ..telemetry.logfile import record_line
from ..telemetry.process import resident_bytes
from ..telemetry.schema import Record
from ..threads import begin
from ..version import __version__
from .asking import answer
from .channel import OnChannel, Signals, Teller
from .description import describe, restore
from .faults import describe_error
from .link import Link
from .mailbox import Mailbox
from .own import free_bytes, own_streams, process_descriptor
from .protocol import PROTOCOL, OnParentExit, Type, decode, encode
from .rendezvous import Rendezvous, words_of

log = logging.getLogger("recordkit")

_LONGEST_EARLY_FLUSH_S = 0.5
_LONGEST_FAREWELL_S = 30.0
"""So long those who only look on may take to hear of the end."""
_SLICE_S = 0.25
_PORTABLE = {"seconds", *PortableOptions.__annotations__}


class Worker:
    """One recording for a parent that speaks on ``reading`` and listens on ``writing``, both descriptors."""

    def __init__(self, reading: int, writing: int) -> None:
        self._stop = threading.Event()
        self._first: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._mode: OnParentExit = "finish"
        self._alone_s = 0.0
        self._path = ""
        self._taken_up = threading.Event()
        self._recorder: Recorder | None = None
        self._mailbox = Mailbox()
        self._lock = threading.Lock()
        self._links: dict[Link, Callable[[Record], None]] = {}
        self._rendezvous: Rendezvous | None = None
        self._of_all: Rendezvous | None = None
        self._parent_gone = threading.Event()
        self._parent = Link("parent", reading, writing, self, process_descriptor(os.getppid()))
        self._links[self._parent] = partial(_tell_record, self._parent)

    def run(self) -> None:
        """Record what the first line says, to the end, and tell of it."""
        self._parent.begin()
        line = self._first.get()
        if line is None:
            return
        outcome: dict[str, object]
        teller, level = Teller(self.tell), log.level
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
        self._take_leave(encode(Type.ENDED, **outcome))
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
        self._mode = request["on_parent_exit"]
        self._path = str(request["path"])
        self._alone_s = float(request.get("alone_s", 0.0))
        source = restore("source", request["source"])
        settings = {name: restore(name, value) for name, value in request["settings"].items()}
        _check_settings(settings)
        if isinstance(source, SignalledSource):
            source = OnChannel(source, Signals(self.tell, self._mailbox))
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
        if self._mode == "continue":
            try:
                self._listen(recorder, waits=False)
            except OSError as error:
                advice = f"this system gives no socket to be called at: {error.strerror}"
                raise SettingsError("on_parent_exit", "continue", advice) from error
        self._greet(self._parent, recorder)

    def _listen(self, recorder: Recorder, *, waits: bool) -> None:
        """Whoever seeks the recording finds it, by its file, and if it has several by what they have in common."""
        partial = recorder.temp_output_path
        self._rendezvous = Rendezvous(partial, self._called, waits=waits)
        words = words_of(self._path, recorder.log.header.get("recording_id"))
        if words:
            self._of_all = Rendezvous(partial, self._called, waits=waits, words=words)

    def _greet(self, link: Link, recorder: Recorder) -> None:
        """Tell all that has been so far, and from now on each record as it comes."""

        def so_far(known: Log) -> None:
            link.outbox.put(
                encode(
                    Type.STARTED,
                    protocol=PROTOCOL,
                    recordkit=__version__,
                    pid=os.getpid(),
                    elapsed_s=recorder.elapsed_s,
                    header=known.header,
                )
            )
            link.outbox.put_all(_lines(known))

        recorder.follow(self._links[link], so_far)

    def _called(self, connection: socket.socket) -> None:
        """Somebody attaches."""
        recorder = self._recorder
        if recorder is None:
            connection.close()
            return
        writing = os.dup(connection.fileno())
        with self._lock:
            link = Link(str(len(self._links)), connection.detach(), writing, self)
            self._links[link] = partial(_tell_record, link)
            if self._mode == "wait":
                self._taken_up.set()
                self._hang_up()  # nobody else is to get it
        self._greet(link, recorder)
        try:
            link.begin()
        except AdmissionError:
            self.hung_up(link)
            raise

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
        for link in self._everybody():
            line = encode(Type.PROGRESS, lost_lines=link.outbox.lost, **figures)
            link.outbox.put(line, sheddable=True)

    def tell(self, line: bytes, *, sheddable: bool = False) -> None:
        """Tell everybody who listens."""
        for link in self._everybody():
            link.outbox.put(line, sheddable=sheddable)

    def _everybody(self) -> list[Link]:
        with self._lock:
            return list(self._links)

    def heard(self, link: Link, lines: list[bytes]) -> bool:
        """Called by the links' threads."""
        for line in lines:
            message = decode(line)
            kind = None if message is None else message["type"]
            if message is None:
                log.warning("The worker was told something that it does not understand: %r", line[:80])
            elif kind == Type.START and link is self._parent:
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
        if link is not self._parent:
            with self._lock:
                follower = self._links.pop(link)
            if self._recorder is not None:
                self._recorder.unfollow(follower)
            link.outbox.close()
            if self._mode == "wait":
                self._wait_for_somebody()
            return
        self._parent_gone.set()
        self._first.put(None)
        if self._recorder is None or self._mode == "finish":
            self._stop.set()
            return
        log.warning("Whoever started this recording is gone; it goes on")
        if self._mode == "wait":
            self._wait_for_somebody()

    def _wait_for_somebody(self) -> None:
        """Let a recording that is alone be taken up, and end it if nobody comes."""
        recorder = self._recorder
        if recorder is None or self._stop.is_set():
            return
        with self._lock:
            if self._rendezvous is not None:
                return
            self._taken_up.clear()
            try:
                self._listen(recorder, waits=True)
            except (OSError, AdmissionError) as error:
                log.warning("Nobody can come back to this recording: %s", error)
        try:
            begin(threading.Thread(target=self._alone, name="recordkit-alone", daemon=True), "recordkit-alone")
        except AdmissionError as error:
            log.warning("Nobody can be waited for, and the recording is brought to its end: %s", error)
            self._stop.set()

    def _alone(self) -> None:
        if not self._taken_up.wait(self._alone_s):
            log.warning("Nobody has come back within %g s: the recording is brought to its end", self._alone_s)
            self._stop.set()

    def _hang_up(self) -> None:
        both, self._rendezvous, self._of_all = (self._rendezvous, self._of_all), None, None
        for rendezvous in both:
            if rendezvous is not None:
                rendezvous.close()

    def _take_leave(self, last: bytes) -> None:
        with self._lock:
            self._hang_up()
        links = self._everybody()
        for link in links:
            link.outbox.close(last)
        # The parent, and who took its place, hear of it however late they listen: nothing is held up any more.
        for link in links:
            if link is self._parent or self._mode == "wait":
                while not link.outbox.join(_SLICE_S) and not self._is_gone(link):
                    pass
        for link in links:
            link.outbox.join(0.0 if self._is_gone(link) else _LONGEST_FAREWELL_S)

    def _is_gone(self, link: Link) -> bool:
        return self._parent_gone.is_set() if link is self._parent else link not in self._everybody()

    def ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal: the recording is to be brought to its end."""
        self._stop.set()


def _tell_record(link: Link, record: Record) -> None:
    link.outbox.put(record_line(record), sheddable=isinstance(record, Sample))


def _lines(known: Log) -> Iterator[bytes]:
    contents = known.contents
    for records in (contents.events, contents.flushes, contents.samples):
        yield from map(record_line, records)


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
