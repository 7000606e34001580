"""When a frame was taken, inside the stream: SEI messages of H.264 and H.265 with user data.

Two messages of user_data_unregistered (payloadType 5; H.264 D.1.7, H.265 D.2.7) in one NAL unit. The first
is the one that OBS Studio writes, so that its readers find the time: a UUID, one less than the count of
times, and of each its kind (1: RFC 3339), its event (1: composition) and the text, with a zero behind it. The
second says who told the time and how far it may be off: a UUID of our own, a number for the one, and
microseconds in 32 bits for the other.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

from ..model import Captured, CapturedBy, Codec
from .h264 import nal_units
from .sei import sei_messages, sei_nal

TIME_UUID = UUID("0aecffe7-5272-4e2f-a62f-d19cd61a93b5").bytes
ORIGIN_UUID = UUID("5b7f1c0e-8d0f-4b9e-9c55-7265636b6974").bytes
_USER_DATA = 5
_RFC3339, _COMPOSITION = 1, 1
_SECOND_NS = 1_000_000_000
_LARGEST = 0xFFFF_FFFF
_SECONDS = len("1970-01-01T00:00:00")
_NO_TIME = b"1970-01-01T00:00:00.000000000Z"
_SEI_TYPES = {Codec.H264: 6, Codec.H265: 39}


_ORIGINS = tuple(CapturedBy)
RANKS = {by: rank for rank, by in enumerate(_ORIGINS)}
"""The lower, the better."""
HEAD_BYTES = 2048
"""Of a coded frame: what stands before its first slice, parameter sets and the words of its encoder, too."""


def captured_nal(captured: Captured, codec: Codec) -> bytes:
    """The SEI NAL unit that says so, without start code. It belongs before the first slice of its frame."""
    micros = _LARGEST if captured.error_s is None else min(round(captured.error_s * 1e6), _LARGEST - 1)
    before, behind = _around(captured.by, micros, codec)
    seconds, rest = divmod(captured.time_ns, _SECOND_NS)
    return before + _calendar(seconds) + b".%09dZ" % rest + behind


@lru_cache(maxsize=64)
def _around(by: CapturedBy, micros: int, codec: Codec) -> tuple[bytes, bytes]:
    """What stands around the text of the time, which is the same for most frames of a source.

    The text has no zero, so that nothing across it could look like a start code.
    """
    time = TIME_UUID + bytes([0, _RFC3339, _COMPOSITION]) + _NO_TIME + b"\0"
    origin = ORIGIN_UUID + bytes([RANKS[by]]) + micros.to_bytes(4)
    before, _, behind = sei_nal([(_USER_DATA, time), (_USER_DATA, origin)], codec).partition(_NO_TIME)
    return before, behind


def captured_in(data: bytes, codec: Codec) -> Captured | None:
    """What a coded frame (Annex B) says of when it was taken, or None; looks no further than its first slice.

    Of several messages the best holds: the time of a camera stands beside that of who received it.
    """
    said = []
    for nal_type, start, end in nal_units(data, codec):
        if nal_type == _SEI_TYPES[codec]:
            found = _read(data[start:end], codec)
            if found is not None:
                said.append(found)
        elif nal_type < 32 if codec is Codec.H265 else 1 <= nal_type <= 5:
            break
    return min(said, key=lambda one: RANKS[one.by], default=None)


def _read(nal: bytes, codec: Codec) -> Captured | None:
    time_ns, by, error_s = None, CapturedBy.SOURCE, None
    for what, payload in sei_messages(nal, codec):
        if what != _USER_DATA:
            continue
        if payload.startswith(TIME_UUID):
            time_ns = _time(payload[len(TIME_UUID) :])
        elif payload.startswith(ORIGIN_UUID) and len(payload) >= len(ORIGIN_UUID) + 5:
            number, micros = payload[16], int.from_bytes(payload[17:21])
            by = _ORIGINS[number] if number < len(_ORIGINS) else CapturedBy.SOURCE
            error_s = None if micros == _LARGEST else micros / 1e6
    return None if time_ns is None else Captured(time_ns, by, error_s)


def _time(content: bytes) -> int | None:
    """The first RFC 3339 time of the message, in nanoseconds since the epoch."""
    if len(content) < 4 or content[1] != _RFC3339:
        return None
    text = content[3:].split(b"\0", 1)[0].decode("ascii", "replace")
    seconds, dot, rest = text.partition(".")
    digits = rest.rstrip("Z") if dot else ""
    if (dot and not digits.isdecimal()) or not text.endswith("Z"):
        return None
    try:
        whole = datetime.fromisoformat(seconds.rstrip("Z")).replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(whole.timestamp()) * _SECOND_NS + int(digits[:9].ljust(9, "0") or "0")


@lru_cache(maxsize=16)
def _calendar(seconds: int) -> bytes:
    """A second as RFC 3339 has it, without its fraction; the frames that were taken in it share it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:_SECONDS].encode("ascii")
