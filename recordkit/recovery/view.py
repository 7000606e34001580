"""A recording as it will be once its tail is put back, before a byte of it is written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

CHUNK_BYTES = 7 * 153_408
"""Some 1 MB of whole packets of each of the sizes 188, 192 and 204, so that a scan has none to piece together."""
_WORTH_A_LOOK_BYTES = 64 * 1024


def read_at(descriptor: int, offset: int, size: int) -> bytes:
    """``size`` bytes from ``offset`` on; fewer where the file ends before."""
    if size >= _WORTH_A_LOOK_BYTES and _is_hole(descriptor, offset, size):
        return bytes(max(0, min(size, os.fstat(descriptor).st_size - offset)))
    parts = []
    while size > 0:
        data = os.pread(descriptor, size, offset)
        if not data:
            break
        parts.append(data)
        offset += len(data)
        size -= len(data)
    return b"".join(parts)


def _is_hole(descriptor: int, offset: int, size: int) -> bool:
    # A tail is preallocated, and mostly never touched: reading that would fill the page cache with zeros.
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA) >= offset + size
    except OSError as error:
        return error.errno == errno.ENXIO  # none from there on; else the system does not know of holes


def _end_of_data(descriptor: int, offset: int, end: int) -> int:
    """Where the data ends that the next hole from ``offset`` on follows; no further than ``end``."""
    try:
        return min(end, os.lseek(descriptor, os.lseek(descriptor, offset, os.SEEK_DATA), os.SEEK_HOLE))
    except OSError:
        return end


def is_zero(data: bytes) -> bool:
    """Whether there is nothing but zeros; compared in one go, which is much faster than to strip them."""
    return data == bytes(len(data))


@dataclass(frozen=True, slots=True)
class Overlay:
    """``bytes`` from ``start`` of the file ``descriptor`` on, which belong at ``offset``."""

    descriptor: int
    start: int
    offset: int
    bytes: int

    @property
    def end(self) -> int:
        """Where they end."""
        return self.offset + self.bytes


class View:
    """The file of ``size`` bytes with ``overlays`` laid over it, later ones over earlier; there are no holes."""

    def __init__(self, descriptor: int, size: int, overlays: Sequence[Overlay] = ()) -> None:
        self._layers = (Overlay(descriptor, 0, 0, size), *overlays)
        self.size = max(layer.end for layer in self._layers)

    def read(self, begin: int, end: int) -> bytes:
        """The bytes from ``begin`` to ``end``, or to the end of all."""
        end = min(end, self.size)
        top = self._layers[-1]
        if top.offset <= begin and end <= top.end:  # no other shows: spares the copies
            piece = read_at(top.descriptor, top.start + begin - top.offset, end - begin)
            if len(piece) == end - begin:
                return piece
        data = bytearray(max(end - begin, 0))
        for layer in self._layers:
            first, last = max(begin, layer.offset), min(end, layer.end)
            if first < last:
                piece = read_at(layer.descriptor, layer.start + first - layer.offset, last - first)
                data[first - begin : first - begin + len(piece)] = piece
        return bytes(data)

    def hole_before(self, end: int) -> int:
        """Where the hole begins that reaches up to ``end``; ``end`` if there is none, or it cannot be told."""
        if any(one.offset < end for one in self._layers[1:]):
            return end
        layer, width = self._layers[0], CHUNK_BYTES
        stop = layer.start + end - layer.offset
        while (at := max(layer.start, stop - width)) > layer.start and _is_hole(layer.descriptor, at, stop - at):
            width *= 2
        last = at
        while not _is_hole(layer.descriptor, at, stop - at):
            at = last = _end_of_data(layer.descriptor, at, stop)
            if at >= stop:
                break
        return last - layer.start + layer.offset

    def is_blank(self, begin: int = 0) -> bool:
        """Whether there is nothing but zeros from ``begin`` on; a hole takes no time."""
        end = self.size
        while end > begin:
            end = self.hole_before(end)
            place = max(begin, end - CHUNK_BYTES)
            if not is_zero(self.read(place, end)):
                return False
            end = place
        return True

    def chunks(self, begin: int, end: int, size: int = CHUNK_BYTES) -> Iterator[tuple[int, bytes]]:
        """The bytes from ``begin`` to ``end`` in pieces of ``size``, each with its offset."""
        end = min(end, self.size)
        for at in range(begin, end, size):
            yield at, self.read(at, min(at + size, end))


def difference(one: View, other: View, begin: int, end: int) -> tuple[int, int] | None:
    """From where to where two views differ between ``begin`` and ``end``; what one has not got differs."""
    first = last = -1
    for at in range(begin, end, CHUNK_BYTES):
        stop = min(at + CHUNK_BYTES, end)
        left, right = one.read(at, stop), other.read(at, stop)
        if left == right and len(left) == stop - at:
            continue
        both = min(len(left), len(right))
        here = np.frombuffer(left, np.uint8, both) != np.frombuffer(right, np.uint8, both)
        unlike = np.flatnonzero(here)[[0, -1]].tolist() if here.any() else []
        if both < stop - at:
            unlike += [both, stop - at - 1]
        first = at + unlike[0] if first < 0 else first
        last = at + unlike[-1] + 1
    return None if first < 0 else (first, last)
