"""Starting a worker's process, and what is known of its end."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import BinaryIO

from ..errors import WorkerError

_LAST_WORDS_BYTES = 2000
_LONGEST_END_S = 15.0


@dataclass(frozen=True)
class WorkerProcess:
    """A worker's process, to be asked how it ended; ``words`` is the file that its standard error goes to.

    A file and not a pipe: a pipe that nobody empties would hold up the recording.
    """

    popen: subprocess.Popen[bytes]
    words: BinaryIO

    def descriptors(self) -> tuple[int, int]:
        """Descriptors of one's own to hear it and to speak to it; those of ``popen`` are closed."""
        given = []
        for stream in (self.popen.stdout, self.popen.stdin):
            if stream is not None:
                given.append(os.dup(stream.fileno()))
                stream.close()
        hearing, speaking = given
        return hearing, speaking

    def abandon(self) -> None:
        """Nobody can listen to it: end it, before it has begun."""
        self.popen.kill()
        self.popen.wait()
        self.words.close()

    def last_words(self) -> tuple[int, str]:
        """Wait for the process's end, which has begun: its exit code, and the end of what it wrote as errors."""
        try:
            code = self.popen.wait(_LONGEST_END_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            code = self.popen.wait()
        with self.words as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
            return code, file.read().decode("utf-8", "replace").strip()

    def end(self, path: Path) -> WorkerError:
        """Wait for the process's end, which has begun, and say what it looks like."""
        code, last_words = self.last_words()
        advice = recovery_advice(path)
        if code < 0:
            reason = f"the worker was killed by signal {-code} ({signal_name(-code)}); {advice}"
            return WorkerError(path, reason, signal=-code)
        reason = f"the worker ended by itself (exit code {code}); {advice}"
        return WorkerError(path, f"{reason}\n{last_words}" if last_words else reason, exit_code=code)


def recovery_advice(path: Path) -> str:
    """What to do about a recording that nobody brought to its end."""
    return f"rk.recover({str(path)!r}) brings back what was recorded"


def start_worker(module: str = f"{__package__}.worker") -> WorkerProcess:
    """Start one, which runs ``module`` and imports what this process imports, wherever either was started.

    Raises OSError; FileNotFoundError if there is no Python to run it: a frozen program would start itself.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        reason = "this program has no Python interpreter of its own (it is frozen, or embeds one): use rk.record()"
        raise FileNotFoundError(errno.ENOENT, reason)
    words = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
    try:
        popen = subprocess.Popen(
            # -P: nothing that lies in the working folder by chance is taken for a module.
            [sys.executable, "-P", "-m", f"{__package__}.alone", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(_search_path())},
            # Of its own, so that an interrupt from the terminal or of the kernel does not reach it.
            start_new_session=True,
        )
    except BaseException:
        words.close()
        raise
    return WorkerProcess(popen, words)


def _search_path() -> list[str]:
    """Where this process looks for modules, in its order, so that the worker finds the very same."""
    root = str(Path(__file__).resolve().parents[2])
    found = [str(Path(entry).absolute()) for entry in sys.path if entry]
    return found if root in (str(Path(entry).resolve()) for entry in found) else [root, *found]


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9."""
    try:
        return Signals(number).name
    except ValueError:
        return "no name"
