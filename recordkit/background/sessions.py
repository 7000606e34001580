"""Recordings in processes of their own: started, found again, listed, stopped."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Unpack, get_args, runtime_checkable

from ..errors import RecordkitError, WorkerError
from ..recorder.result import Recording
from ..settings import PortableOptions, RecordingSettings
from ..signatures import named, named_with
from ..system import System
from ..values import NumberLike, PathLike, one_of
from ..values import path as read_path
from ..version import __version__
from .description import describe
from .link import Link
from .mailbox import Message
from .process import start_worker
from .protocol import PROTOCOL, OnParentExit, Type, encode
from .rendezvous import call
from .session import Session

if TYPE_CHECKING:
    from ..sources.given import SourceLike
    from ..sources.source import SignalledSource

log = logging.getLogger("recordkit")

LONGEST_ALONE_S = 600.0
"""A recording that waits goes on so long without anybody; then it is committed."""


@runtime_checkable
class StandIn(Protocol):
    """What stands in this process for a source in the worker, such as the camera of one's own browser."""

    def in_worker(self) -> SignalledSource:
        """The source that the worker opens. Raises StateError where it cannot be recorded now."""
        ...

    def connect(self, session: Session) -> None:
        """The worker records: let it come to an understanding with the source, by the session's signals."""
        ...


@named_with(PortableOptions, RecordingSettings)
def start(
    source: SourceLike | SignalledSource | StandIn,
    path: PathLike,
    *,
    seconds: NumberLike | None = None,
    on_parent_exit: OnParentExit = "finish",
    on_signal: Callable[[Message], None] | None = None,
    on_change: Callable[[Session], None] | None = None,
    **settings: Unpack[PortableOptions],
) -> Session:
    """Record ``source`` into ``path`` in a process of its own, and come back as soon as it records.

    ``source`` is a source, or the path or URL of a file. ``settings`` are those of ``record`` and Recorder,
    but for functions. When this process ends, in whatever way, the recording is brought to its end and
    committed (``on_parent_exit="finish"``; an orderly end waits for that, 30 seconds at most), or goes on
    and can be found again with ``attach`` (``"continue"``), or goes on for ten minutes, in which whoever
    comes back may take it up, as a panel does (``"wait"``). ``on_signal`` and ``on_change`` are as in
    Session, from the first moment on.

    Raises what the recording cannot begin with: SettingsError (also for what cannot be sent to another
    process), SourceError, OutputError; nothing is left behind then.
    """
    one_of(*get_args(OnParentExit))("on_parent_exit", on_parent_exit)
    final_path = read_path("path", path).absolute()
    stand_in = source if isinstance(source, StandIn) and not isinstance(source, type) else None
    if stand_in is not None:
        source = stand_in.in_worker()
    from ..sources.given import source_of  # which loads PyAV

    if isinstance(source, type) or not hasattr(source, "open_on"):
        source = source_of("source", source)
    flush_log = settings.get("flush_log")
    if isinstance(flush_log, str | os.PathLike):
        settings["flush_log"] = str(Path(flush_log).expanduser().absolute())
    request = encode(
        Type.START,
        protocol=PROTOCOL,
        recordkit=__version__,
        source=describe("source", source),
        path=str(final_path),
        settings={name: describe(name, value) for name, value in {"seconds": seconds, **settings}.items()},
        on_parent_exit=on_parent_exit,
        alone_s=LONGEST_ALONE_S,
        log_level=log.getEffectiveLevel(),
    )
    session = Session(final_path)
    session.on_signal = on_signal
    if on_change is not None:
        session.on_change(on_change)
    try:
        process = start_worker()
    except OSError as error:
        raise WorkerError(final_path, f"no process can be started to record in: {error.strerror}") from error
    session.begin(process, request, ends_with_us=on_parent_exit == "finish")
    if stand_in is not None:
        stand_in.connect(session)
    return session


@named
def attach(path: PathLike, *, on_change: Callable[[Session], None] | None = None) -> Session:
    """The session of a recording that goes on without the process that started it.

    It knows all that has been told since the start. Raises StateError where nothing is being recorded
    to ``path``, or nobody can be called there.
    """
    final_path = read_path("path", path).absolute()
    session = Session(final_path)
    if on_change is not None:
        session.on_change(on_change)
    return _connected(session, call(final_path, System()))


def take_up(final_path: Path) -> Session:
    """The session of a recording that waits for somebody, since who started it is gone; nobody else gets it.

    Raises StateError if none does.
    """
    return _connected(Session(final_path), call(final_path, System(), waits=True))


def _connected(session: Session, connection: socket.socket) -> Session:
    reading = connection.detach()
    session.connect(reading, os.dup(reading))
    return session


def sessions() -> list[Session]:
    """The sessions of this process that have not ended, in the order in which they were started.

    There is no list of them that would have to be kept: each has a thread as long as it lives.
    """
    links = [one for one in threading.enumerate() if isinstance(one, Link)]
    return [one.listener for one in links if isinstance(one.listener, Session) and not one.listener.has_ended]


def stop_all(*, timeout: float | None = None) -> list[Recording]:
    """Stop all sessions of this process, at once; what was recorded, in the order in which they were started.

    Those that fail leave their error in ``Session.error``; the others are stopped all the same. Raises the first
    of these errors at the end.
    """
    running = sessions()
    for session in running:
        session.ask_to_stop()
    recordings, failure = [], None
    for session in running:
        try:
            recordings.append(session.stop(timeout=timeout))
        except RecordkitError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return recordings
