"""Counts the access units in an elementary stream that comes in pieces, as PES packets carry it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..model import Codec
from .ac3 import Ac3Header, parse_ac3
from .audio import (
    OPUS_RATE,
    AdtsHeader,
    Mp3Header,
    opus_samples,
    parse_adts,
    parse_mp3,
    parse_opus_control_header,
)
from .columns import Bytes, Flags, Positions, frame_columns
from .dts import DTS_HEADER_BYTES, DtsHeader, parse_dts_part
from .fields import FieldPairs
from .h264 import parse_h265_sps, parse_sps

_START_CODE = b"\0\0\1"
_H264_IDR, _H264_SPS = 5, 7
_H264_SLICES = 1 << 1 | 1 << 2 | 1 << _H264_IDR
_H265_SPS = 33
_H265_LAYER = 0x3F << 3
"""nuh_layer_id in the header of a NAL unit."""
_H264_INTRA = np.array([byte >> 4 == 0xB or byte >> 2 == 0x25 or byte in (0x88, 0x8A) for byte in range(256)])
"""By the first byte of a picture's first slice behind the header: whether slice_type is I or SI (7.4.3, table 7-6).
first_mb_in_slice is 0 and has one bit; ue(v) of 2 and 4, and of 7 and 9, which all slices of the picture share."""
_LONGEST_SPS_BYTES = 512
_SLICE_BYTES = 35
"""So much from a start code on tells which field a slice is of."""
_HEADER_BYTES = 7
"""The longest of the headers that are stepped along, DTS aside."""

_Parse = Callable[[bytes, int], AdtsHeader | Mp3Header | Ac3Header | DtsHeader | None]


_PARSERS: dict[Codec, _Parse] = {
    Codec.AAC: parse_adts,
    Codec.AC3: parse_ac3,
    Codec.EAC3: parse_ac3,
    Codec.DTS: parse_dts_part,
}
_SYNCS: dict[Codec, bytes] = {Codec.AC3: b"\x0b", Codec.EAC3: b"\x0b", Codec.DTS: b"\x7f"}


@dataclass(frozen=True, slots=True)
class Pictures:
    """The frames that begin in a piece, at how many a decoder can start, and how many fields complete one.

    ``may_begin`` says that there is something at which it could start, if the container says so: an intra slice,
    or parameter sets. Some multiplexers set random_access_indicator on every frame. ``is_aligned`` says that the
    piece begins with a NAL unit, and not with the rest of one.
    """

    pictures: int
    random_access: int
    second_fields: int = 0
    may_begin: bool = field(default=False, compare=False)
    is_aligned: bool = field(default=True, compare=False)

    def is_begin(self, indicated: bool) -> bool:
        """Whether a decoder can start here, of which the container has ``indicated`` that it can or has not."""
        return self.random_access > 0 or (indicated and self.may_begin)

    @property
    def is_second_field(self) -> bool:
        """Whether it is a field alone that completes the frame of the piece before."""
        return self.pictures < self.second_fields


@dataclass(frozen=True, slots=True, eq=False)
class PictureColumns:
    """The same of many pieces."""

    pictures: Positions
    random_access: Positions
    second_fields: Positions
    may_begin: Flags
    is_aligned: Flags

    def is_begin(self, indicated: Flags) -> Flags:
        """The same of each piece."""
        found: Flags = (self.random_access > 0) | (indicated & self.may_begin)
        return found

    @property
    def is_second_field(self) -> Flags:
        """The same of each piece."""
        return self.pictures < self.second_fields

    @property
    def are_single(self) -> bool:
        """Whether each piece is one frame, or the field that completes the one before."""
        return bool(((self.pictures == 1) | self.is_second_field & (self.second_fields == 1)).all())


class PictureCounter:
    """Counts the frames of H.264 or H.265 by the first slices of their pictures.

    Each piece begins at a NAL unit, as access units in PES packets do. ``width`` and ``height``
    (pixels) follow the newest sequence parameter set and are 0 before the first.
    """

    def __init__(self, codec: Codec) -> None:
        self.width = 0
        self.height = 0
        self._is_h265 = codec is Codec.H265
        self._sps = b""
        self._fields = FieldPairs()

    @property
    def are_fields_possible(self) -> bool:
        """Whether pictures may be single fields."""
        return self._fields.are_possible

    def feed(self, data: bytes) -> Pictures:
        """Looks at each NAL unit's first bytes."""
        pictures = random_access = second_fields = 0
        may_begin = False
        last = len(data) - (6 if self._is_h265 else 5)
        at = data.find(_START_CODE)
        while 0 <= at <= last:
            if self._is_h265:
                nal_type = data[at + 3] >> 1 & 0x3F
                is_first_slice = nal_type < 32 and data[at + 5] & 0x80
                is_random_access, is_sps = 16 <= nal_type <= 21, nal_type == _H265_SPS
                if int.from_bytes(data[at + 3 : at + 5]) & _H265_LAYER:
                    is_first_slice = is_sps = False
            else:
                nal_type = data[at + 3] & 0x1F
                # first_mb_in_slice is ue(v), and 0 is the one value whose first bit is set.
                is_first_slice = nal_type in (1, 2, _H264_IDR) and data[at + 4] & 0x80
                is_random_access, is_sps = nal_type == _H264_IDR, nal_type == _H264_SPS
            if is_first_slice:
                is_second = self._fields.are_possible and self._fields.is_second(data[at + 3 : at + _SLICE_BYTES])
                pictures += not is_second
                second_fields += is_second
                random_access += is_random_access
                may_begin |= is_random_access or (not self._is_h265 and bool(_H264_INTRA[data[at + 4]]))
            elif is_sps:
                may_begin = True
                self._read_sps(data, at + 3)
            at = data.find(_START_CODE, at + 3)
        return Pictures(pictures, random_access, second_fields, may_begin, data.find(_START_CODE) in (0, 1))

    def feed_many(self, data: Bytes, begin: Positions, end: Positions) -> PictureColumns | None:
        """The same for many pieces, which lie in ``data`` and ascend.

        None, and nothing done, if a sequence parameter set is not the one known.
        """
        codes = data.start_codes()
        piece = np.searchsorted(begin, codes, "right") - 1
        inside = (piece >= 0) & (codes + (6 if self._is_h265 else 5) <= end[piece])
        codes, piece = codes[inside], piece[inside]
        words = data.words(codes).astype(np.int64)
        if self._is_h265:
            # Those of another layer count as end of sequence (36): they are part of the base layer's picture.
            nal_type = np.where(words >> 24 & _H265_LAYER, 36, words >> 33 & 0x3F)
            is_first_slice = (nal_type < 32) & (words >> 16 & 0x80 != 0)
            is_random_access, is_sps = (nal_type >= 16) & (nal_type <= 21), nal_type == _H265_SPS
        else:
            nal_type = words >> 32 & 0x1F
            is_first_slice = (_H264_SLICES >> nal_type & 1 != 0) & (words >> 24 & 0x80 != 0)
            is_random_access, is_sps = nal_type == _H264_IDR, nal_type == _H264_SPS
        for start, stop in zip((codes[is_sps] + 3).tolist(), end[piece[is_sps]].tolist(), strict=True):
            if self._sps_at(data.bytes(start, min(start + _LONGEST_SPS_BYTES, stop)), 0) != self._sps:
                return None
        random_access = piece[is_first_slice & is_random_access]
        is_second = np.zeros(len(codes), bool)
        if self._fields.are_possible:
            for place in np.flatnonzero(is_first_slice).tolist():
                start, stop = int(codes[place]) + 3, int(end[piece[place]])
                is_second[place] = self._fields.is_second(data.bytes(start, min(start + _SLICE_BYTES, stop)))
        pictures, second_fields = piece[is_first_slice & ~is_second], piece[is_second]
        is_begin = is_sps | is_first_slice & is_random_access
        if not self._is_h265:
            is_begin |= is_first_slice & _H264_INTRA[words >> 24 & 0xFF]
        found = (pictures, random_access, second_fields, piece[is_begin])
        counts, starts, seconds, begins = (np.bincount(one, minlength=len(begin)) for one in found)
        places = np.searchsorted(codes, begin)
        is_aligned = np.append(codes, np.iinfo(np.int64).max)[places] - begin <= 1
        return PictureColumns(counts, starts, seconds, begins > 0, is_aligned)

    def _sps_at(self, data: bytes, start: int) -> bytes:
        end = data.find(_START_CODE, start, start + _LONGEST_SPS_BYTES)
        return data[start : end if end >= 0 else start + _LONGEST_SPS_BYTES].rstrip(b"\0")

    def _read_sps(self, data: bytes, start: int) -> None:
        nal = self._sps_at(data, start)
        if nal == self._sps:
            return
        self._sps = nal
        sps = parse_h265_sps(nal) if self._is_h265 else parse_sps(nal)
        if sps is not None:
            self.width, self.height = sps.width, sps.height
            self._fields.learn(sps)


@dataclass(frozen=True, slots=True)
class AudioFrames:
    """The frames complete with a piece: how many, their samples a channel, bytes that were no frame."""

    frames: int
    samples: int
    lost_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class AudioFrameColumns:
    """The same of many pieces without a lost byte, and the sample rate (Hz) at the end of each."""

    frames: Positions
    samples: Positions
    sample_rate: Positions


class AudioFrameCounter:
    """Counts frames of AAC in ADTS, MPEG audio, AC-3, E-AC-3 and DTS, or Opus with control headers.

    Frames may reach from one piece into the next (Opus excepted, where they do not).
    ``sample_rate`` (Hz) and ``channels`` are those of the newest frame, ``layer`` is that of MPEG audio;
    0 while unknown.
    """

    def __init__(self, codec: Codec) -> None:
        self.sample_rate = 0
        self.channels = 0
        self.layer = 0
        self._codec = codec
        self._parse: _Parse = _PARSERS.get(codec, parse_mp3)
        self._sync = _SYNCS.get(codec, b"\xff")
        self._header_bytes = DTS_HEADER_BYTES if codec is Codec.DTS else _HEADER_BYTES
        self._rest = b""
        self._in_sync = False
        self._joining = True  # until the first frame, which may lie inside the first piece

    def forget(self) -> None:
        """What comes next does not continue what came before."""
        self._rest = b""
        self._in_sync = False
        self._joining = True

    def feed(self, data: bytes) -> AudioFrames:
        """Steps from header to header. Bytes before the first header of all do not count as lost."""
        if self._codec is Codec.OPUS:
            return self._feed_opus(data)
        data = self._rest + data
        at = frames = samples = lost = 0
        while at + self._header_bytes <= len(data):
            header = self._parse(data, at)
            if header is None or not self._is_confirmed(data, at + header.frame_length):
                found = data.find(self._sync, at + 1)
                step = (found if found >= 0 else len(data)) - at
                lost += 0 if self._joining else step
                self._in_sync = False
                at += step
                continue
            if at + header.frame_length > len(data):
                break
            frames += header.samples > 0
            samples += header.samples
            self._in_sync, self._joining = True, False
            self._note(header)
            at += header.frame_length
        self._rest = data[at:]
        return AudioFrames(frames, samples, lost)

    def feed_many(self, data: Bytes, begin: Positions, end: Positions) -> AudioFrameColumns | None:
        """The same for many pieces, which lie in ``data``.

        None, and nothing done, unless each consists of whole frames.
        """
        if self._rest:
            return None
        frames, samples = np.zeros(len(begin), np.int64), np.zeros(len(begin), np.int64)
        rates = np.full(len(begin), self.sample_rate)
        last, channels = -1, 0
        at, left = begin.copy(), np.flatnonzero(begin < end)
        while len(left):
            found = frame_columns(self._codec, data, at[left])
            if found is None:
                return None
            at[left] += found.length
            if (at[left] > end[left]).any():
                return None
            frames[left] += found.samples > 0
            samples[left] += found.samples
            rates[left] = found.sample_rate
            said = np.flatnonzero(found.channels)
            if len(said) and left[said[-1]] >= last:
                last, channels = int(left[said[-1]]), int(found.channels[said[-1]])
            left = left[at[left] < end[left]]
        if frames.any():
            self.sample_rate = int(rates[np.flatnonzero(frames)[-1]])
            self.channels = channels or self.channels
            self._in_sync, self._joining = True, False
        return AudioFrameColumns(frames, samples, rates)

    def _is_confirmed(self, data: bytes, following: int) -> bool:
        """Out of sync, a header counts only if another follows its frame, or nothing does yet."""
        if self._in_sync or following + self._header_bytes > len(data):
            return True
        return self._parse(data, following) is not None

    def _note(self, header: AdtsHeader | Mp3Header | Ac3Header | DtsHeader) -> None:
        self.sample_rate = header.sample_rate or self.sample_rate
        self.channels = header.channels or self.channels
        if isinstance(header, Mp3Header):
            self.layer = header.layer

    def _feed_opus(self, data: bytes) -> AudioFrames:
        at = frames = samples = 0
        while at < len(data):
            found = parse_opus_control_header(data, at)
            if found is None or found[0] + found[1] > len(data):
                break
            start, length = found
            count = opus_samples(data[start : start + length])
            if not count:
                break
            frames, samples, at = frames + 1, samples + count, start + length
            self.sample_rate = OPUS_RATE
        return AudioFrames(frames, samples, len(data) - at)
