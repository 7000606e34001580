"""An MP4 that grew by fragments checked in pieces, with the verdict of a check in one to the byte; see ``joining``.

Each piece reads the ``moov`` at the beginning, which names the tracks, and finds the first ``moof`` behind its own.
What a finished recording lists at its end is held against all fragments, so that is read by whoever joins them. A
plain MP4, all of whose samples one ``moov`` lists, has no pieces: nothing in it says where a sample begins but that
table, and it is checked four times as fast as fragments are.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping
from zlib import crc32

from ..mp4.ledger import PLACE_BYTES
from ..mp4.ledger import Counts as TrackCounts
from ..mp4.report import PROBLEMS_KEPT, MovieEvent
from ..mp4.scanner import Scanner
from .chunk_check import ChunkCheck
from .joining import MisfitError, Piece, Read, Rule, add, join_each, join_facts, join_fields, join_problems, same

_CHUNK_BYTES = 8 << 20
_HEAD_BYTES = 1 << 20
_STEP_BYTES = 1 << 14


def check_chunks(read: Read, begin: int, end: int, early_bytes: int) -> Piece | None:
    """Check the bytes from ``begin`` to ``end``, begun ``early_bytes`` before; None if the file has no fragments.

    Raises what ``read`` raises.
    """
    check = _begun(read, end)
    if check is None:
        return None
    scanner = check._scanner
    if begin - early_bytes > scanner.at:
        scanner.jump(begin - early_bytes)
    _walk(check, read, begin)
    if begin:
        # What was found before the border is for others to tell.
        scanner._ledger.problem_counts, scanner._ledger.problems = {}, []
        for one in check.facts.values():
            one._has_asked = False
    before = pickle.dumps(check)
    has_movie = _walk(check, read, min(end, scanner.media_end or end))
    return Piece(begin, end, before, b"" if has_movie else pickle.dumps(check))


def _begun(read: Read, end: int) -> ChunkCheck | None:
    """A check that has read up to the end of the ``moov`` before all fragments."""
    scanner, movie = Scanner(), None
    for at in range(0, min(end, _HEAD_BYTES), _STEP_BYTES):
        events = scanner.feed(read(at, min(at + _STEP_BYTES, end)))
        movie = next((one for one in events if isinstance(one, MovieEvent)), None)
        if movie is not None:
            break
    if movie is None or movie.samples or not movie.fragmented:
        return None
    check = ChunkCheck()
    check.feed(read(0, movie.end))
    return check


def _walk(check: ChunkCheck, read: Read, end: int) -> bool:
    """Let ``check`` go on to ``end``; whether a ``moov`` came."""
    has_movie = False
    for at in range(check._scanner.at, end, _CHUNK_BYTES):
        events = check._scanner.feed(read(at, min(at + _CHUNK_BYTES, end)))
        has_movie = has_movie or any(isinstance(one, MovieEvent) for one in events)
        check.take(events)
    return has_movie


def joined_chunks(
    pieces: Iterable[Piece], read: Read, on_misfit: Callable[[Piece], object] | None = None
) -> ChunkCheck:
    """The check of a whole file, not yet closed, from all its pieces in their order.

    ``on_misfit`` is told each piece that is walked again.
    """
    check = ChunkCheck()
    for piece in pieces:
        try:
            if not piece.after:
                raise MisfitError  # what has the tables of all in it knows too little of all
            after: ChunkCheck = pickle.loads(piece.after)  # noqa: S301 - of our own processes
            if piece.begin:
                _follow(check, pickle.loads(piece.before), after)  # noqa: S301 - likewise
            check = after
        except MisfitError:
            if on_misfit is not None:
                on_misfit(piece)
        _walk(check, read, piece.end)
    return check


_COUNTS: Mapping[str, Rule] = dict.fromkeys(("samples", "keyframes", "bytes"), add)
_SCANNER: Mapping[str, Rule] = dict.fromkeys(("_boxes", "_chunks"), add)


def _follow(known: ChunkCheck, thought: ChunkCheck, found: ChunkCheck) -> None:
    """Change ``found`` to what is true at its end. Raises MisfitError if it is of no use."""
    here, there, after = (one._scanner for one in (known, thought, found))
    same(known._tracks, thought._tracks, None)
    join_fields(here, there, after, _SCANNER, done=("_ledger",))
    join_each(known, thought, found, "facts", join_facts)
    ledgers = here._ledger, there._ledger, after._ledger
    join_each(*ledgers, "_counts", _join_counts)
    join_fields(*ledgers, {}, done=("_counts", "problem_counts", "problems"))
    before, found_there = ((one.problem_counts, one.problems) for one in (ledgers[0], ledgers[2]))
    ledgers[2].problem_counts, ledgers[2].problems = join_problems(before, found_there, PROBLEMS_KEPT)


def _join_counts(known: TrackCounts, thought: TrackCounts, found: TrackCounts) -> None:
    if bool(known.samples) != bool(thought.samples):
        raise MisfitError
    if known.samples:
        found.first_dts = known.first_dts
    # A CRC is linear: what came before the border is taken out of it, and put in, as it is behind so many bytes.
    came = bytes(PLACE_BYTES * (found.samples - thought.samples))
    found.places ^= crc32(came, thought.places) ^ crc32(came, known.places)
    join_fields(known, thought, found, _COUNTS, done=("first_dts", "places"))
