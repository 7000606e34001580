"""What the rooms say to a container: memory lent, units laid into it, and what makes a partial final.

MPEG-TS and MP4 stand behind the same interface; nothing above knows a third thing about either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .model import AccessUnit, Codec, StreamFormat


class Lent(Protocol):
    """Memory that is lent to a packager: ``bytes`` is writable, ``used`` and ``capacity`` count in packets.

    What a packet is says the container: the smallest piece that a flush may end with.
    """

    bytes: memoryview
    used: int
    capacity: int

    @property
    def used_bytes(self) -> int:
        """Bytes laid so far."""


class Memory:
    """Memory counted in bytes."""

    __slots__ = ("bytes", "capacity", "used")

    def __init__(self, lent: memoryview) -> None:
        self.bytes = lent.cast("B") if lent.ndim != 1 or lent.format != "B" else lent
        self.capacity = len(self.bytes)
        self.used = 0

    @property
    def used_bytes(self) -> int:
        """Bytes laid so far."""
        return self.used


@dataclass(frozen=True, slots=True)
class Finish:
    """What makes a partial the final file.

    ``append`` comes behind the last unit, in bounded pieces, and is synced; only then the
    ``patches`` (offset, bytes) are written over what stands there, in their order.
    """

    append: Iterable[bytes] = ()
    patches: tuple[tuple[int, bytes], ...] = ()


class Packager(Protocol):
    """Lays access units into lent memory. Not thread-safe; does no I/O and reads no clock.

    ``packager`` is told whether the finished file stays in fragments, where there are any.
    ``packet_bytes`` is the smallest piece that a flush may end with. The file lists its streams by their
    numbers, those in ``order`` first and in that order: players number them as they are listed. ``lead_bytes`` is
    what was laid before the last unit and is no part of it (tables and clocks), ``unit_bytes`` what it has itself.
    """

    packet_bytes: int
    late_units: int
    lead_bytes: int
    unit_bytes: int
    order: tuple[int, ...]

    @property
    def streams(self) -> dict[int, StreamFormat]:
        """The streams declared so far, by index."""

    def format(self, index: int) -> StreamFormat | None:
        """The format of stream ``index``, None when it was not declared."""

    def is_video(self, index: int) -> bool:
        """Whether stream ``index``, which was declared, carries video."""

    def declare(self, index: int, stream_format: StreamFormat) -> None:
        """Add a stream, or set a new format; MediaError for what the container has no place for."""

    def begin_at(self, ticks: int) -> None:
        """Nothing that is laid is shown or heard before this time, which may be before the first unit's."""

    def decode_from(self, ticks: int) -> None:
        """No unit that is laid is decoded before this time: nothing has to be kept free for one."""

    def heard(self, unit: AccessUnit) -> int:
        """When a stream that begins with ``unit`` is first seen or heard: behind its priming, if that is hidden."""

    def until(self, unit: AccessUnit) -> int:
        """When ``unit`` is over: before what only fills it up, if this kind of file has a place to tell that."""

    def lend(self, rows: NDArray[np.uint8]) -> Lent:
        """Memory to lay into: ``rows`` is uint8, shape (packets, bytes of a packet), C-contiguous."""

    def packets_for(self, unit: AccessUnit) -> int:
        """How many packets ``lay`` may need for ``unit`` at the most, tables and heads included."""

    def lay(self, unit: AccessUnit, memory: Any, /) -> None:  # noqa: ANN401 - each container lends its own kind
        """Lay ``unit`` at the end of memory that ``lend`` made; MediaError, with nothing laid, if it cannot be."""

    def show(self, begin: int, end: int) -> bool:
        """Let the finished file show only what lies between two ticks; False if this kind of file cannot."""

    def finish(self, file_bytes: int) -> Finish:
        """What makes a partial of ``file_bytes`` the final file."""


def listed(streams: Iterable[int], order: Sequence[int]) -> list[int]:
    """The numbers of streams as a file lists them: those in ``order`` first, then the others."""
    places = {number: place for place, number in enumerate(order)}
    return sorted(streams, key=lambda number: (places.get(number, len(places)), number))


@dataclass(frozen=True, slots=True)
class Container:
    """A kind of file: how it is called, the suffix that chooses it, and what lays units into it.

    ``packet_bytes`` is the smallest piece that a flush may end with. ``holds`` are the codings that a file of
    audio alone has a place for, one stream of them without times; empty for a container of many streams.
    ``carries`` are all codings that it has a place for.
    """

    name: str
    suffix: str
    packet_bytes: int
    packager: Callable[[bool], Packager]
    carries: frozenset[Codec]
    holds: tuple[Codec, ...] = ()
