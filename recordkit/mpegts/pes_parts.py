"""The pieces that PES packets are put together from: one that is still open, and a run of transport packets."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from .batch import FULL_PAYLOAD, Batch, Index


class OpenPes:
    """The PES packet that is being put together."""

    __slots__ = (
        "broken",
        "discontinuity",
        "dts",
        "head",
        "limit",
        "offset",
        "parts",
        "pts",
        "random_access",
        "size",
    )

    def __init__(self, offset: int, random_access: bool, discontinuity: bool) -> None:
        self.offset = offset
        self.random_access = random_access
        self.discontinuity = discontinuity
        self.head: bytes | None = b""  # None once the header was read
        self.pts: int | None = None
        self.dts: int | None = None
        self.limit: int | None = None
        self.size = 0
        self.parts: list[bytes] = []
        self.broken = False


class Run:
    """Packets of one PID in a batch, as plain numbers: an operation of numpy for each PES packet costs more.

    ``sums`` says how many bytes of payload stand before each packet and behind the last one,
    ``odd`` are the places of the packets that are not full.
    """

    __slots__ = ("odd", "rows", "sums")

    def __init__(self, batch: Batch, index: Index) -> None:
        sizes = batch.size[index]
        self.rows: list[int] = index.tolist()
        self.sums: list[int] = [0, *np.cumsum(sizes, dtype=np.int64).tolist()]
        self.odd: list[int] = np.flatnonzero(sizes != FULL_PAYLOAD).tolist()

    def payloads(self, batch: Batch, begin: int, end: int) -> list[bytes]:
        """The payloads of packets, in as few copies as can be: most packets are full."""
        parts, rows, at = [], self.rows, begin
        for place in range(bisect_left(self.odd, begin), bisect_left(self.odd, end) + 1):
            odd = self.odd[place] if place < len(self.odd) and self.odd[place] < end else end
            if odd > at:
                first, last = rows[at], rows[odd - 1]
                if last - first == odd - 1 - at:
                    parts.append(batch.rows[first : last + 1, 4:].tobytes())
                else:
                    parts.append(batch.rows[rows[at:odd], 4:].tobytes())
            if odd < end:
                parts.append(batch.payload(rows[odd]))
            at = odd + 1
        return parts
