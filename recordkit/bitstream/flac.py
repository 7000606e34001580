"""Frames of FLAC, and what a stream says of them beforehand (RFC 9639, 8.2 and 9.1)."""

from __future__ import annotations

from dataclasses import dataclass

STREAMINFO_BYTES = 34
_MARK = b"fLaC"
_TOTALS_AT = 13
"""In STREAMINFO: four bits behind the sample size, the number of samples, then their MD5."""
_RATES = (0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
_RATE_FIELDS = {12: (1, 1_000), 13: (2, 1), 14: (2, 10)}
"""By the code of the rate: how many bytes of it stand in the header, and how many Hz each counts (9.1.4)."""
_MOST_CHANNEL_CODES = 10


@dataclass(frozen=True, slots=True)
class FlacHeader:
    """One frame: samples a channel, rate in Hz (0: as STREAMINFO says), channels, and which one it is.

    ``number`` counts samples if ``is_by_sample``, else frames, which are of one length then (9.1.5).
    """

    samples: int
    sample_rate: int
    channels: int
    number: int = 0
    is_by_sample: bool = False


def parse_flac(data: bytes) -> FlacHeader | None:
    """Reads the header of a frame; None if there is none."""
    if len(data) < 6 or data[0] != 0xFF or data[1] & 0xFE != 0xF8:
        return None
    block, rate_code, channel_code = data[2] >> 4, data[2] & 15, data[3] >> 4
    if not block or rate_code == 15 or channel_code > _MOST_CHANNEL_CODES or data[3] & 1:
        return None
    # The frame's number is coded as UTF-8 codes letters.
    at, lead = 5, data[4]
    number = lead
    if lead >= 0x80:
        more = 7 - (lead ^ 0xFF).bit_length()
        number = lead & 0x3F >> more
        for one in data[at : at + more]:
            number = number << 6 | one & 0x3F
        at += more
    size_bytes = block - 5 if block in (6, 7) else 0
    rate_bytes, unit = _RATE_FIELDS.get(rate_code, (0, 0))
    if at + size_bytes + rate_bytes > len(data):
        return None
    if block == 1:
        samples = 192
    elif block <= 5:
        samples = 576 << block - 2
    elif block <= 7:
        samples = int.from_bytes(data[at : at + size_bytes]) + 1
    else:
        samples = 256 << block - 8
    at += size_bytes
    rate = int.from_bytes(data[at : at + rate_bytes]) * unit if rate_bytes else _RATES[rate_code]
    channels = channel_code + 1 if channel_code < 8 else 2
    return FlacHeader(samples, rate, channels, number, bool(data[1] & 1))


def flac_streaminfo(extradata: bytes) -> bytes:
    """STREAMINFO out of what a container says, b"" if that has none.

    How many samples there are and their MD5 are left out (0 is unknown, 8.2): a recording may have others.
    """
    if extradata.startswith(_MARK):
        extradata = extradata[8:]
    if len(extradata) < STREAMINFO_BYTES:
        return b""
    return extradata[:_TOTALS_AT] + bytes([extradata[_TOTALS_AT] & 0xF0]) + bytes(20)


def flac_depth(streaminfo: bytes) -> int:
    """Bits a sample, by STREAMINFO."""
    return ((streaminfo[12] & 1) << 4 | streaminfo[13] >> 4) + 1 if len(streaminfo) >= STREAMINFO_BYTES else 16


def flac_block(streaminfo: bytes) -> int:
    """How many samples each frame but the last has; 0 if they differ, or nobody says it."""
    least, most = streaminfo[:2], streaminfo[2:4]
    return int.from_bytes(most) if len(streaminfo) >= STREAMINFO_BYTES and least == most else 0
