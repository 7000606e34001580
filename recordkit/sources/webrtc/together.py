"""Audio that came together goes on together: each step on its way costs more than what it does with 20 ms of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...ticks import TICKS_PER_SECOND
from .assembly import Unit

_LONGEST = TICKS_PER_SECOND // 10
"""As long as what comes while media flows; the queue lets go of what has no room in pieces of this length."""

Timed = tuple[Unit, int]


def together(timed: Iterable[Timed]) -> Iterator[Timed]:
    """Opus units with their times, in ticks: those that follow each other without a gap are one."""
    run: list[Unit] = []
    begin = end = 0
    for unit, ticks in timed:
        follows = ticks == end and not unit.discontinuity and end + unit.duration - begin <= _LONGEST
        if run and not (follows and unit.duration and unit.first.codec == "opus" == run[0].first.codec):
            yield _one(run, end - begin), begin
            run = []
        if not run:
            begin = ticks
        run.append(unit)
        end = ticks + unit.duration
    if run:
        yield _one(run, end - begin), begin


def _one(run: list[Unit], duration: int) -> Unit:
    if len(run) == 1:
        return run[0]
    first, data = run[0], [unit.data for unit in run]
    return Unit(
        first.first,
        b"".join(data),
        is_entry=True,
        discontinuity=first.discontinuity,
        duration=duration,
        sizes=tuple(map(len, data)),
    )
