"""A transport stream checked in pieces, with the verdict of a check in one piece to the byte.

A check is a walk whose every step depends on the one before. A piece is begun a little early, with nothing known;
when it comes to its border it has found out what whoever walked all the way knows there: counters, tables, clocks,
open packets, parameter sets. ``joined`` holds that against what the walk up to the border does know. If it is the
same, what the piece counted is added; if anything differs, the piece is walked again from there. So luck decides
about time only.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..mpegts.pcr import ProgramClock
from ..mpegts.pes_columns import ColumnPesStream
from ..mpegts.pes_parts import OpenPes
from ..mpegts.report import PROBLEMS_KEPT, ProblemKind, ProblemLog
from ..mpegts.sections import SectionAssembler
from .check import Check
from .facts import STEPS_KEPT, StreamFacts

Read = Callable[[int, int], bytes]
"""The bytes of the file from one place up to another."""

_CHUNK_BYTES = 54 * 153_408
_MAY_FOLLOW = frozenset({ProblemKind.TIMESTAMP_JUMP, ProblemKind.DTS_NOT_INCREASING})
"""What is said of a stream unless its clock has jumped before."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a check that began before ``begin`` knew there, and what it knows at ``end``; pickled."""

    begin: int
    end: int
    before: bytes
    after: bytes


class MisfitError(Exception):
    """A piece did not know at its border what there is to be known."""


def check_piece(read: Read, begin: int, end: int, early_bytes: int) -> Piece:
    """Check the bytes from ``begin`` to ``end``, begun ``early_bytes`` before. Raises what ``read`` raises."""
    check = Check(max(begin - early_bytes, 0))
    walk(check, read, max(begin - early_bytes, 0), begin)
    scanner = check._scanner
    # What was found before the border is for others to tell.
    scanner._log, scanner._media_before_tables = ProblemLog(), False
    for one in check.facts.values():
        one._has_asked = False
    before = pickle.dumps(check)
    walk(check, read, begin, end)
    return Piece(begin, end, before, pickle.dumps(check))


def walk(check: Check, read: Read, begin: int, end: int) -> None:
    """Let ``check`` go on from ``begin`` to ``end``."""
    for at in range(begin, end, _CHUNK_BYTES):
        check.feed(read(at, min(at + _CHUNK_BYTES, end)))
    for clock in check._scanner._clocks.values():
        clock.forget()


def joined(pieces: Iterable[Piece], read: Read, on_misfit: Callable[[Piece], object] | None = None) -> Check:
    """The check of a whole file, not yet closed, from all its pieces in their order.

    ``on_misfit`` is told each piece that is walked again.
    """
    check = Check()
    for piece in pieces:
        after: Check = pickle.loads(piece.after)  # noqa: S301 - of our own processes
        if piece.begin:
            try:
                _Joining(after._scanner._log).follow(check, pickle.loads(piece.before), after)  # noqa: S301 - likewise
            except MisfitError:
                if on_misfit is not None:
                    on_misfit(piece)
                walk(check, read, piece.begin, piece.end)
                continue
        check = after
    return check


def _names(one: object) -> Iterator[str]:
    """The attributes of an object of ours."""
    yield from getattr(one, "__dict__", ())
    for kind in type(one).__mro__:
        yield from getattr(kind, "__slots__", ())


def _are_alike(one: Any, other: Any) -> bool:  # noqa: ANN401 - whatever a check is made of
    """Whether two parts of checks know the same, however it came in; on which clock a stream is does not count."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(_are_alike(one[key], other[key]) for key in one)
    if isinstance(one, SectionAssembler) and one.idle and other.idle:
        return True
    if isinstance(one, OpenPes):
        names = [name for name in _names(one) if name != "parts"]
        return b"".join(one.parts) == b"".join(other.parts) and _agree(one, other, names)
    if type(one).__module__.startswith("recordkit") and "__eq__" not in vars(type(one)):
        return _agree(one, other, [name for name in _names(one) if name != "clock"])
    return bool(one == other)


def _agree(one: object, other: object, names: Iterable[str]) -> bool:
    return all(_are_alike(getattr(one, name), getattr(other, name)) for name in names)


Rule = Callable[[Any, Any, Any], Any]
"""What was known up to the border, what the piece thought there, what it found at its end: what is true then."""


def _same(known: Any, thought: Any, found: Any) -> Any:  # noqa: ANN401 - see Rule
    if not _are_alike(known, thought):
        raise MisfitError
    return found


def _add(known: int, thought: int, found: int) -> int:
    return known + found - thought


def _first(known: Any, thought: Any, found: Any) -> Any:  # noqa: ANN401 - see Rule
    return found if known is None else known


def _newest(known: Any, thought: Any, found: Any) -> Any:  # noqa: ANN401 - see Rule
    """Of what no verdict is made."""
    return found


def _once(known: int, thought: int, found: int) -> int:
    """A count of what is told when it first comes."""
    if bool(known) != bool(thought) and (found or not known):
        raise MisfitError
    return known + found - thought


def _told(known: bool, thought: bool, found: bool) -> bool:
    """The same of what is only told, not counted."""
    return bool(_once(int(known), int(thought), int(found)))


def _steps(known: Mapping[int, int], thought: Mapping[int, int], found: Mapping[int, int]) -> dict[int, int]:
    steps = {one: known.get(one, 0) + found.get(one, 0) - thought.get(one, 0) for one in {**known, **found}}
    if len(steps) >= STEPS_KEPT:
        raise MisfitError
    return steps


def _newest_pcr(
    known: tuple[int, int, int] | None, thought: tuple[int, int, int] | None, found: tuple[int, int, int] | None
) -> tuple[int, int, int] | None:
    """The PCR, the time passed, of which no verdict is made, and the epoch."""
    if known is None and thought is None:
        return found
    if known is None or thought is None or found is None or known[0] != thought[0]:
        raise MisfitError
    return found[0], found[1], known[2] + found[2] - thought[2]


def _problems(known: ProblemLog, thought: ProblemLog, found: ProblemLog) -> ProblemLog:
    """What the piece has found comes behind what was known; of each kind the first few are kept."""
    log = ProblemLog()
    log.counts = {
        one: known.counts.get(one, 0) + found.counts.get(one, 0) for one in {**known.counts, **found.counts}
    }
    room = dict.fromkeys(log.counts, PROBLEMS_KEPT)
    for problem in (*known.kept, *found.kept):
        room[problem.kind] -= 1
        if room[problem.kind] >= 0:
            log._kept.append(problem)
    return log


_PIDS: Mapping[str, Rule] = {"packets": _add, "payload_bytes": _add, "scrambled": _once, "table_time": _newest}
_CLOCKS: Mapping[str, Rule] = {
    "first": _first,
    "largest_interval": _newest,
    "_elapsed": _newest,
    "_epoch": _add,
    "_rows": _newest,
    "_columns": _newest,
    "_before": _newest_pcr,
}
_STREAMS: Mapping[str, Rule] = {
    **dict.fromkeys(("pes_packets", "random_access", "_epoch"), _add),
    **dict.fromkeys(("first_pts", "first_dts"), _first),
    "_scrambled": _told,
}
_SCANNER: Mapping[str, Rule] = {
    **dict.fromkeys(("_packets", "_null_packets"), _add),
    **dict.fromkeys(("_pat_interval", "_pmt_interval", "_side_tables"), _newest),
    "_log": _problems,
    "_media_before_tables": _told,
    "_changes": _add,
}
_FACTS: Mapping[str, Rule] = {
    **dict.fromkeys(("access_units", "frames", "keyframes", "bytes", "gaps", "gap_duration"), _add),
    **dict.fromkeys(("lost_bytes", "lost_places", "time_bases", "_earlier"), _add),
    **dict.fromkeys(("lost_at", "first_offset"), _first),
    "_steps": _steps,
    "_has_asked": _newest,
}


class _Joining:
    """Makes what a piece knows at its end, ``found``, into what the walk from the beginning would know there."""

    def __init__(self, log: ProblemLog) -> None:
        self._told_kinds = log.counts.keys()
        self._clocks: set[int] = set()

    def follow(self, known: Check, thought: Check, found: Check) -> None:
        """Change ``found``, of whose clocks some have two owners. Raises MisfitError if it is of no use."""
        here, there, after = known._scanner, thought._scanner, found._scanner
        if after._changes != there._changes:
            raise MisfitError  # other streams, other clocks
        self._each(known, thought, found, "facts", self._facts)
        _same(here._side_tables._assemblers, there._side_tables._assemblers, None)
        if list(here._clocks) != list(there._clocks):
            raise MisfitError
        self._each(here, there, after, "_streams", self._stream)
        for number, clock in after._clocks.items():
            self._clock(here._clocks[number], there._clocks[number], clock)
        self._each(here, there, after, "_pids", self._pid)
        done = {"_streams", "_clocks", "_pids"}
        self._fields(here, there, after, rules=_SCANNER, done=done)

    def _fields(
        self, known: object, thought: object, found: object, rules: Mapping[str, Rule], done: Iterable[str] = ()
    ) -> None:
        for name in list(_names(found)):
            if name not in done:
                three = (getattr(one, name) for one in (known, thought, found))
                setattr(found, name, rules.get(name, _same)(*three))

    def _each(
        self, known: object, thought: object, found: object, name: str, join: Callable[[Any, Any, Any], None]
    ) -> None:
        """Each of what one has by PID, in the order in which it was found."""
        before, there, after = (getattr(one, name) for one in (known, thought, found))
        if there.keys() - before.keys() or (before.keys() - there.keys()) & after.keys():
            raise MisfitError
        for pid in there:
            if _are_alike(there[pid], after[pid]):
                # Nothing of it came: what was known holds.
                for one in _names(after[pid]):
                    if one != "clock":
                        setattr(after[pid], one, getattr(before[pid], one))
            else:
                join(before[pid], there[pid], after[pid])
        setattr(found, name, {pid: after.get(pid, before.get(pid)) for pid in {**before, **after}})

    def _pid(self, known: object, thought: object, found: object) -> None:
        self._fields(known, thought, found, _PIDS)

    def _clock(self, known: ProgramClock, thought: ProgramClock, found: ProgramClock) -> None:
        if id(found) not in self._clocks:
            self._clocks.add(id(found))
            self._fields(known, thought, found, _CLOCKS)

    def _stream(self, known: ColumnPesStream, thought: ColumnPesStream, found: ColumnPesStream) -> None:
        clocks = known.clock, thought.clock
        if (
            clocks[0] is None
            or clocks[1] is None
            or known._epoch - clocks[0]._epoch != thought._epoch - clocks[1]._epoch
        ):
            raise MisfitError
        may_jump = known._may_jump, thought._may_jump
        if may_jump == (True, False) and not _MAY_FOLLOW & self._told_kinds:
            found._may_jump = True  # nobody has asked
        elif may_jump[0] != may_jump[1]:
            raise MisfitError
        self._fields(known, thought, found, _STREAMS, done=("clock", "_may_jump"))

    def _facts(self, known: StreamFacts, thought: StreamFacts, found: StreamFacts) -> None:
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
        self._fields(known, thought, found, _FACTS, done=("sizes", "_base", "first_pts"))


def _is_usual(known: Mapping[int, int], thought: Mapping[int, int], found: Mapping[int, int]) -> bool:
    """Whether one step was the median at each moment of the piece, with and without all that was before it."""
    usual = max(thought, key=lambda one: thought[one], default=0)
    others = sum(count - thought.get(one, 0) for one, count in found.items() if one != usual)
    return all(2 * steps.get(usual, 0) - sum(steps.values()) > others for steps in (known, thought))
