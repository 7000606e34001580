"""The tail's header, read back: what a writer published, and what none ever wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordkit.mpegts.laying import PACKET_BYTES
from recordkit.system import System
from recordkit.writer.header import read_header
from recordkit.writer.tail import Tail


def test_what_was_published_is_read_back(output):
    tail = Tail(output, 50, System())
    first, second = tail.slots
    first.open(188)
    first.buffer.used = 2
    first.publish()
    header = read_header(output.tail_path.read_bytes())
    assert (header.inode, header.is_same_boot, header.is_sane) == (output.inode, True, True)
    assert [(slot.offset, slot.start, slot.bytes, slot.end) for slot in header.slots] == [(188, 4096, 376, 564)]
    second.open(564)
    second.buffer.used = 50
    second.publish()
    header = read_header(output.tail_path.read_bytes())
    assert [slot.start for slot in header.slots] == [4096, 4096 + 12288]
    # A slot that is full may hold only the beginning of a unit.
    assert [slot.ends_a_unit for slot in header.slots] == [True, False]
    first.open(564 + 50 * 188)
    first.buffer.used = 1
    first.publish()
    assert [slot.offset for slot in read_header(output.tail_path.read_bytes()).slots] == [564, 564 + 50 * 188]


def test_of_a_prelude_and_what_takes_its_place_that_counts_which_goes_further(output):
    tail = Tail(output, 50, System())
    real, prelude = tail.slots
    prelude.begin_early(has_all=False)
    seen = []
    for slot, count in ((prelude, 3), (real, 1), (real, 2), (real, 3), (real, 5)):
        slot.buffer.used = count
        slot.publish()
        header = read_header(output.tail_path.read_bytes())
        assert header.is_sane
        seen.append([(one.number, one.bytes // PACKET_BYTES, header.is_early) for one in header.slots])
    # At each moment one of them has all that there is, and a kill between any two stores leaves one.
    assert seen == [[(1, 3, True)], [(1, 3, True)], [(1, 3, True)], [(0, 3, False)], [(0, 5, False)]]
    prelude.end_early()
    header = read_header(output.tail_path.read_bytes())
    assert [(one.number, header.is_early) for one in header.slots] == [(0, False)]
    prelude.open(5 * PACKET_BYTES)
    prelude.buffer.used = 1
    prelude.publish()
    assert [one.offset for one in read_header(output.tail_path.read_bytes()).slots] == [0, 5 * PACKET_BYTES]


def test_a_prelude_that_has_all_counts_however_far_the_other_slot_goes(output):
    tail = Tail(output, 50, System())
    real, prelude = tail.slots
    prelude.begin_early(has_all=True)
    for slot, count in ((prelude, 3), (real, 5)):
        slot.buffer.used = count
        slot.publish()
        header = read_header(output.tail_path.read_bytes())
        assert header.is_sane
        assert [(one.number, header.is_early) for one in header.slots] == [(1, True)]
    prelude.begin_early(has_all=False)
    assert not read_header(output.tail_path.read_bytes()).is_early


@pytest.mark.parametrize(
    ("at", "value"),
    [(8, 0), (8, 1 << 62), (48, 5), (72, 187), (72, 1 << 40), (64, 100), (64, 1 << 63), (64, 188)],
    ids=[
        "no slots",
        "huge slots",
        "a prelude nowhere",
        "part of a packet",
        "beyond the slot",
        "odd place",
        "huge place",
        "a gap",
    ],
)
def test_a_header_that_no_writer_made(output, at, value):
    tail = Tail(output, 50, System())
    for slot, offset in zip(tail.slots, (0, 376), strict=True):
        slot.open(offset)
        slot.buffer.used = 2
        slot.publish()
    data = bytearray(output.tail_path.read_bytes())
    assert read_header(data).is_sane
    data[at : at + 8] = value.to_bytes(8, "little")
    assert not read_header(data).is_sane
    assert read_header(data[:4095]) is None
    assert read_header(bytes(4096)) is None


def test_another_boot(output, monkeypatch):
    Tail(output, 50, System())
    data = bytearray(output.tail_path.read_bytes())
    data[24] ^= 1
    assert not read_header(data).is_same_boot
    # Where the system does not tell, it may be any.
    monkeypatch.setattr("recordkit.writer.header.Path.read_text", lambda self, encoding: "no such thing")
    data[24:40] = bytes(16)
    assert not read_header(data).is_same_boot


@given(st.binary(min_size=0, max_size=400))
def test_any_bytes_can_be_read_as_a_header(junk):
    header = read_header((b"RKTAIL\0\1" + junk).ljust(4096, b"\0"))
    assert len(header.slots) <= 2
    assert all(slot.bytes % PACKET_BYTES == 0 and slot.end < 1 << 61 for slot in header.slots)
