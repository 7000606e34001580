"""The tables beside PAT and PMT, read for their CRC_32 alone (EN 300 468, 5.1; ISO/IEC 13818-1, 2.4.4.6)."""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType

from .batch import RANK_TABLES, Batch, Index
from .report import ProblemKind
from .sections import SectionAssembler
from .tables import crc32

_TABLES: MappingProxyType[int, tuple[str, Collection[int]]] = MappingProxyType(
    {
        0x01: ("the CAT", (0x01,)),
        0x10: ("the NIT", (0x40, 0x41)),
        0x11: ("the SDT or BAT", (0x42, 0x46, 0x4A)),
        0x12: ("the EIT", range(0x4E, 0x70)),
        0x14: ("the TOT", (0x73,)),
    }
)
"""By PID how they are called, and their table_id; other sections on these PIDs are nobody's business here."""


class SideTables:
    """Reads the tables of the PIDs that DVB reserves, where no program has a stream on them."""

    pids = frozenset(_TABLES)

    def __init__(self) -> None:
        self._assemblers = {pid: SectionAssembler() for pid in _TABLES}
        self._good: dict[int, bytes] = {}

    def take(self, batch: Batch, pid: int, index: Index) -> None:
        """Takes a PID's packets, and notes each section whose CRC_32 is wrong."""
        name, tables = _TABLES[pid]
        assembler = self._assemblers[pid]
        for row in index[(batch.size[index] > 0) & ~batch.scrambled[index]].tolist():
            was_idle, unit_start = assembler.idle, bool(batch.unit_start[row])
            packet = batch.rows[row, 4:].tobytes()
            if was_idle and unit_start and self._good.get(pid) == packet:
                continue
            sections, _ = assembler.feed(batch.payload(row), unit_start, batch.counter(row))
            for section in sections:
                if section[0] in tables and crc32(section):
                    batch.problem(row, RANK_TABLES, ProblemKind.WRONG_CRC, f"CRC_32 of {name} is wrong")
                    break
            else:
                if was_idle and assembler.idle:
                    self._good[pid] = packet
