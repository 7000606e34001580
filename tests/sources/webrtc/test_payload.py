"""What payloads add to their units, beside what aiortc makes of them."""

from __future__ import annotations

import random

import pytest
from aiortc.codecs import depayload
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from recordkit.sources.webrtc.payload import added


def codec(name):
    return RTCRtpCodecParameters(mimeType=name, clockRate=90_000, payloadType=96)


H264, VP8, OPUS = codec("video/H264"), codec("video/VP8"), codec("audio/opus")


@pytest.mark.parametrize("of", [H264, VP8, OPUS], ids=lambda one: one.mimeType)
def test_it_is_what_aiortc_makes_of_it(of):
    chance = random.Random(3)
    for _ in range(3000):
        payload = bytes([chance.randrange(256), chance.choice((0x80, 5, 0x85, 0x45, 0))]) + chance.randbytes(6)
        payload = payload[: chance.randrange(9)]
        try:
            expected = depayload(of, payload) if payload else b""
        except ValueError:
            with pytest.raises(ValueError):
                added(of, of.name.lower(), memoryview(payload))
        else:
            assert added(of, of.name.lower(), memoryview(payload)) == expected
