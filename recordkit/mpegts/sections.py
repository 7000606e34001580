"""Sections out of transport packets, and the tables that they make up (ISO/IEC 13818-1, 2.4.4)."""

from __future__ import annotations

import numpy as np

from .batch import RANK_TABLES, Batch, Index
from .report import ProblemKind, TablesEvent
from .tables import PAT_PID, ProgramAssociation, ProgramMap, crc32, parse_pat, parse_pmt

_LONGEST_SECTION = 1021
"""section_length of a PAT or PMT may not exceed this (2.4.4.5, 2.4.4.9)."""
_LONGEST_PRIVATE_SECTION = 4093
_STUFFING = 0xFF
_PMT_TABLE = 0x02


class SectionAssembler:
    """Puts the sections of one PID together. Holds one section at most."""

    __slots__ = ("_buffer", "_counter", "_open")

    def __init__(self) -> None:
        self._buffer = b""
        self._open = False
        self._counter = -1

    @property
    def idle(self) -> bool:
        """Whether no section has begun that is not complete."""
        return not self._open

    def feed(self, payload: bytes, unit_start: bool, counter: int) -> tuple[list[bytes], bool]:
        """The sections complete with this packet, and whether something in it was malformed."""
        if self._open and counter == self._counter:
            return [], False  # a duplicate
        broken = self._open and counter != (self._counter + 1) & 15
        self._open = self._open and not broken
        self._counter = counter
        sections: list[bytes] = []
        if unit_start:
            begin = 1 + (payload[0] if payload else 0)
            if begin > len(payload):
                self._open = False
                return [], True
            if self._open:
                self._buffer += payload[1:begin]
                broken |= not self._split(sections) or self._open
            self._buffer, self._open = payload[begin:], True
            broken |= not self._split(sections)
        elif self._open:
            self._buffer += payload
            broken |= not self._split(sections)
        return sections, broken

    def _split(self, sections: list[bytes]) -> bool:
        """Takes complete sections off the buffer; False if what follows cannot be one."""
        while self._buffer and self._buffer[0] != _STUFFING:
            if len(self._buffer) < 3:
                return True
            length = int.from_bytes(self._buffer[1:3]) & 0x0FFF
            longest = _LONGEST_SECTION if self._buffer[0] <= _PMT_TABLE else _LONGEST_PRIVATE_SECTION
            if length > longest:
                self._open = False
                return False
            if len(self._buffer) < 3 + length:
                return True
            sections.append(self._buffer[: 3 + length])
            self._buffer = self._buffer[3 + length :]
        self._open = False
        return True


class TableReader:
    """Follows the PAT and the PMTs.

    ``programs`` are the program maps in force by program number, ``has_pat`` tells whether a PAT
    was read. A packet that repeats the last good one of its PID is not read again.
    """

    def __init__(self) -> None:
        self.has_pat = False
        self.programs: dict[int, ProgramMap] = {}
        self._known: dict[int, bytes] = {}
        self._map_pids: dict[int, int] = {}
        self._coming: dict[int, ProgramAssociation] = {}
        self._assemblers = {PAT_PID: SectionAssembler()}
        self._good: dict[tuple[int, int, int], bytes] = {}

    @property
    def pids(self) -> tuple[int, ...]:
        """The PIDs that carry tables."""
        return tuple(self._assemblers)

    @property
    def missing_programs(self) -> tuple[int, ...]:
        """The programs of the PAT whose PMT was never read."""
        return tuple(number for number in self._map_pids if number not in self.programs)

    def are_repeats(self, batch: Batch, rows: Index) -> bool:
        """Whether all of these table packets repeat the last good one of their PID."""
        pids, starts = batch.pid[rows], batch.unit_start[rows]
        for pid, assembler in self._assemblers.items():
            here = pids == pid
            if here.any():
                known = self._known.get(pid)
                if known is None or not assembler.idle or not starts[here].all():
                    return False
                if (batch.rows[rows[here], 4:] != np.frombuffer(known, np.uint8)).any():
                    return False
        return True

    def feed(self, batch: Batch, row: int) -> bool:
        """Reads one table packet and notes what it finds; True if the tables changed."""
        pid = int(batch.pid[row])
        assembler = self._assemblers[pid]
        was_idle, unit_start = assembler.idle, bool(batch.unit_start[row])
        packet = batch.rows[row, 4:].tobytes()
        if was_idle and unit_start and self._known.get(pid) == packet:
            return False
        sections, broken = assembler.feed(batch.payload(row), unit_start, batch.counter(row))
        if broken:
            batch.problem(row, RANK_TABLES, ProblemKind.MALFORMED_TABLE, "a section is cut or too long")
        changed = False
        good = not broken
        for section in sections:
            outcome = self._read(batch, row, pid, section)
            good &= outcome is not None
            changed |= bool(outcome)
        if good and was_idle and assembler.idle and unit_start:
            self._known[pid] = packet
        return changed

    def _read(self, batch: Batch, row: int, pid: int, section: bytes) -> bool | None:
        """Whether a section changed the tables; None if it is damaged."""
        if section[0] != (0x00 if pid == PAT_PID else _PMT_TABLE):
            return False
        if len(section) < 12:
            batch.problem(row, RANK_TABLES, ProblemKind.MALFORMED_TABLE, "a section is too short")
            return None
        identifier = int.from_bytes(section[3:5])
        key = (pid, 0, section[6]) if pid == PAT_PID else (pid, identifier, 0)
        if self._good.get(key) == section:
            return False
        if crc32(section):
            batch.problem(row, RANK_TABLES, ProblemKind.WRONG_CRC, f"CRC_32 of {_name(pid)} is wrong")
            return None
        if not section[5] & 1:  # current_next_indicator: not in force yet
            return False
        outcome = self._read_pat(section) if pid == PAT_PID else self._read_pmt(batch, row, pid, section)
        if outcome is None:
            detail = f"{_name(pid)} is inconsistent"
            batch.problem(row, RANK_TABLES, ProblemKind.MALFORMED_TABLE, detail)
            return None
        worth_keeping = not outcome if pid == PAT_PID else identifier in self._map_pids
        if worth_keeping:
            self._good[key] = section
        return outcome

    def _read_pat(self, section: bytes) -> bool | None:
        association = parse_pat(section)
        number, last = section[6], section[7]
        if association is None or number > last:
            return None
        if any(other.version != association.version for other in self._coming.values()):
            self._coming = {}
        self._coming[number] = association
        if any(index not in self._coming for index in range(last + 1)):
            return False
        self.has_pat = True
        pids: dict[int, int] = {}
        for index in range(last + 1):
            pids.update(self._coming[index].programs)
        self._coming = {}
        if pids == self._map_pids:
            return False
        self._map_pids = pids
        wanted = {PAT_PID, *pids.values()}
        self._assemblers = {pid: self._assemblers.get(pid) or SectionAssembler() for pid in sorted(wanted)}
        self.programs = {number: program for number, program in self.programs.items() if number in pids}
        self._known, self._good = {}, {}  # what the old PAT made of them no longer holds
        return True

    def _read_pmt(self, batch: Batch, row: int, pid: int, section: bytes) -> bool | None:
        program = parse_pmt(section)
        if program is None:
            return None
        if self._map_pids.get(program.program) != pid or self.programs.get(program.program) == program:
            return False
        self.programs[program.program] = program
        batch.event(row, RANK_TABLES, TablesEvent(batch.offset_of(row), pid, program))
        return True


def _name(pid: int) -> str:
    return "the PAT" if pid == PAT_PID else "a PMT"
