"""Who listens to a worker: whoever started it, and all who have called since. They come and go as they like."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial

from ..errors import AdmissionError, SettingsError
from ..model import Sample
from ..recorder.recorder import Recorder
from ..telemetry.frames import Log
from ..telemetry.logfile import record_line
from ..telemetry.schema import Record
from ..threads import begin
from ..version import __version__
from .link import Link, Listener
from .own import process_descriptor
from .protocol import PROTOCOL, OnParentExit, Type, encode
from .rendezvous import Rendezvous, words_of

log = logging.getLogger("recordkit")

_LONGEST_FAREWELL_S = 30.0
"""So long those who only look on may take to hear of the end."""
_SLICE_S = 0.25


class Audience:
    """The links of a worker. ``parent`` speaks on ``reading`` and listens on ``writing``, both descriptors.

    ``listener`` hears what they say, and has to call ``left`` when one has hung up. When nobody is to wait for the
    recording any longer ``stop`` is set: ``mode`` says when that is, and ``alone_s`` is how long it goes on alone
    for somebody to come back to it.
    """

    def __init__(self, reading: int, writing: int, listener: Listener, stop: threading.Event) -> None:
        self.mode: OnParentExit = "finish"
        self.alone_s = 0.0
        self._listener = listener
        self._stop = stop
        self._recorder: Recorder | None = None
        self._path = ""
        self._taken_up = threading.Event()
        self._lock = threading.Lock()
        self._links: dict[Link, Callable[[Record], None]] = {}
        self._found_at: tuple[Rendezvous, ...] = ()
        self._parent_gone = threading.Event()
        self.parent = Link("parent", reading, writing, listener, process_descriptor(os.getppid()))
        self._links[self.parent] = partial(_tell_record, self.parent)

    def attend(self, recorder: Recorder, path: str) -> None:
        """A recording into ``path``, as it was asked for, has begun: the parent hears all of it from now on.

        Raises SettingsError where it cannot be called, as mode "continue" wants it.
        """
        self._recorder, self._path = recorder, path
        if self.mode == "continue":
            try:
                self._listen(recorder, waits=False)
            except OSError as error:
                advice = f"this system gives no socket to be called at: {error.strerror}"
                raise SettingsError("on_parent_exit", "continue", advice) from error
        self._greet(self.parent, recorder)

    def tell(self, line: bytes, *, sheddable: bool = False) -> None:
        """Tell everybody who listens."""
        for link in self.everybody():
            link.outbox.put(line, sheddable=sheddable)

    def everybody(self) -> list[Link]:
        """All who listen now."""
        with self._lock:
            return list(self._links)

    def left(self, link: Link) -> None:
        """One has hung up; called by its own thread, at its end."""
        if link is not self.parent:
            with self._lock:
                follower = self._links.pop(link)
            if self._recorder is not None:
                self._recorder.unfollow(follower)
            link.outbox.close()
            if self.mode == "wait":
                self._wait_for_somebody()
            return
        self._parent_gone.set()
        if self._recorder is None or self.mode == "finish":
            self._stop.set()
            return
        log.warning("Whoever started this recording is gone; it goes on")
        if self.mode == "wait":
            self._wait_for_somebody()

    def take_leave(self, last: bytes) -> None:
        """Tell everybody ``last``, and wait until they have heard it."""
        with self._lock:
            self._hang_up()
        links = self.everybody()
        for link in links:
            link.outbox.close(last)
        # The parent, and who took its place, hear of it however late they listen: nothing is held up any more.
        for link in links:
            if link is self.parent or self.mode == "wait":
                while not link.outbox.join(_SLICE_S) and not self._is_gone(link):
                    pass
        for link in links:
            link.outbox.join(0.0 if self._is_gone(link) else _LONGEST_FAREWELL_S)

    def _listen(self, recorder: Recorder, *, waits: bool) -> None:
        """Whoever seeks the recording finds it, by its file, and if it has several by what they have in common."""
        partial_path = recorder.temp_output_path
        self._found_at = (Rendezvous(partial_path, self._called, waits=waits),)
        words = words_of(self._path, recorder.log.header.get("recording_id"))
        if words:
            self._found_at += (Rendezvous(partial_path, self._called, waits=waits, words=words),)

    def _hang_up(self) -> None:
        found_at, self._found_at = self._found_at, ()
        for rendezvous in found_at:
            rendezvous.close()

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
            link = Link(str(len(self._links)), connection.detach(), writing, self._listener)
            self._links[link] = partial(_tell_record, link)
            if self.mode == "wait":
                self._taken_up.set()
                self._hang_up()  # nobody else is to get it
        self._greet(link, recorder)
        try:
            link.begin()
        except AdmissionError:
            self.left(link)
            raise

    def _wait_for_somebody(self) -> None:
        """Let a recording that is alone be taken up, and end it if nobody comes."""
        recorder = self._recorder
        if recorder is None or self._stop.is_set():
            return
        with self._lock:
            if self._found_at:
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
        if not self._taken_up.wait(self.alone_s):
            log.warning("Nobody has come back within %g s: the recording is brought to its end", self.alone_s)
            self._stop.set()

    def _is_gone(self, link: Link) -> bool:
        return self._parent_gone.is_set() if link is self.parent else link not in self.everybody()


def _tell_record(link: Link, record: Record) -> None:
    link.outbox.put(record_line(record), sheddable=isinstance(record, Sample))


def _lines(known: Log) -> Iterator[bytes]:
    contents = known.contents
    for records in (contents.events, contents.flushes, contents.samples):
        yield from map(record_line, records)
