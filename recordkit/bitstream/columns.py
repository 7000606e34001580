"""The headers of many audio frames at once, as columns of what the parsers in ``audio`` say of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..model import Codec
from .ac3 import Ac3Header, parse_ac3
from .audio import AAC_CHANNELS, AAC_RATES, AAC_SAMPLES, OPUS_RATE, Mp3Header, opus_samples, parse_mp3

Positions = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

_RATES = np.array(AAC_RATES, np.int64)
_CHANNELS = np.array(AAC_CHANNELS, np.int64)
_OPUS_CONTROL_PREFIX = 0x7FE0
_DISTINCT_HEADERS = 256
_MP3_HEADER, _AC3_HEADER, _AC3_WITHOUT_CRC = 0xFFFF_FFFF << 32, (1 << 56) - 1 << 8, 0xFFFF_0000_FFFF_FF00
"""The bits of the first eight bytes that a header has."""


class Bytes(Protocol):
    """Bytes of an elementary stream, addressed by position, wherever they lie."""

    def words(self, positions: Positions) -> Words:
        """The eight bytes from each position on as one number, the first byte highest."""
        ...

    def bytes(self, begin: int, end: int) -> bytes:
        """A copy of the bytes from ``begin`` to ``end``."""
        ...

    def start_codes(self) -> Positions:
        """The positions of 00 00 01, ascending."""
        ...


class FrameColumns(NamedTuple):
    """Frames: bytes with all headers, samples a channel, rate in Hz, channels (0: not said)."""

    length: Positions
    samples: Positions
    sample_rate: Positions
    channels: Positions


def frame_columns(codec: Codec, data: Bytes, at: Positions) -> FrameColumns | None:
    """The frames that begin at ``at``; None if one of them is none, or cannot be told from its first bytes."""
    words = data.words(at)
    if codec is Codec.AAC:
        return _adts(words)
    if codec is Codec.OPUS:
        return _opus(data, at, words)
    if codec is Codec.DTS:
        return None  # its header is longer
    if codec in (Codec.AC3, Codec.EAC3):
        # Where AC-3 has a checksum E-AC-3 has a length, which is the same of most frames.
        mask = _AC3_WITHOUT_CRC if codec is Codec.AC3 else _AC3_HEADER
        return _parsed(words & np.uint64(mask), parse_ac3)
    return _parsed(words & np.uint64(_MP3_HEADER), parse_mp3)


def _adts(words: Words) -> FrameColumns | None:
    header = words.astype(np.int64) >> 8  # the sign that this spreads is above all fields
    length, rate, channels = header >> 13 & 0x1FFF, header >> 34 & 15, header >> 30 & 7
    good = (header >> 40 & 0xFFF6 == 0xFFF0) & (length > 9 - 2 * (header >> 40 & 1)) & (rate < len(_RATES))
    if not good.all():
        return None
    return FrameColumns(length, AAC_SAMPLES * ((header & 3) + 1), _RATES[rate], _CHANNELS[channels])


def _parsed(words: Words, parse: Callable[[bytes], Mp3Header | Ac3Header | None]) -> FrameColumns | None:
    distinct, which = np.unique(words, return_inverse=True)
    if len(distinct) > _DISTINCT_HEADERS:
        return None
    rows = []
    for header in distinct.tolist():
        found = parse(header.to_bytes(8))
        if found is None:
            return None
        rows.append((found.frame_length, found.samples, found.sample_rate, found.channels))
    return FrameColumns(*np.array(rows, np.int64)[which].T)


def _opus(data: Bytes, at: Positions, words: Words) -> FrameColumns | None:
    if (words >> 48 != _OPUS_CONTROL_PREFIX).any():
        return None  # a trim or an extension among them
    header_length, size = np.full(len(at), 2), np.zeros(len(at), np.int64)
    more = np.ones(len(at), np.bool_)
    for shift in range(40, -8, -8):
        byte = (words >> shift & 0xFF).astype(np.int64)
        size += byte * more
        header_length += more
        more &= byte == 0xFF
    heads = (data.words(at + header_length) >> 48).astype(np.int64)
    counted = heads >> 8 & 3 == 3  # the number of frames is in the second byte then
    if more.any() or (size < 1 + counted).any():
        return None
    heads[~counted] &= 0xFF00
    distinct, which = np.unique(heads, return_inverse=True)
    samples = np.array([opus_samples(head.to_bytes(2)) for head in distinct.tolist()], np.int64)
    if not samples.all():
        return None
    rate, channels = np.full(len(at), OPUS_RATE), np.zeros(len(at), np.int64)
    return FrameColumns(header_length + size, samples[which], rate, channels)
