"""Open bitstream units of AV1: temporal units without what files do not store, and what a sequence header states.

The clauses are those of the AV1 Bitstream & Decoding Process Specification.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .sps import BitReader, EndOfDataError

_SEQUENCE_HEADER, _DELIMITER, _TILE_LIST, _PADDING = 1, 2, 8, 15
_NOT_STORED = frozenset({_DELIMITER, _TILE_LIST, _PADDING})
_SELECT = 2
_HIGHEST_LEVEL_WITHOUT_TIER = 7
_BT709, _SRGB, _IDENTITY = 1, 13, 0
_MOST_LENGTH_BYTES = 8


class Av1Header(NamedTuple):
    """What a sequence header says; ``description`` are the four bytes that a file says of it.

    That is AV1CodecConfigurationRecord without its OBUs (AV1 Codec ISO Media File Format Binding, 2.3.3).
    """

    width: int
    height: int
    description: bytes


def av1_units(data: bytes) -> Iterator[tuple[int, int, int]]:
    """``(obu_type, begin, end)`` of each OBU with a size of its own (5.3.2); ends at the first that is cut."""
    at = 0
    while at < len(data):
        head = data[at]
        begin, at = at, at + 1 + (head >> 2 & 1)
        if head & 0x80:
            return
        size = len(data) - at
        if head & 2:
            size = shift = 0
            for _ in range(_MOST_LENGTH_BYTES):
                if at >= len(data):
                    return
                byte, at = data[at], at + 1
                size |= (byte & 0x7F) << shift
                shift += 7
                if not byte & 0x80:
                    break
        if at + size > len(data):
            return
        at += size
        yield head >> 3 & 15, begin, at


def av1_stored(data: bytes) -> bytes:
    """A temporal unit as files have it: without delimiters, tile lists and padding (the binding, 2.4).

    What stands behind an OBU that is damaged stays as it is.
    """
    found = list(av1_units(data))
    if not any(kind in _NOT_STORED for kind, _, _ in found):
        return data
    rest = data[found[-1][2] :]
    return b"".join([*(data[begin:end] for kind, begin, end in found if kind not in _NOT_STORED), rest])


def av1_sequence(data: bytes) -> bytes:
    """The first sequence header of a temporal unit, with its OBU header; b"" without any."""
    return next((data[begin:end] for kind, begin, end in av1_units(data) if kind == _SEQUENCE_HEADER), b"")


def parse_av1_sequence(unit: bytes) -> Av1Header | None:
    """Reads a sequence header OBU (5.5.1); None if it is none, or is cut."""
    if not unit or unit[0] >> 3 & 15 != _SEQUENCE_HEADER:
        return None
    at = 1 + (unit[0] >> 2 & 1)
    if unit[0] & 2:
        while at < len(unit) and unit[at] & 0x80:
            at += 1
        at += 1
    try:
        return _read(BitReader(unit[at:]))
    except EndOfDataError:
        return None


def _read(reader: BitReader) -> Av1Header:
    profile = reader.bits(3)
    reader.bits(1)  # still_picture
    is_reduced = bool(reader.bits(1))
    level, tier = (reader.bits(5), 0) if is_reduced else _operating_point(reader)
    width_bits, height_bits = reader.bits(4) + 1, reader.bits(4) + 1
    width, height = reader.bits(width_bits) + 1, reader.bits(height_bits) + 1
    _skip_tools(reader, is_reduced=is_reduced)
    high, twelve, mono, x, y, position = _color(reader, profile)
    flags = tier << 7 | high << 6 | twelve << 5 | mono << 4 | x << 3 | y << 2 | position
    return Av1Header(width, height, bytes([0x81, profile << 5 | level, flags, 0]))


def _operating_point(reader: BitReader) -> tuple[int, int]:
    """Level and tier of the first operating point."""
    delay_bits, first = 0, (0, 0)
    if reader.bits(1):  # timing_info
        reader.bits(64)
        if reader.bits(1):
            _skip_uvlc(reader)
        if reader.bits(1):  # decoder_model_info
            delay_bits = reader.bits(5) + 1
            reader.bits(42)
    has_delays = bool(reader.bits(1))
    for number in range(reader.bits(5) + 1):
        reader.bits(12)
        level = reader.bits(5)
        tier = reader.bits(1) if level > _HIGHEST_LEVEL_WITHOUT_TIER else 0
        if delay_bits and reader.bits(1):
            reader.bits(2 * delay_bits + 1)
        if has_delays and reader.bits(1):
            reader.bits(4)
        if not number:
            first = level, tier
    return first


def _skip_uvlc(reader: BitReader) -> None:
    zeros = 0
    while not reader.bits(1):
        zeros += 1
    reader.bits(zeros if zeros < 32 else 0)


def _skip_tools(reader: BitReader, *, is_reduced: bool) -> None:
    """From frame_id_numbers_present_flag to enable_restoration."""
    if not is_reduced and reader.bits(1):
        reader.bits(7)
    reader.bits(3)  # superblocks, filter_intra, intra_edge_filter
    if not is_reduced:
        reader.bits(4)  # interintra, masked, warped, dual_filter
        has_order = bool(reader.bits(1))
        if has_order:
            reader.bits(2)
        content = _SELECT if reader.bits(1) else reader.bits(1)
        if content and not reader.bits(1):
            reader.bits(1)
        if has_order:
            reader.bits(3)
    reader.bits(3)  # superres, cdef, restoration


def _color(reader: BitReader, profile: int) -> tuple[int, int, int, int, int, int]:
    """color_config (5.5.2): high_bitdepth, twelve_bit, mono_chrome, subsampling x and y, chroma_sample_position."""
    high = reader.bits(1)
    twelve = reader.bits(1) if profile == 2 and high else 0
    mono = 0 if profile == 1 else reader.bits(1)
    described = (reader.bits(8), reader.bits(8), reader.bits(8)) if reader.bits(1) else (2, 2, 2)
    if mono:
        return high, twelve, mono, 1, 1, 0
    if described == (_BT709, _SRGB, _IDENTITY):
        return high, twelve, mono, 0, 0, 0
    reader.bits(1)  # color_range
    if profile == 0:
        x, y = 1, 1
    elif profile == 1:
        x, y = 0, 0
    elif twelve:
        x = reader.bits(1)
        y = reader.bits(1) if x else 0
    else:
        x, y = 1, 0
    return high, twelve, mono, x, y, reader.bits(2) if x and y else 0
