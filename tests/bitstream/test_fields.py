"""Fields that are access units of their own, and the frames that two of them are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from recordkit.bitstream.columns import Bytes
from recordkit.bitstream.counter import PictureCounter, Pictures
from recordkit.bitstream.h264 import ParameterSetFramer
from recordkit.model import Codec
from tests.bitstream.interlaced import field, frames, parameter_sets


class Joined:
    """Pieces one behind the other."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.data = b"".join(pieces)
        self.end = np.cumsum([len(piece) for piece in pieces])
        self.begin = self.end - [len(piece) for piece in pieces]

    def words(self, positions: np.ndarray) -> np.ndarray:
        found = [int.from_bytes(self.data[at : at + 8].ljust(8, b"\0")) for at in positions.tolist()]
        return np.array(found, np.uint64)

    def bytes(self, begin: int, end: int) -> bytes:
        return self.data[begin:end]

    def start_codes(self) -> np.ndarray:
        found = [at for at in range(len(self.data)) if self.data.startswith(b"\0\0\1", at)]
        return np.array(found, np.int64)


def counted(units: list[bytes]) -> list[Pictures]:
    counter = PictureCounter(Codec.H264)
    return [counter.feed(unit) for unit in units]


def test_two_fields_are_one_frame() -> None:
    units = list(itertools.chain(*frames(12)))
    firsts, seconds = counted(units)[::2], counted(units)[1::2]
    assert firsts == [Pictures(1, int(number % 10 == 0), 0) for number in range(12)]
    assert seconds == [Pictures(0, 0, 1)] * 12
    assert counted([first + second for first, second in frames(3)]) == [Pictures(1, 1, 1), *[Pictures(1, 0, 1)] * 2]


@pytest.mark.parametrize("joined", [False, True], ids=["apart", "together"])
def test_many_at_once_are_counted_as_one_by_one(joined: bool) -> None:
    units = [a + b for a, b in frames(12)] if joined else list(itertools.chain(*frames(12)))
    counter = PictureCounter(Codec.H264)
    counter.feed(parameter_sets())
    pieces = Joined(units)
    data: Bytes = pieces
    found = counter.feed_many(data, pieces.begin, pieces.end)
    assert found is not None
    assert found.are_single
    columns = zip(found.pictures.tolist(), found.random_access.tolist(), found.second_fields.tolist(), strict=True)
    assert [Pictures(*each) for each in columns] == counted(units)


@pytest.mark.parametrize(
    "second",
    [
        field(1, bottom=True),  # of another frame
        field(0, bottom=False),  # of the same parity
        field(0, bottom=True, reference=False),
        field(0, bottom=True, idr=True),
        field(0, bottom=True)[:6],  # cut
    ],
    ids=["another frame", "same parity", "nobody refers to it", "an IDR", "cut"],
)
def test_what_does_not_complete_a_frame_is_one_of_its_own(second: bytes) -> None:
    first = parameter_sets() + field(0, bottom=False, idr=True)
    assert counted([first, second])[1].second_fields == 0


def test_the_framer_says_it_of_each_unit() -> None:
    framer = ParameterSetFramer(Codec.H264)
    found = [framer.frame(unit, False) for unit in itertools.chain(*frames(11))]
    assert [one.is_second_field for one in found] == [False, True] * 11
    assert [one.random_access for one in found] == [place in (0, 20) for place in range(22)]
