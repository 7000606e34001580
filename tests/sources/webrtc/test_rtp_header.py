"""Where the payload of an RTP packet lies, beside what aiortc reads of the same bytes."""

from __future__ import annotations

import random
import struct

import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket

from recordkit.sources.webrtc.rtp_header import FIXED, Numbers, body

SEND_TIME, CAPTURE = 3, 7
NTP = 0x0123456789ABCDEF


def extensions(*entries: tuple[int, bytes], wide: bool = False) -> bytes:
    """A header extension of these, with padding between and behind (RFC 8285, 4.2 and 4.3)."""
    data = b"\0".join(
        (bytes([number, len(value)]) if wide else bytes([number << 4 | len(value) - 1])) + value
        for number, value in entries
    )
    data += bytes(-len(data) % 4)
    return (0x1000 if wide else 0xBEDE).to_bytes(2) + (len(data) // 4).to_bytes(2) + data


def packet(payload: bytes, *, sources: int = 0, extension: bytes = b"", padding: int = 0) -> bytes:
    first = 0x80 | sources | (0x10 if extension else 0) | (0x20 if padding else 0)
    data = FIXED.pack(first, 96, 1, 2, 3) + bytes(4 * sources) + extension + payload
    return data + (bytes(padding - 1) + bytes([padding]) if padding else b"")


def read(data: bytes):
    return body(memoryview(data), len(data), Numbers(SEND_TIME, CAPTURE))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("sources", [0, 2])
@pytest.mark.parametrize("padding", [0, 1, 200])
def test_the_payload_and_what_the_extensions_say(wide, sources, padding):
    said = extensions((1, b"mid"), (SEND_TIME, b"\1\2\3"), (CAPTURE, NTP.to_bytes(8)), wide=wide)
    data = packet(b"payload", sources=sources, extension=said, padding=padding)
    start, end, *others = read(data)
    assert data[start:end] == b"payload"
    assert others == [padding, 0x010203, NTP]


def test_what_was_not_negotiated_is_not_looked_for():
    data = packet(b"x", extension=extensions((SEND_TIME, b"\1\2\3"), (CAPTURE, NTP.to_bytes(8))))
    start, end, *others = body(memoryview(data), len(data), Numbers())
    assert (data[start:end], others) == (b"x", [0, None, None])


def test_of_damaged_packets_it_finds_what_aiortc_finds():
    negotiated = HeaderExtensionsMap()
    uri = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
    negotiated.configure(RTCRtpParameters(headerExtensions=[RTCRtpHeaderExtensionParameters(SEND_TIME, uri)]))
    chance = random.Random(7)
    whole = [
        packet(b"payload", sources=chance.randrange(3), extension=said, padding=chance.randrange(4))
        for said in (b"", extensions((SEND_TIME, b"\1\2\3"), (9, b"x")), extensions((9, b"yy"), wide=True))
        for _ in range(3)
    ]
    for _ in range(5000):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.randrange(3)):
            data[chance.randrange(1, len(data))] = chance.choice((0, 1, 255, chance.randrange(256)))
        data[0] = 0x80 | chance.choice((data[0], chance.randrange(64)))
        cut = bytes(data[: chance.randrange(FIXED.size, len(data) + 1)])
        found = read(cut)
        try:
            expected = RtpPacket.parse(cut, negotiated)
        except (ValueError, struct.error):  # what is damaged, and an extension of another length
            continue
        assert found is not None
        start, end, _, send_time, _ = found
        assert cut[start:end] == expected.payload
        assert send_time == expected.extensions.abs_send_time
