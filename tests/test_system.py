"""The clock and the system calls as they really are."""

import ctypes
import errno
import os
import threading
import time
from pathlib import Path

import pytest

from recordkit.system import Clock, System, give_back_freed_memory


def test_the_clock_is_the_machines():
    clock = Clock()
    before = time.monotonic()
    assert before <= clock.monotonic() <= time.monotonic()
    before = time.time_ns()
    assert before <= clock.time_ns() <= time.time_ns()


def test_waiting_ends_with_the_time_or_the_event():
    clock, condition, event = Clock(), threading.Condition(), threading.Event()
    with condition:
        clock.wait(condition, 0.0)
    event.set()
    clock.sleep(3600, event)


def test_files_are_written_where_they_are_told_and_not_inherited(tmp_path):
    system = System()
    descriptor = system.open(tmp_path / "f", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        assert not os.get_inheritable(descriptor)
        assert system.write_at(descriptor, memoryview(b"cd"), 2) == 2
        assert system.write_at(descriptor, memoryview(b"ab"), 0) == 2
        system.sync_data(descriptor)
        system.sync(descriptor)
        system.allocate(descriptor, 10_000)
    finally:
        system.close(descriptor)
    assert (tmp_path / "f").read_bytes() == b"abcd" + bytes(9_996)
    system.sync_folder(tmp_path)
    assert system.free_bytes(tmp_path) > 0


def test_where_nothing_can_be_allocated_it_says_so(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    with pytest.raises(OSError) as caught:
        System().allocate(0, 10)
    assert caught.value.errno == errno.EOPNOTSUPP


def failing(number):
    def call(*_, **__):
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EBADF])
def test_a_file_system_that_cannot_sync_folders_is_no_failure(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", failing(number))
    System().sync_folder(tmp_path)


def test_a_folder_that_fails_to_sync_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError) as caught:
        System().sync_folder(tmp_path)
    assert caught.value.errno == errno.EIO


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ENFILE])
def test_a_folder_is_opened_anew_for_its_sync_unless_no_descriptor_is_left(tmp_path, monkeypatch, number):
    """What has shut down cannot be opened, but synced through a descriptor that is there, to no effect."""
    opened = os.open(tmp_path, os.O_RDONLY)
    synced = []
    monkeypatch.setattr(os, "open", failing(number))
    monkeypatch.setattr(os, "fsync", synced.append)
    try:
        if number == errno.EIO:
            with pytest.raises(OSError) as caught:
                System().sync_folder(tmp_path, opened)
            assert caught.value.errno == errno.EIO
            assert synced == []
        else:
            System().sync_folder(tmp_path, opened)
            assert synced == [opened]
    finally:
        os.close(opened)


def no_such_call(*_):
    ctypes.set_errno(errno.ENOSYS)
    return -1


class NoCalls:
    """A C library without renameat2, or with one that the file system refuses."""

    def __init__(self, *_, **__):
        pass


class Refusing(NoCalls):
    renameat2 = staticmethod(no_such_call)


# A link that cannot be made says so by EPERM (exFAT), EIO (rclone), ERANGE (CryFS) or ENOENT (archivemount).
NO_LINKS = [f"no links: {name}" for name in ("EPERM", "EIO", "ERANGE", "ENOENT")]


@pytest.fixture(params=["renameat2", "no renameat2", "refused", *NO_LINKS])
def system(request, monkeypatch):
    if request.param != "renameat2":
        monkeypatch.setattr(ctypes, "CDLL", Refusing if request.param == "refused" else NoCalls)
    if request.param.startswith("no links"):
        monkeypatch.setattr(os, "link", failing(getattr(errno, request.param.split()[-1])))
    return System()


def test_a_rename_never_takes_over_a_name(tmp_path, system):
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    with pytest.raises(FileExistsError):
        system.rename(tmp_path / "a", tmp_path / "b", overwrite=False)
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"a", b"b")
    system.rename(tmp_path / "a", tmp_path / "b", overwrite=True)
    assert (tmp_path / "b").read_bytes() == b"a"
    system.rename(tmp_path / "b", tmp_path / "c", overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_rename_that_fails_gives_the_systems_error(tmp_path, system):
    with pytest.raises(FileNotFoundError):
        system.rename(tmp_path / "a", tmp_path / "b", overwrite=False)


def test_a_link_that_was_made_and_told_as_failed_takes_over_no_name(tmp_path, monkeypatch):
    def made_and_failed(source, target, **_):
        Path(target).write_bytes(Path(source).read_bytes())
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(ctypes, "CDLL", NoCalls)
    monkeypatch.setattr(os, "link", made_and_failed)
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(FileExistsError):
        System().rename(tmp_path / "a", tmp_path / "b", overwrite=False)
    assert (tmp_path / "a").exists()


def test_a_disk_that_tells_no_figures_has_no_known_room(tmp_path, monkeypatch):
    assert System().free_bytes(tmp_path) > 0
    told = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((*told[:2], 0, 0, 0, *told[5:])))
    assert System().free_bytes(tmp_path) is None
    # Of squashfs and its like nothing is free: that it is read-only is said when a file is opened there.
    monkeypatch.setattr(
        os, "statvfs", lambda _: os.statvfs_result((*told[:4], 0, *told[5:8], os.ST_RDONLY, told[9]))
    )
    assert System().free_bytes(tmp_path) is None


def test_a_close_that_fails_is_only_warned_of(caplog):
    System().close(9999)
    assert "could not be closed: Bad file descriptor" in caplog.text


@pytest.mark.parametrize(("answer", "given_back"), [(1, True), (0, False)])
def test_freed_memory_is_given_back_where_the_c_library_can(monkeypatch, answer, given_back):
    asked = []

    class Settable(NoCalls):
        def mallopt(self, parameter, value):
            asked.append((parameter, value))
            return answer

    monkeypatch.setattr(ctypes, "CDLL", Settable)
    assert give_back_freed_memory() is given_back
    assert asked == [(-3, 1 << 20)]  # M_MMAP_THRESHOLD
    monkeypatch.setattr(ctypes, "CDLL", NoCalls)
    assert not give_back_freed_memory()


def test_a_hole_gives_its_space_back_and_keeps_the_size(tmp_path):
    system, path = System(), tmp_path / "f"
    path.write_bytes(b"x" * 4096 * 16)
    with path.open("r+b") as file:
        before = os.fstat(file.fileno()).st_blocks
        system.punch(file.fileno(), 4096, 4096 * 8)
        assert os.fstat(file.fileno()).st_blocks == before - 8 * 4096 // 512
    assert path.read_bytes() == b"x" * 4096 + bytes(4096 * 8) + b"x" * 4096 * 7


def test_a_lock_is_looked_for_neither_behind_a_link_nor_by_waiting_at_a_fifo(tmp_path):
    path, link, fifo = tmp_path / "f", tmp_path / "link", tmp_path / "fifo"
    path.touch()
    link.symlink_to(path)
    os.mkfifo(fifo)
    assert not System().is_locked(path)
    assert not System().is_locked(fifo)
    with pytest.raises(OSError) as raised:
        System().is_locked(link)
    assert raised.value.errno == errno.ELOOP
