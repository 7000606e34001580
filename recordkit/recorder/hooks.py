"""What is called after a commit: a function with the recording, or a command with its path."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from ..errors import AdmissionError
from ..model import EventKind
from ..threads import begin
from .result import Recording
from .telling import Tell

log = logging.getLogger("recordkit")

Hook = Callable[[Recording], object] | tuple[str, ...]
PLACE = "{path}"
MOST_WAITING = 100
"""Commits that wait for their turn; those beyond are told, and not handed on."""
_SHOWN_BYTES = 500
_GRACE_S = 5.0


class Hooks:
    """Hands each committed recording to ``hook``, one after the other, in a thread of its own.

    A command is run without a shell; ``{path}`` in its words stands for the absolute path of the recording. It has
    ``timeout_s`` seconds and is ended then, with all that it started in its group. A function cannot be ended: that
    one takes longer is told, and at the end it is waited for no longer. What fails is told by a warning and an
    event, and harms no recording. The thread ``recordkit-commit:NAME`` belongs to this object; it begins with the
    first commit and ends after ``end``, when all has been handed on. An orderly end of the program waits for it.
    """

    def __init__(self, name: str, hook: Hook, timeout_s: float, tell: Tell) -> None:
        self.left_out = 0
        self._name = name
        self._hook = hook
        self._timeout_s = timeout_s
        self._tell = tell
        self._changed = threading.Condition()
        self._waiting: deque[Recording] = deque()
        self._is_over = False
        self._thread: threading.Thread | None = None

    def committed(self, recording: Recording) -> None:
        """Hand on ``recording``, which has just been committed; waits for nothing."""
        with self._changed:
            is_full = len(self._waiting) >= MOST_WAITING
            because = f"{MOST_WAITING} recordings wait for it already" if is_full else self._begun()
            if because is None:
                self._waiting.append(recording)
                self._changed.notify_all()
                return
            self.left_out += 1
        self._failed(recording, because)

    def end(self) -> None:
        """No further commit comes; waits for nothing."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until all has been handed on, as long as the hook may take; whether it has."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(self._timeout_s + _GRACE_S if timeout_s is None else timeout_s)
        return not thread.is_alive()

    def _begun(self) -> str | None:
        """Begin the thread if there is none; why there is none, in words."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name=f"recordkit-commit:{self._name}", daemon=True)
            try:
                begin(thread, self._name)
            except AdmissionError as error:
                return str(error)
            self._thread = thread
            atexit.register(self.join)
        return None

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._is_over:
                        atexit.unregister(self.join)
                        return
                    self._changed.wait()
                recording = self._waiting.popleft()
            self._hand_on(recording)

    def _hand_on(self, recording: Recording) -> None:
        if isinstance(self._hook, tuple):
            because = _ran(self._hook, recording.path, self._timeout_s)
            if because is not None:
                self._failed(recording, because)
            return
        # Nobody can end a function: that it takes too long is told all the same.
        because = f"not done after {self._timeout_s:g} s"
        late = threading.Timer(self._timeout_s, self._failed, (recording, because))
        late.name, late.daemon = f"recordkit-late:{self._name}", True
        with suppress(RuntimeError):
            late.start()
        try:
            self._hook(recording)
        except Exception as error:
            log.exception("on_commit failed for %s", recording.path)
            self._tell(EventKind.HOOK_FAILED, path=str(recording.path), because=f"{type(error).__name__}: {error}")
        finally:
            late.cancel()
            if late.ident is not None:
                late.join()

    def _failed(self, recording: Recording, because: str) -> None:
        log.warning("on_commit for %s: %s", recording.path, because)
        self._tell(EventKind.HOOK_FAILED, path=str(recording.path), because=because)


def _ran(words: tuple[str, ...], path: Path | None, timeout_s: float) -> str | None:
    """Run a command to its end; what went wrong, in words."""
    # Absolute: a name that begins with a dash is no option then.
    placed = [word.replace(PLACE, str(Path(path or "").absolute())) for word in words]
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                placed, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
        except FileNotFoundError:
            return f"there is no command {placed[0]}"
        except OSError as error:
            return f"the command {placed[0]} cannot be run: {error.strerror}"
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            _end(process)
            return f"the command {placed[0]} was ended: it was not done after {timeout_s:g} s"
        if status == 0:
            return None
        how = f"was ended by signal {-status}" if status < 0 else f"ended with {status}"
        return f"the command {placed[0]} {how}{_last_words(said)}"


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
            return


def _last_words(said: IO[bytes]) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - _SHOWN_BYTES))
    text = said.read().decode("utf-8", "replace").strip()
    return f": {text}" if text else ""
