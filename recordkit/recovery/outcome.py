"""Result types of ``partials`` and ``recover``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..names import is_of_ring
from ..plots.cards import Tone, card
from ..telemetry.words import size_text, time_text

_MOST_SHOWN = 10


class Outcome(StrEnum):
    """How a recovery ended."""

    RECOVERED = "recovered"
    """It has its final name, durably; in a dry run: it would get it."""
    CLEANED = "cleaned"
    """It had been committed before; what was left lying beside it is gone."""
    REMOVED = "removed"
    """Neither the partial nor its tail had a byte; both are gone."""
    NOTHING = "nothing"
    """There was nothing that can be recovered; everything was left as it is."""
    RECORDING = "recording"
    """It is being recorded right now and was not touched (folders only; else an error)."""
    FAILED = "failed"
    """``message`` says why; nothing is lost (folders only; else an error)."""
    REPAIRED = "repaired"
    """Its valid packets were copied to another file, which passes ``verify``."""
    IN_PART = "repaired in part"
    """Its valid packets were copied to another file, which still has the faults that ``problems`` names."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Bytes that are not in the result: ``bytes`` from ``offset`` on.

    ``source`` is ``"file"``, ``"slot"`` (``offset`` is then where they belong in the recording)
    or ``"tail"`` (``offset`` in the tail itself).
    """

    source: str
    offset: int
    bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Partial:
    """An unfinished recording that lies in a folder.

    ``path`` is the partial, ``final_path`` the name it was to get. ``bytes`` are in the file,
    ``tail_bytes`` valid in the tail, of which some may be in the file too; ``recoverable_bytes``
    is what ``recover`` would bring. ``age_s`` is how long ago it was last written to,
    ``last_flush_ns`` (since the epoch, UTC) is told by its log, None without one. ``problem`` says
    what stands against its recovery, or None.
    """

    path: Path
    final_path: Path
    age_s: float
    bytes: int
    tail_bytes: int
    last_flush_ns: int | None
    is_recording: bool
    recoverable_bytes: int
    problem: str | None

    @property
    def is_of_ring(self) -> bool:
        """Whether it is of a ring: media that nobody had asked to keep."""
        return is_of_ring(self.final_path.name)

    def __repr__(self) -> str:
        stands = "being recorded" if self.is_recording else f"last written {time_text(self.age_s)} ago"
        problem = "" if self.problem is None else f", {self.problem}"
        ring = ", of a ring" if self.is_of_ring else ""
        return f"<Partial {self.path}, {size_text(self.recoverable_bytes)} recoverable, {stands}{ring}{problem}>"

    def _repr_html_(self) -> str:
        if self.is_recording:
            verdict, tone = "being recorded", Tone.PLAIN
        elif self.problem is not None or not self.recoverable_bytes:
            verdict, tone = "cannot be recovered as it is", Tone.BAD
        else:
            verdict, tone = "unfinished", Tone.WARN
        alone = max(self.recoverable_bytes - self.bytes, 0)  # what recovery says that it took from there
        rows = [
            (
                "can be recovered",
                f"{size_text(self.recoverable_bytes)}, of which {size_text(alone)} in the tail alone",
            ),
            ("last written", f"{time_text(self.age_s)} ago"),
            ("becomes", self.final_path.name),
            ("problem", self.problem or ""),
        ]
        return card(self.path.name, verdict, tone, rows)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values that JSON can carry."""
        names = {"path": str(self.path), "final_path": str(self.final_path), "is_of_ring": self.is_of_ring}
        return asdict(self) | names


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of one file.

    ``path`` is what was recovered, ``final_path`` where it is now (None: nowhere). Of its
    ``bytes``, and of the ``duration_s`` seconds that they cover, ``tail_bytes`` and ``tail_s``
    came from the tail. ``cuts`` are not in it; they stand in ``rejected_path``, each behind a
    line that says where it was. ``problems`` are what is missing, and damage that stayed inside, in
    words. ``added_bytes`` of a repaired file are its own: tables, and marks of discontinuities.
    """

    path: Path
    final_path: Path | None
    outcome: Outcome
    message: str
    dry_run: bool = False
    bytes: int = 0
    tail_bytes: int = 0
    duration_s: float = 0.0
    tail_s: float = 0.0
    cuts: tuple[Cut, ...] = ()
    rejected_path: Path | None = None
    problems: tuple[str, ...] = ()
    added_bytes: int = 0

    def __repr__(self) -> str:
        where = f" as {self.final_path}" if self.final_path is not None else f": {self.message}"
        figures = f", {time_text(self.duration_s)}, {size_text(self.bytes)}" if self.bytes else ""
        tried = ", dry run" if self.dry_run else ""
        return f"<Recovery {self.path}, {self.outcome}{where}{figures}{tried}>"

    def _repr_html_(self) -> str:
        tone = Tone.GOOD if self.ok else Tone.PLAIN if self.outcome is Outcome.RECORDING else Tone.BAD
        kept = f"{time_text(self.duration_s)}, {size_text(self.bytes)}" if self.bytes else ""
        tail = f"{size_text(self.tail_bytes)}, {time_text(self.tail_s)}" if self.tail_bytes else ""
        rows = [
            ("from", self.path.name),
            ("kept", kept),
            ("out of the tail", tail),
            ("cut", f"{size_text(self.cut_bytes)}, {self.cuts[0].reason}" if self.cuts else ""),
            ("set aside in", "" if self.rejected_path is None else self.rejected_path.name),
            ("what", self.message),
            *(("problem", one) for one in self.problems[:_MOST_SHOWN]),
        ]
        title = (self.final_path or self.path).name
        return card(title, f"{self.outcome}{', dry run' if self.dry_run else ''}", tone, rows)

    @property
    def ok(self) -> bool:
        """Whether nothing is left to be done: it has its final name, or had never had a byte."""
        done = (Outcome.RECOVERED, Outcome.CLEANED, Outcome.REMOVED, Outcome.REPAIRED)
        return self.outcome in done or (self.outcome is Outcome.NOTHING and self.final_path is not None)

    @property
    def cut_bytes(self) -> int:
        """Bytes of all cuts."""
        return sum(cut.bytes for cut in self.cuts)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values that JSON can carry."""
        paths = {"path": str(self.path)} | {
            name: None if path is None else str(path)
            for name, path in (("final_path", self.final_path), ("rejected_path", self.rejected_path))
        }
        return asdict(self) | paths
