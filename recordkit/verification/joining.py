"""What a piece of a file has found is joined to what was known up to its border, field by field.

A check is a walk whose every step depends on the one before. A piece is begun a little early, with nothing known;
when it comes to its border it has found out what whoever walked all the way knows there: counters, tables, clocks,
open packets, parameter sets. That is held against what the walk up to the border does know. If it is the same, what
the piece counted is added; if anything differs, the piece is walked again from there. So luck decides about time
only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..mpegts.pes_parts import OpenPes
from ..mpegts.sections import SectionAssembler
from .facts import STEPS_KEPT, StreamFacts

Read = Callable[[int, int], bytes]
"""The bytes of the file from one place up to another."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a check that began before ``begin`` knew there, and what it knows at ``end``; pickled."""

    begin: int
    end: int
    before: bytes
    after: bytes


class MisfitError(Exception):
    """A piece did not know at its border what there is to be known."""


def names(one: object) -> Iterator[str]:
    """The attributes of an object of ours."""
    yield from getattr(one, "__dict__", ())
    for kind in type(one).__mro__:
        yield from getattr(kind, "__slots__", ())


def are_alike(one: Any, other: Any) -> bool:  # noqa: ANN401 - whatever a check is made of
    """Whether two parts of checks know the same, however it came in; on which clock a stream is does not count."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(are_alike(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, SectionAssembler) and one.idle and other.idle:
        return True
    if isinstance(one, OpenPes):
        others = [name for name in names(one) if name != "parts"]
        return b"".join(one.parts) == b"".join(other.parts) and _agree(one, other, others)
    if type(one).__module__.startswith("recordkit") and "__eq__" not in vars(type(one)):
        return _agree(one, other, [name for name in names(one) if name != "clock"])
    return bool(one == other)


def _agree(one: object, other: object, names: Iterable[str]) -> bool:
    return all(are_alike(getattr(one, name), getattr(other, name)) for name in names)


Rule = Callable[[Any, Any, Any], Any]
"""What was known up to the border, what the piece thought there, what it found at its end: what is true then."""


def same(known: Any, thought: Any, found: Any) -> Any:  # noqa: ANN401 - see Rule
    """What has to be the same on both sides of the border."""
    if not are_alike(known, thought):
        raise MisfitError
    return found


def add(known: int, thought: int, found: int) -> int:
    """A count."""
    return known + found - thought


def first(known: Any, thought: Any, found: Any) -> Any:  # noqa: ANN401 - see Rule
    """What is known once it has come."""
    return found if known is None else known


def newest(known: Any, thought: Any, found: Any) -> Any:  # noqa: ANN401 - see Rule
    """Of what no verdict is made."""
    return found


def once(known: int, thought: int, found: int) -> int:
    """A count of what is told when it first comes."""
    if bool(known) != bool(thought) and (found or not known):
        raise MisfitError
    return known + found - thought


def told(known: bool, thought: bool, found: bool) -> bool:
    """The same of what is only told, not counted."""
    return bool(once(int(known), int(thought), int(found)))


def _steps(known: Mapping[int, int], thought: Mapping[int, int], found: Mapping[int, int]) -> dict[int, int]:
    steps = {one: known.get(one, 0) + found.get(one, 0) - thought.get(one, 0) for one in {**known, **found}}
    if len(steps) >= STEPS_KEPT:
        raise MisfitError
    return steps


_FACTS: Mapping[str, Rule] = {
    **dict.fromkeys(("_units", "_packets", "frames", "keyframes", "bytes", "gaps", "gap_duration"), add),
    **dict.fromkeys(("lost_bytes", "lost_places", "time_bases", "_earlier"), add),
    **dict.fromkeys(("lost_at", "first_offset"), first),
    "_steps": _steps,
    "_has_asked": newest,
}


Problems = tuple[Mapping[Any, int], Iterable[Any]]
"""How many of each kind there are, and the first few of them, each of which has a ``kind``."""


def join_fields(
    known: object, thought: object, found: object, rules: Mapping[str, Rule], done: Iterable[str] = ()
) -> None:
    """Make ``found`` what is true at its end, attribute by attribute; one without a rule has to be the same."""
    for name in list(names(found)):
        if name not in done:
            three = (getattr(one, name) for one in (known, thought, found))
            setattr(found, name, rules.get(name, same)(*three))


def join_problems(known: Problems, found: Problems, most: int) -> tuple[dict[Any, int], list[Any]]:
    """Counts by kind, and the first ``most`` of each: what a piece has found comes behind what was known."""
    counts = {one: known[0].get(one, 0) + found[0].get(one, 0) for one in {**known[0], **found[0]}}
    kept: list[Any] = []
    room = dict.fromkeys(counts, most)
    for problem in (*known[1], *found[1]):
        room[problem.kind] -= 1
        if room[problem.kind] >= 0:
            kept.append(problem)
    return counts, kept


def join_each(
    known: object, thought: object, found: object, name: str, join: Callable[[Any, Any, Any], None]
) -> None:
    """Each of what one has by number, in the order in which it was found."""
    before, there, after = (getattr(one, name) for one in (known, thought, found))
    if there.keys() - before.keys() or (before.keys() - there.keys()) & after.keys():
        raise MisfitError
    for pid in there:
        if are_alike(there[pid], after[pid]):
            # Nothing of it came: what was known holds.
            for one in names(after[pid]):
                if one != "clock":
                    setattr(after[pid], one, getattr(before[pid], one))
        else:
            join(before[pid], there[pid], after[pid])
    setattr(found, name, {pid: after.get(pid, before.get(pid)) for pid in {**before, **after}})


def join_facts(known: StreamFacts, thought: StreamFacts, found: StreamFacts) -> None:
    """The same of what is counted of a stream."""
    has_begun = known.time_bases, thought.time_bases
    if bool(has_begun[0]) != bool(has_begun[1]) or (has_begun[1] and found.time_bases != has_begun[1]):
        raise MisfitError
    if found.sizes != thought.sizes or [one[:2] for one in known.sizes[-1:]] != [
        one[:2] for one in thought.sizes[-1:]
    ]:
        raise MisfitError
    found.sizes = known.sizes
    if found._has_asked and not _is_usual(known._steps, thought._steps, found._steps):
        raise MisfitError
    if known._base is not None and found._base is not None:
        found._base.first = min(known._base.first, found._base.first)
        found._base.end = max(known._base.end, found._base.end)
        found.first_pts = found._base.first if known.time_bases == 1 else known.first_pts
    join_fields(known, thought, found, _FACTS, done=("sizes", "_base", "first_pts"))


def _is_usual(known: Mapping[int, int], thought: Mapping[int, int], found: Mapping[int, int]) -> bool:
    """Whether one step was the median at each moment of the piece, with and without all that was before it."""
    usual = max(thought, key=lambda one: thought[one], default=0)
    others = sum(count - thought.get(one, 0) for one, count in found.items() if one != usual)
    return all(2 * one.get(usual, 0) - sum(one.values()) > others for one in (known, thought))
