"""How a background recording stands, in figures that cost nothing to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Figures:
    """The newest figures that the worker told, four times a second.

    ``elapsed_s`` is by the clock, ``duration_s`` of media. ``file_bytes`` have been flushed,
    ``bytes_at_risk`` is what a power cut would cost, ``queue_bytes`` waits to be encoded.
    ``bit_rate`` is that of the last flushes, in bits a second; once it has ended, of all of it.
    ``rss_bytes`` is the memory of the process that records, ``free_bytes`` the room on its disk.
    ``lost_lines`` counts what the worker would have told had anybody listened; the log beside the
    recording has it all.
    """

    elapsed_s: float = 0.0
    duration_s: float = 0.0
    file_bytes: int = 0
    bytes_at_risk: int = 0
    queue_bytes: int = 0
    dropped_units: int = 0
    free_bytes: int | None = None
    rss_bytes: int | None = None
    lost_lines: int = 0
    flush_count: int = 0
    bit_rate: float | None = None


_TOLD = {one.name: one.type for one in fields(Figures)}


def told_figures(message: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a message's values that are figures, and are what they should be."""
    found: dict[str, Any] = {}
    for name, annotation in _TOLD.items():
        value = message.get(name)
        kinds = (int, float) if "float" in str(annotation) else (int,)
        if type(value) in kinds:
            found[name] = value
    return found
