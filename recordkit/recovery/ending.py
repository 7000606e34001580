"""Where a recording that ended badly can be used up to.

It looks at the end only, in windows from the back, so that it costs as much for 100 GB as for 100 MB.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from ..mpegts.batch import NULL_PID, Batch
from ..mpegts.packetiser import NULL_PACKET, padding
from ..mpegts.pes_header import parse_pes_header
from ..mpegts.sync import PACKET_BYTES, SYNC_BYTE, PacketFramer, headers_of
from ..mpegts.tables import PAT_PID, PMT_PID
from .view import View, is_zero

WINDOW_BYTES = 16 * 1024 * 1024
_LARGEST_WINDOW_BYTES = 64 * 1024 * 1024
_SYNC_SEARCH_BYTES = 5 * PACKET_BYTES
"""A window must reach so far into the next, since packets are found by five sync bytes in a row."""
_SECTOR_BYTES = 512
_ZEROS_IN_MEDIA = 2
"""H.264 and H.265 have no more zero bytes in a row (emulation prevention)."""


class Piece(NamedTuple):
    """A cut: from ``begin`` to ``end``, and why."""

    begin: int
    end: int
    reason: str


def usable_end(view: View, unit_ends: Collection[int] = ()) -> tuple[int, list[Piece]]:
    """The end of the last whole access unit, and what stands behind it, in pieces from the back.

    0 where there is none. ``unit_ends`` are offsets at which a unit is known to end,
    should it not say so itself. Null packets that fill up a very short file belong to it.
    """
    padded = _padding_bytes(view)
    end, pieces = _usable_end(view, view.size - padded, unit_ends)
    return (view.size if 0 < end == view.size - padded else end), pieces


def _padding_bytes(view: View) -> int:
    if view.size > len(padding(0)):
        return 0
    held = view.read(0, view.size)
    media = held
    while media.endswith(NULL_PACKET):
        media = media.removesuffix(NULL_PACKET)
    return len(held) - len(media)


def _usable_end(view: View, end: int, unit_ends: Collection[int]) -> tuple[int, list[Piece]]:
    window = WINDOW_BYTES
    pieces: list[Piece] = []
    while end > 0:
        begin = max(0, end - window)
        begin -= begin % PACKET_BYTES
        data = view.read(begin, end)
        stretches = _stretches(data, begin)
        if not stretches:
            stop = min(begin, view.hole_before(end))
            stop = stop + _SYNC_SEARCH_BYTES if stop else 0
            _add(pieces, Piece(stop, end, _what_is_left(data)))
            end = stop
            continue
        stop, is_whole = _last_unit(data, begin, stretches, end in unit_ends, pieces)
        if is_whole:
            return stop, pieces
        if stop < end:
            end, window = stop, WINDOW_BYTES
        elif window < _LARGEST_WINDOW_BYTES:
            window *= 4  # one unit, or what is left of one, fills it
        else:
            return end, pieces
    return 0, pieces


def packets_end(view: View) -> int:
    """Where the last transport packet ends behind which none is found; 0 where there is none at all."""
    end = view.size
    while end > 0:
        begin = max(0, end - WINDOW_BYTES)
        begin -= begin % PACKET_BYTES
        stretches = _stretches(view.read(begin, end), begin)
        if stretches:
            return whole_packets_end(view, stretches[-1][1], stretches[-1][0])
        end = min(begin, view.hole_before(end))
    return 0


def whole_packets_end(view: View, end: int, begin: int) -> int:
    """``end``, or a packet before: zeros behind the last packet may begin inside it."""
    if end - begin < PACKET_BYTES or not view.read(end, end + 1).startswith(b"\0"):
        return end
    packet = view.read(end - PACKET_BYTES, end)
    return end - PACKET_BYTES if _is_torn(packet, end) else end


def _is_torn(packet: bytes, end: int) -> bool:
    zeros = len(packet) - len(packet.rstrip(b"\0"))
    # Where the disk lost a part, it lost whole sectors: a border of one lies among the zeros.
    return zeros > _ZEROS_IN_MEDIA or (end % _SECTOR_BYTES != 0 and end % _SECTOR_BYTES <= zeros)


def _stretches(data: bytes, begin: int) -> list[tuple[int, int]]:
    """Where runs of packets of 188 bytes begin and end."""
    if is_zero(data):
        return []
    framer = PacketFramer()
    found: list[tuple[int, int]] = []
    for items in (framer.feed(data), framer.close()):
        for item in items:
            if isinstance(item, tuple) and framer.stride == PACKET_BYTES:
                first = begin + item[0]
                last = first + len(item[1]) * PACKET_BYTES
                if found and found[-1][1] == first:
                    first = found.pop()[0]
                found.append((first, last))
    return found


def _last_unit(
    data: bytes, begin: int, stretches: list[tuple[int, int]], ends_a_unit: bool, pieces: list[Piece]
) -> tuple[int, bool]:
    """How far ``data``, which lies at ``begin``, can be used; and whether that is the end of a whole unit.

    What it cuts on the way is added to ``pieces``.
    """
    end = begin + len(data)
    for first, last in reversed(stretches):
        if last < end:
            _add(pieces, Piece(last, end, _what_is_left(data[last - begin : end - begin])))
            if data[last - begin] == 0 and _is_torn(data[last - PACKET_BYTES - begin : last - begin], last):
                _add(pieces, Piece(last - PACKET_BYTES, last, "a packet that ends in zeros"))
                last -= PACKET_BYTES
            ends_a_unit = False
        rows = np.frombuffer(data, np.uint8)[first - begin : last - begin].reshape(-1, PACKET_BYTES)
        end, is_whole = _walk_back(Batch(first, rows, headers_of(rows), PACKET_BYTES), ends_a_unit, pieces)
        if is_whole:
            return end, True
        ends_a_unit = False
        if begin == 0 or first - begin >= PACKET_BYTES:
            # Damage lies before them, and whatever these packets belonged to began before it.
            _add(pieces, Piece(first, end, "packets of access units without their beginnings"))
            end = first
    if begin == 0:
        _add(pieces, Piece(0, end, _what_is_left(data[:end])))
        end = 0
    return end, False


def _add(pieces: list[Piece], piece: Piece) -> None:
    if piece.begin < piece.end:
        pieces.append(piece)


def _what_is_left(data: bytes) -> str:
    """What bytes that are no packets are."""
    if is_zero(data):
        return "zeros"
    if len(data) < PACKET_BYTES and data[0] == SYNC_BYTE:
        return "part of a packet"
    return "no transport packets"


def _walk_back(batch: Batch, ends_a_unit: bool, pieces: list[Piece]) -> tuple[int, bool]:
    """Goes back from the end to the last unit that is whole; cuts those that are not."""
    end = batch.offset + len(batch) * PACKET_BYTES
    is_media = batch.usable & (batch.size > 0) & ~np.isin(batch.pid, (PAT_PID, PMT_PID, NULL_PID))
    known = np.unique(batch.pid[is_media & batch.unit_start])
    strange = is_media & ~np.isin(batch.pid, known)
    media = np.flatnonzero(is_media & ~strange)
    if len(media) and strange[media[-1] :].any():
        first = int(np.flatnonzero(strange[media[-1] :])[0]) + int(media[-1])
        _add(pieces, Piece(batch.offset_of(first), end, "packets that belong to no access unit"))
        end = batch.offset_of(first)
    sizes: dict[int, int] = {}
    last_rows: dict[int, int] = {}
    pids, starts, counts = batch.pid[media].tolist(), batch.unit_start[media].tolist(), batch.size[media].tolist()
    for place in range(len(media) - 1, -1, -1):
        pid, row = pids[place], int(media[place])
        sizes[pid] = sizes.get(pid, 0) + counts[place]
        last_rows.setdefault(pid, row)
        if starts[place]:
            if _is_whole(batch, row, last_rows[pid], sizes[pid], ends_a_unit):
                return end, True
            ends_a_unit = False
            _add(pieces, Piece(batch.offset_of(row), end, "an access unit without its end"))
            end = batch.offset_of(row)
            sizes.clear()
            last_rows.clear()
    return end, False


def _is_whole(batch: Batch, row: int, last_row: int, size: int, ends_a_unit: bool) -> bool:
    """Whether the PES packet that begins in ``row`` and fills ``size`` bytes of payload has its end."""
    head = batch.payload(row)
    header = parse_pes_header(head)
    if header is None:
        return False
    if header.payload_length is not None:
        return size >= header.header_length + header.payload_length
    # Where no length is stated, the last packet tells: it alone is stuffed, if it is not just full.
    return ends_a_unit or (last_row != row and int(batch.size[last_row]) < PACKET_BYTES - 4)
