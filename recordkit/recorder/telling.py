"""How parts of a recording tell of what happens: an EventKind, and what belongs to it by name."""

from __future__ import annotations

from typing import Protocol

from ..model import EventKind, Field


class Tell(Protocol):
    """Takes an event; from any thread."""

    def __call__(self, kind: EventKind, **fields: Field) -> object:
        """Note that something happened."""
