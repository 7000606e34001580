"""The verdict about one of many files, of a big one from parts that were checked beside each other."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SourceError
from ..system import hold_shared
from ..verification.room import Room
from .rows import Row
from .task import Task

if TYPE_CHECKING:
    from ..verification.check import Problem
    from ..verification.joining import Piece, Read
    from ..verification.verify import Verification

_WORST = ("no media", "not a transport stream", "cut", "lost sync", "continuity")
"""Kinds of problems that begin so are told first, in this order; then what the check has found first."""


def verify_one(task: Task, room: Room) -> Row:
    """The row of a file that is checked."""
    from ..verification.verify import verify_in, verify_stored

    if task.is_elsewhere:
        from ..reading.remote import remote

        if task.options.get("decode"):
            raise SourceError(task.path, "is a URL: only files here are decoded")
        store = remote(task.path)
        if store is None:
            raise SourceError(task.path, "cannot be had by ranges: copy it to a file here")
        return _verified(verify_stored(task.path, store.size, store.read))
    return _verified(verify_in(room, Path(task.path), decode=bool(task.options.get("decode"))))


def check_part(task: Task, _: Room) -> Row:
    """The row of a part: what its check knew at both ends; nothing of what cannot be checked in parts."""
    from ..verification.check import Check
    from ..verification.chunk_check import ChunkCheck
    from ..verification.chunk_pieces import check_chunks
    from ..verification.pieces import check_piece
    from ..verification.verify import check_for

    row: Row = {"path": task.path, "ok": True, "piece": None}
    ways: dict[type, Callable[[Read, int, int, int], Piece | None]] = {Check: check_piece, ChunkCheck: check_chunks}
    way = ways.get(type(check_for(Path(task.path))))
    begin, end, early = (int(task.options[name]) for name in ("begin", "end", "early"))
    if way is not None:
        with _reading(task.path) as read:
            piece = way(read, begin, end, early)
        if piece is not None:
            row["piece"] = {
                name: b64encode(value).decode() if isinstance(value, bytes) else value
                for name, value in asdict(piece).items()
            }
    return row


def join_parts(task: Task, room: Room) -> Row:
    """The row of a file by its parts, the same as if it had been checked in one."""
    from ..verification.check import Check
    from ..verification.chunk_pieces import joined_chunks
    from ..verification.joining import Piece
    from ..verification.pieces import joined
    from ..verification.verify import check_for, verdict, verify_in

    pieces = [
        Piece(one["begin"], one["end"], b64decode(one["before"]), b64decode(one["after"]))
        for one in task.options["pieces"]
        if one is not None
    ]
    path = Path(task.path)
    size = os.stat(task.path).st_size  # noqa: PTH116 - path is kept as it was given
    if len(pieces) < len(task.options["pieces"]) or pieces[-1].end != size:
        return _verified(verify_in(room, path))  # nothing that has parts, or one that has grown
    with _reading(task.path) as read:
        if type(check_for(path)) is Check:
            check = joined(pieces, read)
            check.close()
            return _verified(verdict(path, check))
        chunks = joined_chunks(pieces, read)
        chunks.close(lambda at, count: read(at, min(at + count, size)))
        return _verified(verdict(path, chunks))


@contextmanager
def _reading(path: str) -> Iterator[Read]:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - path is kept as it was given
        hold_shared(file.fileno())

        def read(begin: int, end: int) -> bytes:
            data = os.pread(file.fileno(), end - begin, begin)
            if len(data) != end - begin:
                raise SourceError(path, f"has become shorter than {end:,} bytes while it was read")
            return data

        yield read


def _verified(found: Verification) -> Row:
    video = next((one for one in found.streams if one.is_video), None)
    size = None if video is None or not video.sizes else video.sizes[0]
    problem = worst(found.problems)
    return {
        "path": found.path,
        "ok": found.ok,
        "problem": None if problem is None else problem.kind,
        "detail": None if problem is None else problem.detail,
        "problems": len(found.problems),
        "streams": len(found.streams),
        "codecs": " ".join(one.codec for one in found.streams),
        "duration_s": found.duration_s,
        "bytes": found.bytes,
        "bit_rate": found.bit_rate,
        "gaps": sum(one.gaps for one in found.streams),
        "gaps_s": sum(one.gaps_s for one in found.streams),
        "frames": sum(one.frames for one in found.streams),
        "keyframes": sum(one.keyframes for one in found.streams),
        "width": None if size is None else size.width,
        "height": None if size is None else size.height,
        "frame_rate": None if video is None else video.frame_rate,
        "decoded": found.decoded,
    }


def worst(problems: tuple[Problem, ...]) -> Problem | None:
    """The one that says most about what is wrong."""

    def rank(problem: Problem) -> int:
        return next((at for at, words in enumerate(_WORST) if problem.kind.startswith(words)), len(_WORST))

    return min(problems, key=rank, default=None)
