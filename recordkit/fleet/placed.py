"""A source and where it is placed, a partial that it has lost, and those that may record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .site import Standing, nth_path

ENDED = frozenset({"stopped", "done", "failed", "left"})
"""States after which there is nothing more to do."""


class Sites(Protocol):
    """The machines that may record."""

    def living(self) -> dict[str, float | None]:
        """Their addresses, and how many recordings each takes at most; None: as many as there is room for."""

    def ask(self, questions: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """The answers of those that answered, as ``Site.answer`` returns them."""


@dataclass(slots=True)
class Placed:
    """A source: where it records, what is known of it, since when."""

    name: str
    order: dict[str, Any]
    first_path: str
    state: str = "waiting"
    attempt: int = 0
    site: str | None = None
    machine: str | None = None
    standing: Standing = field(default_factory=dict)
    seen_s: float = 0.0
    lost_s: float | None = None
    silent_s: float | None = None
    refused: dict[str, float] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where it records now."""
        return nth_path(self.first_path, self.attempt)

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing more to do."""
        return self.state in ENDED


@dataclass(slots=True)
class Lost:
    """A partial that is to be recovered: whose it is, who is asked, and not before when."""

    name: str
    site: str | None
    at_s: float
