"""Streams that are encrypted: told as such, and not recorded as if they were clear."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import av

from ..demux import raw_bytes
from ..demuxed import DemuxedPacket, is_encrypted
from ..errors import SourceError
from ..mpegts.laying import PACKET_BYTES

if TYPE_CHECKING:
    from av.container import InputContainer

SCRAMBLED = "is scrambled: what decrypts it must stand before it"
ENCRYPTED = "is encrypted: the option decryption_key takes the key of an MP4"
LOCKED_PLAYLIST = (
    "is encrypted, and its key cannot be read: it is missing, or its name is refused, which "
    "options={'allowed_extensions': 'ALL'} allows"
)
_KEY = re.compile(rb"^#EXT-X-(?:SESSION-)?KEY:(?!METHOD=NONE)", re.MULTILINE)
_MOST_PACKETS = 300
_MOST_BYTES = 16 * 1024 * 1024
_LOOKED_AT = 4 * 1024 * 1024
_LONGEST_LOOK_S = 3.0
_SYNC = 0x47
_START_CODE = b"\0\0\1"


def peeked(
    packets: Iterator[DemuxedPacket], streams: Sequence[av.stream.Stream]
) -> tuple[list[DemuxedPacket], Iterator[DemuxedPacket]]:
    """The first packets, until each stream had one (300 and 16 MiB at the most), and all of them again."""
    first: list[DemuxedPacket] = []
    lacking = {stream.index for stream in streams}
    size = 0
    try:
        for packet in packets:
            first.append(packet)
            size += packet.size
            lacking.discard(packet.stream.index)
            if not lacking or len(first) >= _MOST_PACKETS or size >= _MOST_BYTES:
                break
    except SourceError as error:
        # Not here: what came before it is to be recorded.
        return first, _again(first, packets, error)
    return first, _again(first, packets, None)


def _again(
    first: list[DemuxedPacket], packets: Iterator[DemuxedPacket], error: SourceError | None
) -> Iterator[DemuxedPacket]:
    yield from first
    if error is not None:
        raise error
    yield from packets


def kept(packets: Iterator[DemuxedPacket], streams: Sequence[av.stream.Stream]) -> Iterator[DemuxedPacket]:
    """Those of ``streams`` alone."""
    indexes = {stream.index for stream in streams}
    return (packet for packet in packets if packet.stream.index in indexes)


def encrypted_streams(
    container: InputContainer, first: list[DemuxedPacket], streams: Sequence[av.stream.Stream]
) -> set[int]:
    """The indexes of the streams that are encrypted, by what their ``first`` packets say or the file does."""
    found = {packet.stream.index for packet in first if is_encrypted(packet)}
    if container.format.name == "mpegts":
        scrambled = scrambled_pids(Path(container.name))
        found |= {stream.index for stream in streams if stream.id in scrambled}
    return found


def scrambled_pids(path: Path) -> set[int]:
    """The PIDs of a transport stream of which most packets are scrambled (ISO/IEC 13818-1, 2.4.3.3 and 2.4.3.7).

    The first 4 MiB tell. Packets that say so and whose PES headers can be read all the same are clear, unless
    these say that what follows is scrambled.
    """
    try:
        with path.open("rb") as file:
            return _scrambled_in(file.read(_LOOKED_AT))
    except OSError:
        return set()


def is_locked_playlist(path: Path) -> bool:
    """Whether a playlist of HLS names a key (RFC 8216, 4.3.2.4)."""
    try:
        with path.open("rb") as file:
            data = file.read(_LOOKED_AT)
    except OSError:
        return False
    return data.startswith(b"#EXTM3U") and _KEY.search(data) is not None


def is_scrambled_on_air(url: str, options: Mapping[str, str]) -> bool:
    """Whether a transport stream that comes over a connection is scrambled; the connection is made once more.

    libavformat passes over what is scrambled without a word. Of a pipe or a server that takes one connection
    alone nothing can be said: False.
    """
    return bool(_scrambled_in(raw_bytes(url, options, most=_LOOKED_AT, longest_s=_LONGEST_LOOK_S)))


def _scrambled_in(data: bytes) -> set[int]:
    beginnings, scrambled = Counter[int](), Counter[int]()
    packets = lost = 0
    at = data.find(_SYNC)
    while 0 <= at <= len(data) - PACKET_BYTES:
        if data[at] != _SYNC:
            at, lost = data.find(_SYNC, at), lost + 1
            continue
        packets += 1
        packet = data[at : at + PACKET_BYTES]
        at += PACKET_BYTES
        if packet[1] & 0x40 and packet[3] & 0x10:
            pid = int.from_bytes(packet[1:3]) & 0x1FFF
            payload = packet[5 + packet[4] if packet[3] & 0x20 else 4 :]
            beginnings[pid] += 1
            if payload.startswith(_START_CODE):
                scrambled[pid] += len(payload) > 6 and payload[6] & 0xF0 in (0x90, 0xA0, 0xB0)
            else:
                scrambled[pid] += packet[3] & 0xC0 != 0
    if 10 * lost > packets:
        return set()  # no transport stream
    return {pid for pid, count in beginnings.items() if 2 * scrambled[pid] > count}
