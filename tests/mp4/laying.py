"""Recordings laid in memory, as the writer would."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import merge

from recordkit.container import Memory
from recordkit.model import AccessUnit, StreamFormat
from recordkit.mp4.packager import Packager

from .real import Stream


@dataclass(frozen=True)
class Declare:
    """A stream added, or its format changed."""

    stream: int
    format: StreamFormat


@dataclass
class Laid:
    """A partial, where each unit ends in it, and the packager that made it."""

    packager: Packager
    partial: bytes = b""
    ends: list[int] = field(default_factory=list)
    units: list[AccessUnit] = field(default_factory=list)

    @property
    def whole(self) -> bytes:
        """The finished file."""
        return finished(self.partial, self.packager)


def finished(partial: bytes, packager: Packager) -> bytes:
    """What the packager's finish makes of a partial."""
    finish = packager.finish(len(partial))
    made = bytearray(partial + b"".join(finish.append))
    for offset, patch in finish.patches:
        made[offset : offset + len(patch)] = patch
    return bytes(made)


def lay(steps: Iterable[Declare | AccessUnit], *, fragmented: bool = False) -> Laid:
    """Lay units one by one, each into memory that is exactly as large as was asked for."""
    laid = Laid(Packager(fragmented=fragmented))
    pieces = []
    total = 0
    for step in steps:
        if isinstance(step, Declare):
            laid.packager.declare(step.stream, step.format)
            continue
        memory = Memory(memoryview(bytearray(laid.packager.packets_for(step))))
        laid.packager.lay(step, memory)
        pieces.append(bytes(memory.bytes[: memory.used]))
        total += memory.used
        laid.ends.append(total)
        laid.units.append(step)
    laid.partial = b"".join(pieces)
    return laid


def recording(*streams: Stream) -> list[Declare | AccessUnit]:
    """Streams declared, then their units in the order of their times."""
    declared = [Declare(index, stream.format) for index, stream in enumerate(streams)]
    return [*declared, *merge(*(s.moved(i) for i, s in enumerate(streams)), key=lambda unit: unit.dts)]
