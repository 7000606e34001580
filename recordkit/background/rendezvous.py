"""Where a recording that goes on without its parent is found again: a socket named after the partial's inode.

The socket is an abstract one (unix(7)): it has no file that could be left behind, and is gone with its
process. Such names know no permissions, so that both sides ask the system who the other one is.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from ..errors import StateError
from ..system import System
from ..writer.output import Output

_CREDENTIALS = struct.Struct("3i")
"""struct ucred: process, user, group."""


def _address(partial: Path, *, waits: bool) -> str:
    status = partial.stat()
    return f"\0recordkit-{'waits-' if waits else ''}{status.st_dev:x}-{status.st_ino:x}"


def _user_of_peer(connection: socket.socket) -> int:
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(told)[1]
    return user


class Rendezvous:
    """Listens for sessions that attach, in the thread ``recordkit-accept``; ``on_call`` gets each connection.

    One that ``waits`` is found by those alone who seek a recording that has lost whoever started it.

    Raises OSError where the system gives no such socket.
    """

    def __init__(self, partial: Path, on_call: Callable[[socket.socket], None], *, waits: bool = False) -> None:
        self._on_call = on_call
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(_address(partial, waits=waits))
            self._socket.listen()
        except OSError:
            self._socket.close()
            raise
        threading.Thread(target=self._run, name="recordkit-accept", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            if _user_of_peer(connection) in (0, os.geteuid()):
                self._on_call(connection)
            else:
                connection.close()

    def close(self) -> None:
        """Listen no more."""
        # Closing alone would leave the thread in accept().
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def call(final_path: Path, system: System, *, waits: bool = False) -> socket.socket:
    """A connection to the worker that records ``final_path``.

    Raises OutputNameError for a name that is none of a recording, StateError where nobody can be reached.
    """
    partial = Output(final_path, system).partial_path
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        address = _address(partial, waits=waits)
        if not system.is_locked(partial):
            advice = (
                f"nobody records {final_path} any more: rk.recover({str(final_path)!r}) brings back what is there"
            )
            raise StateError("unfinished", "recording", advice)
        connection.connect(address)
        if _user_of_peer(connection) not in (0, os.geteuid()):
            raise StateError("strange", "recording", f"another user answers for {final_path}")
    except FileNotFoundError:
        connection.close()
        raise StateError("absent", "recording", f"nothing is being recorded to {final_path}") from None
    except OSError as error:
        connection.close()
        advice = (
            f"{final_path} is being recorded, but by nobody who can be called: "
            "only rk.start(..., on_parent_exit='continue') can be attached to"
        )
        raise StateError("recording", "recording with on_parent_exit='continue'", advice) from error
    except BaseException:
        connection.close()
        raise
    return connection
