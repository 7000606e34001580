"""A full disk: waiting for room, or making it out of the tail, with nothing lost on the way."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from recordkit.errors import WriteError
from recordkit.recovery.recover import recover
from recordkit.system import System
from recordkit.writer.buffer import NotLaid
from recordkit.writer.closing import DISK_FULL
from recordkit.writer.room import RETRY_S

from ..mounts import mounted
from ..steering import GUARD_S, PACKET, FakeClock, read_tail, recovered, units_in, whole
from .rig import SMALL, rigged


def datas(units):
    return [one.data for one in units]


def fill(rig, size=7000):
    """Lay until nothing goes in any more, or the writer has ended."""
    for _ in range(10_000):
        if not rig.lay(1, size):
            return
    raise AssertionError("the disk was never full")


def looking_at(rig):
    """A list, and what notes in it each call at which file and tail together are not all that was laid."""
    wrong = []

    def look():
        if rig.tail.exists() and rig.partial.exists():
            state = recovered(rig.partial, rig.tail)
            if units_in(state[: len(state) // PACKET * PACKET]) != datas(rig.laid):
                wrong.append(len(rig.system.calls))

    return wrong, look


# on_disk_full="stop".


@pytest.mark.parametrize("full", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("room", [0, 1, 187, 188, 50_000, 70_000, 1_000_000])
@pytest.mark.parametrize("durability", ["flush", "process"])
def test_all_that_was_packetised_is_committed(tmp_path, full, room, durability):
    with rigged(tmp_path / "talk.ts", durability=durability) as rig:
        rig.system.full = full
        rig.system.room = room
        held = rig.system.hold("write", 1)
        fill(rig)  # both slots, to the brim
        held.open()
        assert rig.close(commit=True)
        assert rig.writer.error is None
        assert rig.writer.committed
        assert rig.writer.ended_because == DISK_FULL
        assert rig.ends == [DISK_FULL]
        assert [one.name for one in tmp_path.iterdir()] == ["talk.ts"]
        assert units_in(whole(rig.final)) == datas(rig.laid)
        assert rig.records[-1].file_bytes == rig.final.stat().st_size == rig.writer.file_bytes
        assert not rig.lay()
        rig.writer.flush(GUARD_S)


def test_it_ends_by_itself_and_tells_so(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.system.room = 3 * SMALL
        while not rig.writer.ended_because:
            rig.lay(1, 5000)
            rig.writer.flush(GUARD_S)
        assert rig.close(commit=False)
        assert rig.writer.committed, "the first word on how to end is the writer's own"
        assert rig.ends == [DISK_FULL]
        assert rig.rooms == 1
        assert rig.waits == []
        assert units_in(whole(rig.final)) == datas(rig.laid)


def test_the_slot_loses_nothing_before_the_recording_has_it_on_the_disk(tmp_path):
    """At each call after the disk is full, file and tail together are everything: a kill may come anywhere."""
    with rigged(tmp_path / "talk.ts", flush_threshold=1 << 20) as rig:
        rig.system.room = 1000
        held = rig.system.hold("write", 1)
        fill(rig, 40_000)
        begun = len(rig.system.calls)
        wrong, look = looking_at(rig)
        for name in ("write", "sync_data", "punch", "truncate", "sync", "rename"):
            for nth in range(2 if name == "write" else 1, 60):
                rig.system.do(name, nth, look)
        held.open()
        assert rig.close(commit=True)
        assert len(rig.system.calls) - begun > 12
        assert len(rig.system.named("punch")) > 2
        assert wrong == []
        assert units_in(whole(rig.final)) == datas(rig.laid)


@pytest.mark.parametrize(
    ("call", "nth", "number"),
    [("sync_data", 1, errno.EIO), ("sync_data", 3, errno.EIO), ("write", 4, errno.EIO), ("write", 6, errno.EROFS)],
)
def test_a_disk_that_fails_while_room_is_made_leaves_all_to_be_recovered(tmp_path, call, nth, number):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.system.room = 500
        held = rig.system.hold("write", 1)
        fill(rig)
        rig.system.fail(call, nth, number)
        held.open()
        assert rig.failure().errno == number
        assert not rig.writer.committed
        assert units_in(recovered(rig.partial, rig.tail)) == datas(rig.laid)
    found = recover(rig.partial)
    assert units_in(whole(found.final_path)) == datas(rig.laid)
    assert not found.cuts


def test_where_the_tail_gives_nothing_back_it_stays_with_the_partial(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.system.room = 1000
        rig.system.fail("punch", 1, errno.EIO, lasting=True)
        rig.lay(40)
        with pytest.raises(WriteError) as caught:
            rig.writer.flush(GUARD_S)
        assert caught.value.errno == errno.ENOSPC
        assert "recordkit recover" in str(caught.value)
        assert len(whole(rig.partial)) == 940
        rig.close(commit=True)
        assert units_in(recovered(rig.partial, rig.tail)) == datas(rig.laid)


@pytest.mark.parametrize("size", [7000, 40_000, 300_000])
@pytest.mark.parametrize("filling", [0, 1])
def test_where_no_holes_can_be_made_the_end_of_the_tail_is_cut_off(tmp_path, size, filling):
    """Whichever of the slots is flushed first, and at each moment file and tail together are everything."""
    with rigged(
        tmp_path / "talk.ts", flush_threshold=1 << 20, prepare=lambda system: setattr(system, "makes_holes", False)
    ) as rig:
        if filling:
            rig.lay(1, size)
            rig.writer.flush(GUARD_S)
        assert rig.tail.stat().st_size > 3 * (2 << 20)
        rig.system.room = 1000
        held = rig.system.hold("write", 1 + filling)
        fill(rig, size)
        wrong, look = looking_at(rig)
        for name in ("write", "sync_data", "truncate", "sync", "rename"):
            for nth in range(2 + filling if name == "write" else 1, 60):
                rig.system.do(name, nth, look)
        held.open()
        assert rig.close(commit=True)
        assert rig.writer.ended_because == DISK_FULL
        assert rig.writer.committed
        assert wrong == []
        assert units_in(whole(rig.final)) == datas(rig.laid)
        assert [one.name for one in tmp_path.iterdir()] == ["talk.ts"]


def test_without_a_crash_proof_buffer_it_says_what_is_lost(tmp_path, caplog):
    path = tmp_path / "talk.ts"
    with rigged(path) as rig:
        pass
    path.unlink(missing_ok=True)
    with rigged(path, prepare=lambda system: system.fail("store", 1, errno.EOPNOTSUPP)) as rig:
        rig.system.room = 1000
        rig.lay(10)
        assert rig.failure().errno == errno.ENOSPC
        assert f"up to {rig.writer.laid_bytes:,} bytes are lost" in caplog.text


@pytest.mark.parametrize("store_fails", [True, False])
def test_a_failure_tells_what_the_crash_proof_buffer_has_not_got(tmp_path, caplog, store_fails):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.lay(10)
        rig.writer.flush(GUARD_S)
        flushed = rig.writer.file_bytes
        rig.lay(5)
        if store_fails:
            rig.system.fail_next("store", errno.EIO)
        kept = rig.writer.laid_bytes
        rig.lay(5)
        rig.system.fail("write", 1, errno.EIO, lasting=True)
        with pytest.raises(WriteError):
            rig.writer.flush(GUARD_S)
        rig.until_over()
        lost = rig.writer.laid_bytes - kept
        assert (f"up to {lost:,} bytes are lost" in caplog.text) == store_fails
        assert ("are lost" in caplog.text) == store_fails
        assert len(recovered(rig.partial, rig.tail)) == (kept if store_fails else rig.writer.laid_bytes)
        assert kept > flushed


class LateRiser(FakeClock):
    """The thread that made it sleeps on after it was woken, once ``is_late`` says so and until ``up`` is set."""

    def __init__(self):
        super().__init__()
        self.sleeper = threading.current_thread()
        self.is_late = lambda: False
        self.up = threading.Event()

    def wait(self, condition, timeout_s):
        super().wait(condition, timeout_s)
        if threading.current_thread() is self.sleeper and self.is_late():
            condition.release()
            try:
                assert self.up.wait(GUARD_S), "nobody woke it"
            finally:
                condition.acquire()


@pytest.mark.parametrize("is_late", [False, True])
def test_a_unit_of_which_only_a_part_went_in_is_cut_off(tmp_path, is_late):
    """However late the thread that lays comes to see that the recording has ended."""
    clock = LateRiser()
    with rigged(tmp_path / "talk.ts", clock=clock) as rig:
        rig.system.room = 200_000
        rig.lay(3)
        if is_late:
            clock.is_late = lambda: rig.writer.ended_because is not None
            rig.system.do("rename", 1, clock.up.set)
        assert rig.lay(1, 6_000_000) == 0
        assert rig.refused is NotLaid.ENDED
        assert rig.close(commit=True)
        assert rig.writer.committed
        assert units_in(whole(rig.final)) == datas(rig.laid)
        assert rig.writer.file_bytes == rig.final.stat().st_size


# on_disk_full="wait".


def test_it_waits_for_room_and_goes_on(tmp_path):
    with rigged(tmp_path / "talk.ts", on_disk_full="wait") as rig:
        rig.system.room = 10_000
        fill(rig)
        rig.until_told(1)
        assert "waiting for room" in rig.waits[0]
        rig.idle()
        assert len(whole(rig.partial)) == 10_000 // PACKET * PACKET
        assert units_in(recovered(rig.partial, rig.tail)) == datas(rig.laid)
        writes = len(rig.system.named("write"))
        rig.system.room = 0
        rig.clock.advance(RETRY_S)
        rig.idle()
        assert len(rig.system.named("write")) <= writes + 1
        rig.system.room = 100_000_000
        rig.clock.advance(RETRY_S)
        rig.until_told(2)
        assert rig.waits[1] is None
        rig.until_room()
        assert rig.lay(100) == 100
        rig.writer.flush(GUARD_S)
        assert rig.close(commit=True)
        assert rig.writer.ended_because is None
        assert rig.system.named("punch") == []
        assert units_in(whole(rig.final)) == datas(rig.laid)


@pytest.mark.parametrize("commit", [True, False])
def test_told_to_hurry_it_ends_as_on_a_full_disk(tmp_path, commit):
    with rigged(tmp_path / "talk.ts", on_disk_full="wait") as rig:
        rig.system.room = 10_000
        fill(rig)
        rig.until_told(1)
        assert not rig.close(commit=commit, timeout_s=0.05)
        rig.commits_when_full = commit
        rig.writer.stop_waiting()
        assert rig.close(commit=commit)
        assert rig.writer.committed == commit
        assert rig.writer.ended_because == DISK_FULL
        path = rig.final if commit else rig.partial
        assert [one.name for one in tmp_path.iterdir()] == [path.name]
        assert units_in(whole(path)) == datas(rig.laid)


def test_a_limit_of_the_files_size_is_not_waited_for(tmp_path):
    with rigged(tmp_path / "talk.ts", on_disk_full="wait") as rig:
        rig.system.fail("write", 2, errno.EFBIG, lasting=True)
        rig.lay(3)
        rig.writer.flush(GUARD_S)
        rig.lay(3)
        assert rig.failure().errno == errno.EFBIG
        assert units_in(recovered(rig.partial, rig.tail)) == datas(rig.laid)


# Real disks.


@pytest.mark.parametrize("kind", ["tmpfs", "ext4", "xfs"])
def test_a_real_disk_that_is_full(tmp_path, kind):
    with mounted(tmp_path / "mount", kind) as folder, rigged(folder / "talk.ts") as rig:
        take_all_but(folder, 600_000)
        held = rig.system.hold("write", 1)
        fill(rig, 40_000)  # more than is free, however late this thread comes to lay it
        held.open()
        while rig.lay(1, 40_000) or not rig.writer.ended_because:
            if rig.writer.error is not None:
                break
        assert rig.close(commit=True)
        assert rig.writer.error is None
        assert rig.writer.committed
        assert units_in(whole(rig.final)) == datas(rig.laid)
        assert rig.final.stat().st_size > 700_000
        assert sorted(one.name for one in folder.iterdir() if one.is_file()) == ["filler", "talk.ts"]


def take_all_but(folder: Path, free: int) -> None:
    system = System()
    with (folder / "filler").open("wb", buffering=0) as file:
        while (left := system.free_bytes(folder) - free) > 0:
            try:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), min(left, 1 << 20))
                file.seek(0, os.SEEK_END)
            except OSError:
                return


LIMITED = """
import resource, sys
from pathlib import Path
from tests.writer.rig import rigged
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
with rigged(Path(sys.argv[1])) as rig:
    while rig.writer.error is None and rig.writer.file_bytes < 10_000_000:
        try:
            rig.lay(10, 5000)
            rig.writer.flush(30)
        except Exception as error:
            print(type(error).__name__, error.errno, len(rig.laid))
            break
"""


@pytest.mark.parametrize("limit", [3_000_000, 4_000_001])
def test_a_limit_of_the_files_size_leaves_all_to_be_recovered(tmp_path, limit):
    path = tmp_path / "talk.ts"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(limit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    name, number, _ = done.stdout.split()
    assert (name, int(number)) == ("WriteError", errno.EFBIG)
    partial = path.with_suffix(".recording.ts")
    assert partial.stat().st_size == limit // PACKET * PACKET
    assert read_tail(path.with_suffix(".recording.tail")).inode == partial.stat().st_ino
    found = recover(path)
    assert not found.cuts
    assert found.bytes > limit
