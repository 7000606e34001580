"""Opus in Ogg (RFC 7845, RFC 3533): each packet a page of its own, whole in the buffer the moment it was laid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from zlib import crc32

from ..bitstream.audio import OPUS_RATE, opus_samples
from ..container import Finish
from ..model import AccessUnit, Codec, StreamFormat
from ..ticks import TICKS_PER_SECOND
from .packager import SoundPackager

_HEAD = Struct("<4sBBQIIIB")
_SERIAL = 0x7265_636B
_FIRST, _LAST = 2, 4
_PRE_SKIP = 312
_VENDOR = b"recordkit"
_ONES = 0xFFFF_FFFF
_LONGEST_GAP = TICKS_PER_SECOND // 50
"""A packet that begins so much behind the one before it stands behind a gap."""


_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def page_crc(page: bytes) -> int:
    """The checksum of a page whose own field for it is 0 (RFC 3533, 6).

    It is zlib's with the bits of each byte, and of the sum, the other way round, and without its inversions.
    """
    value = crc32(page.translate(_MIRRORED), _ONES) ^ _ONES
    return int.from_bytes(value.to_bytes(4, "little").translate(_MIRRORED))


def _page(packet: bytes, granule: int, number: int, flags: int = 0) -> bytes:
    """A page of one packet."""
    segments = b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
    body = segments + packet
    head = _HEAD.pack(b"OggS", 0, flags, granule, _SERIAL, number, 0, len(segments))
    crc = page_crc(head + body)
    return _HEAD.pack(b"OggS", 0, flags, granule, _SERIAL, number, crc, len(segments)) + body


def pre_skip(head: bytes) -> int:
    """How many samples at 48 kHz of a stream with this identification header are decoded and not heard first."""
    return int.from_bytes(head[10:12], "little")


def opus_head(stream_format: StreamFormat) -> bytes:
    """The identification header of a stream (RFC 7845, 5.1)."""
    if stream_format.config.startswith(b"OpusHead"):
        return stream_format.config
    fields = bytes([1, stream_format.channels]) + _PRE_SKIP.to_bytes(2, "little") + OPUS_RATE.to_bytes(4, "little")
    return b"OpusHead" + fields + bytes(3)


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was found: where it begins and ends, its flags, granule position, number, and its packet."""

    begin: int
    end: int
    flags: int
    granule: int
    number: int
    body: bytes


def pages(data: bytes) -> Iterator[Page]:
    """The pages from the beginning on, up to the first that is cut or damaged."""
    at = 0
    while at + _HEAD.size <= len(data):
        magic, version, flags, granule, serial, number, crc, count = _HEAD.unpack_from(data, at)
        begin = at + _HEAD.size + count
        end = begin + sum(data[at + _HEAD.size : begin])
        if magic != b"OggS" or version or end > len(data):
            return
        head = _HEAD.pack(magic, version, flags, granule, serial, number, 0, count)
        if page_crc(head + data[at + _HEAD.size : end]) != crc:
            return
        yield Page(at, end, flags, granule, number, data[begin:end])
        at = end


def ending(last: bytes, end: int) -> tuple[int, bytes]:
    """What ends a stream whose ``last`` page ends at byte ``end``: where, and the head that it gets there.

    Players leave out what lies behind the granule position only of the page that says that it is the last.
    """
    magic, version, flags, granule, serial, number, _, count = _HEAD.unpack_from(last)
    rest = last[_HEAD.size :]
    crc = page_crc(_HEAD.pack(magic, version, flags | _LAST, granule, serial, number, 0, count) + rest)
    return end - len(last), _HEAD.pack(magic, version, flags | _LAST, granule, serial, number, crc, count)


class OggPackager(SoundPackager):
    """Lays packets of Opus as pages."""

    kind = "Ogg"
    codecs = (Codec.OPUS,)

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._granule = 0
        self._last = b""
        self._expected: int | None = None

    def declare(self, index: int, stream_format: StreamFormat) -> None:
        """As for all; but packets may have one channel or two, whatever the header says (RFC 7845, 5.1.1)."""
        known = self._format
        if known is not None and index == self._index and stream_format.codec is Codec.OPUS:
            return
        super().declare(index, stream_format)

    def heard(self, unit: AccessUnit) -> int:
        """Behind what is skipped first (RFC 7845, 4.2)."""
        skipped = 0 if self._format is None else pre_skip(opus_head(self._format))
        return unit.pts + skipped * TICKS_PER_SECOND // OPUS_RATE

    def until(self, unit: AccessUnit) -> int:
        """Before what only fills it up, as its page says (RFC 7845, 4.4)."""
        return super().until(unit) - unit.end_trim * TICKS_PER_SECOND // OPUS_RATE

    def _head(self) -> bytes:
        if self._number or self._format is None:
            return b""
        tags = b"OpusTags" + len(_VENDOR).to_bytes(4, "little") + _VENDOR + bytes(4)
        return _page(opus_head(self._format), 0, 0, _FIRST) + _page(tags, 0, 1)

    def _overhead(self, unit: AccessUnit) -> int:
        return _HEAD.size + len(unit.data) // 255 + 1

    def _framed(self, unit: AccessUnit) -> bytes:
        data = unit.data
        samples = opus_samples(data)
        if self._expected is not None and unit.dts - self._expected > _LONGEST_GAP:
            self._granule += (unit.dts - self._expected) * OPUS_RATE // TICKS_PER_SECOND
        self._expected = unit.dts + samples * TICKS_PER_SECOND // OPUS_RATE
        self._granule += samples
        self._number = max(2, self._number)
        self._last = _page(data, self._granule - unit.end_trim, self._number)
        self._number += 1
        return self._last

    def finish(self, file_bytes: int) -> Finish:
        """The last page says that it is that, if all that was laid is in the file."""
        if not self._last or file_bytes != self._laid_bytes:
            return Finish()
        return Finish((), (ending(self._last, file_bytes),))
