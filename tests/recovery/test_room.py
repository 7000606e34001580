"""Recovery on a full disk: the tail's own space is what its bytes need, and a kill at any point loses nothing."""

import contextlib
import errno
import functools
import os
from dataclasses import dataclass, field

import numpy as np
import pytest

import recordkit as rk
from recordkit.mpegts.packetiser import PacketBuffer
from recordkit.recovery.outcome import Outcome
from recordkit.writer.header import read_header

from ..mounts import mounted
from ..steering import PACKET, FaultySystem, packetiser, unit
from .material import Lying, media, unit_starts

PAGE = 4096
SPARE_PAGES = 2


@dataclass
class FullDisk(FaultySystem):
    """A disk without a free page but for those that holes give back; a file takes whole pages."""

    free_pages: int = 0
    holes: set[int] = field(default_factory=set)

    def write_at(self, descriptor, data, offset):
        held = -(-os.fstat(descriptor).st_size // PAGE)
        end = min(offset + len(data), (held + self.free_pages) * PAGE)
        if end <= offset:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = super().write_at(descriptor, data[: end - offset], offset)
        self.free_pages -= max(0, -(-(offset + count) // PAGE) - held)
        return count

    def punch(self, descriptor, offset, size):
        super().punch(descriptor, offset, size)
        pages = set(range(offset // PAGE, (offset + size) // PAGE)) - self.holes
        self.holes |= pages
        self.free_pages += len(pages)


class Stop(BaseException):
    """Ends a run in the middle, as a kill would."""


def stop():
    raise Stop


def lay(folder, data, *, torn=0):
    """A fifth of ``data`` in the file, the rest in two slots that are nearly full."""
    folder.mkdir(exist_ok=True)
    starts = unit_starts(data)
    first, second = starts[len(starts) // 5], starts[len(starts) * 3 // 5]
    slots = [(first, data[first:second]), (second, data[second:])]
    size = max(len(held) for _, held in slots)
    lying = Lying(folder)
    lying.lay(data[: first + torn], slots, slot_bytes=-(-size // PAGE) * PAGE + SPARE_PAGES * PAGE)
    return lying


def test_the_tail_gives_the_room_that_its_bytes_need(tmp_path):
    lying = lay(tmp_path / "a", media(), torn=1000)
    disk = FullDisk()
    found = rk.recover(lying.final, _system=disk)
    assert (found.outcome, found.bytes) == (Outcome.RECOVERED, len(media()))
    assert lying.final.read_bytes() == media()
    assert lying.names() == ["talk.ts"]
    assert len(disk.named("punch")) > 1, "it had to be done step by step"


def test_where_there_is_room_the_tail_is_not_touched(tmp_path):
    lying = lay(tmp_path / "a", media())
    system = FaultySystem()
    rk.recover(lying.final, _system=system)
    assert system.named("punch") == []


@pytest.mark.parametrize("other_boot", [False, True])
def test_a_kill_at_each_call_is_recoverable(tmp_path, other_boot):
    data = media()
    first = FullDisk()
    rk.recover(lay(tmp_path / "first", data).final, _system=first)
    counts = {}
    for call in first.calls:
        counts[call.name] = counts.get(call.name, 0) + 1
    assert counts["punch"] > 1
    for name, count in counts.items():
        for nth in range(1, count + 1):
            lying = lay(tmp_path / f"{name} {nth}", data)
            disk = FullDisk()
            disk.do(name, nth, stop)
            with pytest.raises(Stop):
                rk.recover(lying.final, _system=disk)
            if lying.tail.exists() and other_boot:
                with lying.tail.open("r+b") as file:
                    file.seek(24)
                    file.write(bytes(range(16)))
            if lying.partial.exists():
                assert [one.recoverable_bytes for one in rk.partials(lying.folder)] == [len(data)]
            again = rk.recover(lying.final, _system=disk)
            assert again.ok
            assert lying.final.read_bytes() == data, f"{name} {nth}"
            assert lying.names() == ["talk.ts"]


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EIO])
def test_where_no_holes_can_be_made_all_stays_recoverable(tmp_path, number):
    lying = lay(tmp_path / "a", media())
    disk = FullDisk()
    disk.fail("punch", 1, number, lasting=True)
    with pytest.raises(rk.WriteError) as raised:
        rk.recover(lying.final, _system=disk)
    assert raised.value.errno == (errno.ENOSPC if number == errno.EOPNOTSUPP else errno.EIO)
    rk.recover(lying.final)
    assert lying.final.read_bytes() == media()


def test_what_is_cut_is_set_aside_on_a_full_disk_too(tmp_path):
    lying = lay(tmp_path / "a", media())
    lying.partial.write_bytes(lying.partial.read_bytes() + b"wrong" * 40)
    found = rk.recover(lying.final, _system=FullDisk())
    assert lying.final.read_bytes() == media()
    assert found.cuts
    assert lying.rejects()[0].startswith(b"wrong")


@pytest.mark.parametrize("header", [b"x" * PAGE, None])
def test_a_tail_that_nobody_understands_and_no_room_to_set_it_aside(tmp_path, header):
    lying = lay(tmp_path / "a", media())
    tail = bytearray(lying.tail.read_bytes())
    if header is not None:
        tail[:PAGE] = header
    else:
        tail[72:80] = (7).to_bytes(8, "little")  # a count that is no whole packets
    lying.tail.write_bytes(tail)
    before = lying.partial.read_bytes()
    with pytest.raises(rk.WriteError, match="make room, then recover again") as raised:
        rk.recover(lying.final, _system=FullDisk())
    assert raised.value.errno == errno.ENOSPC
    assert (lying.partial.read_bytes(), lying.tail.read_bytes()) == (before, bytes(tail))
    assert rk.recover(lying.final).ok
    assert bytes(tail) in lying.rejects()
    assert not lying.tail.exists()


def test_a_header_that_says_more_was_moved_than_there_is(tmp_path):
    lying = lay(tmp_path / "a", media())
    tail = bytearray(lying.tail.read_bytes()[:PAGE])
    tail[80:88] = (1 << 40).to_bytes(8, "little")
    assert not read_header(tail).is_sane


@functools.cache
def megabytes():
    """About 4 MB of units of 100,000 bytes."""
    made, buffer = packetiser(), PacketBuffer(np.empty((23_000, PACKET), np.uint8))
    for number in range(40):
        made.lay(unit(number, 100_000), buffer)
    return bytes(buffer.bytes[: buffer.used_bytes])


@pytest.fixture
def small_disk(tmp_path):
    with mounted(tmp_path / "disk", "tmpfs") as folder:
        yield folder


def fill(folder):
    with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(PAGE))
    assert os.statvfs(folder).f_bavail == 0


@pytest.mark.parametrize("stop_at", [None, 2, 5])
def test_on_a_real_disk_without_a_free_byte(small_disk, stop_at):
    data = megabytes()
    lying = lay(small_disk, data)
    fill(small_disk)
    system = FaultySystem()
    if stop_at is not None:
        system.do("punch", stop_at, stop)
        with pytest.raises(Stop):
            rk.recover(lying.final, _system=system)
    found = rk.recover(lying.final, _system=system)
    assert found.ok
    assert lying.final.read_bytes() == data
    assert len(system.named("punch")) > 1
