"""What a recovery changes before the commit: cuts are set aside, the tail is put back, the end is cut."""

from __future__ import annotations

import os

from ..errors import WriteError
from ..system import System
from ..writer.output import Output
from ..writer.writing import write_all
from .files import Rejected, told
from .names import rejected_path
from .plan import Plan
from .room import Room, is_full, with_room
from .view import CHUNK_BYTES, read_at


def carry_out(plan: Plan, output: Output, descriptor: int, tail: int | None, system: System) -> None:
    """Sets the cuts aside, durably; then puts the tail back and cuts. Raises WriteError."""
    room = None
    if tail is not None and plan.owns_tail and not plan.keeps_whole_tail:
        room = Room(output.tail_path, tail, descriptor, system)
    with_room(lambda: set_aside(plan, output, os.fstat(descriptor).st_ino, system), room)
    for one in plan.overlays:
        # Whole, even where the file seems to have them: a sync that failed may have lost them.
        at = 0
        while at < one.bytes:
            start = one.start if room is None else room.place_of(one.start)
            data = read_at(one.descriptor, start + at, min(CHUNK_BYTES, one.bytes - at))
            try:
                write_all(system, descriptor, output.partial_path, data, one.offset + at)
            except WriteError as error:
                if room is None or not is_full(error) or not room.make(error.offset):
                    raise
                at = error.offset - one.offset
            else:
                at += len(data)
    if plan.size > plan.end:
        with told(output.partial_path, plan.end, "cutting"):
            os.ftruncate(descriptor, plan.end)


def set_aside(plan: Plan, output: Output, inode: int, system: System) -> None:
    """Adds what is cut to the rejected file, durably; ``inode`` is the partial's. Raises WriteError."""
    if not plan.cuts:
        return
    rejected = None
    try:
        rejected = Rejected(rejected_path(output), system)
        for cut, source in zip(plan.cuts, plan.sources, strict=True):
            title = f"{cut.source} of {output.partial_path.name} at {cut.offset} (inode {inode})"
            rejected.add(title, source, cut.offset, cut.offset + cut.bytes)
        rejected.finish()
    except WriteError as error:
        if is_full(error):
            needed = sum(cut.bytes for cut in plan.cuts)
            error.advise(f"up to {needed:,} bytes are to be set aside there: make room, then recover again")
        raise
    finally:
        if rejected is not None:
            rejected.close()
