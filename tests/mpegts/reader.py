"""A plain reader of transport streams that shares no code with recordkit.

It takes nothing on trust: what is malformed in a packet or a PES packet fails at once. What holds
between packets is for the tests to say.
"""

from dataclasses import dataclass, field
from hashlib import sha1


@dataclass
class Packet:
    """One transport packet. ``field_length`` is adaptation_field_length, None where there is no field."""

    index: int
    pid: int
    unit_start: bool
    counter: int
    field_length: int | None
    discontinuity: bool
    random_access: bool
    pcr: int | None
    payload: bytes | None


@dataclass
class Pes:
    """One PES packet, times as sent; ``packets`` are the transport packets that carry it."""

    pid: int
    stream_id: int
    length: int
    aligned: bool
    pts: int
    dts: int
    dts_sent: bool
    data: bytes
    packets: list[Packet] = field(default_factory=list)

    @property
    def first(self) -> Packet:
        return self.packets[0]


@dataclass
class Section:
    """One section, its CRC_32 checked; ``packets`` carry it."""

    pid: int
    table: int
    version: int
    body: bytes
    packets: list[Packet]


@dataclass
class Elementary:
    """One stream of a PMT."""

    pid: int
    stream_type: int
    descriptors: bytes


def crc(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        for bit in range(7, -1, -1):
            top = value >> 31 ^ byte >> bit & 1
            value = (value << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if top else 0)
    return value


def read_packet(index: int, raw: bytes) -> Packet:
    assert raw[0] == 0x47, f"packet {index} begins with {raw[0]:#x}"
    assert not raw[1] & 0xA0, "transport_error_indicator or transport_priority"
    assert not raw[3] & 0xC0, "scrambled"
    has_field, has_payload = bool(raw[3] & 0x20), bool(raw[3] & 0x10)
    assert has_field or has_payload
    at, length, flags, pcr = 4, None, 0, None
    if has_field:
        length = raw[4]
        assert length <= 182 if has_payload else length == 183
        at = 5 + length
        if length:
            flags, used = raw[5], 6
            assert not flags & 0x2F, "flags that recordkit never sets"
            if flags & 0x10:
                value = int.from_bytes(raw[6:12])
                assert value >> 9 & 0x3F == 0x3F, "reserved bits of the PCR"
                pcr, extension, used = value >> 15, value & 0x1FF, 12
                assert extension == 0
            assert used <= at
            assert raw[used:at] == b"\xff" * (at - used), "stuffing"
    return Packet(
        index,
        (raw[1] & 0x1F) << 8 | raw[2],
        bool(raw[1] & 0x40),
        raw[3] & 15,
        length,
        bool(flags & 0x80),
        bool(flags & 0x40),
        pcr,
        raw[at:] if has_payload else None,
    )


def read_packets(data: bytes) -> list[Packet]:
    assert len(data) % 188 == 0
    return [read_packet(at // 188, data[at : at + 188]) for at in range(0, len(data), 188)]


def read_timestamp(raw: bytes, marker: int) -> int:
    assert raw[0] >> 4 == marker
    assert raw[0] & raw[2] & raw[4] & 1, "marker bits"
    return (raw[0] >> 1 & 7) << 30 | raw[1] << 22 | raw[2] >> 1 << 15 | raw[3] << 7 | raw[4] >> 1


def read_pes(packets: list[Packet]) -> Pes:
    raw = b"".join(packet.payload for packet in packets)
    assert raw[:3] == b"\0\0\1"
    assert raw[6] & 0xFB == 0x80, "no scrambling, priority, copyright or original"
    assert raw[7] & 0x3F == 0
    pts = read_timestamp(raw[9:14], raw[7] >> 6)
    dts_sent = raw[7] >> 6 == 3
    assert raw[8] == (10 if dts_sent else 5)
    dts = read_timestamp(raw[14:19], 1) if dts_sent else pts
    length, end = int.from_bytes(raw[4:6]), 9 + raw[8]
    assert length in (0, len(raw) - 6)
    return Pes(packets[0].pid, raw[3], length, bool(raw[6] & 4), pts, dts, dts_sent, raw[end:], packets)


def runs(packets: list[Packet], pid: int) -> list[list[Packet]]:
    """The packets of a PID with payload, a new list at each payload_unit_start_indicator."""
    found: list[list[Packet]] = []
    for packet in packets:
        if packet.pid == pid and packet.payload is not None:
            if packet.unit_start:
                found.append([])
            found[-1].append(packet)
    return found


def read_section(packets: list[Packet]) -> Section:
    raw = b"".join(packet.payload for packet in packets)
    assert raw[0] == 0, "pointer_field"
    length = int.from_bytes(raw[2:4]) & 0xFFF
    assert length <= 1021
    section, rest = raw[1 : 4 + length], raw[4 + length :]
    assert len(section) == length + 3
    assert len(rest) < 184
    assert rest == b"\xff" * len(rest)
    assert section[1] & 0xF0 == 0xB0
    assert section[5] & 0xC1 == 0xC1, "reserved bits, current_next_indicator"
    assert section[6:8] == b"\0\0", "section 0 of 0"
    assert crc(section) == 0
    return Section(packets[0].pid, section[0], section[5] >> 1 & 31, section[3:5] + section[8:-4], packets)


def read_pmt(section: Section) -> tuple[int, list[Elementary]]:
    """The PCR's PID and the streams."""
    assert section.table == 2
    body = section.body
    assert body[2] & 0xE0 == 0xE0
    assert body[4:6] == b"\xf0\0", "no descriptors of the program"
    streams, at = [], 6
    while at < len(body):
        assert body[at + 1] & 0xE0 == 0xE0
        assert body[at + 3] & 0xF0 == 0xF0
        length = int.from_bytes(body[at + 3 : at + 5]) & 0xFFF
        pid = int.from_bytes(body[at + 1 : at + 3]) & 0x1FFF
        streams.append(Elementary(pid, body[at], body[at + 5 : at + 5 + length]))
        at += 5 + length
    assert at == len(body)
    return int.from_bytes(body[2:4]) & 0x1FFF, streams


def unwrapped(ticks: int, near: int) -> int:
    """The one of all times that are ``ticks`` on the wire that lies nearest to ``near``."""
    return near + (ticks - near + 2**32) % 2**33 - 2**32


def dump(data: bytes) -> str:
    """One line a packet, for people to read and for golden files."""
    lines = []
    for packet in read_packets(data):
        words = [f"{packet.index * 188:6d} {packet.pid:04x} cc={packet.counter:<2d}"]
        if packet.field_length is not None:
            words.append(f"af={packet.field_length}")
            words += ["discontinuity"] * packet.discontinuity + ["random_access"] * packet.random_access
            if packet.pcr is not None:
                words.append(f"pcr={packet.pcr}")
        payload = packet.payload
        if payload is not None:
            if packet.unit_start and payload.startswith(b"\0\0\1"):
                stated = payload[7] >> 6
                words.append(f"pes={payload[3]:02x} length={int.from_bytes(payload[4:6])}")
                words.append(f"pts={read_timestamp(payload[9:14], stated)}")
                if stated == 3:
                    words.append(f"dts={read_timestamp(payload[14:19], 1)}")
            elif packet.unit_start:
                words.append(f"table={payload[1]:02x} version={payload[6] >> 1 & 31}")
            words.append(f"{len(payload)}:{sha1(payload, usedforsecurity=False).hexdigest()[:8]}")
        lines.append(" ".join(words))
    return "\n".join(lines) + "\n"
