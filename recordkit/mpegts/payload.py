"""The payload of many transport packets as one run of bytes that stays where it lies."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

HEADER_BYTES = 4
"""Of a transport packet."""
_WORD_BYTES = 8
_BLOCK_BYTES = 1 << 19
"""What a core keeps close at hand while it is looked at several times."""
_PAIRS = 1 << 16


class RawBytes:
    """Bytes of a file, looked through for start codes at most once.

    Packets of ``packet_bytes`` lie ``stride`` bytes apart in it, the first one at its beginning.
    """

    def __init__(self, data: npt.NDArray[np.uint8], stride: int, packet_bytes: int) -> None:
        self.data = data
        self.stride, self.packet_bytes = stride, packet_bytes

    @cached_property
    def words(self) -> npt.NDArray[np.uint64]:
        """The eight bytes from each place on; a view, as the file has them (first byte highest)."""
        return np.ndarray((len(self.data) - _WORD_BYTES + 1,), ">u8", self.data, 0, (1,))

    @property
    def start_codes(self) -> Positions:
        """Where 00 00 01 stands, ascending."""
        return self._found[0]

    @property
    def zero_ends(self) -> Positions:
        """Where the last byte of a packet is 0, ascending: a start code may go on in another packet."""
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[Positions, Positions]:
        # In pairs of bytes a start code shows as 00 00 (then 01 follows) or as 00 01 (behind a 00):
        # two operations on half as many numbers find both.
        data, last = self.data, self.packet_bytes - 1
        lasts = data[last :: self.stride]
        pairs = np.ndarray((len(data) // 2,), "<u2", data)
        packets = (_BLOCK_BYTES // self.stride & ~15) + 16  # of a number of bytes that 16 divides
        step = packets * self.stride // 2
        masked, here, zeros = np.empty(_PAIRS, np.uint16), np.zeros(step, np.bool_), np.empty(len(lasts), np.bool_)
        eights, found = here.reshape(-1, 8), [np.empty(0, np.int64)]
        for number, begin in enumerate(range(0, len(pairs), step)):
            for at in range(begin, min(begin + step, len(pairs)), _PAIRS):
                block = pairs[at : min(at + _PAIRS, begin + step)]
                np.bitwise_or(block, 0x0100, out=masked[: len(block)])
                np.equal(masked[: len(block)], 0x0100, out=here[at - begin : at - begin + len(block)])
            here[len(pairs) - begin :] = False
            # Mostly there are none in eight of them, which are passed over as one number.
            some = (here.view(np.uint64) != 0).nonzero()[0]
            which, place = eights[some].nonzero()
            found.append(begin + 8 * some[which] + place)
            row = number * packets
            np.equal(lasts[row : row + packets], 0, out=zeros[row : row + packets])
        pair = np.concatenate(found)
        at = 2 * pair - (pairs[pair] != 0)
        at = at[(at >= 0) & (at + 2 < len(data))]
        codes: Positions = at[(data[at] == 0) & (data[at + 1] == 0) & (data[at + 2] == 1)]
        return codes, zeros.nonzero()[0] * self.stride + last


class Payload:
    """The payloads of packets that belong together, one behind the other, addressed by position.

    ``rows`` are the numbers of the packets in ``raw``. Nearly all are full: only of those at the places ``odd``
    the ``sizes`` are given (bytes, none of them 0), since what they lack stands before their payload. Valid as long
    as ``raw`` is.
    """

    __slots__ = ("_codes", "_full", "_lacking", "_odd", "_odd_begin", "_raw", "_rows", "_size")

    def __init__(self, raw: RawBytes, rows: Positions, odd: Positions, sizes: Positions) -> None:
        self._raw, self._rows, self._odd = raw, rows, odd
        self._full = raw.packet_bytes - HEADER_BYTES
        self._lacking = np.zeros(len(odd) + 1, np.int64)
        """How many bytes those before each odd one lack, and all."""
        np.cumsum(self._full - sizes, out=self._lacking[1:])
        self._odd_begin = odd * self._full - self._lacking[:-1]
        self._size = len(rows) * self._full - int(self._lacking[-1])
        self._codes: Positions | None = None

    def begin(self, places: Positions) -> Positions:
        """The positions at which packets begin, by their places; behind the last one that is the whole size."""
        begin: Positions = places * self._full - self._lacking[np.searchsorted(self._odd, places)]
        return begin

    def _spread(self, positions: Positions) -> tuple[Positions, Positions]:
        """Where positions were if all packets were full, and the places of their packets."""
        spread = positions + self._lacking[np.searchsorted(self._odd_begin, positions, "right")]
        return spread, np.minimum(spread // self._full, len(self._rows) - 1)

    def _at(self, spread: Positions, place: Positions) -> Positions:
        """The same in ``raw``."""
        at: Positions = self._rows[place] * self._raw.stride + HEADER_BYTES + spread - place * self._full
        return at

    def words(self, positions: Positions, place: Positions | None = None) -> Words:
        """The eight bytes from each position on as one number, the first byte highest; 0 behind the end.

        ``place``, where it is known, spares the search: of a packet each, or for each column, that begins no later.
        """
        if place is None:
            spread, place = self._spread(positions)
        else:
            spread = positions + self._lacking[np.searchsorted(self._odd, place, "right")]
        at = np.minimum(self._at(spread, place), len(self._raw.words) - 1)
        found = self._raw.words[at].astype(np.uint64)
        cut = ((place + 1) * self._full - spread < _WORD_BYTES).nonzero()
        if len(cut[0]):
            found[cut] = self._joined(positions[cut])
        return found

    def _joined(self, positions: Positions) -> Words:
        """The same where the eight bytes lie in more than one packet, or reach beyond the last one."""
        each = positions[:, np.newaxis] + np.arange(_WORD_BYTES)
        data = np.where(
            each < self._size, self._raw.data[self._at(*self._spread(np.minimum(each, self._size - 1)))], 0
        )
        return np.ascontiguousarray(data, np.uint8).view(">u8")[:, 0].astype(np.uint64)

    def bytes(self, begin: int, end: int) -> bytes:
        """A copy of the bytes from ``begin`` to ``end``."""
        data, full, odd = self._raw.data, self._full, self._odd
        which = int(self._odd_begin.searchsorted(begin, "right"))
        place, lacking = divmod(begin + int(self._lacking[which]), full)
        left, parts = min(end, self._size) - begin, []
        while left > 0:
            at = int(self._rows[place]) * self._raw.stride + HEADER_BYTES
            parts.append(data[at + lacking : at + min(full, lacking + left)].tobytes())
            left -= len(parts[-1])
            place, lacking = place + 1, 0
            if which < len(odd) and odd[which] == place:
                which += 1
                lacking = int(self._lacking[which] - self._lacking[which - 1])
        return b"".join(parts)

    def joined(self, memory: npt.NDArray[np.uint8]) -> memoryview:
        """A copy of all bytes, in ``memory`` if they fit."""
        data, full, total, count = self._raw.data, self._full, self._size, len(self._rows)
        made = memory[:total] if total <= len(memory) else np.empty(total, np.uint8)
        lacking = np.repeat(self._lacking, np.diff(self._odd, prepend=-1, append=count))
        begin, at = np.arange(count + 1) * full - lacking, self._rows * self._raw.stride + HEADER_BYTES
        if len(self._odd) < count:
            # Those that are full, as nearly all are, are copied at once.
            is_full = np.ones(count, np.bool_)
            is_full[self._odd] = False
            source = np.ndarray((len(data) - full + 1,), f"V{full}", data, 0, (1,))
            target = np.ndarray((total - full + 1,), f"V{full}", made, 0, (1,))
            target[begin[:-1][is_full]] = source[at[is_full]]
        for place in self._odd.tolist():
            start, stop, end = int(begin[place]), int(begin[place + 1]), int(at[place]) + full
            made[start:stop] = data[end - (stop - start) : end]
        return made.data

    def start_codes(self) -> Positions:
        """The positions of 00 00 01, ascending, whatever packets they lie in."""
        if self._codes is None:
            self._codes = self._found()
        return self._codes

    def _found(self) -> Positions:
        codes = self._raw.start_codes
        place, is_ours = self._places(codes)
        spread = place * self._full + codes % self._raw.stride - HEADER_BYTES
        position = spread - self._lacking[np.searchsorted(self._odd, place, "right")]
        whole = position[is_ours & (position >= self.begin(place)) & (spread + 3 <= (place + 1) * self._full)]
        # One that two packets share has its first or second byte, a zero, at the end of a packet.
        place, is_ours = self._places(self._raw.zero_ends)
        ends = self.begin(place[is_ours & (place < len(self._rows) - 1)] + 1)
        shared = np.concatenate((ends - 1, ends - 2))
        shared = shared[shared >= 0]
        shared = shared[self.words(shared) >> 40 == 1]
        return np.unique(np.concatenate((whole, shared))) if len(shared) else whole

    def _places(self, at: Positions) -> tuple[Positions, npt.NDArray[np.bool_]]:
        """The places of the packets that bytes of ``raw`` lie in, and whether they are among these."""
        row = at // self._raw.stride
        place = np.minimum(np.searchsorted(self._rows, row), len(self._rows) - 1)
        return place, self._rows[place] == row
