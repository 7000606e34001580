"""The boxes of VP9, AV1 and FLAC: what is written is read back, and what keyframes say decides."""

from __future__ import annotations

import pytest

from recordkit.bitstream.flac import flac_streaminfo
from recordkit.bitstream.vp9 import vp9_keyframe
from recordkit.errors import MediaError
from recordkit.model import Codec
from recordkit.mp4.records import av1c, beginning, dfla, known_beforehand, read_record, sets_in, vpcc

from . import real

UNSPECIFIED = b"\2\2\2"
SIZE = (64, 48)


def vp9_begin(space: int, width: int = 320, height: int = 180) -> bytes:
    """As ``beginning`` says it of a keyframe of 8 bits in 4:2:0."""
    made = bytes([0, 8, space, 0, 1]) + width.to_bytes(2) + height.to_bytes(2)
    assert len(made) == len(beginning(real.video(Codec.VP9).units[0].data, Codec.VP9))
    return made


def test_what_a_keyframe_says_stands_in_the_box() -> None:
    data = real.video(Codec.VP9).units[0].data
    assert beginning(data, Codec.VP9) == vp9_begin(0)
    made, *size = vpcc(beginning(data, Codec.VP9), b"", SIZE)
    assert size == [320, 180]
    header = vp9_keyframe(data)
    assert header is not None
    assert made[12:] == bytes([header.profile, 20, 8 << 4 | 1 << 1, *UNSPECIFIED, 0, 0])
    assert beginning(real.video(Codec.VP9).units[1].data, Codec.VP9) == b""


@pytest.mark.parametrize(
    ("colors", "space", "expected"),
    [
        (b"", 2, b"\1\1\1"),
        (UNSPECIFIED, 5, bytes([9, 14, 9])),
        (bytes([9, 16, 9]), 5, bytes([9, 16, 9])),  # somebody knows that it is PQ
        (bytes([2, 18, 0]), 5, bytes([9, 18, 9])),
        (b"", 0, UNSPECIFIED),
    ],
)
def test_colours_are_those_that_somebody_knows_better_or_the_streams_own(
    colors: bytes, space: int, expected: bytes
) -> None:
    made, *_ = vpcc(vp9_begin(space), colors, SIZE)
    assert read_record("vpcC", made[8:]) == expected


@pytest.mark.parametrize(
    ("size", "level"), [((176, 144), 11), ((1280, 720), 40), ((1920, 1080), 41), ((7680, 4320), 61)]
)
def test_a_level_has_room_for_sixty_frames_a_second(size: tuple[int, int], level: int) -> None:
    made, *_ = vpcc(vp9_begin(2, *size), b"", SIZE)
    assert made[13] == level


def test_what_nobody_has_said_yet_is_the_usual() -> None:
    made, *size = vpcc(b"", b"", SIZE)
    assert (tuple(size), made[12], made[14]) == (SIZE, 0, 8 << 4 | 1 << 1)
    assert av1c(b"", SIZE)[1:] == SIZE
    assert known_beforehand(b"no frame", Codec.AV1, b"header") == b"header"
    assert sets_in(Codec.VP9, known_beforehand(b"no frame", Codec.VP9, b"")) == b""


def test_the_sequence_header_is_read_back() -> None:
    sequence = beginning(real.video(Codec.AV1).units[0].data, Codec.AV1)
    made, *size = av1c(sequence, SIZE)
    assert size == [320, 180]
    assert read_record("av1C", made[8:]) == sequence
    assert read_record("av1C", b"\x81\0\x0c\0") == b""


def test_streaminfo_is_read_back_and_flac_without_it_is_refused() -> None:
    config = real.audio(Codec.FLAC).format.config
    assert read_record("dfLa", dfla(config)[8:]) == flac_streaminfo(config)
    with pytest.raises(MediaError, match="STREAMINFO"):
        dfla(b"")


def test_other_boxes_are_none_of_these() -> None:
    assert read_record("colr", bytes(20)) is None
    assert read_record("vpcC", bytes(3)) is None
