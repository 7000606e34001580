"""Where a recording that goes on without its parent is found again: sockets named after the partial.

One has its inode, which stays when the partial is moved, the other its path, which stays if the file system gives
other inodes at each look. A recording in several files is found by the pattern of their names, too, and by each of
them whose log says which recording it is of. They are abstract ones (unix(7)): they have no files that could be
left behind, and are gone with their process. Such names know no permissions, so that both sides ask the system who
the other one is.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from ..errors import RecordkitError, StateError
from ..system import System
from ..threads import begin
from ..writer.output import Output

log = logging.getLogger("recordkit")

_RETRY_S = 0.1
_CREDENTIALS = struct.Struct("3i")
"""struct ucred: process, user, group."""


def _addresses(partial: Path, *, waits: bool) -> tuple[str, str]:
    """That of the inode, and that of the path."""
    status = partial.stat()
    disk = f"\0recordkit-{'waits-' if waits else ''}{status.st_dev:x}"
    place = hashlib.blake2b(os.fsencode(partial.resolve()), digest_size=16).hexdigest()
    return f"{disk}-{status.st_ino:x}", f"{disk}-at-{place}"


def _address_of(word: str, *, waits: bool) -> str:
    """That of what stays the same for all files of a recording."""
    named = hashlib.blake2b(os.fsencode(word), digest_size=16).hexdigest()
    return f"\0recordkit-{'waits-' if waits else ''}of-{named}"


def _user_of_peer(connection: socket.socket) -> int:
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(told)[1]
    return user


class Rendezvous:
    """Listens for sessions that attach, in the thread ``recordkit-accept``; ``on_call`` gets each connection.

    With ``words`` it is found by what they say alone, see ``words_of``, whatever becomes of the partial. One that
    ``waits`` is found by those alone who seek a recording that has lost whoever started it.

    While no descriptor is left whoever attaches is turned away, and not the last one that is answered.

    Raises OSError where the system gives no such socket, AdmissionError if there is no thread for it.
    """

    def __init__(
        self,
        partial: Path,
        on_call: Callable[[socket.socket], None],
        *,
        waits: bool = False,
        words: Iterable[str] = (),
    ) -> None:
        self._on_call = on_call
        self._closing = threading.Event()
        self._spare: int | None = None
        self._sockets: list[socket.socket] = []
        addresses = [_address_of(word, waits=waits) for word in words] or _addresses(partial, waits=waits)
        thread = self._thread = threading.Thread(target=self._run, name="recordkit-accept", daemon=True)
        try:
            # One is enough. That of the path may still be another's, a partial that was moved away, and so may that
            # of the inode, if its file was deleted under a recording that has not ended yet.
            for address in addresses:
                try:
                    self._sockets.append(_listening(address))
                except OSError as error:
                    refusal = error
            if not self._sockets:
                raise refusal
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            begin(thread, partial.name)
        except BaseException:
            self._let_go()
            raise

    def _run(self) -> None:
        try:
            # Not epoll, which would need a descriptor of its own.
            with selectors.PollSelector() as calls:
                for listening in self._sockets:
                    calls.register(listening, selectors.EVENT_READ, listening)
                while not self._closing.is_set():
                    for key, _ in calls.select():
                        self._accept(key.data)
        finally:
            self._let_go()

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except OSError as error:
            if not self._closing.is_set():
                self._turn_away(listening, error)
            return
        try:
            if _user_of_peer(connection) in (0, os.geteuid()):
                self._on_call(connection)
                return
        except (OSError, RecordkitError) as error:
            # One who cannot be answered must not leave the recording without an ear for the next.
            log.warning("Somebody who attached cannot be answered: %s", error)
        connection.close()

    def _turn_away(self, listening: socket.socket, error: OSError) -> None:
        """No descriptor is left: the spare one serves to hang up on whoever waits, who would wait for ever else."""
        log.warning("Nobody can attach to the recording at the moment: %s", error.strerror)
        if self._spare is not None and error.errno in (errno.EMFILE, errno.ENFILE):
            os.close(self._spare)
            self._spare = None
            with suppress(OSError):
                listening.accept()[0].close()
        if self._spare is None:
            with suppress(OSError):
                self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._closing.wait(_RETRY_S)

    def close(self) -> None:
        """Listen no more. Whoever is called by ``on_call`` may listen anew at once."""
        self._closing.set()
        # Closing alone would leave the thread waiting.
        for listening in self._sockets:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is self._thread:
            # The names are free only now: who has come may go before this thread is back where it listens.
            self._let_go()

    def _let_go(self) -> None:
        for listening in self._sockets:
            listening.close()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None


def _listening(address: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(address)
        made.listen()
    except OSError:
        made.close()
        raise
    return made


def call(final_path: Path, system: System, *, waits: bool = False) -> socket.socket:
    """A connection to the worker that records ``final_path``, which may be the pattern of its files' names.

    Raises OutputNameError for a name that is none of a recording, StateError where nobody can be reached.
    """
    partial = Output(final_path, system).partial_path
    try:
        return _called(partial, final_path, system, waits=waits)
    except StateError:  # one of several files, which another was before, or the pattern of their names
        for word in _words(final_path):
            with suppress(OSError):
                return _connected(_address_of(word, waits=waits), final_path)
        raise


def words_of(path: str, recording_id: object) -> tuple[str, ...]:
    """What all files of a recording to ``path`` are found by: its ID, the pattern. Nothing if it has one file."""
    return (recording_id, path) if isinstance(recording_id, str) else ()


def _words(final_path: Path) -> tuple[str, ...]:
    """The same, of one of its files or of the pattern."""
    from ..reading.places import place_of  # which most programs need not

    place = place_of(final_path)
    return (str(final_path),) if place is None else (place.recording_id,)


def _connected(address: str, final_path: Path) -> socket.socket:
    """A connection to whoever listens there. Raises OSError, StateError if that is another user."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(address)
        if _user_of_peer(connection) != os.geteuid():
            # Root as well: it answers its own callers only.
            advice = f"another user answers for {final_path}: who records it can attach to it, and nobody else"
            raise StateError("strange", "recording", advice)
    except BaseException:
        connection.close()
        raise
    return connection


def _called(partial: Path, final_path: Path, system: System, *, waits: bool) -> socket.socket:
    try:
        by_inode, by_path = _addresses(partial, waits=waits)
        if not system.is_locked(partial):
            advice = (
                f"nobody records {final_path} any more: rk.recover({str(final_path)!r}) brings back what is there"
            )
            raise StateError("unfinished", "recording", advice)
        try:
            return _connected(by_inode, final_path)
        except ConnectionRefusedError:
            return _connected(by_path, final_path)
    except FileNotFoundError:
        raise StateError("absent", "recording", f"nothing is being recorded to {final_path}") from None
    except OSError as error:
        advice = (
            f"{final_path} is being recorded, but by nobody who can be called: "
            "only rk.start(..., on_parent_exit='continue') can be attached to"
        )
        raise StateError("recording", "recording with on_parent_exit='continue'", advice) from error
