"""A frame of H.264 that shows the one before it once more: all of it is skipped (ITU-T H.264, 7.3.4).

Where nothing moves for long, or to the end of a recording, this is what stands there, since a transport stream
tells no durations: a few bytes, and no decoding.
"""

from __future__ import annotations

from dataclasses import dataclass

from .h264 import nal_end, nal_starts
from .sps import BitReader, EndOfDataError, SliceCoding, escape, parse_sps, unescape, unsigned_exp_golomb

_OTHER, _IDR, _SPS, _PPS = 1, 5, 7, 8
_START_CODE = b"\0\0\0\1"
_MOST_PPS = 256
_HEAD_BYTES = 32
_MOST_HEADS = 256
_P_ALL = 5  # a slice_type: this one and all others of the picture are P


@dataclass(slots=True)
class _Last:
    """Where the stream has come: the newest slice that others may refer to, and the highest picture order count.

    ``shown_number`` is the frame number of the reference that is shown last: with pyramids of B-frames the newest
    one is shown before it.
    """

    coding: SliceCoding
    frame_number: int
    order: int
    reference_order: int
    shown_number: int
    shown_order: int


class StillFrames:
    """Follows the access units of one stream, in decoding order, and repeats the last one when asked.

    What is repeated is the frame that is shown last of those that others may refer to. No frame refers to the still
    one, so that the stream goes on behind it as if there were none (nal_ref_idc is 0; it stands between two frames
    of the stream).

    Frames are hardly ever repeated: the heads of the slices since the last IDR wait until one is.
    """

    def __init__(self) -> None:
        self._sets: dict[int, SliceCoding] = {}
        self._sps_of: dict[int, int] = {}
        self._last: _Last | None = None
        self._newest = b""
        self._heads: list[bytes] = []

    def follow(self, data: bytes) -> None:
        """Take the next access unit (Annex B)."""
        self._newest = data
        sets: list[bytes] = []
        head = b""
        for start in nal_starts(data):
            kind = data[start] & 0x1F
            if kind in (_SPS, _PPS):
                sets.append(data[start : nal_end(data, start)])
            elif kind in (_OTHER, _IDR):
                head = data[start : start + _HEAD_BYTES]
                if kind == _IDR:  # nothing behind it goes by what was before
                    self._heads.clear()
                    self._last = None
                break
        if sets:
            self._catch_up()
            self._learn(sets)
        if head:
            self._heads.append(head)
        if len(self._heads) >= _MOST_HEADS:
            self._catch_up()

    def still(self) -> bytes | None:
        """An access unit that shows the last frame once more; None for streams of which too little is known."""
        self._catch_up()
        last = self._last
        if last is None:
            return None
        coding = last.coding
        if not coding.reference_frames:
            return self._newest  # each frame stands for itself
        pps_id = next((one for one in range(_MOST_PPS - 1, -1, -1) if one not in self._sps_of), None)
        if pps_id is None or coding.separate_planes:
            return None
        return _pps(pps_id, coding.sps_id) + _slice(pps_id, last)

    def _learn(self, sets: list[bytes]) -> None:
        for nal in sets:
            if nal[0] & 0x1F == _SPS:
                sps = parse_sps(nal)
                if sps is not None and sps.slices is not None:
                    self._sets[sps.slices.sps_id] = sps.slices
                continue
            payload = unescape(nal[1:_HEAD_BYTES])
            pps_id, sps_id = unsigned_exp_golomb(payload, 0), unsigned_exp_golomb(payload, 1)
            if pps_id is not None and sps_id is not None:
                self._sps_of[pps_id] = sps_id

    def _catch_up(self) -> None:
        heads, self._heads = self._heads, []
        for head in heads:
            self._follow_slice(head)

    def _follow_slice(self, nal: bytes) -> None:
        is_idr, is_reference = nal[0] & 0x1F == _IDR, nal[0] >> 5 & 3 > 0
        reader = BitReader(unescape(nal[1:]))
        try:
            reader.unsigned()
            reader.unsigned()
            coding = self._sets.get(self._sps_of.get(reader.unsigned(), -1))
            if coding is None or (not is_idr and self._last is None and not is_reference):
                return
            if coding.separate_planes:
                reader.bits(2)
            frame_number = reader.bits(coding.frame_number_bits)
            if not coding.frames_only and reader.bits(1):
                reader.bits(1)  # a field, of whose frame both have one number, and orders side by side
            if is_idr:
                reader.unsigned()
            lsb = reader.bits(coding.order_bits) if coding.order_kind == 0 else 0
        except EndOfDataError:
            return
        last = self._last
        if is_idr or last is None or last.coding != coding:
            self._last = _Last(coding, frame_number, lsb, lsb, frame_number, lsb)
            return
        order = _nearest(lsb, last.reference_order, coding.order_bits)
        last.order = max(last.order, order)
        if is_reference:
            last.frame_number, last.reference_order = frame_number, order
            if order >= last.shown_order:
                last.shown_number, last.shown_order = frame_number, order


def _nearest(lsb: int, to: int, bits: int) -> int:
    """The picture order count with these last bits that is nearest to ``to`` (8.2.1.1)."""
    whole = 1 << bits
    return to + (lsb - to + whole // 2) % whole - whole // 2


def _pps(pps_id: int, sps_id: int) -> bytes:
    """A picture parameter set of its own (7.3.2.2): CAVLC, one reference, no weights, no deblocking told."""
    text = _unsigned(pps_id) + _unsigned(sps_id) + "00" + _unsigned(0) * 3 + "000" + _unsigned(0) * 3 + "000"
    return _nal(0x68, text)


def _slice(pps_id: int, last: _Last) -> bytes:
    """A P slice in which each macroblock is skipped (7.3.3); without motion around it none of them moves."""
    coding = last.coding
    text = _unsigned(0) + _unsigned(_P_ALL) + _unsigned(pps_id)
    text += _bits((last.frame_number + 1) % (1 << coding.frame_number_bits), coding.frame_number_bits)
    if not coding.frames_only:
        text += "0"  # a whole frame, whatever those beside it are
    if coding.order_kind == 0:
        text += _bits((last.order + 1) % (1 << coding.order_bits), coding.order_bits)
    elif coding.order_deltas:
        text += _unsigned(0)
    # One reference; the quantiser of the set.
    back = (last.frame_number - last.shown_number) % (1 << coding.frame_number_bits)
    if not back:
        text += "00"
    else:
        # It is not the newest, which stands first by itself (8.2.4.3.1).
        text += "01" + _unsigned(0) + _unsigned(back) + _unsigned(3)
    text += _unsigned(0)
    return _nal(0x01, text + _unsigned(coding.macroblocks))


def _unsigned(value: int) -> str:
    """ue(v), 9.1."""
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def _bits(value: int, count: int) -> str:
    return f"{value:0{count}b}"


def _nal(header: int, text: str) -> bytes:
    """A NAL unit in a byte stream: trailing bits (7.3.2.11) and emulation prevention (7.4.1) put in."""
    text += "1"
    text += "0" * (-len(text) % 8)
    return _START_CODE + bytes((header,)) + escape(int(text, 2).to_bytes(len(text) // 8))
