"""One stream's PES packets out of a transport stream, from any byte on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..model import StreamFormat
from ..mpegts.laying import section_packets
from ..mpegts.report import PesEvent
from ..mpegts.scanner import Scanner
from ..mpegts.sync import PacketFramer
from ..mpegts.tables import PAT_PID, PMT_PID, build_pat, build_pmt
from .store import Store

Bytes = npt.NDArray[np.uint8]
_FIRST_BYTES, _MOST_BYTES = 64 * 1024, 512 * 1024
"""A piece is twice as long as the one before: who wants one frame waits for little, who reads on for few pieces."""


def tables(pid: int, carried: StreamFormat) -> bytes:
    """Packets that say that a transport stream consists of this one stream."""
    pmt = build_pmt([(pid, carried)], 0x1FFF, 0)
    return bytes(section_packets(PAT_PID, build_pat(), 0) + section_packets(PMT_PID, pmt, 0))


def of_pid(rows: Bytes, pid: int) -> bytes:
    """Of packets, a row each, those of ``pid``."""
    pids = (rows[:, 1].astype(np.uint16) & 0x1F) << 8 | rows[:, 2]
    return bytes(rows[pids == pid].tobytes())


def pes_packets(
    store: Store,
    pid: int,
    carried: StreamFormat,
    begin: int,
    end: int | None = None,
) -> Iterator[PesEvent]:
    """The PES packets of ``pid`` from byte ``begin`` to ``end``, of a stream that is made of them alone."""
    scanner, framer = Scanner(), PacketFramer()
    scanner.feed(tables(pid, carried))

    def of(item: object) -> Iterator[PesEvent]:
        if isinstance(item, tuple):
            yield from (one for one in scanner.feed(of_pid(item[1], pid)) if isinstance(one, PesEvent))

    at, size = begin, store.size if end is None else min(end, store.size)
    piece = _FIRST_BYTES
    while at < size:
        data = store.read(at, min(at + piece, size))
        if not data:
            break
        at += len(data)
        piece = min(2 * piece, _MOST_BYTES)
        for item in framer.feed(data):
            yield from of(item)
    for item in framer.close():
        yield from of(item)
    yield from (event for event in scanner.close() if isinstance(event, PesEvent))
