"""The header fields of many transport packets at once, as columns (ISO/IEC 13818-1, 2.4.3.2)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from .payload import HEADER_BYTES, Payload, RawBytes
from .report import Event, ProblemEvent, ProblemKind
from .sync import PACKET_BYTES, Headers, Rows

NULL_PID: Final = 0x1FFF
FULL_PAYLOAD: Final = PACKET_BYTES - HEADER_BYTES
_FIELD_BYTES = 12
_FEW = 16

RANK_PACKET, RANK_CONTINUITY, RANK_TABLES, RANK_PCR, RANK_PES = range(5)
"""The order of what is found at one and the same packet."""

_DISCONTINUITY, _RANDOM_ACCESS, _PCR = 0x80, 0x40, 0x10
_PCR_FIELD_BYTES = 7

Index = npt.NDArray[np.intp]
"""Row numbers, ascending."""


class _Marked:
    """Some of the rows, which ``flags`` says of all of them."""

    __slots__ = ("flags", "rows")

    def __init__(self, flags: npt.NDArray[np.bool_]) -> None:
        self.flags = flags
        self.rows: Index = flags.nonzero()[0]

    def places(self, index: Index) -> Index:
        """The places in ``index`` of the rows that are among them."""
        if len(self.rows) * _FEW > len(index):
            return self.flags[index].nonzero()[0]
        # So few are sooner looked for than all of the others are looked at.
        place = np.searchsorted(index, self.rows)
        place[place == len(index)] = 0
        found: Index = place[index[place] == self.rows] if len(index) else index
        return found


class Batch:
    """Columns over the transport packets in ``rows``, which lie ``stride`` bytes apart from ``offset`` on.

    ``control`` is the last byte of each header: whether it is scrambled, what follows, and its counter.
    ``usable`` leaves out null packets, and those with transport_error_indicator or with an
    adaptation field that is inconsistent: nothing in them can be trusted. What is found is
    collected with its row, so that it can be given out in the order of the file.
    """

    __slots__ = (
        "_found",
        "_having",
        "_raw",
        "_starts",
        "are_all_usable",
        "control",
        "do_all_carry",
        "flags",
        "has_payload",
        "is_any_scrambled",
        "offset",
        "pid",
        "rows",
        "scrambled",
        "size",
        "start",
        "stride",
        "unit_start",
        "usable",
    )

    def __init__(self, offset: int, rows: Rows, headers: Headers, stride: int) -> None:
        self.offset, self.rows, self.stride = offset, rows, stride
        self._found: list[tuple[int, int, Event]] = []
        self._raw: RawBytes | None = None
        control = self.control = (headers >> 24).astype(np.uint8)
        self.pid = (headers >> 8).astype(np.uint16).byteswap() & np.uint16(NULL_PID)
        self.unit_start = headers & 0x4000 != 0
        self._starts = _Marked(self.unit_start)
        self.scrambled = control & 0xC0 != 0
        self.has_payload = control >> 4 & 1
        self.flags = np.zeros(len(rows), np.uint8)
        self.start = np.full(len(rows), HEADER_BYTES, np.uint8)
        self.size = self.has_payload * np.uint8(FULL_PAYLOAD)
        null = self.pid == NULL_PID
        error = headers & 0x8000 != 0
        malformed = control & 0x30 == 0
        # An adaptation field, as few packets have.
        self._having = _Marked(control & 0x20 != 0)
        having = self._having.rows
        field, has_payload = rows[having, HEADER_BYTES], self.has_payload[having]
        malformed[having] = field > 183 - has_payload
        self.flags[having] = np.where(field > 0, rows[having, HEADER_BYTES + 1], 0)
        self.start[having] += 1 + field
        self.size[having] -= has_payload * (1 + field)
        self.usable = ~(null | error | malformed)
        self.are_all_usable = bool(self.usable.all())
        self.is_any_scrambled = bool(self.scrambled.any())
        self.do_all_carry = not self.is_any_scrambled and bool(self.size[having].all())
        if not self.are_all_usable:
            self._note_unusable(~null & error, ~null & ~error & malformed)

    def _note_unusable(self, error: npt.NDArray[np.bool_], malformed: npt.NDArray[np.bool_]) -> None:
        for row in np.flatnonzero(error).tolist():
            self.problem(row, RANK_PACKET, ProblemKind.TRANSPORT_ERROR, "transport_error_indicator is set")
        for row in np.flatnonzero(malformed).tolist():
            detail = "the adaptation field is inconsistent"
            self.problem(row, RANK_PACKET, ProblemKind.MALFORMED_PACKET, detail)

    def __len__(self) -> int:
        return len(self.pid)

    def offset_of(self, row: int) -> int:
        """The byte offset of a packet."""
        return self.offset + row * self.stride

    def counter(self, row: int) -> int:
        """The continuity counter of a packet."""
        return int(self.control[row]) & 15

    def payload(self, row: int) -> bytes:
        """What a packet carries behind its header and adaptation field."""
        return self.rows[row, int(self.start[row]) :].tobytes() if self.has_payload[row] else b""

    def payloads(self, index: Index) -> Payload:
        """The payloads of packets, none of them empty, as one run of bytes."""
        if self._raw is None:
            size = (len(self) - 1) * self.stride + PACKET_BYTES
            self._raw = RawBytes(
                np.lib.stride_tricks.as_strided(self.rows, (size,), (1,)), self.stride, PACKET_BYTES
            )
        places = self._having.places(index)
        return Payload(self._raw, index, places, self.size[index[places]].astype(np.int64))

    def payload_bytes(self, index: Index) -> int:
        """How many bytes packets carry together."""
        having = index[self._having.places(index)]
        lacking = FULL_PAYLOAD * len(having) - int(self.size[having].sum())
        return FULL_PAYLOAD * len(index) - lacking

    def starts(self, index: Index) -> Index:
        """The places in ``index`` of those of the packets that a PES packet or a section begins in."""
        return self._starts.places(index)

    def discontinuities(self, index: Index) -> list[int]:
        """Those of the packets that have discontinuity_indicator set."""
        rows: list[int] = self._flagged(index, _DISCONTINUITY).tolist()
        return rows

    def _flagged(self, index: Index, flag: int) -> Index:
        """Those of the packets that have a flag of the adaptation field set."""
        found: Index = index[_Marked(self.flags & flag != 0).places(index)]
        return found

    def is_discontinuity(self, row: int) -> bool:
        """Whether a packet has discontinuity_indicator set."""
        return bool(self.flags[row] & _DISCONTINUITY)

    def is_random_access(self, row: int) -> bool:
        """Whether a packet has random_access_indicator set."""
        return bool(self.flags[row] & _RANDOM_ACCESS)

    def pcrs(self, index: Index) -> tuple[Index, npt.NDArray[np.int64]]:
        """Those of the packets that carry a PCR, and the PCRs in units of 27 MHz as sent (2.4.3.5)."""
        rows = self._flagged(index, _PCR)
        rows = rows[self.rows[rows, 4] >= _PCR_FIELD_BYTES]
        field = self.rows[rows, 6:_FIELD_BYTES].astype(np.int64)
        base = field[:, 0] << 25 | field[:, 1] << 17 | field[:, 2] << 9 | field[:, 3] << 1 | field[:, 4] >> 7
        return rows, base * 300 + ((field[:, 4] & 1) << 8 | field[:, 5])

    def same(self, row: int, before: bytes) -> bool:
        """Whether a packet repeats the one ``before``; its PCR may differ (2.4.3.3)."""
        packet: bytes = self.rows[row].tobytes()
        if self.flags[row] & _PCR and self.rows[row, 4] >= _PCR_FIELD_BYTES:
            return packet[:6] == before[:6] and packet[_FIELD_BYTES:] == before[_FIELD_BYTES:]
        return packet == before

    def problem(self, row: int, rank: int, kind: ProblemKind, detail: str) -> None:
        """Notes a problem at a packet."""
        self.event(row, rank, ProblemEvent(kind, self.offset_of(row), int(self.pid[row]), detail))

    def event(self, row: int, rank: int, event: Event) -> None:
        """Notes an event at a packet."""
        self._found.append((row, rank, event))

    def take_events(self, end: int) -> list[Event]:
        """The events found before row ``end``, in the order of the file; they are given out once."""
        if not self._found:
            return []
        self._found.sort(key=lambda found: found[:2])
        due = [event for row, _, event in self._found if row < end]
        del self._found[: len(due)]
        return due
