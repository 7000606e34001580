"""The recording's files: names, the lock, and who may not be written over."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recordkit.errors import (
    DiskSpaceError,
    OutputAccessError,
    OutputBusyError,
    OutputError,
    OutputExistsError,
    OutputNameError,
    PartialExistsError,
    RecordkitError,
    WriteError,
)
from recordkit.system import System
from recordkit.telemetry.logfile import OLD_SUFFIX, log_path
from recordkit.writer.output import Output

from ..steering import FaultySystem, recordkit_threads
from .rig import Rig, rigged


def opened(path, system=None, *, overwrite=False):
    output = Output(path, system or System())
    output.open(overwrite=overwrite, needed_bytes=1000)
    return output


def test_the_names(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    output = Output("~/a.b/talk.one.ts", System())
    folder = tmp_path / "a.b"
    assert output.final_path == folder / "talk.one.ts"
    assert output.partial_path == folder / "talk.one.recording.ts"
    assert output.tail_path == folder / "talk.one.recording.tail"


@pytest.mark.parametrize(
    "name", ["talk", "talk.mkv", "talk.recording.mp4", "talk.TS", ".ts", "talk.recording.ts", "talk.ts.part"]
)
def test_names_that_cannot_be_recorded_to(tmp_path, name):
    with pytest.raises(OutputNameError) as caught:
        Output(tmp_path / name, System())
    assert caught.value.path == tmp_path / name
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("stem", ["x" * 238, "あ" * 80, "x" * 253, "x" * 400])
def test_names_that_are_too_long_say_how_long_they_may_be(tmp_path, stem):
    with pytest.raises(OutputNameError, match=r"the name is too long: .* 240 at most"):
        opened(tmp_path / "new" / f"{stem}.ts")
    assert list(tmp_path.iterdir()) == []


def test_the_longest_name_leaves_room_for_all_that_lies_beside_it(tmp_path):
    path = tmp_path / ("x" * 237 + ".ts")
    opened(path).close()
    kept = log_path(path)
    kept.with_name(kept.name + OLD_SUFFIX).touch()


def test_the_folder_is_made(tmp_path):
    output = opened(tmp_path / "one" / "two" / "talk.ts")
    assert output.partial_path.exists()
    assert output.inode == output.partial_path.stat().st_ino
    output.close()
    output.close()


def test_a_relative_name_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = opened("talk.ts")
    assert (tmp_path / "talk.recording.ts").exists()
    output.close()


def test_a_name_that_is_a_folder(tmp_path):
    (tmp_path / "talk.ts").mkdir()
    with pytest.raises(OutputNameError) as caught:
        opened(tmp_path / "talk.ts")
    assert caught.value.path == tmp_path / "talk.ts"


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "talk.ts", tmp_path / "file" / "more" / "talk.ts"):
        with pytest.raises(OutputAccessError) as caught:
            opened(path)
        assert caught.value.path == path.parent
        assert isinstance(caught.value, PermissionError)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_folder_that_cannot_be_written(tmp_path, number):
    system = FaultySystem()
    system.fail("open talk.recording.ts", 1, number)
    with pytest.raises(OutputAccessError) as caught:
        opened(tmp_path / "talk.ts", system)
    assert caught.value.path == tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_this_user_may_not_write(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputAccessError):
            opened(tmp_path / "talk.ts")
    finally:
        tmp_path.chmod(0o700)


def test_a_disk_that_cannot_be_looked_at(tmp_path):
    system = FaultySystem()
    system.fail("free_bytes", 1, errno.EIO)
    with pytest.raises(OutputAccessError):
        opened(tmp_path / "talk.ts", system)


def test_no_room_for_a_name(tmp_path):
    system = FaultySystem(free=2000)
    system.fail("open talk.recording.ts", 1, errno.ENOSPC)
    with pytest.raises(DiskSpaceError) as caught:
        opened(tmp_path / "talk.ts", system)
    assert (caught.value.needed_bytes, caught.value.free_bytes) == (1000, 2000)


def test_a_file_system_without_locks(tmp_path, monkeypatch, caplog):
    def no_locks(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    output = opened(tmp_path / "talk.ts")
    assert "has no locks" in caplog.text
    with pytest.raises(PartialExistsError):  # by O_EXCL alone
        opened(tmp_path / "talk.ts")
    output.write(memoryview(bytes(376)), 0)
    output.commit(376, overwrite=False)
    caplog.clear()
    output.close()
    assert [one.name for one in tmp_path.iterdir()] == ["talk.ts"]
    assert not caplog.records


def test_locks_that_fail(tmp_path, monkeypatch):
    def broken(descriptor, operation):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OutputAccessError, match="locked"):
        opened(tmp_path / "talk.ts")
    assert list(tmp_path.iterdir()) == []


class Wandering(FaultySystem):
    """A file system that gives a file another number at each look."""

    looks = 0

    def inode_at(self, path):
        inode = super().inode_at(path)
        self.looks += 1
        return inode if inode is None else inode + self.looks


def test_inode_numbers_that_change(tmp_path):
    output = opened(tmp_path / "talk.ts", Wandering())
    output.write(memoryview(b"a" * 9000), 0)
    output.check_name(9000)
    output.commit(9000, overwrite=False)
    output.close()
    assert (tmp_path / "talk.ts").read_bytes() == b"a" * 9000
    empty = opened(tmp_path / "other.ts", Wandering())
    empty.discard()
    empty.close()
    assert [one.name for one in tmp_path.iterdir()] == ["talk.ts"]


@pytest.mark.parametrize("other", [b"", b"a" * 8812, b"a" * 8999 + b"b", b"b" + b"a" * 8999, None])
def test_where_inode_numbers_change_another_file_is_known_by_its_bytes(tmp_path, other):
    output = opened(tmp_path / "talk.ts", Wandering())
    output.write(memoryview(b"a" * 9000), 0)
    output.partial_path.rename(tmp_path / "moved.ts")
    if other is not None:
        output.partial_path.write_bytes(other)
    with pytest.raises(WriteError, match="removed or renamed"):
        output.check_name(9000)
    output.discard()
    assert output.partial_path.exists() == (other is not None)
    output.close()


def test_where_inode_numbers_change_an_empty_file_is_known_by_its_lock(tmp_path):
    output = opened(tmp_path / "talk.ts", Wandering())
    output.partial_path.rename(tmp_path / "moved.ts")
    output.partial_path.touch()
    with pytest.raises(WriteError, match="removed or renamed"):
        output.check_name(0)
    output.close()


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_the_final_name_is_never_taken_over(tmp_path, kind):
    path = tmp_path / "talk.ts"
    if kind == "file":
        path.write_bytes(b"mine")
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputExistsError) as caught:
        opened(path)
    assert caught.value.path == path
    assert isinstance(caught.value, FileExistsError)
    assert [one.name for one in tmp_path.iterdir()] == ["talk.ts"]


def test_a_dead_partial_is_not_touched(tmp_path):
    partial, tail = tmp_path / "talk.recording.ts", tmp_path / "talk.recording.tail"
    partial.write_bytes(b"half")
    tail.write_bytes(b"rest")
    before = [(one.stat().st_mtime_ns, one.stat().st_ino, one.read_bytes()) for one in (partial, tail)]
    for overwrite in (False, True):
        with pytest.raises(PartialExistsError) as caught:
            opened(tmp_path / "talk.ts", overwrite=overwrite)
        assert (caught.value.path, caught.value.partial) == (tmp_path / "talk.ts", partial)
    assert [(one.stat().st_mtime_ns, one.stat().st_ino, one.read_bytes()) for one in (partial, tail)] == before


def test_a_second_recorder_in_this_process_finds_it_busy(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.lay(3)
        second = Rig(tmp_path / "talk.ts")
        with pytest.raises(OutputBusyError) as caught:
            second.writer.start()
        assert caught.value.path == rig.final
        rig.close(commit=True)
        with pytest.raises(OutputExistsError):
            second.writer.start()


def test_a_second_recorder_in_another_process_finds_it_busy(tmp_path):
    script = (
        "import sys\n"
        "from recordkit.system import System\n"
        "from recordkit.writer.output import Output\n"
        "try:\n"
        "    Output(sys.argv[1], System()).open(overwrite=False, needed_bytes=0)\n"
        "except Exception as error:\n"
        "    print(type(error).__name__)\n"
    )
    with rigged(tmp_path / "talk.ts") as rig:
        command = [sys.executable, "-c", script, str(rig.final)]
        folder = Path(__file__).parents[2]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=True)
        assert done.stdout.split() == ["OutputBusyError"]


def test_the_lock_ends_with_the_recording_even_where_a_forked_child_has_its_descriptor(tmp_path):
    output = opened(tmp_path / "talk.ts")
    kept = os.dup(output._open_descriptor)
    try:
        output.close()
        with pytest.raises(PartialExistsError):
            opened(tmp_path / "talk.ts")
    finally:
        os.close(kept)


def test_a_partial_that_was_taken_away_before_the_lock_is_not_recorded_into(tmp_path, monkeypatch):
    real = fcntl.flock

    def late(descriptor, operation):
        (tmp_path / "talk.recording.ts").unlink(missing_ok=True)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(OutputBusyError):
        opened(tmp_path / "talk.ts")


def test_a_partial_that_cannot_be_read_is_in_the_way_too(tmp_path):
    (tmp_path / "talk.recording.ts").write_bytes(b"half")
    system = FaultySystem()
    system.fail("open talk.recording.ts", 2, errno.EACCES)
    with pytest.raises(PartialExistsError):
        opened(tmp_path / "talk.ts", system)


@pytest.mark.parametrize("kind", ["pipe", "link to a recording", "dangling link"])
def test_what_is_no_partial_of_ours_is_in_the_way_and_neither_followed_nor_waited_for(tmp_path, kind):
    partial = tmp_path / "talk.recording.ts"
    with rigged(tmp_path / "other.ts") as other:
        if kind == "pipe":
            os.mkfifo(partial)
        else:
            partial.symlink_to(other.partial if kind == "link to a recording" else tmp_path / "nowhere")
        with pytest.raises(PartialExistsError):
            opened(tmp_path / "talk.ts")
        assert os.path.lexists(partial)


def test_nothing_can_be_written_after_the_end(tmp_path):
    output = opened(tmp_path / "talk.ts")
    output.close()
    for call in (lambda: output.write(memoryview(b"1"), 0), lambda: output.sync_data(0), lambda: output.sync(0)):
        with pytest.raises(WriteError) as caught:
            call()
        assert caught.value.errno == errno.EBADF


def test_an_error_at_the_closing_is_no_failure(tmp_path, caplog):
    class Faulty(System):
        def close(self, descriptor):
            super().close(descriptor)
            raise OSError(errno.EIO, "Input/output error")

    opened(tmp_path / "talk.ts", Faulty()).close()
    assert "closing failed" in caplog.text


def test_all_errors_of_the_output_are_of_one_family():
    for kind in (OutputNameError, OutputExistsError, PartialExistsError, OutputBusyError, OutputAccessError):
        assert issubclass(kind, OutputError)
        assert issubclass(kind, RecordkitError)


def test_a_file_that_fails_to_lock_leaves_no_thread(tmp_path):
    with recordkit_threads():
        rig = Rig(tmp_path / "talk.ts")
        rig.system.fail("open talk.recording.ts", 1, errno.EACCES)
        with pytest.raises(OutputAccessError):
            rig.writer.start()
