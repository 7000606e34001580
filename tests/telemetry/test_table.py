"""The frame table: its rows come back, it is written with the flush, and it never harms a recording."""

import errno
import logging
from pathlib import Path

import numpy as np
import pytest

from recordkit.model import AccessUnit, Captured, CapturedBy
from recordkit.system import System
from recordkit.telemetry.table import FrameTable, read_rows, table_path, taken_of

NOON = Captured(1_795_780_800_123_456_789, CapturedBy.DEVICE, 0.001)


def unit(number, **fields):
    return AccessUnit(0, 3000 * number + 500, 3000 * number, bytes(100 + number), **fields)


def table(folder, system=None, *, durable=True):
    return FrameTable(folder / "talk.frames", system or System(), durable=durable)


def test_the_table_of_a_recording_lies_beside_it():
    assert table_path(Path("a/talk.ts")) == table_path(Path("a/talk.recording.mp4")) == Path("a/talk.frames")


def test_rows_come_back(tmp_path):
    one = table(tmp_path)
    one.add(unit(0, random_access=True, captured=NOON), 376, 100)
    one.add(unit(1, discontinuity=True, captured=Captured(5, CapturedBy.ARRIVAL)), 1000, 103)
    one.flushed(1500)
    one.close()
    rows = read_rows(one.path)
    assert rows.dtype.itemsize == 40
    assert rows["pts"].tolist() == [500, 3500]
    assert rows["delay"].tolist() == [500, 500]
    assert rows["offset"].tolist() == [376, 1000]
    assert rows["bytes"].tolist() == [100, 103]
    assert rows["flags"].tolist() == [1, 2]
    assert [taken_of(row) for row in rows] == [NOON, Captured(5, CapturedBy.ARRIVAL)]


def test_a_row_is_written_when_the_recording_has_its_frame(tmp_path):
    one = table(tmp_path)
    one.flushed(100)
    assert not one.path.exists()
    for number in range(3):
        one.add(unit(number), 1000 * number, 100)
    one.flushed(2000)
    assert len(read_rows(one.path)) == 2
    one.flushed(3000)
    assert len(read_rows(one.path)) == 3
    assert taken_of(read_rows(one.path)[2]) is None


@pytest.mark.parametrize(("durable", "expected"), [(True, 2), (False, 0)])
def test_it_is_synced_as_the_recording_is(tmp_path, durable, expected):
    synced = []

    class Counting(System):
        def sync_data(self, descriptor):
            synced.append(descriptor)

    one = table(tmp_path, Counting(), durable=durable)
    for number in range(2):
        one.add(unit(number), number, 100)
        one.flushed(number + 1)
    assert len(synced) == expected


def test_one_that_cannot_be_written_is_given_up_and_told(tmp_path, caplog):
    class Full(System):
        def write_at(self, descriptor, data, offset):
            raise OSError(errno.ENOSPC, "No space left on device")

    one = table(tmp_path, Full())
    one.add(unit(0), 0, 100)
    with caplog.at_level(logging.WARNING, "recordkit"):
        one.flushed(1)
        one.add(unit(1), 1, 100)
        one.flushed(2)
    assert [record.getMessage() for record in caplog.records] == [
        f"{one.path}: no table of the frames is kept: No space left on device"
    ]
    assert not one.path.exists()


def test_a_table_of_an_earlier_recording_is_replaced_and_a_strange_file_is_not(tmp_path, caplog):
    for number in range(2):
        one = table(tmp_path)
        one.add(unit(number), 0, 100)
        one.flushed(1)
        one.close()
    assert read_rows(one.path)["pts"].tolist() == [3500]
    one.path.write_text("my notes")
    with caplog.at_level(logging.WARNING, "recordkit"):
        one = table(tmp_path)
        one.add(unit(0), 0, 100)
        one.flushed(1)
    assert "none of recordkit's" in caplog.text
    assert one.path.read_text() == "my notes"


@pytest.mark.parametrize("data", [None, b"", b"RKFRAMES", b"RKFRAMES" + bytes(72), bytes(200)])
def test_what_is_no_table_has_no_rows(tmp_path, data):
    if data is not None:
        (tmp_path / "talk.frames").write_bytes(data)
    assert read_rows(tmp_path / "talk.frames") is None


def test_a_row_that_was_cut_is_left_out(tmp_path):
    one = table(tmp_path)
    for number in range(3):
        one.add(unit(number), number, 100)
    one.flushed(3)
    one.path.write_bytes(one.path.read_bytes()[:-7])
    assert np.array_equal(read_rows(one.path)["pts"], [500, 3500])
