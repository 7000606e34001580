"""What a transport stream puts before each access unit, and no other container does.

An access unit delimiter before each coded frame (ISO/IEC 13818-1, 2.14.1 and 2.17.1), an ADTS header before
each frame of AAC (stream_type 0x0F, 2.11), and the control header before each packet of Opus.
"""

from __future__ import annotations

from collections.abc import Callable

from ..bitstream.audio import aac_config, adts_header, opus_control_header, parse_audio_specific_config
from ..bitstream.h264 import H264_DELIMITER, H265_DELIMITER
from ..errors import MediaError
from ..model import AccessUnit, Codec, StreamFormat

_MOST_ADTS_BYTES = (1 << 13) - 1 - 7
"""The length of an AAC frame has 13 bits in its header, and counts the header (14496-3, 1.A.2.2)."""

Framing = Callable[[AccessUnit], bytes]
"""Returns what stands before the ``data`` of a unit: its header, and behind that the ``prefix`` of video.

Raises MediaError for a unit that cannot be framed.
"""


def framing(stream_format: StreamFormat) -> Framing:
    """How units of a stream are framed. Units that bring a header keep it as it is."""
    match stream_format.codec:
        case Codec.H264:
            return _delimited(H264_DELIMITER)
        case Codec.H265:
            return _delimited(H265_DELIMITER)
        case Codec.AAC:
            return _with_adts(stream_format)
        case Codec.OPUS:
            return _with_control_header
        case _:
            return _as_it_is


def most_framing(unit: AccessUnit) -> int:
    """How many bytes are put before a unit at the most; the control header of Opus grows with the packet."""
    return len(unit.header) + len(unit.prefix) + 8 + min(len(unit.data), 0xFFFF) // 255


def _delimited(delimiter: bytes) -> Framing:
    return lambda unit: (unit.header or delimiter) + unit.prefix


def _as_it_is(unit: AccessUnit) -> bytes:
    return unit.header


def _with_control_header(unit: AccessUnit) -> bytes:
    return unit.header or opus_control_header(len(unit.data), unit.start_trim, unit.end_trim)


def _with_adts(stream_format: StreamFormat) -> Framing:
    stated = stream_format.config or aac_config(stream_format.sample_rate, stream_format.channels)
    config = parse_audio_specific_config(stated)
    empty = 0 if config is None else int.from_bytes(adts_header(config, 0))

    def framed(unit: AccessUnit) -> bytes:
        size = len(unit.data)
        if unit.header:
            return unit.header
        if config is None:
            raise MediaError("its AudioSpecificConfig has no place in ADTS: let it be encoded anew", unit.stream)
        if size > _MOST_ADTS_BYTES:
            raise MediaError(f"an AAC frame of {size:,} bytes is too long for ADTS", unit.stream)
        # Only the length is another one from header to header.
        return (empty + (size << 13)).to_bytes(7)

    return framed
