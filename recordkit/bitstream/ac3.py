"""Headers of AC-3 and E-AC-3 syncframes (ATSC A/52, 5.3 and annex E)."""

from __future__ import annotations

from dataclasses import dataclass

_RATES = (48_000, 44_100, 32_000)
_BIT_RATES_KBIT = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_CHANNELS = (2, 1, 2, 3, 3, 4, 4, 5)
"""By acmod (table 5.8), without the low-frequency channel."""
_BLOCKS = (1, 2, 3, 6)
_SYNC = b"\x0b\x77"
_NEWEST_AC3, _NEWEST_EAC3 = 10, 16
_BLOCK_SAMPLES = 256
_HEADER_BYTES = 7


@dataclass(frozen=True, slots=True)
class Ac3Header:
    """One syncframe: its bytes, rate in Hz, channels, and samples a channel.

    A frame that only adds channels or another program to the one before it has no samples of its own.
    """

    frame_length: int
    sample_rate: int
    channels: int
    samples: int


def parse_ac3(data: bytes, at: int = 0) -> Ac3Header | None:
    """Reads the header at ``at``; None if there is none, or it contradicts itself."""
    if at < 0 or at + _HEADER_BYTES > len(data) or data[at : at + 2] != _SYNC:
        return None
    version = data[at + 5] >> 3
    if version <= _NEWEST_AC3:
        return _ac3(data, at, max(0, version - 8))
    return _eac3(data, at) if version <= _NEWEST_EAC3 else None


def _ac3(data: bytes, at: int, halvings: int) -> Ac3Header | None:
    rate_code, size_code, mode = data[at + 4] >> 6, data[at + 4] & 0x3F, data[at + 6] >> 5
    if rate_code >= len(_RATES) or size_code >> 1 >= len(_BIT_RATES_KBIT):
        return None
    rate, bit_rate = _RATES[rate_code], _BIT_RATES_KBIT[size_code >> 1]
    # 1536 samples in words of 16 bits; at 44.1 kHz every other frame is a word longer (table 5.18).
    words = bit_rate * 96_000 // rate + (size_code & 1 if rate == 44_100 else 0)
    # Mix levels stand before lfeon, as far as the mode has what they are of.
    skipped = 2 * (mode & 1 and mode != 1) + 2 * (mode >> 2) + 2 * (mode == 2)
    has_lfe = data[at + 6] >> 4 - skipped & 1
    return Ac3Header(2 * words, rate >> halvings, _CHANNELS[mode] + has_lfe, 6 * _BLOCK_SAMPLES)


def _eac3(data: bytes, at: int) -> Ac3Header | None:
    kind, program = data[at + 2] >> 6, data[at + 2] >> 3 & 7
    length = 2 * ((int.from_bytes(data[at + 2 : at + 4]) & 0x7FF) + 1)
    rate_code, blocks_code = data[at + 4] >> 6, data[at + 4] >> 4 & 3
    mode, has_lfe = data[at + 4] >> 1 & 7, data[at + 4] & 1
    if kind == 3 or length < _HEADER_BYTES or (rate_code == 3 and blocks_code == 3):
        return None
    rate, blocks = (_RATES[blocks_code] // 2, 6) if rate_code == 3 else (_RATES[rate_code], _BLOCKS[blocks_code])
    is_own = kind != 1 and not program
    return Ac3Header(length, rate, _CHANNELS[mode] + has_lfe, blocks * _BLOCK_SAMPLES if is_own else 0)


def ac3_configuration(frame: bytes) -> bytes:
    """What an MP4 says beforehand of a stream that begins with ``frame``; b"" if that is none.

    The content of AC3SpecificBox or EC3SpecificBox (ETSI TS 102 366, F.4 and F.6).
    """
    header = parse_ac3(frame)
    if header is None:
        return b""
    version, rate_code = frame[5] >> 3, frame[4] >> 6
    if version <= _NEWEST_AC3:
        mode, bit_rate_code = frame[6] >> 5, frame[4] >> 1 & 31
        has_lfe = header.channels - _CHANNELS[mode]
        fields = (
            rate_code << 22 | version << 17 | (frame[5] & 7) << 14 | mode << 11 | has_lfe << 10 | bit_rate_code << 5
        )
        return fields.to_bytes(3)
    mode, has_lfe = frame[4] >> 1 & 7, frame[4] & 1
    kbit = header.frame_length * 8 * header.sample_rate // max(header.samples, _BLOCK_SAMPLES) // 1000
    rest = frame[header.frame_length :]
    channels_more = 0
    if len(rest) >= _HEADER_BYTES and rest[2] >> 6 == 1:
        channels_more = 1  # a dependent substream: how many channels it adds, a decoder finds in it
    substream = rate_code << 22 | version << 17 | mode << 9 | has_lfe << 8 | channels_more << 1
    return (min(kbit, 0x1FFF) << 3).to_bytes(2) + substream.to_bytes(3) + (b"\0" if channels_more else b"")
