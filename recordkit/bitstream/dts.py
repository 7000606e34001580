"""Headers of DTS core frames (ETSI TS 102 114, 5.3), as they stand in transport streams: sixteen bits a word."""

from __future__ import annotations

from dataclasses import dataclass

_SYNC = b"\x7f\xfe\x80\x01"
_EXTENSION = b"\x64\x58\x20\x25"
_RATES = {
    1: 8_000,
    2: 16_000,
    3: 32_000,
    6: 11_025,
    7: 22_050,
    8: 44_100,
    11: 12_000,
    12: 24_000,
    13: 48_000,
}
_CHANNELS = (1, 2, 2, 2, 2, 3, 3, 4, 4, 5, 6, 6, 6, 7, 8, 8)
"""By AMODE (table 5-4), without the low-frequency channel."""
_BLOCK_SAMPLES = 32
DTS_HEADER_BYTES = 11
_LEAST_BLOCKS, _LEAST_BYTES = 6, 96


@dataclass(frozen=True, slots=True)
class DtsHeader:
    """One core frame: its bytes, rate in Hz, channels, and samples a channel.

    An extension (DTS-HD) may follow it, which adds to the same samples and is not counted in its bytes.
    """

    frame_length: int
    sample_rate: int
    channels: int
    samples: int


def parse_dts(data: bytes, at: int = 0) -> DtsHeader | None:
    """Reads the header at ``at``; None if there is none, or it contradicts itself."""
    if at < 0 or at + DTS_HEADER_BYTES > len(data) or data[at : at + 4] != _SYNC:
        return None
    blocks, length, mode, rate_code, _, has_lfe = _fields(data, at)
    rate = _RATES.get(rate_code)
    if rate is None or mode >= len(_CHANNELS) or blocks < _LEAST_BLOCKS or length < _LEAST_BYTES:
        return None
    return DtsHeader(length, rate, _CHANNELS[mode] + has_lfe, blocks * _BLOCK_SAMPLES)


def parse_dts_part(data: bytes, at: int = 0) -> DtsHeader | None:
    """The same, or of an extension behind a core frame (DTS-HD, 7.4.1) its bytes alone: it has no samples more."""
    if at < 0 or at + DTS_HEADER_BYTES > len(data) or data[at : at + 4] != _EXTENSION:
        return parse_dts(data, at)
    bits = int.from_bytes(data[at + 5 : at + 10])
    # Behind nExtSSIndex and bHeaderSizeType, by which the header's length has 8 or 12 bits, and the whole 16 or 20.
    length = bits >> 13 if bits >> 37 & 1 == 0 else bits >> 5
    return DtsHeader((length & (0xFFFF if bits >> 37 & 1 == 0 else 0xFFFFF)) + 1, 0, 0, 0)


def dts_configuration(frame: bytes) -> bytes:
    """What a program map says of a stream that begins with ``frame``; b"" if that is none.

    The content of the DTS_descriptor (ETSI EN 300 468, annex G): the header's own fields.
    """
    if parse_dts(frame) is None:
        return b""
    blocks, length, mode, rate_code, bit_rate_code, has_lfe = _fields(frame, 0)
    fields = (
        rate_code << 36 | bit_rate_code << 30 | (blocks - 1) << 23 | (length - 1) << 9 | mode << 3 | has_lfe << 2
    )
    return fields.to_bytes(5)


def _fields(data: bytes, at: int) -> tuple[int, int, int, int, int, bool]:
    """NBLKS and FSIZE, each one more than is written, AMODE, SFREQ, RATE, and whether LFF is not 0."""
    bits = int.from_bytes(data[at + 4 : at + DTS_HEADER_BYTES])
    return (
        (bits >> 42 & 0x7F) + 1,
        (bits >> 28 & 0x3FFF) + 1,
        bits >> 22 & 0x3F,
        bits >> 18 & 0xF,
        bits >> 13 & 0x1F,
        bits >> 1 & 3 in (1, 2),
    )
