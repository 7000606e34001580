"""Broken files: whatever is done to one, only declared errors, in bounded time, and its bytes are never lost."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import recordkit as rk
from recordkit.mp4.movie import FRONT
from recordkit.mpegts.tables import crc32
from recordkit.recovery.outcome import Outcome as Recovered

from ..recovery.material import Lying, chunks, media, unit_starts
from ..steering import PACKET
from .outcome import Kind, Outcome, Trial

Hurt = tuple[bytes, bytes | None]
"""The file, and what its repair must give where only one answer is right."""


def hole(chance: random.Random) -> Hurt:
    """Zeros in the middle, as a disk leaves that lost sectors."""
    data = bytearray(media())
    begin = chance.randrange(0, len(data), 512)
    size = min(chance.randrange(512, 20_000, 512), len(data) - begin)
    data[begin : begin + size] = bytes(size)
    return bytes(data), None


def zero_tail(chance: random.Random) -> Hurt:
    """Zeros behind the end."""
    return media() + bytes(chance.randrange(1, 100_000)), media()


def garbage(chance: random.Random) -> Hurt:
    """Bytes inserted between two packets."""
    data = media()
    at = chance.randrange(30, len(data) // PACKET - 30) * PACKET
    # Not a sync byte among them: where five stand 188 bytes apart, it is a packet to anybody.
    more = bytes(byte for byte in chance.randbytes(chance.randrange(1, 5000)) if byte != 0x47)
    return data[:at] + more + data[at:], data


def _packets(data: bytes) -> list[bytes]:
    return [data[at : at + PACKET] for at in range(0, len(data), PACKET)]


def lost(chance: random.Random) -> Hurt:
    """Packets are missing."""
    packets = _packets(media())
    for _number in range(chance.randrange(1, 6)):
        del packets[chance.randrange(len(packets))]
    return b"".join(packets), None


def doubled(chance: random.Random) -> Hurt:
    """Packets come twice."""
    packets = _packets(media())
    for _number in range(chance.randrange(1, 6)):
        at = chance.randrange(len(packets))
        packets.insert(at, packets[at])
    return b"".join(packets), None


def swapped(chance: random.Random) -> Hurt:
    """Neighbours change places."""
    packets = _packets(media())
    for _number in range(chance.randrange(1, 6)):
        at = chance.randrange(len(packets) - 1)
        packets[at : at + 2] = packets[at + 1], packets[at]
    return b"".join(packets), None


def wrong_checksum(chance: random.Random) -> Hurt:
    """One bit of a table is not as its CRC_32 says."""
    data = bytearray(media())
    tables = [at for at in range(0, len(data), PACKET) if _pid(data, at) in (0, 0x1000)]
    at = chance.choice(tables)
    data[at + chance.randrange(8, 20)] ^= 1 << chance.randrange(8)
    return bytes(data), None


def wrong_tables(chance: random.Random) -> Hurt:
    """Tables that say something else, with a CRC_32 that agrees."""
    data = bytearray(media())
    tables = [at for at in range(0, len(data), PACKET) if _pid(data, at) in (0, 0x1000)]
    for at in chance.sample(tables, chance.randrange(1, len(tables))):
        begin = at + 5
        end = begin + 3 + (int.from_bytes(data[begin + 1 : begin + 3]) & 0xFFF) - 4
        data[chance.randrange(begin + 3, end)] = chance.randrange(256)
        data[end : end + 4] = crc32(bytes(data[begin:end])).to_bytes(4)
    return bytes(data), None


def anything(chance: random.Random) -> Hurt:
    """Single bytes are others."""
    data = bytearray(media())
    for _number in range(chance.randrange(1, 200)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data), None


def _pid(data: bytes | bytearray, at: int) -> int:
    return int.from_bytes(data[at + 1 : at + 3]) & 0x1FFF


WAYS: tuple[Callable[[random.Random], Hurt], ...] = (
    hole, zero_tail, garbage, lost, doubled, swapped, wrong_checksum, wrong_tables, anything,
)  # fmt: skip


@contextmanager
def broken_files(_: Path) -> Iterator[Trial]:
    """Hurt in one of the ways, each in turn: repaired as a copy, and recovered as a partial."""

    def trial(seed: int, place: Path) -> Outcome:
        way = WAYS[seed % len(WAYS)]
        hurt, right = way(random.Random(seed))
        faults = [*_repaired(place, hurt, right), *_recovered(place, hurt)]
        kept = (place / "fixed.ts").stat().st_size if (place / "fixed.ts").exists() else 0
        whole = _whole_packets(hurt)
        return Outcome(seed, tuple(f"{way.__name__}: {one}" for one in faults), max(0, whole - kept))

    yield trial


def _whole_packets(data: bytes) -> int:
    """Bytes of packets that stand in their old places, or moved as a whole."""
    known = set(_packets(media()))
    return sum(
        PACKET for at in range(len(data) - PACKET + 1) if data[at] == 0x47 and data[at : at + PACKET] in known
    )


def _repaired(place: Path, hurt: bytes, right: bytes | None, suffix: str = ".ts") -> Iterator[str]:
    path, fixed = place / f"other{suffix}", place / f"fixed{suffix}"
    path.write_bytes(hurt)
    found = rk.recover(path, output=fixed)
    assert isinstance(found, rk.Recovery)
    if path.read_bytes() != hurt:
        yield "the original was changed"
    if not fixed.exists():
        if right is not None or found.outcome is not Recovered.NOTHING:
            yield f"nothing was kept: {found.message}"
        return
    if right is not None and fixed.read_bytes() != right:
        yield f"the repair is not what it was before: {found.message}"
    verified = rk.verify(fixed, decode=True)
    words = {problem.kind for problem in verified.problems}
    if right is not None and words:
        yield f"the repair is not whole: {words}"
    # Of a repair every packet is one; what was inside is told of, by both.
    if words & {"lost sync", "cut packet", "not a transport stream"}:
        yield f"the repair has parts of packets: {words}"


def _recovered(place: Path, hurt: bytes, suffix: str = ".ts") -> Iterator[str]:
    lying = Lying(place, suffix=suffix)
    lying.partial.write_bytes(hurt)
    found = rk.recover(lying.final)
    assert isinstance(found, rk.Recovery)
    if found.outcome is not Recovered.RECOVERED:
        if lying.partial.read_bytes() != hurt:
            yield f"not recovered, and the partial was changed: {found.message}"
        return
    kept = bytearray(lying.final.read_bytes().ljust(len(hurt), b"\0"))
    for number, piece in enumerate(lying.rejects()):
        begin = found.cuts[number].offset
        kept[begin : begin + len(piece)] = piece
    # The finish of an MP4 turns the box at its front, and appends what comes behind.
    front = len(FRONT) if suffix == ".mp4" else 0
    if kept[front : len(hurt)] != hurt[front:]:
        yield "bytes are neither in the file nor set aside"


@contextmanager
def cuts_at_each_byte(_: Path) -> Iterator[Trial]:
    """A partial, and somebody's file, that end after each number of bytes of a packet: all whole units are kept."""
    data = media()

    def trial(seed: int, place: Path) -> Outcome:
        at = random.Random(seed).randrange(20, len(data) // PACKET) * PACKET + seed % PACKET
        hurt, faults = data[:at], []
        faults += [*_repaired(place, hurt, None), *_recovered(place, hurt)]
        whole_units = len(unit_starts(hurt + bytes(-len(hurt) % PACKET))) - 1
        kept = place / "talk.ts"
        found = kept.read_bytes() if kept.exists() else b""
        if len(unit_starts(found)) < whole_units:
            faults.append(f"{len(unit_starts(found))} units kept, {whole_units} were whole")
        for one in (kept, place / "fixed.ts"):
            if one.exists() and not rk.verify(one, decode=True).ok:
                faults.append(f"{one.name} is not whole")
        return Outcome(seed, tuple(faults), at - len(found))

    yield trial


@contextmanager
def cuts_at_each_byte_of_a_chunk(_: Path) -> Iterator[Trial]:
    """The same of an MP4, after each number of bytes of one chunk or another."""
    laid = chunks()

    def trial(seed: int, place: Path) -> Outcome:
        whole = random.Random(seed).randrange(1, len(laid.ends))
        begin = laid.ends[whole - 1]
        at = begin + seed % (laid.ends[whole] - begin)
        hurt, faults = laid.partial[:at], []
        faults += [*_repaired(place, hurt, None, ".mp4"), *_recovered(place, hurt, ".mp4")]
        for one in (place / "talk.mp4", place / "fixed.mp4"):
            verified = rk.verify(one, decode=True)
            units = sum(stream.access_units for stream in verified.streams)
            if not verified.ok or units != whole:
                faults.append(f"{one.name}: {units} units of {whole}, {verified.problems}")
        return Outcome(seed, tuple(faults), at - begin)

    yield trial


KINDS = [
    Kind(
        "file cut at each byte of a packet",
        "the access units that are cut",
        cuts_at_each_byte,
        188,
        range(0, 188, 19),
    ),
    Kind(
        "file cut at each byte of a chunk, MP4",
        "the access unit that is cut",
        cuts_at_each_byte_of_a_chunk,
        400,
        range(0, 400, 100),
    ),
    Kind("broken file", "what is damaged", broken_files, 900, range(18)),
]
