"""Where a recording is found again, and the words where it is not."""

import errno
import fcntl
import os
import socket
import threading

import pytest

from recordkit.background.rendezvous import Rendezvous, call, words_of
from recordkit.errors import AdmissionError, OutputNameError, StateError
from recordkit.system import System

from ..steering import GUARD_S


@pytest.fixture
def partial(tmp_path):
    """One that somebody holds."""
    path = tmp_path / "talk.recording.ts"
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield path


def test_who_calls_is_answered_by_any_name_of_the_folder(partial, tmp_path):
    calls, came = [], threading.Event()

    def answer(connection):
        calls.append(connection)
        came.set()

    rendezvous = Rendezvous(partial, answer)
    alias = tmp_path / "alias"
    alias.symlink_to(tmp_path)
    with call(alias / "talk.ts", System()) as connection:
        assert came.wait(GUARD_S)
        calls[0].sendall(b"here")
        assert connection.recv(4) == b"here"
    calls[0].close()
    rendezvous.close()
    with pytest.raises(StateError, match="on_parent_exit='continue'"):
        call(tmp_path / "talk.ts", System())
    assert sorted(os.listdir(tmp_path)) == ["alias", "talk.recording.ts"]  # noqa: PTH208


def test_who_is_called_may_listen_anew_at_once(partial, tmp_path):
    """The one who came may be gone before the thread that accepted is back where it listens."""
    second, came = [], threading.Event()

    def answer(connection):
        connection.close()
        rendezvous.close()
        second.append(Rendezvous(partial, lambda connection: (connection.close(), came.set())))

    rendezvous = Rendezvous(partial, answer)
    with call(tmp_path / "talk.ts", System()) as connection:
        assert connection.recv(1) == b""
    while not second:
        threading.Event().wait(0.01)
    call(tmp_path / "talk.ts", System()).close()
    assert came.wait(GUARD_S)
    second[0].close()


def test_a_crashed_one_names_its_remedy(tmp_path):
    (tmp_path / "talk.recording.ts").touch()
    with pytest.raises(StateError, match=r"rk\.recover\("):
        call(tmp_path / "talk.ts", System())


def test_nothing_is_there(tmp_path):
    with pytest.raises(StateError, match="nothing is being recorded"):
        call(tmp_path / "talk.ts", System())
    with pytest.raises(OutputNameError):
        call(tmp_path / "talk.mkv", System())


def test_another_user_is_not_believed(partial, tmp_path, monkeypatch):
    rendezvous = Rendezvous(partial, socket.socket.close)
    monkeypatch.setattr("recordkit.background.rendezvous._user_of_peer", lambda connection: os.geteuid() + 1)
    with pytest.raises(StateError, match="another user"):
        call(tmp_path / "talk.ts", System())
    rendezvous.close()


@pytest.mark.parametrize("change", ["another inode", "another name"])
def test_it_is_found_although_its_inode_or_its_name_has_changed(tmp_path, change):
    path, held = tmp_path / "talk.recording.ts", tmp_path / "held"
    path.touch()
    came = threading.Event()

    def answer(connection):
        connection.close()
        came.set()

    rendezvous = Rendezvous(path, answer)
    final = tmp_path / "talk.ts"
    if change == "another inode":  # as network and FUSE mounts give at each look
        held.touch()
        assert held.stat().st_ino != path.stat().st_ino
        held.rename(path)
    else:
        path = path.rename(tmp_path / "moved.recording.ts")
        final = tmp_path / "moved.ts"
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with call(final, System()):
            assert came.wait(GUARD_S)
    rendezvous.close()


def test_a_path_that_another_recording_had_is_no_reason_not_to_be_found(tmp_path):
    path = tmp_path / "talk.recording.ts"
    path.touch()
    first = Rendezvous(path, socket.socket.close)
    path.rename(tmp_path / "moved.recording.ts")
    path.touch()
    came = threading.Event()
    second = Rendezvous(path, lambda connection: (came.set(), connection.close()))
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with call(tmp_path / "talk.ts", System()):
            assert came.wait(GUARD_S)
    first.close()
    second.close()


class OutOfDescriptors:
    """A listening socket that cannot accept once: the system has no descriptor left."""

    def __init__(self, listening):
        self._listening = listening
        self._fails = True

    def accept(self):
        if self._fails:
            self._fails = False
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return self._listening.accept()

    def __getattr__(self, name):
        return getattr(self._listening, name)


def test_the_inode_of_a_deleted_file_that_another_still_answers_for_is_no_reason_not_to_be_found(partial, tmp_path):
    """Its file is gone and its number given to ours, before its process is at its end."""
    status = partial.stat()
    other = socket.socket(socket.AF_UNIX)
    other.bind(f"\0recordkit-{status.st_dev:x}-{status.st_ino:x}")
    came = threading.Event()
    rendezvous = Rendezvous(partial, lambda connection: (connection.close(), came.set()))
    other.close()
    call(tmp_path / "talk.ts", System()).close()
    assert came.wait(GUARD_S)
    rendezvous.close()


def test_who_attaches_while_no_descriptor_is_left_is_turned_away_and_the_next_is_answered(
    partial, tmp_path, monkeypatch, caplog
):
    real = socket.socket
    monkeypatch.setattr(
        "recordkit.background.rendezvous.socket.socket", lambda *kind: OutOfDescriptors(real(*kind))
    )
    came = threading.Event()

    def answer(connection):
        connection.close()
        came.set()

    rendezvous = Rendezvous(partial, answer)
    monkeypatch.undo()
    with call(tmp_path / "talk.ts", System()) as first:
        first.settimeout(GUARD_S)
        assert first.recv(1) == b""
        assert not came.is_set()
    call(tmp_path / "talk.ts", System()).close()
    assert came.wait(GUARD_S)
    rendezvous.close()
    assert "Nobody can attach to the recording at the moment" in caplog.text


def test_one_who_cannot_be_answered_leaves_an_ear_for_the_next(partial, tmp_path, caplog):
    faults, came = [OSError(errno.EMFILE, os.strerror(errno.EMFILE))], threading.Event()

    def answer(connection):
        if faults:
            raise faults.pop()
        connection.close()
        came.set()

    rendezvous = Rendezvous(partial, answer)
    with call(tmp_path / "talk.ts", System()) as first:
        first.settimeout(GUARD_S)
        assert first.recv(1) == b""
    call(tmp_path / "talk.ts", System()).close()
    assert came.wait(GUARD_S)
    rendezvous.close()
    assert "cannot be answered" in caplog.text


def test_without_a_thread_there_is_no_socket(partial, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for _ in range(2):  # a name that was still taken would be told as such
        with pytest.raises(AdmissionError):
            Rendezvous(partial, socket.socket.close)


def test_a_recording_in_several_files_is_called_by_what_they_are_called(partial, tmp_path):
    came, pattern = threading.Event(), tmp_path / "talk{number}.ts"
    words = words_of(str(pattern), "an ID")
    rendezvous = Rendezvous(partial, lambda connection: (connection.close(), came.set()), words=words)
    call(pattern, System()).close()
    assert came.wait(GUARD_S)
    with pytest.raises(StateError, match="nothing is being recorded"):
        call(tmp_path / "other{number}.ts", System())
    rendezvous.close()
    with pytest.raises(StateError, match="nothing is being recorded"):
        call(pattern, System())
