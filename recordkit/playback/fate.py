"""What has become of a recording's file while it is looked at: deleted, or left by what recorded it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ..names import final_of, is_partial, partial_of
from ..system import System
from .titles import near

_LEFT = "Nobody records this any more. What is there can be seen; rk.recover({name!r}) brings it to its end."
_DELETED = "This recording was deleted meanwhile. What was open can still be seen."


class Fate:
    """That of the recording which was opened as ``path``, under whichever of its names."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.final = path.with_name(final_of(path.name)) if is_partial(path.name) else path
        self._partial = self.final.with_name(partial_of(self.final.name))
        self._is_deleted = False
        self._was_there = self._is_there

    @property
    def _is_there(self) -> bool:
        return any(one.exists() for one in (self._path, self.final, self._partial))

    def words(self, *, is_growing: bool) -> str:
        """What is to be said of it, mostly nothing; ``is_growing``: somebody may still write it."""
        is_there = self._is_there
        self._was_there |= is_there  # what is read by a URL never is
        self._is_deleted |= self._was_there and not is_there
        if self._is_deleted:
            return _DELETED
        return _LEFT.format(name=str(near(self.final))) if is_growing and self._is_left else ""

    @property
    def _is_left(self) -> bool:
        """Whether what recorded it is gone without an end: then nobody holds its lock."""
        with suppress(OSError):  # its name has just changed, or this disk knows no locks
            return not System().is_locked(self._partial)
        return False
