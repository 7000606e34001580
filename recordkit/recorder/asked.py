"""What somebody has asked a ring to keep, and how long that is: seen from whoever asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RecordkitError, SettingsError, StateError
from ..values import NumberLike, maybe, seconds

if TYPE_CHECKING:
    from .result import Recording

_SPAN = seconds(0, 30 * 86_400, "give a time in seconds, such as 30 or '5min'")
_BEFORE = maybe(_SPAN)


def span_asked(before: NumberLike | None, after: NumberLike) -> tuple[float | None, float]:
    """How many seconds before and after this moment are asked for. Raises SettingsError."""
    before_s, after_s = _BEFORE("before", before), _SPAN("after", after)
    if before_s == 0 and not after_s:
        raise SettingsError("before", before, "give a time to keep, before or after this moment")
    return before_s, after_s


class Kept:
    """A file that somebody has asked for, of what a ring holds: it is there once ``wait`` returns.

    ``path`` is where it will be, None if that is not known yet. It has all from ``begins_s`` on, and up to
    ``ends_s`` at least, in seconds of the recording. ``lacks_s`` is how much more was asked for than the ring still
    held. Who asks again before it is over gets the same one, which then has all that either has asked for.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.begins_s = self.ends_s = self.lacks_s = 0.0
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._followers: list[Callable[[Kept], None]] = []
        self._recording: Recording | None = None
        self._error: RecordkitError | None = None

    def __repr__(self) -> str:
        how = "kept" if self._recording is not None else "failed" if self._over.is_set() else "being kept"
        return f"<Kept {self.path}, {self.begins_s:.1f} to {self.ends_s:.1f} s, {how}>"

    @property
    def is_over(self) -> bool:
        """Whether it is committed, or has failed."""
        return self._over.is_set()

    def wait(self, timeout: float | None = None) -> Recording:
        """Wait until it is committed.

        Raises the error that it failed with, or StateError after ``timeout`` seconds.
        """
        if not self._over.wait(timeout):
            raise StateError("being kept", "kept", f"it was not kept within {timeout} s")
        if self._recording is None:
            raise self._error or StateError("left", "kept", "it was not kept")
        return self._recording

    def settle(self, recording: Recording | None, error: RecordkitError | None) -> None:
        """It is over."""
        self._recording, self._error = recording, error
        if recording is not None and recording.path is not None:
            self.path = recording.path
        with self._lock:
            self._over.set()
            followers, self._followers = self._followers, []
        for follower in followers:
            follower(self)

    def then(self, follower: Callable[[Kept], None]) -> None:
        """Call ``follower`` once it is over, in the thread that settles it, or at once."""
        with self._lock:
            if not self._over.is_set():
                self._followers.append(follower)
                return
        follower(self)
