"""Sequence parameter sets: frame size and frame rate as the coded stream itself states them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_LIKE_A_START_CODE = re.compile(rb"\0\0(?=[\0-\3])")
_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
_BASELINE = 66
_OUTPUT_IS_DECODING_ORDER = 2
_EXTENDED_SAR = 255
_LARGEST_SIDE = 16_384
_LARGEST_SPS_BYTES = 4_096
_CHROMA_UNITS = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}
"""SubWidthC and SubHeightC per chroma_format_idc (table 6-1); monochrome crops by single samples."""


@dataclass(frozen=True, slots=True)
class SequenceParameterSet:
    """The facts of one SPS.

    ``profile`` and ``level`` are profile_idc and level_idc, ``width`` and ``height`` pixels after
    cropping, ``frame_rate`` frames a second where the VUI carries timing. ``reorder`` is how many
    frames may be decoded before one that is shown before them (max_num_reorder_frames), None if
    the stream does not say. ``chroma_format`` is chroma_format_idc, the depths are bits a sample. ``slices`` are
    there for H.264.
    """

    profile: int
    level: int
    width: int
    height: int
    frame_rate: Fraction | None = None
    reorder: int | None = None
    chroma_format: int = 1
    luma_depth: int = 8
    chroma_depth: int = 8
    slices: SliceCoding | None = None


@dataclass(frozen=True, slots=True)
class SliceCoding:
    """What an H.264 SPS says of how slices are written (7.4.2.1.1); ``macroblocks`` are those of a frame."""

    sps_id: int
    separate_planes: bool
    frame_number_bits: int
    order_kind: int
    order_bits: int
    order_deltas: bool
    reference_frames: int
    frames_only: bool
    macroblocks: int


class EndOfDataError(Exception):
    """The parameter set ends before its syntax does."""


class BitReader:
    """Reads the bits of a raw byte sequence payload, first bit first."""

    __slots__ = ("_left", "_value")

    def __init__(self, payload: bytes) -> None:
        self._value = int.from_bytes(payload)
        self._left = len(payload) * 8

    def bits(self, count: int) -> int:
        """u(count)."""
        self._left -= count
        if self._left < 0:
            raise EndOfDataError
        return self._value >> self._left & ((1 << count) - 1)

    def unsigned(self) -> int:
        """ue(v), 9.1."""
        zeros = 0
        while not self.bits(1):
            zeros += 1
            if zeros > 32:
                raise EndOfDataError
        return (1 << zeros) - 1 + self.bits(zeros)

    def signed(self) -> int:
        """se(v), 9.1.1."""
        code = self.unsigned()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def unescape(nal: bytes) -> bytes:
    """The payload without its emulation_prevention_three_byte (7.3.1)."""
    at = nal.find(b"\0\0\3")
    if at < 0:
        return nal
    parts, begin = [], 0
    while at >= 0:
        parts.append(nal[begin : at + 2])
        begin = at + 3
        at = nal.find(b"\0\0\3", begin)
    parts.append(nal[begin:])
    return b"".join(parts)


def escape(payload: bytes) -> bytes:
    """``payload`` with emulation_prevention_three_byte where it would look like a start code (7.4.1)."""
    return _LIKE_A_START_CODE.sub(b"\0\0\3", payload)


def unsigned_exp_golomb(payload: bytes, index: int) -> int | None:
    """The ``index``-th of the ue(v) values at the payload's beginning, or None if it is cut."""
    reader = BitReader(payload)
    try:
        for _ in range(index):
            reader.unsigned()
        return reader.unsigned()
    except EndOfDataError:
        return None


def parse_sps(nal: bytes) -> SequenceParameterSet | None:
    """Reads an H.264 SPS from its NAL unit (7.3.2.1.1), header byte included; None on nonsense."""
    if len(nal) < 5 or nal[0] & 0x9F != 7:
        return None
    try:
        return _sane(_read_h264(BitReader(unescape(nal[1:_LARGEST_SPS_BYTES]))))
    except EndOfDataError:
        return None


def parse_h265_sps(nal: bytes) -> SequenceParameterSet | None:
    """Reads an H.265 SPS from its NAL unit (7.3.2.2.1), both header bytes included; None on nonsense.

    ``frame_rate`` stays None: the VUI lies behind syntax that nothing here needs.
    """
    if len(nal) < 16 or nal[0] >> 1 & 0x3F != 33:
        return None
    try:
        return _sane(_read_h265(BitReader(unescape(nal[2:_LARGEST_SPS_BYTES]))))
    except EndOfDataError:
        return None


def _sane(sps: SequenceParameterSet) -> SequenceParameterSet | None:
    return sps if 0 < sps.width <= _LARGEST_SIDE and 0 < sps.height <= _LARGEST_SIDE else None


def _read_h264(reader: BitReader) -> SequenceParameterSet:
    profile, _, level = reader.bits(8), reader.bits(8), reader.bits(8)
    sps_id = reader.unsigned()
    chroma_format, separate_planes, luma_depth, chroma_depth = 1, 0, 8, 8
    if profile in _HIGH_PROFILES:
        chroma_format = reader.unsigned()
        if chroma_format > 3:
            raise EndOfDataError
        if chroma_format == 3:
            separate_planes = reader.bits(1)
        luma_depth, chroma_depth = 8 + reader.unsigned(), 8 + reader.unsigned()
        reader.bits(1)
        if reader.bits(1):
            _skip_scaling_lists(reader, 12 if chroma_format == 3 else 8)
    frame_number_bits = reader.unsigned() + 4
    order_kind, order_bits, order_deltas = _read_picture_order_count(reader)
    reference_frames = reader.unsigned()
    reader.bits(1)
    width = (reader.unsigned() + 1) * 16
    map_units = reader.unsigned() + 1
    frames_only = reader.bits(1)
    if not frames_only:
        reader.bits(1)
    height = map_units * 16 * (2 - frames_only)
    slices = SliceCoding(
        sps_id,
        bool(separate_planes),
        frame_number_bits,
        order_kind,
        order_bits,
        order_deltas,
        reference_frames,
        bool(frames_only),
        width // 16 * (height // 16),
    )
    reader.bits(1)
    if reader.bits(1):
        unit_x, unit_y = (1, 1) if separate_planes else _CHROMA_UNITS[chroma_format]
        width -= (reader.unsigned() + reader.unsigned()) * unit_x
        height -= (reader.unsigned() + reader.unsigned()) * unit_y * (2 - frames_only)
    frame_rate, reorder = _read_vui(reader) if reader.bits(1) else (None, None)
    if profile == _BASELINE or order_kind == _OUTPUT_IS_DECODING_ORDER:
        reorder = 0
    return SequenceParameterSet(
        profile, level, width, height, frame_rate, reorder, chroma_format, luma_depth, chroma_depth, slices
    )


def _skip_scaling_lists(reader: BitReader, count: int) -> None:
    for index in range(count):
        if not reader.bits(1):
            continue
        last, following = 8, 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + reader.signed()) % 256
            last = following or last


def _read_picture_order_count(reader: BitReader) -> tuple[int, int, bool]:
    """Returns pic_order_cnt_type, the bits of pic_order_cnt_lsb, and whether slices say how far off they are."""
    kind, bits, has_deltas = reader.unsigned(), 0, False
    if kind == 0:
        bits = reader.unsigned() + 4
    elif kind == 1:
        has_deltas = not reader.bits(1)
        reader.signed()
        reader.signed()
        cycle = reader.unsigned()
        if cycle > 255:
            raise EndOfDataError
        for _ in range(cycle):
            reader.signed()
    return kind, bits, has_deltas


def _read_vui(reader: BitReader) -> tuple[Fraction | None, int | None]:
    """Frame rate and max_num_reorder_frames of the VUI (E.1.1); two fields, so two ticks, make a frame."""
    if reader.bits(1) and reader.bits(8) == _EXTENDED_SAR:
        reader.bits(32)
    if reader.bits(1):
        reader.bits(1)
    if reader.bits(1):
        reader.bits(4)
        if reader.bits(1):
            reader.bits(24)
    if reader.bits(1):
        reader.unsigned()
        reader.unsigned()
    frame_rate = None
    has_timing = reader.bits(1) == 1
    if has_timing:
        units, scale = reader.bits(32), reader.bits(32)
        frame_rate = Fraction(scale, 2 * units) if units and scale else None
    try:
        return frame_rate, _read_reorder(reader, has_timing=has_timing)
    except EndOfDataError:
        return frame_rate, None


def _read_reorder(reader: BitReader, *, has_timing: bool) -> int | None:
    """max_num_reorder_frames, from behind the VUI's timing on."""
    if has_timing:
        reader.bits(1)
    has_hrd = False
    for _ in range(2):
        if reader.bits(1):
            has_hrd = True
            _skip_hrd(reader)
    if has_hrd:
        reader.bits(1)
    reader.bits(1)
    if not reader.bits(1):
        return None
    reader.bits(1)
    for _ in range(4):
        reader.unsigned()
    return reader.unsigned()


def _skip_hrd(reader: BitReader) -> None:
    """Hypothetical reference decoder parameters (E.1.2)."""
    count = reader.unsigned() + 1
    if count > 32:
        raise EndOfDataError
    reader.bits(8)
    for _ in range(count):
        reader.unsigned()
        reader.unsigned()
        reader.bits(1)
    reader.bits(20)


def _read_h265(reader: BitReader) -> SequenceParameterSet:
    reader.bits(4)
    sub_layers = reader.bits(3)
    reader.bits(1)
    profile = reader.bits(8) & 0x1F
    reader.bits(80)
    level = reader.bits(8)
    present = [(reader.bits(1), reader.bits(1)) for _ in range(sub_layers)]
    if sub_layers:
        reader.bits(2 * (8 - sub_layers))
    for has_profile, has_level in present:
        reader.bits(88 * has_profile + 8 * has_level)
    reader.unsigned()
    chroma_format = reader.unsigned()
    if chroma_format > 3:
        raise EndOfDataError
    separate_planes = reader.bits(1) if chroma_format == 3 else 0
    width, height = reader.unsigned(), reader.unsigned()
    if reader.bits(1):
        unit_x, unit_y = (1, 1) if separate_planes else _CHROMA_UNITS[chroma_format]
        width -= (reader.unsigned() + reader.unsigned()) * unit_x
        height -= (reader.unsigned() + reader.unsigned()) * unit_y
    luma_depth, chroma_depth = 8 + reader.unsigned(), 8 + reader.unsigned()
    return SequenceParameterSet(
        profile, level, width, height, chroma_format=chroma_format, luma_depth=luma_depth, chroma_depth=chroma_depth
    )
