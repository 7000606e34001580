"""One background recording, seen from the process that started it, or attached to it."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..errors import RecordkitError, StateError, WorkerError
from ..recorder.asked import Kept
from ..recorder.pausing import GAP, Gap
from ..recorder.result import Recording
from ..settings import mark_name
from ..system import Clock
from ..telemetry.schema import Record
from ..values import NumberLike
from .account import Account, SessionState
from .asking import Asking
from .link import Link
from .mailbox import Mailbox, Message
from .process import WorkerProcess, recovery_advice
from .protocol import Type, encode, signal_line
from .standing import Standing

if TYPE_CHECKING:
    from ..recovery.outcome import Recovery

log = logging.getLogger("recordkit")

_SLICE_S = 0.25
_LONGEST_CLOSE_S = 5.0
_LONGEST_GREETING_S = 15.0
"""So long a recording that is there already may take to answer who attaches."""
_LONGEST_FAREWELL_S = 30.0
"""So long the end of the program waits for a recording that is ending; it ends without us as well."""


class Session(Standing):
    """A background recording; made by ``start`` and ``attach``. Its methods may be called from any thread.

    ``flushes``, ``samples``, ``events`` and ``alerts`` are DataFrames of what has been told so far. As a
    context it is stopped, and committed, at the end of the block, however that comes.
    """

    _ours = frozenset({"begin", "connect", "heard", "hung_up", "ask_to_stop"})

    def __init__(self, path: Path) -> None:
        self._path = path
        self._owner = os.getpid()
        self._mailbox = Mailbox()
        self._asking = Asking(lambda: self.log)
        self._account = Account(path, Clock(), self._mailbox.deliver, self._asking.hear)
        self._observers: tuple[Callable[[Session], None], ...] = ()
        self._observing = threading.Lock()
        self._began = threading.Event()
        self._ended = threading.Event()
        self._process: WorkerProcess | None = None
        self._link: Link | None = None

    @property
    def on_signal(self) -> Callable[[Message], None] | None:
        """Called with each message that the source sends, in the session's thread; set it to listen.

        Messages that came before are handed over at once, in the thread that sets it.
        """
        return self._mailbox.listener

    @on_signal.setter
    def on_signal(self, listener: Callable[[Message], None] | None) -> None:
        self._mailbox.listen(listener)

    def on_change(self, observer: Callable[[Session], None]) -> Callable[[], None]:
        """Call ``observer`` with the session after each change, in the session's thread; gives what takes it off.

        Figures change four times a second. It must be quick, and must not wait for the session.
        """
        with self._observing:
            self._observers = (*self._observers, observer)

        def take_off() -> None:
            with self._observing:
                self._observers = tuple(one for one in self._observers if one is not observer)

        return take_off

    def follow(self, follower: Callable[[Record], None]) -> Callable[[], None]:
        """Call ``follower`` with each flush, sample and event so far, then with each that comes.

        None comes twice and none is left out. It is called in the session's thread: it must be quick, and
        must not ask the session. Gives what takes it off.
        """
        return self._account.follow(follower)

    # What it does.

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has ended, ``seconds`` at the most; whether it has."""
        self._refuse_to_wait()
        left = float("inf") if seconds is None else seconds
        # In slices, so that no interrupt is lost.
        while not self._ended.wait(max(0.0, min(left, _SLICE_S))) and left > 0:
            left -= _SLICE_S
        self._join()
        return self._ended.is_set()

    async def wait_async(self, seconds: float | None = None) -> bool:
        """``wait`` for a coroutine; no thread waits meanwhile."""
        import asyncio  # 6 MB that most programs need not

        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def look(session: Session) -> None:
            if session.has_ended:
                # A loop that was closed meanwhile waits for nothing any more.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(ended.set)

        take_off = self.on_change(look)
        try:
            if not self._ended.is_set():
                await asyncio.wait_for(ended.wait(), seconds)
        except TimeoutError:
            pass
        finally:
            take_off()
        if self._ended.is_set():
            await asyncio.to_thread(self._join)
        return self._ended.is_set()

    def stop(self, *, timeout: float | None = None) -> Recording:
        """End the recording and commit it. May be called again, and from several threads: all get the same.

        Raises the error that it failed with, StateError where it has not ended within ``timeout``
        seconds (it goes on ending) or in a callback of the session's own.
        """
        self._refuse_to_wait()
        self.ask_to_stop()
        return self._result(self.wait(timeout), timeout)

    async def stop_async(self, *, timeout: float | None = None) -> Recording:
        """``stop`` for a coroutine."""
        self.ask_to_stop()
        return self._result(await self.wait_async(timeout), timeout)

    def mark(self, name: str) -> None:
        """Note a MARK event of this name at this place, in the recording's log and events; waits for nothing.

        Raises SettingsError for a name that is none, StateError where nothing is being recorded.
        """
        self._send(encode(Type.MARK, name=mark_name(name)))

    def cut(self) -> None:
        """Let a recording in several files go on in the next one, as ``Recorder.cut``; waits for nothing.

        Raises StateError where nothing is being recorded. The worker's log tells it if there are no ``segments``.
        """
        self._send(encode(Type.CUT))

    def keep(self, before: NumberLike | None = None, after: NumberLike = 0) -> Kept:
        """Keep what the recording's ring holds, as ``Recorder.keep``; waits for nothing.

        The Kept that is returned learns its path as soon as the worker has answered; without a ``ring`` its
        ``wait`` raises SettingsError. Raises SettingsError for a time that is none, StateError where nothing is
        being recorded.
        """
        kept, line = self._asking.ask(before, after)
        self._send(line)
        return kept

    def pause(self, gap: Gap = "mark") -> None:
        """Leave out what comes from now on, until ``resume``, as ``Recorder.pause``; waits for nothing.

        Raises SettingsError for another ``gap``, StateError where nothing is being recorded.
        """
        self._send(encode(Type.PAUSE, gap=GAP("gap", gap)))

    def resume(self) -> None:
        """Go on after ``pause``, as ``Recorder.resume``. Raises StateError where nothing is being recorded."""
        self._send(encode(Type.RESUME))

    def signal(self, message: Message) -> None:
        """Send the source a message, a dict of what JSON has; waits for nothing.

        Raises SettingsError for what JSON has not, StateError where nothing is being recorded.
        """
        self._send(signal_line(message))

    def recover(self) -> Recovery:
        """Bring back what a killed worker has left; as ``recordkit.recover`` with its path."""
        from ..recovery.recover import recover

        found = recover(self._path)
        return found[0] if isinstance(found, list) else found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except RecordkitError:
            # The first error is the one to show; this one stays in .error.
            if kind is None:
                raise

    # Its beginning and its end.

    def begin(self, process: WorkerProcess, request: bytes, *, ends_with_us: bool = True) -> None:
        """Speak to the worker, and wait until it records. Raises what the worker failed with.

        If it ``ends_with_us``, an orderly end of this program stops it and waits until it has committed: the
        program may be a container's first process, with which all others die.
        """
        self._process = process
        if ends_with_us:
            atexit.register(self._end_with_program)
        try:
            self._connect(*process.descriptors())
        except BaseException:
            atexit.unregister(self._end_with_program)
            process.abandon()
            raise
        if self._link is not None:
            self._link.outbox.put(request)
        self._until_begun()

    def connect(self, reading: int, writing: int) -> None:
        """Speak to a worker that records already. Raises StateError where it does not answer."""
        self._connect(reading, writing)
        self._until_begun(_LONGEST_GREETING_S)
        # One of several files has been called: it is all of them that are recorded.
        self._path = Path(self._account.header.get("pattern") or self._path)

    def _connect(self, reading: int, writing: int) -> None:
        self._link = Link(self._path.name, reading, writing, self)
        self._link.begin()

    def _until_begun(self, longest_s: float = float("inf")) -> None:
        try:
            while not self._began.wait(_SLICE_S):
                longest_s -= _SLICE_S
                if longest_s <= 0 and self._link is not None:
                    # One that has been taken up can be taken up by nobody else until this has gone.
                    self._link.hang_up()
                    advice = "its process does not answer; the recording may go on all the same"
                    raise StateError("silent", "recording", advice)
        except StateError:
            raise  # it went on without us before
        except BaseException:
            # Interrupted while the source was being opened: then there shall be no recording.
            self.ask_to_stop()
            self._ended.wait(_LONGEST_CLOSE_S)
            raise
        if self.error is not None:
            self._join()
            raise self.error

    def _join(self) -> None:
        """After the end no thread is left: it has only its last observers to tell."""
        if self._ended.is_set() and self._link is not None:
            self._link.join(_LONGEST_CLOSE_S)

    def _result(self, ended: bool, timeout: float | None) -> Recording:
        if not ended:
            raise StateError(self.state, SessionState.STOPPED, f"the recording did not end within {timeout} s")
        if self.error is not None:
            raise self.error
        if self.recording is None:
            raise StateError(self.state, SessionState.STOPPED, "the worker ended without a recording")
        return self.recording

    def ask_to_stop(self) -> None:
        """Let the recording end, without waiting for that; nothing where it has."""
        with suppress(StateError):
            self._send(encode(Type.STOP))

    def _send(self, line: bytes) -> None:
        self._refuse_fork()
        if self._link is None or not self._link.outbox.put(line):
            raise StateError(self.state, SessionState.RECORDING, "nothing is being recorded any more")

    def _refuse_fork(self) -> None:
        # Its threads are not there, and what it wrote would get between the lines of the other process.
        if os.getpid() != self._owner:
            raise StateError("forked", "its own process", "a session belongs to the process that started it")

    def _refuse_to_wait(self) -> None:
        self._refuse_fork()
        if threading.current_thread() is self._link:
            raise StateError(
                self.state, "another thread", "a callback must not wait for the session that called it"
            )

    # Called by the link's thread.

    def heard(self, link: Link, lines: list[bytes]) -> bool:
        """Take in what the worker tells; whether to go on listening."""
        for line in lines:
            self._account.hear(line)
        if self.state is not SessionState.STARTING:
            self._began.set()
        self._tell()
        return not self._account.is_refused

    def hung_up(self, link: Link) -> None:
        """The worker is gone, after its last word or without one."""
        link.outbox.close()
        end: RecordkitError
        if self._process is None and self.state is SessionState.STARTING:
            end = StateError("ended", "recording", f"the recording to {self._path} ended at this very moment")
        elif self._process is None:
            end = WorkerError(self._path, f"the worker is gone; {recovery_advice(self._path)}")
        else:
            end = self._process.end(self._path)
        self._account.end(end)
        self._asking.end(self._account.error)
        link.outbox.join(_LONGEST_CLOSE_S)
        self._ended.set()
        self._began.set()
        atexit.unregister(self._end_with_program)
        self._tell()

    def _end_with_program(self) -> None:
        if os.getpid() == self._owner:
            self.ask_to_stop()
            self._ended.wait(_LONGEST_FAREWELL_S)

    def _tell(self) -> None:
        for observer in self._observers:
            try:
                observer(self)
            except Exception:
                # Whoever looks on must not be able to end the session.
                log.exception("%s: an observer failed", self._path)
