"""All is written, or it is told how far that came."""

import errno
import os

import pytest

from recordkit.errors import WriteError
from recordkit.system import System
from recordkit.writer.writing import write_all


class Taking(System):
    """Takes so many bytes at a time; an exception in their place is raised."""

    def __init__(self, *counts):
        self._counts = iter(counts)

    def write_at(self, descriptor, data, offset):
        count = next(self._counts)
        if isinstance(count, OSError):
            raise count
        return super().write_at(descriptor, data[:count], offset)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "f"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    yield path, descriptor
    os.close(descriptor)


def test_what_is_taken_in_pieces_is_written_whole(file):
    path, descriptor = file
    write_all(Taking(2, 1, 10), descriptor, path, b"abcdef", 3)
    assert path.read_bytes() == b"\0\0\0abcdef"


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "no room"), 0])
def test_a_failure_says_how_far_it_came_and_of_what_it_is(file, failure):
    path, descriptor = file
    with pytest.raises(WriteError, match="exporting failed at byte 7") as caught:
        write_all(Taking(4, failure), descriptor, path, memoryview(b"abcdef"), 3, "exporting")
    assert caught.value.offset == 7
    assert caught.value.errno == (errno.ENOSPC if failure else errno.EIO)
    assert path.read_bytes() == b"\0\0\0abcd"
