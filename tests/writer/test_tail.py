"""The crash-proof buffer: its layout on disk, and the tails of earlier recordings."""

import errno
import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from recordkit.errors import DiskSpaceError, OutputAccessError, PartialExistsError
from recordkit.mpegts.laying import PACKET_BYTES
from recordkit.system import System
from recordkit.writer.header import read_header
from recordkit.writer.tail import RESERVE_BYTES, Tail

from ..steering import FaultySystem, read_tail


def test_the_layout_on_disk(output):
    tail = Tail(output, 50, System())
    assert tail.is_kept
    data = output.tail_path.read_bytes()
    assert data[:8] == b"RKTAIL\0\1"
    slot_bytes = int.from_bytes(data[8:16], "little")
    assert slot_bytes >= 50 * PACKET_BYTES
    assert slot_bytes % 4096 == 0
    assert len(data) == 4096 + 2 * slot_bytes + RESERVE_BYTES
    assert data[24:40] != bytes(16)
    state = read_tail(output.tail_path)
    assert state.inode == output.partial_path.stat().st_ino
    assert state.slots == ((0, b""), (0, b""))


def test_all_of_the_file_is_allocated(output):
    tail = Tail(output, 1000, System())
    status = output.tail_path.stat()
    assert status.st_blocks * 512 >= status.st_size
    tail.remove()
    assert not output.tail_path.exists()
    tail.remove()


def test_private_memory_where_the_file_cannot_be_written(output, caplog):
    system = FaultySystem()
    system.fail("store", 1, errno.EINVAL, lasting=True)
    tail = Tail(output, 50, system)
    assert not tail.is_kept
    assert not output.tail_path.exists()
    assert "the crash-proof buffer cannot be written to (Invalid argument)" in caplog.text
    tail.slots[0].buffer.bytes[:3] = b"abc"
    tail.slots[1].publish()
    tail.remove()
    assert tail.give_back() == 0


@pytest.mark.parametrize("what", ["the bytes", "their count"])
def test_it_is_not_kept_while_a_store_has_failed_and_then_it_is_again(output, what):
    system = FaultySystem()
    tail = Tail(output, 50, system)
    slot = tail.slots[0]
    slot.append(memoryview(b"\x47" * PACKET_BYTES))
    slot.publish()
    assert tail.is_kept
    assert tail.missing_bytes(0) == 0
    system.fail_next("store", errno.EIO, nth=1 if what == "the bytes" else 2)
    slot.append(memoryview(b"\x48" * 2 * PACKET_BYTES))
    assert tail.missing_bytes(0) == 2 * PACKET_BYTES
    slot.publish()
    slot.publish()
    assert not tail.is_kept
    assert tail.missing_bytes(0) == 2 * PACKET_BYTES
    assert tail.missing_bytes(2 * PACKET_BYTES) == PACKET_BYTES
    assert read_tail(output.tail_path).slots[0] == (0, b"\x47" * PACKET_BYTES)
    slot.open(3 * PACKET_BYTES)
    assert tail.is_kept
    assert tail.missing_bytes(3 * PACKET_BYTES) == 0
    tail.close()
    assert not tail.is_kept


def test_where_no_room_can_be_reserved_it_is_kept_all_the_same(output, caplog):
    system = FaultySystem()
    system.fail("allocate", 1, errno.EOPNOTSUPP)
    tail = Tail(output, 50, system)
    assert tail.is_kept
    assert "reserves no room" in caplog.text
    tail.slots[0].append(memoryview(b"\x47" * PACKET_BYTES))
    tail.slots[0].publish()
    assert read_tail(output.tail_path).slots[0] == (0, b"\x47" * PACKET_BYTES)


@pytest.mark.parametrize(
    ("call", "number", "error"),
    [
        ("allocate", errno.ENOSPC, DiskSpaceError),
        ("open talk.recording.tail", errno.ENOSPC, DiskSpaceError),
        ("open talk.recording.tail", errno.EACCES, OutputAccessError),
        ("open talk.recording.tail", errno.EMFILE, OutputAccessError),
    ],
)
def test_a_tail_that_cannot_be_made_leaves_nothing(output, call, number, error):
    system = FaultySystem(free=123)
    system.fail(call, 1, number)
    with pytest.raises(error) as caught:
        Tail(output, 50, system)
    assert caught.value.path == output.tail_path
    assert not output.tail_path.exists()
    if error is DiskSpaceError:
        assert caught.value.free_bytes == 123
        assert caught.value.needed_bytes > 100 * PACKET_BYTES


def test_a_tail_that_cannot_be_removed_is_only_warned_of(output, caplog):
    system = FaultySystem()
    output._system = system
    tail = Tail(output, 50, system)
    system.fail("unlink", 1, errno.EROFS)
    tail.remove()
    assert "could not be removed" in caplog.text
    assert output.tail_path.exists()


def test_a_file_that_took_the_tails_name_is_not_removed(output):
    tail = Tail(output, 50, System())
    output.tail_path.rename(output.tail_path.with_name("elsewhere"))
    output.tail_path.write_bytes(b"another's")
    tail.remove()
    assert output.tail_path.read_bytes() == b"another's"


# On a full disk.


def test_pages_that_hold_nothing_needed_are_given_back_and_the_rest_stays(output):
    tail = Tail(output, 100, System())
    before = output.tail_path.stat().st_blocks * 512
    first, second = tail.slots
    packets = np.full((100, PACKET_BYTES), 0x47, np.uint8)
    second.open(100 * PACKET_BYTES)
    for slot in (first, second):
        slot.append(packets.data.cast("B"))
    assert tail.give_back() == RESERVE_BYTES
    assert tail.give_back() == 0
    first.note_moved(50 * PACKET_BYTES)  # 9400 bytes: two whole pages
    assert tail.give_back() == 2 * 4096
    assert output.tail_path.stat().st_blocks * 512 <= before - RESERVE_BYTES - 2 * 4096
    assert read_tail(output.tail_path).slots == (
        (50 * PACKET_BYTES, b"\x47" * 50 * PACKET_BYTES),
        (100 * PACKET_BYTES, b"\x47" * 100 * PACKET_BYTES),
    )
    header = read_header(output.tail_path.read_bytes())
    assert header.is_sane
    assert [(slot.offset, slot.bytes, slot.ends_a_unit) for slot in header.slots] == [
        (50 * PACKET_BYTES, 50 * PACKET_BYTES, False),
        (100 * PACKET_BYTES, 100 * PACKET_BYTES, False),
    ]
    first.note_moved(100 * PACKET_BYTES)
    slots = read_header(output.tail_path.read_bytes()).slots
    assert [slot.offset for slot in slots if slot.bytes] == [100 * PACKET_BYTES]


def test_where_no_holes_can_be_made_the_end_is_cut_off(output):
    system = FaultySystem(makes_holes=False)
    tail = Tail(output, 100, system)
    slot_bytes = int.from_bytes(output.tail_path.read_bytes()[8:16], "little")
    first, second = tail.slots
    packets = np.arange(100 * PACKET_BYTES, dtype=np.uint32).astype(np.uint8).reshape(100, PACKET_BYTES)
    second.open(100 * PACKET_BYTES, memoryview(b"b" * 188))
    for slot in (first, second):
        slot.append(packets.data.cast("B"))
    second.note_moved(3 * PACKET_BYTES)
    assert tail.give_back() >= RESERVE_BYTES + slot_bytes
    assert output.tail_path.stat().st_size == 4096 + slot_bytes + 100 * PACKET_BYTES
    assert tail.give_back() == 0
    first.note_moved(100 * PACKET_BYTES)
    before = read_header(output.tail_path.read_bytes()).slots[-1]
    assert tail.give_back() == slot_bytes
    assert output.tail_path.stat().st_size == 4096 + 100 * PACKET_BYTES
    assert [slot.number for slot in tail.slots] == [1, 0]
    header = read_header(output.tail_path.read_bytes())
    (slot,) = header.slots
    assert header.is_sane
    assert (slot.number, slot.offset, slot.bytes, slot.seam_digest) == (
        0,
        before.offset,
        before.bytes,
        before.seam_digest,
    )
    held = output.tail_path.read_bytes()[slot.start : slot.start + slot.bytes]
    assert held == packets.tobytes()[3 * PACKET_BYTES :]
    second.note_moved(100 * PACKET_BYTES)
    assert tail.give_back() == 100 * PACKET_BYTES
    assert output.tail_path.stat().st_size == 4096


def test_a_file_system_that_gives_nothing_back_is_told_of(output, caplog):
    system = FaultySystem()
    tail = Tail(output, 50, system)
    system.fail("punch", 1, errno.EIO)
    assert tail.give_back() == 0
    assert "gives no room back" in caplog.text


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_tail_that_is_no_file_is_not_waited_for(output, kind):
    if kind == "pipe":
        os.mkfifo(output.tail_path)
    else:
        output.tail_path.symlink_to("/dev/zero")
    with pytest.raises(PartialExistsError):
        Tail(output, 50, System())
    assert os.path.lexists(output.tail_path)


# What an earlier recording of the name left.


def left_behind(output, valid):
    tail = Tail(output, 50, System())
    tail.slots[0].buffer.used = valid
    tail.slots[0].publish()
    return output.tail_path.read_bytes()


def test_the_tail_of_a_partial_that_was_moved_away_is_not_written_over(output):
    before = left_behind(output, 3)
    with pytest.raises(PartialExistsError) as caught:
        Tail(output, 50, System())
    assert (caught.value.path, caught.value.partial) == (output.final_path, output.tail_path)
    assert output.tail_path.read_bytes() == before


@pytest.mark.parametrize("what", ["empty slots", "half made", "short"])
def test_a_tail_that_holds_nothing_is_replaced(output, what):
    left_behind(output, 0)
    if what == "half made":
        output.tail_path.write_bytes(bytes(8192))
    elif what == "short":
        output.tail_path.write_bytes(b"RKTAIL\0\1")
    assert Tail(output, 50, System()).is_kept


@pytest.mark.parametrize(("size", "spent"), [(564, True), (563, False)])
def test_a_tail_whose_bytes_are_in_the_committed_file_is_replaced(output, size, spent):
    left_behind(output, 3)
    output.partial_path.replace(output.final_path)
    output.final_path.write_bytes(bytes(size))
    if spent:
        assert Tail(output, 50, System()).is_kept
    else:
        with pytest.raises(PartialExistsError):
            Tail(output, 50, System())


def test_a_machine_without_a_boot_id(output, monkeypatch):
    monkeypatch.setattr("recordkit.writer.header.Path.read_text", lambda self, encoding: "no such thing")
    Tail(output, 50, System())
    assert output.tail_path.read_bytes()[24:40] == bytes(16)


def test_what_is_laid_takes_its_own_size_of_memory(output):
    """Slots have room for much more: whoever records many streams pays for what comes in two seconds."""
    tail = Tail(output, 50_000, System())
    for slot in tail.slots:
        slot.buffer.bytes[: 64 * 1024] = bytes([1]) * 64 * 1024
    sizes = [resident_bytes(np.frombuffer(slot.buffer.bytes, np.uint8)) for slot in tail.slots]
    # The first page of the second slot has the end of the first one, too.
    assert all(64 * 1024 <= size <= 64 * 1024 + 2 * mmap.PAGESIZE for size in sizes)


def test_no_memory_is_an_error_of_memory(output, monkeypatch):
    def refused(*_, **__):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr("mmap.mmap", refused)
    with pytest.raises(MemoryError):
        Tail(output, 50, System())
    assert not output.tail_path.exists()


def resident_bytes(memory):
    """What the kernel has given of ``memory``: bit 63 of each of its pages in the page map."""
    first, count = memory.ctypes.data // mmap.PAGESIZE, -(-memory.size // mmap.PAGESIZE)
    with Path("/proc/self/pagemap").open("rb") as file:
        file.seek(8 * first)
        pages = np.frombuffer(file.read(8 * count), np.uint64)
    return int((pages >> np.uint64(63)).sum()) * mmap.PAGESIZE
