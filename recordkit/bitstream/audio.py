"""Headers of audio access units: AAC in ADTS, MPEG audio, Opus in MPEG-TS."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..errors import MediaError

AAC_SAMPLES = 1024
"""Samples a channel in one AAC raw data block."""

OPUS_RATE = 48_000
"""Opus counts its samples at 48 kHz, whatever its input was (RFC 6716, 2.1.3)."""

AAC_RATES = (
    96_000,
    88_200,
    64_000,
    48_000,
    44_100,
    32_000,
    24_000,
    22_050,
    16_000,
    12_000,
    11_025,
    8_000,
    7_350,
)
AAC_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)
_ADTS_HEADER_BYTES = 7
_ADTS_LARGEST_FRAME = 0x1FFF
_ADTS_SAME = (1 << 56) - 1 - (_ADTS_LARGEST_FRAME << 13) - (0x7FF << 2)
"""All of a header but the length of its frame and the fullness of the buffer."""
_SBR, _PS = 5, 29

_OPUS_CONTROL_PREFIX = 0x7FE0
_OPUS_LONGEST = 5_760
_OPUS_LARGEST_TRIM = 0x1FFF

_MPEG_AUDIO_RATES = (44_100, 48_000, 32_000)
_BIT_RATES_KBIT: dict[tuple[bool, int], tuple[int, ...]] = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by (MPEG-1, layer), index 1 first (ISO/IEC 11172-3, 2.4.2.3; 13818-3, 2.4.2.3)."""


@dataclass(frozen=True, slots=True)
class AudioSpecificConfig:
    """What an ADTS header needs of an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).

    ``object_type`` is the core's (2 is AAC-LC), ``sample_rate`` in Hz the core's as well: with
    SBR the output has twice as much.
    """

    object_type: int
    rate_index: int
    channel_configuration: int

    @property
    def sample_rate(self) -> int:
        """The core's sampling frequency in Hz."""
        return AAC_RATES[self.rate_index]

    @property
    def channels(self) -> int:
        """How many channels the configuration has."""
        return AAC_CHANNELS[self.channel_configuration]


def parse_audio_specific_config(extradata: bytes) -> AudioSpecificConfig | None:
    """Reads an AudioSpecificConfig; None if ADTS cannot say the same (or it is cut).

    ADTS carries object types 1 to 4, the thirteen tabled rates and the tabled channel
    configurations; a rate given outright is accepted only if it is one of the thirteen.
    """
    value, left = int.from_bytes(extradata[:16]), len(extradata[:16]) * 8

    def take(count: int) -> int:
        nonlocal left
        left -= count
        return value >> left & ((1 << count) - 1) if left >= 0 else 0

    def take_object_type() -> int:
        found = take(5)
        return 32 + take(6) if found == 31 else found

    def take_rate_index() -> int:
        found = take(4)
        if found != 15:
            return found
        rate = take(24)
        return AAC_RATES.index(rate) if rate in AAC_RATES else 15

    object_type, rate_index, channels = take_object_type(), take_rate_index(), take(4)
    if object_type in (_SBR, _PS):
        take_rate_index()
        object_type = take_object_type()
    if left < 0 or not 1 <= object_type <= 4 or rate_index >= len(AAC_RATES) or not 1 <= channels <= 7:
        return None
    return AudioSpecificConfig(object_type, rate_index, channels)


def adts_header(config: AudioSpecificConfig, payload_length: int) -> bytes:
    """The seven bytes before a raw AAC frame of ``payload_length`` bytes, without CRC (1.A.2.2).

    Raises MediaError for a frame that is too long for the 13 bits of its length.
    """
    length = payload_length + _ADTS_HEADER_BYTES
    if length > _ADTS_LARGEST_FRAME:
        raise MediaError(f"an AAC frame of {payload_length} bytes is too long for ADTS")
    return (
        0xFFF1 << 40
        | (config.object_type - 1) << 38
        | config.rate_index << 34
        | config.channel_configuration << 30
        | length << 13
        | 0x7FF << 2
    ).to_bytes(7)


@dataclass(frozen=True, slots=True)
class AdtsHeader:
    """One ADTS frame: bytes with and of its header, rate in Hz, channels (0: stated inside), samples."""

    frame_length: int
    header_length: int
    sample_rate: int
    channels: int
    samples: int


def parse_adts(data: bytes, at: int = 0) -> AdtsHeader | None:
    """Reads the ADTS header at ``at`` (1.A.2.2); None if there is none or it is inconsistent."""
    if at < 0 or at + _ADTS_HEADER_BYTES > len(data) or data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
        return None
    header = int.from_bytes(data[at : at + 7])
    length, rate_index = header >> 13 & 0x1FFF, header >> 34 & 15
    header_length = 7 if data[at + 1] & 1 else 9
    if length <= header_length or rate_index >= len(AAC_RATES):
        return None
    channels = AAC_CHANNELS[header >> 30 & 7]
    return AdtsHeader(length, header_length, AAC_RATES[rate_index], channels, AAC_SAMPLES * ((header & 3) + 1))


class AdtsReader:
    """Reads ADTS headers one after the other: what differs in nothing but its length is taken apart once."""

    def __init__(self) -> None:
        self._same = -1
        self._header: AdtsHeader | None = None

    def read(self, data: bytes, at: int) -> tuple[AdtsHeader | None, int]:
        """What ``parse_adts`` finds at ``at``, but for the frame's length, which is the second."""
        head = int.from_bytes(data[at : at + _ADTS_HEADER_BYTES])
        if head & _ADTS_SAME != self._same:
            self._same, self._header = head & _ADTS_SAME, parse_adts(data, at)
        length = head >> 13 & _ADTS_LARGEST_FRAME
        header = self._header
        return (None if header is None or length <= header.header_length else header), length


def aac_config(sample_rate: int, channels: int) -> bytes:
    """The AudioSpecificConfig of AAC-LC (14496-3, 1.6.2.1); b"" if the rate (Hz) or the channels are not tabled."""
    if sample_rate not in AAC_RATES or channels not in AAC_CHANNELS:
        return b""
    return (2 << 11 | AAC_RATES.index(sample_rate) << 7 | AAC_CHANNELS.index(channels) << 3).to_bytes(2)


def adts_config(data: bytes) -> bytes:
    """The AudioSpecificConfig (14496-3, 1.6.2.1) of a frame that begins with an ADTS header.

    Returns b"" if the channels are stated inside the frame only (channel configuration 0).
    """
    header = int.from_bytes(data[:4])
    profile, rate_index, channels = header >> 14 & 3, header >> 10 & 15, header >> 6 & 7
    return (profile + 1 << 11 | rate_index << 7 | channels << 3).to_bytes(2) if channels else b""


@lru_cache(maxsize=1024)
def opus_control_header(payload_length: int, start_trim: int = 0, end_trim: int = 0) -> bytes:
    """The header before an Opus packet in a transport stream, for one packet to an access unit.

    ``start_trim`` and ``end_trim`` are samples at 48 kHz that are decoded and not heard (up to 8,191).
    """
    if not 0 <= start_trim <= _OPUS_LARGEST_TRIM or not 0 <= end_trim <= _OPUS_LARGEST_TRIM:
        raise MediaError(f"Opus with {start_trim} and {end_trim} samples to be trimmed: up to 8,191 can be told")
    flags = _OPUS_CONTROL_PREFIX | (start_trim > 0) << 4 | (end_trim > 0) << 3
    full, rest = divmod(payload_length, 255)
    trims = b"".join(trim.to_bytes(2) for trim in (start_trim, end_trim) if trim)
    return flags.to_bytes(2) + b"\xff" * full + bytes([rest]) + trims


def parse_opus_control_header(data: bytes, at: int = 0) -> tuple[int, int] | None:
    """Reads the control header at ``at`` as (payload's start, payload's length).

    Trims and the extension are stepped over; None if there is no header or it is cut. The
    payload itself may reach beyond ``data``.
    """
    if at < 0:
        return None
    first = int.from_bytes(data[at : at + 2])
    if at + 3 > len(data) or first & 0xFFE0 != _OPUS_CONTROL_PREFIX:
        return None
    position, length = at + 2, 0
    while position < len(data) and data[position] == 0xFF:
        length += 255
        position += 1
    if position >= len(data):
        return None
    length += data[position]
    position += 1 + 2 * (first >> 4 & 1) + 2 * (first >> 3 & 1)
    if first & 0x04:
        if position >= len(data):
            return None
        position += 1 + data[position]
    return (position, length) if position <= len(data) else None


def opus_head_without_skip(head: bytes, channels: int) -> bytes:
    """An identification header (RFC 7845, 5.1) as ``head``, or the usual one, by which all samples are heard."""
    if head.startswith(b"OpusHead"):
        return head[:10] + bytes(2) + head[12:]
    return b"OpusHead" + bytes([1, channels, 0, 0]) + OPUS_RATE.to_bytes(4, "little") + bytes(3)


def opus_samples(packet: bytes) -> int:
    """The samples at 48 kHz of an Opus packet (RFC 6716, 3.1 and 3.2); 0 if it is not a packet."""
    if not packet:
        return 0
    configuration, code = packet[0] >> 3, packet[0] & 3
    if configuration < 12:
        frame = (480, 960, 1920, 2880)[configuration & 3]
    elif configuration < 16:
        frame = (480, 960)[configuration & 1]
    else:
        frame = 120 << (configuration & 3)
    frames = (1, 2, 2, packet[1] & 0x3F if len(packet) > 1 else 0)[code]
    return frame * frames if frame * frames <= _OPUS_LONGEST else 0


@dataclass(frozen=True, slots=True)
class Mp3Header:
    """One MPEG audio frame: its bytes, rate in Hz, channels, samples a channel, and layer (1 to 3)."""

    frame_length: int
    sample_rate: int
    channels: int
    samples: int
    layer: int


def parse_mp3(data: bytes, at: int = 0) -> Mp3Header | None:
    """Reads the MPEG audio header at ``at`` (ISO/IEC 11172-3, 2.4.1.3; 13818-3); None if there is none.

    A frame of free format (no bit rate stated) counts as none: its length is nowhere written.
    """
    if at < 0 or at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = data[at + 1] >> 3 & 3, 4 - (data[at + 1] >> 1 & 3)
    bit_rate_index, rate_index = data[at + 2] >> 4, data[at + 2] >> 2 & 3
    if version == 1 or layer == 4 or bit_rate_index in (0, 15) or rate_index == 3:
        return None
    first_version = version == 3
    sample_rate = _MPEG_AUDIO_RATES[rate_index] >> (0 if first_version else 1 if version == 2 else 2)
    bit_rate = 1000 * _BIT_RATES_KBIT[first_version, layer][bit_rate_index - 1]
    padding = data[at + 2] >> 1 & 1
    if layer == 1:
        samples, length = 384, (12 * bit_rate // sample_rate + padding) * 4
    else:
        samples = 1152 if first_version or layer == 2 else 576
        length = samples // 8 * bit_rate // sample_rate + padding
    return Mp3Header(length, sample_rate, 1 if data[at + 3] >> 6 == 3 else 2, samples, layer)
