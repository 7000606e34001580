"""Transport streams by hand: right ones, and wrong ones as the tests want them."""

from collections.abc import Iterable

from recordkit.mpegts.tables import build_pat, build_pmt, crc32
from recordkit.ticks import WRAP

VIDEO, AUDIO = 0x100, 0x101


def timestamp_bytes(marker: int, ticks: int) -> bytes:
    """The five bytes of a PTS or DTS field (2.4.3.6): ``marker`` is 2 (PTS alone), 3 or 1 (PTS, DTS)."""
    return (
        (marker << 36)
        | ((ticks & 0x1_C000_0000) << 3)
        | ((ticks & 0x3FFF_8000) << 2)
        | ((ticks & 0x7FFF) << 1)
        | 0x01_0001_0001
    ).to_bytes(5)


def pcr_bytes(ticks: int) -> bytes:
    """The six bytes of a PCR whose base is ``ticks`` and whose extension is 0 (2.4.3.5)."""
    return (((ticks & (WRAP - 1)) << 15) | 0x7E00).to_bytes(6)


def packet(
    pid: int,
    counter: int,
    payload: bytes = b"",
    *,
    start: bool = False,
    pcr: int | None = None,
    flags: int = 0,
    error: bool = False,
    scrambled: int = 0,
) -> bytes:
    """One transport packet; what the payload leaves free is stuffed in the adaptation field."""
    field = b""
    if pcr is not None:
        field = bytes([flags | 0x10]) + pcr_bytes(pcr)
    elif flags:
        field = bytes([flags])
    spare = 184 - len(payload) - (1 + len(field) if field else 0)
    assert spare >= 0
    if field or spare:
        if not field and spare == 1:
            field = b"\0"
        elif not field:
            field = bytes([spare - 1, 0]) + b"\xff" * (spare - 2)
        else:
            field = bytes([len(field) + spare]) + field + b"\xff" * spare
    control = (0x10 if payload else 0) | (0x20 if field else 0)
    head = [0x47, pid >> 8 | (0x40 if start else 0) | (0x80 if error else 0), pid & 0xFF]
    made = bytes([*head, scrambled << 6 | control | counter & 15]) + field + payload
    assert len(made) == 188
    return made


def pes(
    stream_id: int, data: bytes, pts: int | None = None, dts: int | None = None, *, length: bool = True
) -> bytes:
    """One PES packet."""
    times = b""
    if pts is not None:
        times = timestamp_bytes(2 if dts is None else 3, pts % 2**33)
        if dts is not None:
            times += timestamp_bytes(1, dts % 2**33)
    flags = (0, 0x80, 0xC0)[len(times) // 5]
    body = bytes([0x80, flags, len(times)]) + times + data
    stated = len(body) if length and len(body) <= 0xFFFF else 0
    return b"\0\0\1" + bytes([stream_id]) + stated.to_bytes(2) + body


def section_packets(pid: int, section: bytes, counter: int = 0, per_packet: int = 183) -> list[bytes]:
    """A section in packets that carry ``per_packet`` bytes of it at most."""
    pieces = [section[at : at + per_packet] for at in range(0, len(section), per_packet)]
    made = []
    for number, piece in enumerate(pieces):
        payload = (b"\0" if number == 0 else b"") + piece
        if number == len(pieces) - 1:
            payload = payload.ljust(184, b"\xff")
        made.append(packet(pid, counter + number, payload, start=number == 0))
    return made


def with_crc(section: bytes) -> bytes:
    return section + crc32(section).to_bytes(4)


class Stream:
    """Builds a transport stream packet by packet, with continuity counters that are right."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.counters: dict[int, int] = {}

    def add(self, pid: int, payload: bytes = b"", **fields) -> int:
        """Adds one packet and returns its index."""
        counter = self.counters.get(pid, -1)
        if payload:
            self.counters[pid] = counter = counter + 1
        self.packets.append(packet(pid, counter, payload, **fields))
        return len(self.packets) - 1

    def tables(self, streams, pcr_pid: int = VIDEO, version: int = 0) -> None:
        for pid, section in ((0, build_pat()), (0x1000, build_pmt(streams, pcr_pid, version))):
            for made in section_packets(pid, section, self.counters.get(pid, -1) + 1):
                self.packets.append(made)
                self.counters[pid] = self.counters.get(pid, -1) + 1

    def pes(self, pid: int, whole: bytes, pcr: int | None = None, flags: int = 0) -> int:
        """Adds a PES packet in as many packets as it takes; returns the index of the first."""
        room = 184 - (8 if pcr is not None else 2 if flags else 0)
        first = self.add(pid, whole[:room], start=True, pcr=pcr, flags=flags)
        for at in range(room, len(whole), 184):
            self.add(pid, whole[at : at + 184])
        return first

    def bytes(self) -> bytes:
        return b"".join(self.packets)


def wrapped(packets: Iterable[bytes], size: int) -> bytes:
    """Packets of 192 bytes (time stamp in front) or 204 bytes (parity behind)."""
    if size == 192:
        return b"".join(b"\0\1\2\3" + made for made in packets)
    return b"".join(made + b"p" * (size - 188) for made in packets)
