"""SEI messages: read as they stand, made so that decoders read what was meant."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordkit.bitstream.h264 import first_slice
from recordkit.bitstream.sei import Orientation, recovery_point, sei_messages
from recordkit.model import Codec

MATRICES = {
    "right": (0, 1, 0, -1, 0),
    "left": (0, -1, 0, 1, 0),
    "about": (-1, 0, 0, 0, -1),
    "mirrored": (-1, 0, 0, 0, 1),
    "upside down": (1, 0, 0, 0, -1),
    "mirrored and right": (0, 1, 0, 1, 0),
    "mirrored and left": (0, -1, 0, -1, 0),
    "by some degrees": (3, 4, 0, -4, 3),
}
CODERS = {Codec.H264: "libx264", Codec.H265: "libx265"}
OPTIONS = {Codec.H264: {"tune": "zerolatency"}, Codec.H265: {"x265-params": "log-level=none:bframes=0"}}


def keyframe(codec: Codec) -> bytes:
    context = av.VideoCodecContext.create(CODERS[codec], "w")
    context.width, context.height, context.pix_fmt = 128, 64, "yuv420p"
    context.time_base, context.options = Fraction(1, 25), OPTIONS[codec]
    frame = av.VideoFrame.from_ndarray(np.zeros((96, 128), np.uint8), format="yuv420p")
    frame.pts = 0
    return bytes([*context.encode(frame), *context.encode(None)][0])


@pytest.fixture(scope="module", params=list(CODERS))
def coded(request: pytest.FixtureRequest) -> tuple[Codec, bytes]:
    return request.param, keyframe(request.param)


@pytest.mark.parametrize("name", MATRICES)
def test_a_decoder_reads_the_matrix_that_was_given(coded: tuple[Codec, bytes], name: str) -> None:
    codec, unit = coded
    matrix = MATRICES[name]
    message = Orientation.of_matrix([65_536 * value for value in matrix]).message(codec)
    at = first_slice(unit, codec)
    decoder = av.VideoCodecContext.create(codec.value, "r")
    (frame,) = decoder.decode(av.Packet(unit[:at] + b"\0\0\0\1" + message + unit[at:])) + decoder.decode(None)
    read = struct.unpack("=9i", bytes(frame.side_data.get("DISPLAYMATRIX")))
    length = np.hypot(matrix[0], matrix[1])
    assert np.allclose(np.array(read[:5]) / 65_536, np.array(matrix) / length, atol=1e-3)


@given(st.integers(0, 65_535), st.booleans(), st.sampled_from(list(CODERS)))
def test_a_message_never_looks_like_a_start_code(rotation: int, is_flipped: bool, codec: Codec) -> None:
    message = Orientation(rotation, is_flipped).message(codec)
    assert all(code not in message for code in (b"\0\0\0", b"\0\0\1", b"\0\0\2"))
    ((what, payload),) = sei_messages(message, codec)
    bits = int.from_bytes(payload)
    assert (what, bits >> 5 & 0xFFFF, bool(bits >> 22), bits >> 23) == (47, rotation, is_flipped, 0)


def test_an_upright_frame_has_no_rotation() -> None:
    assert Orientation.of_matrix((65_536, 0, 0, 0, 65_536, 0, 0, 0, 1 << 30)) == Orientation()


def test_several_messages_of_one_unit_are_found_behind_long_ones() -> None:
    long = b"\x05" + b"\xff\x05" + bytes(range(1, 255)) + bytes(6)  # user data of 260 bytes
    nal = b"\x06" + long.replace(b"\0\0\0", b"\0\0\3\0") + b"\x06\x01\x40\x80"
    assert [(what, len(payload)) for what, payload in sei_messages(nal)] == [(5, 260), (6, 1)]
    assert recovery_point(nal) == 1


def test_what_is_cut_is_no_fault() -> None:
    assert list(sei_messages(b"\x06")) == []
    assert list(sei_messages(b"\x06\x05\x10abc")) == [(5, b"abc")]
    assert recovery_point(b"\x06\xff\xff") is None
