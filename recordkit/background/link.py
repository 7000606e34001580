"""One end of the connection between a session and its worker: two threads that never hold up anybody else."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from ..errors import AdmissionError
from ..threads import begin
from .protocol import Lines

SHED_BYTES = 256 * 1024
"""Beyond this what is told again soon (samples, progress, words for the log) is dropped and counted."""
MOST_BYTES = 4 * 1024 * 1024
"""Beyond this everything is."""
_READ_BYTES = 64 * 1024


class Listener(Protocol):
    """Who is told what a link hears, in the link's thread."""

    def heard(self, link: Link, lines: list[bytes]) -> bool:
        """The other side said this, once for all that came together; whether to go on listening."""

    def hung_up(self, link: Link) -> None:
        """The other side will say no more. Called once, at last."""


class Outbox:
    """Writes lines into ``descriptor``, its own from now on, from the thread ``recordkit-tell:NAME``.

    The queue is bounded; a reader who does not read costs lines, counted in ``lost``, and nobody's
    time. It ends with ``close``, or when the other side is gone.

    Raises AdmissionError if there is no thread; the descriptor is closed then.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        self.lost = 0
        self._descriptor = descriptor
        self._changed = threading.Condition()
        self._queue: deque[bytes | Iterator[bytes]] = deque()
        self._bytes = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"recordkit-tell:{name}", daemon=True)
        try:
            begin(self._thread, name)
        except AdmissionError:
            os.close(descriptor)
            raise

    def put(self, line: bytes, *, sheddable: bool = False) -> bool:
        """Queue a line; False where it is dropped."""
        with self._changed:
            if self._closed:
                return False
            if self._bytes + len(line) > (SHED_BYTES if sheddable else MOST_BYTES):
                self.lost += 1
                return False
            self._append(line)
            return True

    def put_all(self, lines: Iterator[bytes]) -> None:
        """Queue many lines at once, made only as they are written."""
        with self._changed:
            self._queue.append(lines)
            self._changed.notify()

    def close(self, last: bytes | None = None) -> None:
        """Write what is queued, then ``last``, which is never dropped, and close the descriptor."""
        with self._changed:
            if last is not None and not self._closed:
                self._append(last)
            self._closed = True
            self._changed.notify()

    def join(self, timeout_s: float | None) -> bool:
        """Wait for all to be written; False where it was not by then."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _append(self, line: bytes) -> None:
        self._queue.append(line)
        self._bytes += len(line)
        self._changed.notify()

    def _run(self) -> None:
        try:
            while (one := self._next()) is not None:
                for line in (one,) if isinstance(one, bytes) else one:
                    self._write(line)
        except OSError:
            # The other side is gone. What is to be done about that the one who listens knows.
            with self._changed:
                self._closed = True
                self._queue.clear()
        finally:
            os.close(self._descriptor)

    def _next(self) -> bytes | Iterator[bytes] | None:
        with self._changed:
            while not self._queue:
                if self._closed:
                    return None
                self._changed.wait()
            one = self._queue.popleft()
            if isinstance(one, bytes):
                self._bytes -= len(one)
            return one

    def _write(self, line: bytes) -> None:
        done = 0
        while done < len(line):
            done += os.write(self._descriptor, line[done:])


class Link(threading.Thread):
    """Hears ``reading`` for ``listener``, in the thread ``recordkit-hear:NAME``, and tells by ``outbox``.

    Both descriptors are the link's own from now on. ``other`` is a descriptor that becomes readable when the
    other side's process has ended: its pipe may be held open by children that it forked.

    Raises AdmissionError if there is no thread to tell in; all are closed then.
    """

    def __init__(self, name: str, reading: int, writing: int, listener: Listener, other: int | None = None) -> None:
        super().__init__(name=f"recordkit-hear:{name}", daemon=True)
        self.listener = listener
        self._owner = name
        self._reading = reading
        self._other = other
        self._closing = threading.Lock()
        self._is_closed = False
        try:
            self.outbox = Outbox(name, writing)
        except AdmissionError:
            self._close()
            raise

    def begin(self) -> None:
        """Start to listen. Raises AdmissionError if there is no thread; the link is closed then."""
        try:
            begin(self, self._owner)
        except AdmissionError:
            self.outbox.close()
            self._close()
            raise

    def run(self) -> None:
        """Listen until the other side hangs up."""
        lines = Lines()
        try:
            while data := self._read():
                heard = lines.feed(data)
                if heard and not self.listener.heard(self, heard):
                    break
        finally:
            self._close()
            self.listener.hung_up(self)

    def hang_up(self) -> None:
        """End the connection, a socket's, at once for both sides."""
        self.outbox.close()
        with self._closing:
            if not self._is_closed:
                with suppress(OSError), socket.socket(fileno=os.dup(self._reading)) as connection:
                    connection.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        with self._closing:
            self._is_closed = True
            for descriptor in (self._reading, self._other):
                if descriptor is not None:
                    os.close(descriptor)

    def _read(self) -> bytes:
        poll = select.poll()
        poll.register(self._reading, select.POLLIN)
        if self._other is not None:
            poll.register(self._other, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll()}
        if self._reading not in ready:
            return b""
        try:
            return os.read(self._reading, _READ_BYTES)
        except OSError:  # a socket whose other side was killed
            return b""
