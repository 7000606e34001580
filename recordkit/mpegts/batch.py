"""The header fields of many transport packets at once, as columns (ISO/IEC 13818-1, 2.4.3.2)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from .payload import Payload, RawBytes
from .report import Event, ProblemEvent, ProblemKind
from .sync import PACKET_BYTES, Rows

NULL_PID: Final = 0x1FFF
_HEADER_BYTES = 4
_FIELD_BYTES = 12

RANK_PACKET, RANK_CONTINUITY, RANK_TABLES, RANK_PCR, RANK_PES = range(5)
"""The order of what is found at one and the same packet."""

_DISCONTINUITY, _RANDOM_ACCESS, _PCR = 0x80, 0x40, 0x10
_PCR_FIELD_BYTES = 7

Index = npt.NDArray[np.intp]
"""Row numbers, ascending."""


class Batch:
    """Columns over the transport packets in ``rows``, which lie ``stride`` bytes apart from ``offset`` on.

    ``usable`` leaves out null packets, and those with transport_error_indicator or with an
    adaptation field that is inconsistent: nothing in them can be trusted. What is found is
    collected with its row, so that it can be given out in the order of the file.
    """

    __slots__ = (
        "_found",
        "_raw",
        "counter",
        "flags",
        "has_payload",
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

    def __init__(self, offset: int, rows: Rows, stride: int) -> None:
        self.offset, self.rows, self.stride = offset, rows, stride
        self._found: list[tuple[int, int, Event]] = []
        self._raw: RawBytes | None = None
        # One number a header: to take each of its bytes from where it lies costs three times as much.
        headers = rows[:, :_HEADER_BYTES].view("<u4")[:, 0].copy()
        second, third, fourth = ((headers >> shift).astype(np.uint8) for shift in (8, 16, 24))
        self.pid = (second & 0x1F).astype(np.uint16) << 8 | third
        self.unit_start = second & 0x40 != 0
        self.scrambled = fourth & 0xC0 != 0
        self.counter = fourth & 15
        self.has_payload = fourth >> 4 & 1
        self.flags = np.zeros(len(rows), np.uint8)
        self.start = np.full(len(rows), _HEADER_BYTES, np.int16)
        self.size = self.has_payload * np.int16(PACKET_BYTES - _HEADER_BYTES)
        null = self.pid == NULL_PID
        error = second & 0x80 != 0
        malformed = fourth & 0x30 == 0
        having = np.flatnonzero(fourth & 0x20)  # an adaptation field, as few packets do
        field, has_payload = rows[having, _HEADER_BYTES], self.has_payload[having]
        self.flags[having] = np.where(field > 0, rows[having, _HEADER_BYTES + 1], 0)
        self.start[having] += 1 + field.astype(np.int16)
        self.size[having] -= has_payload * (1 + field.astype(np.int16))
        malformed[having] = field > 183 - has_payload
        self.usable = ~(null | error | malformed)
        if not self.usable.all():
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

    def payload(self, row: int) -> bytes:
        """What a packet carries behind its header and adaptation field."""
        return self.rows[row, int(self.start[row]) :].tobytes() if self.has_payload[row] else b""

    def payloads(self, index: Index) -> Payload:
        """The payloads of packets, none of them empty, as one run of bytes."""
        if self._raw is None:
            size = (len(self) - 1) * self.stride + PACKET_BYTES
            self._raw = RawBytes(np.lib.stride_tricks.as_strided(self.rows, (size,), (1,)))
        return Payload(self._raw, index * self.stride + self.start[index], self.size[index])

    def discontinuities(self, index: Index) -> list[int]:
        """Those of the packets that have discontinuity_indicator set."""
        rows: list[int] = index[self.flags[index] & _DISCONTINUITY != 0].tolist()
        return rows

    def is_discontinuity(self, row: int) -> bool:
        """Whether a packet has discontinuity_indicator set."""
        return bool(self.flags[row] & _DISCONTINUITY)

    def is_random_access(self, row: int) -> bool:
        """Whether a packet has random_access_indicator set."""
        return bool(self.flags[row] & _RANDOM_ACCESS)

    def pcrs(self, index: Index) -> tuple[Index, npt.NDArray[np.int64]]:
        """Those of the packets that carry a PCR, and the PCRs in units of 27 MHz as sent (2.4.3.5)."""
        rows = index[self.flags[index] & _PCR != 0]
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
