"""The payload of many transport packets as one run of bytes that stays where it lies."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_WORD_BYTES = 8
_BLOCK_PAIRS = 1 << 16  # what a core keeps close at hand while it is looked at three times
_MOST_SOUGHT = 64


class RawBytes:
    """Bytes of a file, looked through for start codes at most once."""

    def __init__(self, data: npt.NDArray[np.uint8]) -> None:
        self.data = data

    @cached_property
    def words(self) -> npt.NDArray[np.uint64]:
        """The eight bytes from each place on; a view, as the file has them (first byte highest)."""
        return np.ndarray((len(self.data) - _WORD_BYTES + 1,), ">u8", self.data, 0, (1,))

    @cached_property
    def start_codes(self) -> Positions:
        """Where 00 00 01 stands, ascending."""
        # In pairs of bytes a start code shows as 00 00 (then 01 follows) or as 00 01 (behind a 00):
        # two operations on half as many numbers find both.
        data = self.data
        pairs = np.ndarray((len(data) // 2,), "<u2", data)
        masked, flags, found = np.empty(_BLOCK_PAIRS, np.uint16), bytearray(_BLOCK_PAIRS), []
        here = np.frombuffer(flags, np.bool_)
        for begin in range(0, len(pairs), _BLOCK_PAIRS):
            block = pairs[begin : begin + _BLOCK_PAIRS]
            size = len(block)
            np.equal(np.bitwise_or(block, 0x0100, out=masked[:size]), 0x0100, out=here[:size])
            # A search passes over what there is none in three times as fast as numpy does; mostly there are few.
            places: list[int] = []
            at = flags.find(1, 0, size)
            while at >= 0 and len(places) < _MOST_SOUGHT:
                places.append(at)
                at = flags.find(1, at + 1, size)
            found.append((here[:size].nonzero()[0] if at >= 0 else np.array(places, np.int64)) + begin)
        pair = np.concatenate([np.empty(0, np.int64), *found])
        at = 2 * pair - (pairs[pair] != 0)
        at = at[(at >= 0) & (at + 2 < len(data))]
        codes: Positions = at[(data[at] == 0) & (data[at + 1] == 0) & (data[at + 2] == 1)]
        return codes


class Payload:
    """The payloads of packets that belong together, one behind the other, addressed by position.

    ``raw`` are the bytes that the packets lie in, ``first`` where each one's payload begins there
    and ``sizes`` how long it is (bytes, none of them 0). Valid as long as ``raw`` is.
    """

    __slots__ = ("_codes", "_first", "_raw", "_shift", "sums")

    def __init__(self, raw: RawBytes, first: Positions, sizes: Positions) -> None:
        self._raw = raw
        self._first = first
        self.sums = np.zeros(len(sizes) + 1, np.int64)
        """How many bytes stand before each packet, and in all."""
        np.cumsum(sizes, out=self.sums[1:])
        self._shift = first - self.sums[:-1]
        self._codes: Positions | None = None

    def words(self, positions: Positions, place: Positions | None = None) -> Words:
        """The eight bytes from each position on as one number, the first byte highest; 0 behind the end.

        ``place``, where it is known, spares the search: a packet each that begins no later.
        """
        if place is None:
            place = np.searchsorted(self.sums, positions, "right") - 1
            place = np.minimum(place, len(self._shift) - 1)
        at = positions + self._shift[place]
        found = self._raw.words[np.minimum(at, len(self._raw.words) - 1)].astype(np.uint64)
        cut = np.flatnonzero(self.sums[place + 1] - positions < _WORD_BYTES)
        if len(cut):
            found[cut] = self._joined(positions[cut])
        return found

    def _joined(self, positions: Positions) -> Words:
        """The same where the eight bytes lie in more than one packet, or reach beyond the last one."""
        each = positions[:, np.newaxis] + np.arange(_WORD_BYTES)
        place = np.searchsorted(self.sums, each, "right") - 1
        within = place < len(self._shift)
        place[~within] = 0
        data = np.where(within, self._raw.data[np.where(within, each + self._shift[place], 0)], 0)
        return np.ascontiguousarray(data, np.uint8).view(">u8")[:, 0].astype(np.uint64)

    def bytes(self, begin: int, end: int) -> bytes:
        """A copy of the bytes from ``begin`` to ``end``."""
        first, last = np.searchsorted(self.sums, (begin, end - 1), "right").tolist()
        parts = []
        for place in range(first - 1, min(last, len(self._shift)) if begin < end else 0):
            start = max(begin, int(self.sums[place]))
            stop = min(end, int(self.sums[place + 1]))
            shift = int(self._shift[place])
            parts.append(self._raw.data[start + shift : stop + shift].tobytes())
        return b"".join(parts)

    def joined(self, memory: npt.NDArray[np.uint8]) -> memoryview:
        """A copy of all bytes, in ``memory`` if they fit."""
        data, sizes, total = self._raw.data, np.diff(self.sums), int(self.sums[-1])
        made = memory[:total] if total <= len(memory) else np.empty(total, np.uint8)
        usual = int(sizes.max(initial=1))
        full = sizes == usual
        if usual <= min(len(made), len(data)):
            # Payloads of one size, which nearly all have, are copied at once.
            source = np.ndarray((len(data) - usual + 1,), f"V{usual}", data, 0, (1,))
            target = np.ndarray((len(made) - usual + 1,), f"V{usual}", made, 0, (1,))
            target[self.sums[:-1][full]] = source[self._first[full]]
        for place in np.flatnonzero(~full).tolist():
            begin, first = int(self.sums[place]), int(self._first[place])
            end = int(self.sums[place + 1])
            made[begin:end] = data[first : first + end - begin]
        return made.data

    def start_codes(self) -> Positions:
        """The positions of 00 00 01, ascending, whatever packets they lie in."""
        if self._codes is None:
            self._codes = self._found()
        return self._codes

    def _found(self) -> Positions:
        codes = self._raw.start_codes
        place = np.searchsorted(self._first, codes, "right") - 1
        sizes = self.sums[place + 1] - self.sums[place]
        inside = (place >= 0) & (codes - self._first[place] <= sizes - 3)
        whole = codes[inside] - self._shift[place[inside]]
        # One that two packets share has its first or second byte, a zero, at the end of a packet.
        ends = self.sums[1:-1]
        ends = ends[self._raw.data[self._shift[:-1] + ends - 1] == 0]
        shared = np.concatenate((ends - 1, ends - 2))
        shared = shared[shared >= 0]
        shared = shared[self.words(shared) >> 40 == 1]
        return np.unique(np.concatenate((whole, shared))) if len(shared) else whole
