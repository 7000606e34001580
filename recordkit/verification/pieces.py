"""A transport stream checked in pieces, with the verdict of a check in one piece to the byte; see ``joining``."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping

from ..mpegts.pcr import ProgramClock
from ..mpegts.pes_columns import ColumnPesStream
from ..mpegts.report import PROBLEMS_KEPT, ProblemKind, ProblemLog
from .check import CHUNK_BYTES, Check
from .joining import (
    MisfitError,
    Piece,
    Read,
    Rule,
    add,
    first,
    join_each,
    join_facts,
    join_fields,
    join_problems,
    newest,
    once,
    same,
    told,
)

_MAY_FOLLOW = frozenset({ProblemKind.TIMESTAMP_JUMP, ProblemKind.DTS_NOT_INCREASING})
"""What is said of a stream unless its clock has jumped before."""


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
    for at in range(begin, end, CHUNK_BYTES):
        check.feed(read(at, min(at + CHUNK_BYTES, end)))
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
    log.counts, log._kept = join_problems((known.counts, known.kept), (found.counts, found.kept), PROBLEMS_KEPT)
    return log


_PIDS: Mapping[str, Rule] = {"packets": add, "payload_bytes": add, "scrambled": once, "table_time": newest}
_CLOCKS: Mapping[str, Rule] = {
    "first": first,
    "largest_interval": newest,
    "_elapsed": newest,
    "_epoch": add,
    "_rows": newest,
    "_columns": newest,
    "_before": _newest_pcr,
}
_STREAMS: Mapping[str, Rule] = {
    **dict.fromkeys(("pes_packets", "random_access", "_epoch"), add),
    **dict.fromkeys(("first_pts", "first_dts"), first),
    "_scrambled": told,
}
_SCANNER: Mapping[str, Rule] = {
    **dict.fromkeys(("_packets", "_null_packets"), add),
    **dict.fromkeys(("_pat_interval", "_pmt_interval", "_side_tables"), newest),
    "_log": _problems,
    "_media_before_tables": told,
    "_changes": add,
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
        join_each(known, thought, found, "facts", join_facts)
        same(here._side_tables._assemblers, there._side_tables._assemblers, None)
        if list(here._clocks) != list(there._clocks):
            raise MisfitError
        join_each(here, there, after, "_streams", self._stream)
        for number, clock in after._clocks.items():
            self._clock(here._clocks[number], there._clocks[number], clock)
        join_each(here, there, after, "_pids", self._pid)
        done = {"_streams", "_clocks", "_pids"}
        join_fields(here, there, after, rules=_SCANNER, done=done)

    def _pid(self, known: object, thought: object, found: object) -> None:
        join_fields(known, thought, found, _PIDS)

    def _clock(self, known: ProgramClock, thought: ProgramClock, found: ProgramClock) -> None:
        if id(found) not in self._clocks:
            self._clocks.add(id(found))
            join_fields(known, thought, found, _CLOCKS)

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
        join_fields(known, thought, found, _STREAMS, done=("clock", "_may_jump"))
