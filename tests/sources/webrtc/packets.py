"""RTP packets made for tests: units cut into packets as a sender cuts them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from recordkit.model import EncodedUnit
from recordkit.sources.webrtc.assembly import MediaPacket

RATES = {"h264": 90_000, "vp8": 90_000, "opus": 48_000, "pcm_mulaw": 8_000}
MTU = 400


def packets(
    units: list[EncodedUnit],
    *,
    ssrc: int = 1,
    sequence: int = 65_000,
    timestamp: int = 4_294_900_000,
    delay_s: float = 0.0,
    start_s: float = 100.0,
    speed: float = 1.0,
) -> Iterator[MediaPacket]:
    """Packets of at most 400 bytes; both counters wrap soon. ``speed`` is that of the sender's RTP clock."""
    for unit in units:
        pieces = [unit.data[at : at + MTU] for at in range(0, len(unit.data), MTU)]
        rate = RATES[unit.codec]
        stamp = round(timestamp + unit.ticks * speed * rate / 90_000) & 0xFFFFFFFF
        for number, piece in enumerate(pieces):
            is_last = number == len(pieces) - 1
            arrival_s = start_s + unit.ticks / 90_000 + delay_s
            yield MediaPacket(unit.codec, rate, ssrc, sequence & 0xFFFF, stamp, is_last, piece, arrival_s)
            sequence += 1


def ntp(seconds: float) -> int:
    """The NTP time so many seconds behind one that lies, as most do, between two full seconds."""
    return round((3_900_000_000.3 + seconds) * 2**32)


def picture(number: int, *, key: bool = False, size: int = 1000, codec: str = "h264") -> EncodedUnit:
    """A unit whose headers say what a picture is, filled up with its number."""
    filling = struct.pack(">I", number | 0x80808080) * (size // 4)
    if codec == "vp8":
        head = b"\x10\x02\x00\x9d\x01\x2a" if key else b"\x11\x02\x00"
    elif key:
        sps = bytes.fromhex("00000001 6742c01ed9008c3e5ff016a02020")
        head = sps + bytes.fromhex("00000001 68ce3c80 00000001 6588")
    else:
        head = bytes.fromhex("00000001 419a")
    return EncodedUnit(codec, head + filling, number * 3000, key)


def film(count: int, *, keys: tuple[int, ...] = (0,), codec: str = "h264") -> list[EncodedUnit]:
    return [picture(number, key=number in keys, codec=codec) for number in range(count)]


def talk(count: int) -> list[EncodedUnit]:
    """Packets of 20 ms of Opus: stereo, all of it silence."""
    return [
        EncodedUnit("opus", bytes.fromhex("fcfffe"), number * 1800, is_entry=True, duration=1800)
        for number in range(count)
    ]
