"""Interlaced H.264 whose fields are access units of their own: which of them completes a frame."""

from __future__ import annotations

from .sps import BitReader, EndOfDataError, SequenceParameterSet, SliceCoding, unescape

_IDR = 5
_HEAD_BYTES = 32


class FieldPairs:
    """Follows the first slices of coded pictures, in decoding order.

    Two fields of opposite parity and one frame_num that follow each other, the second no IDR, both referred to or
    neither, are one frame (ITU-T H.264, 3.30 and 3.29). That their slices go by the newest sequence parameter set
    is taken for granted.
    """

    def __init__(self) -> None:
        self._coding: SliceCoding | None = None
        self._first: tuple[int, bool, bool] | None = None

    @property
    def are_possible(self) -> bool:
        """Whether pictures may be single fields; if not, none has to be looked at."""
        return self._coding is not None and not self._coding.frames_only

    def learn(self, sps: SequenceParameterSet | None) -> None:
        """A sequence parameter set that holds from now on."""
        if sps is not None and sps.slices is not None:
            self._coding = sps.slices

    def is_second(self, nal: bytes) -> bool:
        """Whether the picture that begins with this slice (its first bytes do) is the second field of a frame."""
        first, self._first = self._first, None
        coding = self._coding
        if coding is None or coding.frames_only:
            return False
        reader = BitReader(unescape(nal[1:_HEAD_BYTES]))
        try:
            for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id (7.3.3)
                reader.unsigned()
            if coding.separate_planes:
                reader.bits(2)
            frame_number = reader.bits(coding.frame_number_bits)
            if not reader.bits(1):
                return False
            field = frame_number, bool(nal[0] & 0x60), bool(reader.bits(1))
        except EndOfDataError:
            return False
        if nal[0] & 0x1F != _IDR and first is not None and first[:2] == field[:2] and first[2] is not field[2]:
            return True
        self._first = field
        return False
