"""What the rooms say to a container: memory lent, units laid into it, and what makes a partial final.

MPEG-TS and MP4 stand behind the same interface; nothing above knows a third thing about either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from .model import AccessUnit, StreamFormat


class Memory:
    """Memory that is lent to a packager: ``bytes`` is writable, ``used`` counts what was laid."""

    __slots__ = ("bytes", "used")

    def __init__(self, lent: memoryview) -> None:
        self.bytes = lent
        self.used = 0


@dataclass(frozen=True, slots=True)
class Finish:
    """What makes a partial the final file.

    ``append`` comes behind the last unit, in bounded pieces, and is synced; only then the
    ``patches`` (offset, bytes) are written over what stands there, in their order.
    """

    append: Iterable[bytes] = ()
    patches: tuple[tuple[int, bytes], ...] = ()


class Packager(Protocol):
    """Lays access units into lent memory. Not thread-safe; does no I/O and reads no clock."""

    late_units: int

    @property
    def streams(self) -> dict[int, StreamFormat]:
        """The streams declared so far, by index."""

    def format(self, index: int) -> StreamFormat | None:
        """The format of stream ``index``, None when it was not declared."""

    def is_video(self, index: int) -> bool:
        """Whether stream ``index``, which was declared, carries video."""

    def declare(self, index: int, stream_format: StreamFormat) -> None:
        """Add a stream, or set a new format; MediaError for what the container has no place for."""

    def room_for(self, unit: AccessUnit) -> int:
        """How many bytes ``lay`` may need for ``unit`` at the most, tables and heads included."""

    def lay(self, unit: AccessUnit, memory: Memory) -> None:
        """Lay ``unit`` at ``memory.used``; MediaError, with nothing laid, when it cannot be carried."""

    def finish(self, file_bytes: int) -> Finish:
        """What makes a partial of ``file_bytes`` the final file."""
