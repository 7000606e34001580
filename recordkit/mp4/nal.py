"""NAL units between the two forms: behind start codes (Annex B), and behind their lengths (-15, 5.3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

import numpy as np

from ..model import Codec

_START_CODE = b"\0\0\1"
_PACK_LENGTH = Struct(">I").pack_into
LENGTH_BYTES = 4
_NOT_THE_ONE = np.uint16(0xFEFF)
_NUMPY_PAYS = 2048
"""From so many bytes on, comparing words costs less than a search for three bytes."""
_DELIMITERS = {Codec.H264: (0x1F, 9), Codec.H265: (0x7E, 35 << 1)}
_SETS = {Codec.H264: frozenset({7, 8, 13}), Codec.H265: frozenset({32, 33, 34})}
_SLICES = {Codec.H264: range(1, 6), Codec.H265: range(32)}

Cut = tuple[bytes, int, int]
"""A NAL unit as it lies in a byte stream: the stream, and from where to where."""


def _starts(data: bytes) -> list[int]:
    """Where each NAL unit of a byte stream begins: behind its start code."""
    found = []
    if len(data) < _NUMPY_PAYS:
        at = data.find(_START_CODE)
        while at >= 0:
            found.append(at + 3)
            at = data.find(_START_CODE, at + 3)
        return found
    # A start code has, aligned to two bytes, either its zeros in one word or a zero and the one.
    words = np.frombuffer(data, "<u2", len(data) // 2)
    for word in ((words & _NOT_THE_ONE) == 0).nonzero()[0].tolist():
        at = 2 * word
        if data[at + 1]:
            at -= 1
        if data[at : at + 3] == _START_CODE:
            found.append(at + 3)
    return found


def cuts(data: bytes, codec: Codec, starts: Sequence[int] = ()) -> list[Cut]:
    """The NAL units of an Annex B byte stream; delimiters, which MP4 has no use for, left out (-15, 5.2.2).

    ``starts`` says where they begin, behind their start codes; if it is empty they are searched for.
    """
    mask, delimiter = _DELIMITERS[codec]
    found: list[Cut] = []
    starts = starts or _starts(data)
    if len(starts) == 1 and data[-1] and data[starts[0]] & mask != delimiter:
        return [(data, starts[0], len(data))]
    for place, start in enumerate(starts, 1):
        end = starts[place] - 3 if place < len(starts) else len(data)
        while end > start and data[end - 1] == 0:
            end -= 1
        if end > start and data[start] & mask != delimiter:
            found.append((data, start, end))
    return found


def length_of(found: Sequence[Cut]) -> int:
    """How many bytes the NAL units take behind their lengths."""
    return sum([LENGTH_BYTES + end - start for _, start, end in found])


def parameter_sets(found: Sequence[Cut], codec: Codec) -> bytes:
    """The parameter sets before the first slice, each behind a 4-byte start code; b"" without any."""
    made = b""
    for data, start, end in found:
        first = data[start]
        kind = first >> 1 & 0x3F if codec is Codec.H265 else first & 0x1F
        if kind in _SETS[codec]:
            made += b"\0" + _START_CODE + data[start:end]
        elif kind in _SLICES[codec]:
            break
    return made


def lay_cuts(found: Sequence[Cut], memory: memoryview, at: int) -> int:
    """Lay the NAL units at ``at``, each behind its length; returns where they end."""
    for data, start, end in found:
        size = end - start
        _PACK_LENGTH(memory, at, size)
        at += LENGTH_BYTES
        memory[at : at + size] = memoryview(data)[start:end]
        at += size
    return at


def annexb(sample: bytes, length_bytes: int = LENGTH_BYTES) -> bytes | None:
    """The NAL units of a sample behind start codes; None when the lengths do not fill the sample."""
    parts: list[bytes] = []
    at = 0
    while at + length_bytes <= len(sample):
        size = int.from_bytes(sample[at : at + length_bytes])
        at += length_bytes
        parts += (b"\0\0\0\1", sample[at : at + size])
        at += size
    return b"".join(parts) if at == len(sample) else None
