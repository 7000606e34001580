"""Units of AV1: what an encoder wrote, and sequence headers of other kinds set by hand."""

import pytest

from recordkit.bitstream.av1 import av1_sequence, av1_stored, av1_units, parse_av1_sequence
from recordkit.model import Codec

from ..mp4 import real
from .writing import bits

DELIMITER = b"\x12\0"


def sequence(*fields: tuple[int, int]) -> bytes:
    payload = bits(*fields)
    return bytes([0x0A, len(payload)]) + payload


SIZE = [(9, 4), (8, 4), (639, 10), (359, 9)]
UNTIMED = [(0, 2), (0, 1), (0, 1), (0, 5), (0, 12), (5, 5)]
TIMED = [(0, 3), (0, 2), (1, 1), (1, 32), (25, 32), (1, 1), (1, 1), (1, 1), (9, 5), (1, 32), (9, 5), (9, 5), (0, 1)]
TIMED += [(0, 5), (0, 12), (8, 5), (1, 1), (1, 1), (0, 21)]
TOOLS = [(0, 1), (0, 3), (0, 4), (1, 1), (0, 2), (1, 1), (1, 1), (6, 3), (0, 3)]


def test_what_an_encoder_wrote_is_read():
    units = real.video(Codec.AV1).units
    found = parse_av1_sequence(av1_sequence(units[0].data))
    assert found is not None
    assert (found.width, found.height) == (320, 180)
    assert found.description == b"\x81\0\x0c\0"
    assert [bool(av1_sequence(unit.data)) for unit in units] == [unit.random_access for unit in units]


def test_files_have_no_delimiters():
    data = real.video(Codec.AV1).units[0].data
    assert av1_stored(DELIMITER + data + b"\x7a\x02\1\1") == data
    assert av1_stored(data) is data
    assert av1_stored(DELIMITER + data + b"\x8a\1\2") == data + b"\x8a\1\2", "damage is not made worse"


@pytest.mark.parametrize(
    ("fields", "description"),
    [
        # Main, level 4.0, with timing and a decoder model; 10 bits in BT.2020 and PQ.
        (
            [*TIMED, *SIZE, *TOOLS, (1, 1), (0, 1), (1, 1), (9, 8), (16, 8), (9, 8), (0, 1), (2, 2)],
            b"\x81\x08\xce\0",
        ),
        # High, 4:4:4, level 2.0 in a still picture's short header.
        ([(1, 3), (1, 1), (1, 1), (0, 5), *SIZE, (0, 3), (0, 3), (0, 1), (0, 1), (0, 1)], b"\x81\x20\0\0"),
        # Professional, 4:2:2 of twelve bits.
        (
            [(2, 3), *UNTIMED, *SIZE, *TOOLS, (1, 1), (1, 1), (0, 1), (0, 1), (0, 1), (1, 1), (0, 1)],
            b"\x81\x45\x68\0",
        ),
        # Monochrome.
        (
            [(0, 3), *UNTIMED, *SIZE, *TOOLS, (0, 1), (1, 1), (0, 2)],
            b"\x81\5\x1c\0",
        ),
    ],
)
def test_sequence_headers(fields, description):
    found = parse_av1_sequence(sequence(*fields))
    assert found is not None
    assert (found.width, found.height, found.description) == (640, 360, description)


def test_what_is_cut_is_none():
    whole = av1_sequence(real.video(Codec.AV1).units[0].data)
    assert parse_av1_sequence(whole[:4]) is None
    assert parse_av1_sequence(b"") is None
    assert parse_av1_sequence(DELIMITER) is None
    assert list(av1_units(whole[:-1])) == []
    assert list(av1_units(b"\x0a" + b"\xff" * 8)) == []
    assert list(av1_units(b"\x8a\0")) == []
