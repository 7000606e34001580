"""Room on a full disk, out of the tail's own: what of it is needed no more is given back, step by step.

At each moment a kill leaves every byte in the partial, durably, or in the tail, whose header says which.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ..errors import WriteError
from ..system import FULL, System
from ..writer.header import HEADER_BYTES, give_back, lower, moved_word, read_header
from ..writer.identity import is_still
from ..writer.writing import write_all
from .files import open_regular, told
from .view import read_at


class Room:
    """The tail at ``path``, open as ``tail``, whose bytes are moved to the partial open as ``partial``."""

    def __init__(self, path: Path, tail: int, partial: int, system: System) -> None:
        self.path = path
        self._tail, self._partial, self._system = tail, partial, system
        self._given = self._size = self._lowered_bytes = 0

    def place_of(self, start: int) -> int:
        """Where what lay at ``start`` of the tail lies now: its second slot may have been moved down."""
        return start - self._lowered_bytes if start - self._lowered_bytes >= HEADER_BYTES else start

    def make(self, upto: int) -> bool:
        """Give back what is unused, and what belongs before ``upto``: all that has a place elsewhere.

        False where there is nothing more to be had. Raises WriteError.
        """
        try:
            descriptor = open_regular(self.path, os.O_RDWR, self._system)
        except FileNotFoundError:
            return False
        try:
            with told(self.path, upto, "looking at it"):
                is_ours = is_still(self._system, self.path, self._tail)
            return is_ours and self._make(descriptor, upto)
        finally:
            self._system.close(descriptor)

    def _make(self, descriptor: int, upto: int) -> bool:
        header = read_header(read_at(descriptor, 0, HEADER_BYTES))
        if header is None:
            return False
        passed = [slot for slot in header.slots if slot.bytes and slot.offset < upto]
        if passed:
            with told(self.path, upto, "syncing"):
                self._system.sync(self._partial)
            for slot in passed:
                word, at = moved_word(slot, upto)
                write_all(self._system, descriptor, self.path, word, at)
        with told(self.path, 0, "giving space back"):
            self._size = self._size or os.fstat(descriptor).st_size
            given = give_back(descriptor, self._size, self._system)
            if given == self._given and (shift := lower(descriptor, self._system)):
                self._lowered_bytes = shift
                given = give_back(descriptor, self._size, self._system)
        more, self._given = given > self._given, given
        return more


def is_full(error: WriteError) -> bool:
    """Whether there was no room."""
    return error.errno in FULL


def with_room(action: Callable[[], None], room: Room | None) -> None:
    """Do ``action``, which may be repeated; where the disk is full, again once there is room. Raises WriteError."""
    try:
        action()
    except WriteError as error:
        if room is None or not is_full(error) or not room.make(0):
            raise
        action()
