"""Access units made from fixed numbers, for the cases and the tests beside them."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from heapq import merge

from recordkit.bitstream.audio import AudioSpecificConfig, adts_header
from recordkit.model import AccessUnit, Codec, StreamFormat
from recordkit.ticks import TICKS_PER_SECOND, to_ticks

START = 10 * TICKS_PER_SECOND
VIDEO, AUDIO = 0, 1
H264 = StreamFormat(Codec.H264, 1280, 720)
H265 = StreamFormat(Codec.H265, 1280, 720)
AAC = StreamFormat(Codec.AAC, sample_rate=48_000, channels=2)
MP3 = StreamFormat(Codec.MP3, sample_rate=48_000, channels=2)
MP3_LOW = StreamFormat(Codec.MP3, sample_rate=24_000, channels=1)
AC3 = StreamFormat(Codec.AC3, sample_rate=48_000, channels=2)
OPUS = StreamFormat(Codec.OPUS, sample_rate=48_000, channels=2)
AUD = bytes.fromhex("0000000109f0")
AUD_H265 = bytes.fromhex("00000001460150")
PARAMETER_SETS = bytes.fromhex("0000000167640028acd940780227e5c044000003000400000300c83c60c6580000000168ebe3cb22c0")
_ADTS = AudioSpecificConfig(2, 3, 2)


@dataclass(frozen=True)
class Declare:
    """A stream added, or its format changed."""

    stream: int
    format: StreamFormat


Step = Declare | AccessUnit


def content(stream: int, number: int, size: int) -> bytes:
    """Bytes that tell one access unit from another."""
    return random.Random(stream << 32 | number).randbytes(size)


def picture(
    number: int, dts: int, size: int = 400, *, stream: int = VIDEO, idr: bool = False, delay: int = 0, **fields
) -> AccessUnit:
    """A frame of ``size`` bytes of slices, its parameter sets before it if it is an IDR."""
    prefix = PARAMETER_SETS if idr else b""
    data = bytes([0, 0, 0, 1, 0x65 if idr else 0x41]) + content(stream, number, size)
    made = AccessUnit(stream, dts + delay, dts, data, prefix, random_access=idr)
    return replace(made, **fields)


def sound(number: int, dts: int, size: int = 200, *, stream: int = AUDIO, **fields) -> AccessUnit:
    """An AAC frame."""
    made = AccessUnit(stream, dts, dts, content(stream, number, size), random_access=True)
    return replace(made, **fields)


def bare(number: int, dts: int, size: int, stream: int = VIDEO, **fields) -> AccessUnit:
    """A unit that has exactly ``size`` bytes on the wire, 2 or more: one of them is its own header."""
    made = content(stream, number, size)
    return AccessUnit(stream, dts, dts, made[1:], header=made[:1], **fields)


def on_the_wire(unit: AccessUnit, stream_format: StreamFormat) -> bytes:
    """A unit's bytes as a transport stream has them: behind the header that its codec asks for."""
    header, size = unit.header, len(unit.data)
    if not header and stream_format.codec is Codec.H264:
        header = AUD
    elif not header and stream_format.codec is Codec.H265:
        header = AUD_H265
    elif not header and stream_format.codec is Codec.AAC:
        header = adts_header(_ADTS, size)
    elif not header and stream_format.codec is Codec.OPUS:
        header = b"\x7f\xe0" + b"\xff" * (size // 255) + bytes([size % 255])
    return header + unit.prefix + unit.data


def video(
    count: int, rate: Fraction | int = 25, start: int = START, first: int = 0, group: int = 50, **fields
) -> Iterator[AccessUnit]:
    for number in range(first, first + count):
        dts = start + to_ticks(number, 1 / Fraction(rate))
        yield picture(number, dts, idr=number % group == 0, **fields)


def audio(count: int, start: int = START, stream: int = AUDIO, **fields) -> Iterator[AccessUnit]:
    for number in range(count):
        yield sound(number, start + number * 1920, stream=stream, **fields)


def mixed(*streams: Iterable[AccessUnit]) -> Iterator[AccessUnit]:
    """Units of several streams in the order of their times."""
    return merge(*streams, key=lambda unit: unit.dts)
