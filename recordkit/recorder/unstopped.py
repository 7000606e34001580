"""A recording that nobody stops: it is warned of, and committed when its recorder or the program ends."""

from __future__ import annotations

import atexit
import os
import warnings
import weakref
from collections.abc import Callable
from typing import Protocol


class Ends(Protocol):
    """What brings a recording to its end."""

    @property
    def is_recording(self) -> bool:
        """Whether nobody has stopped it."""
        ...

    def end(self, *, commit: bool) -> None:
        """Begin to end it, without waiting."""
        ...

    def let_end(self) -> None:
        """Begin to commit it, from within any other call, as the garbage collector comes: may wait for no lock."""
        ...

    def join(self) -> object:
        """Wait for its end."""
        ...


def look_after(owner: object, name: str, recording: Ends) -> Callable[[], None]:
    """From now on, end ``recording`` when ``owner`` is collected, and commit it at an orderly end of the program.

    Either comes with a ResourceWarning; the program's end waits until the file is committed. Returns what is
    to be called when the recording has ended.
    """
    process = os.getpid()

    def is_left() -> bool:
        # A process that was forked off has the recording's memory, and none of its threads.
        if os.getpid() != process or not recording.is_recording:
            return False
        advice = "nobody stopped this recording; it is committed now: call stop(), or use it as a context"
        warnings.warn(f"{name}: {advice}", ResourceWarning, stacklevel=2)
        return True

    def let_end() -> None:
        if is_left():
            recording.let_end()

    def end_and_wait() -> None:
        if finalizer.alive and is_left():
            recording.end(commit=True)
        if os.getpid() == process:
            recording.join()

    finalizer = weakref.finalize(owner, let_end)
    finalizer.atexit = False
    atexit.register(end_and_wait)

    def let_go() -> None:
        finalizer.detach()
        atexit.unregister(end_and_wait)

    return let_go
