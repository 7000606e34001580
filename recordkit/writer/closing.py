"""How one file comes to its end: decided once, by who closes it or by a full disk."""

from __future__ import annotations

import threading

from .observer import Observer

DISK_FULL = "disk full"


class Closing:
    """Whether a writer still takes units, and what becomes of its file. ``changed`` is the writer's lock.

    ::

        open ──close(commit)──▶ ending ──(last flush, commit)──▶ over
          └──────disk_full()──────▲

    ``commits`` is None while it is open; what was decided first stands. ``because`` says why the file ended by
    itself, which may come after it was closed as well; from then on nothing may be laid.
    """

    def __init__(self, changed: threading.Condition, observer: Observer) -> None:
        self.commits: bool | None = None
        self.because: str | None = None
        self.is_over = False
        self._changed = changed
        self._observer = observer

    @property
    def is_open(self) -> bool:
        """Whether units are taken."""
        return self.commits is None

    def close(self, *, commit: bool) -> None:
        """Begin the end; waits for nothing."""
        with self._changed:
            if self.commits is None:
                self.commits = commit
            self._changed.notify_all()

    def disk_full(self) -> None:
        """The disk is full: nothing is laid any more once this returns. The observer says whether to commit."""
        if self.because is not None:
            return
        # Asked first: whoever finds that it has ended may ask how.
        commit = self._observer.full()
        with self._changed:
            self.because = DISK_FULL
            self.close(commit=commit)
        self._observer.room()
