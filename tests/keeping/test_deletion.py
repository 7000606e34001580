"""A deletion that is cut short at each of its steps leaves the whole recording, or remains that go next time."""

import itertools

import pytest

from recordkit.keeping.deletion import Spared, delete
from recordkit.keeping.folder import Known
from recordkit.keeping.pins import pin
from recordkit.system import System

from ..steering import FaultySystem
from .lying import Folder, whole


class Killed(BaseException):
    """The process ends here."""


class Deadly(FaultySystem):
    """The process ends right before, or right after, call number ``at`` of all that change something."""

    def arm(self, at, *, after=False):
        self._left, self._after = at, after
        return self

    def _dies(self, call):
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Killed
        done = call()
        if self._left == 0:
            raise Killed
        return done

    def unlink(self, path):
        self._dies(lambda: System.unlink(self, path))

    def rename(self, source, target, *, overwrite):
        self._dies(lambda: System.rename(self, source, target, overwrite=overwrite))


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_each_step(tmp_path, after):
    for step in itertools.count(1):
        folder = Folder(tmp_path / str(step))
        folder.path.mkdir()
        folder.lay(0, 1, 2)
        (folder.path / "r0.rejected").write_bytes(b"x")
        try:
            folder.run(Deadly().arm(step, after=after), max_count=1)
        except Killed:
            pass
        else:
            assert step > 8  # two recordings: a rename, what lies beside them, their files
            break
        for stem in ("r0", "r1"):
            left = [name for name in folder.names if name.startswith(f"{stem}.")]
            is_whole = set(whole(stem)) <= set(left)
            assert is_whole or f"{stem}.ts" not in left
            assert is_whole or not left or f"{stem}.ts.rk-deleted" in left
        assert set(whole("r2")) <= set(folder.names)
        folder.run(max_count=1)
        assert folder.names == whole("r2")


def test_remains_do_not_take_a_new_recording_of_the_name_along(tmp_path):
    folder = Folder(tmp_path)
    folder.lay(0)
    (tmp_path / "r0.ts").rename(tmp_path / "r0.ts.rk-deleted")
    folder.lay(0)
    folder.run(max_count=5)
    assert folder.names == whole("r0")
    (tmp_path / "r0.ts").rename(tmp_path / "r0.ts.rk-deleted")
    (tmp_path / "r0.recording.ts").touch()
    folder.run(max_count=5)
    assert folder.names == ["r0.flushes.jsonl", "r0.frames", "r0.recording.ts"]


def test_remains_that_are_a_link_are_none(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "r0.ts.rk-deleted").symlink_to(tmp_path / "precious")
    Folder(tmp_path).run(max_count=5)
    assert (tmp_path / "precious").read_text() == "kept"


def known(path):
    status = path.stat()
    return Known(status.st_mtime_ns, status.st_size)


def test_a_recording_that_begins_meanwhile_keeps_its_log(tmp_path):
    folder = Folder(tmp_path)
    folder.lay(0)
    system = FaultySystem()

    def begin():
        (tmp_path / "r0.recording.ts").touch()
        (tmp_path / "r0.flushes.jsonl").write_bytes(b"its own")

    system.do("unlink", 1, begin)
    delete(tmp_path / "r0.ts", known(tmp_path / "r0.ts"), system, must_free=False)
    assert "r0.ts" not in folder.names
    assert "r0.ts.rk-deleted" not in folder.names
    assert "r0.recording.ts" in folder.names


def test_a_pin_that_comes_at_the_last_moment_counts(tmp_path):
    folder = Folder(tmp_path)
    folder.lay(0)
    path = tmp_path / "r0.ts"
    system = FaultySystem()
    system.do("rename", 1, lambda: pin(path))
    with pytest.raises(Spared, match="pinned"):
        delete(path, known(path), system, must_free=False)
    assert folder.names == sorted([*whole("r0"), "r0.pinned"])


def test_what_lies_beside_and_cannot_be_deleted_goes_next_time(tmp_path, caplog):
    folder = Folder(tmp_path)
    folder.lay(0)
    system = FaultySystem()
    system.fail("unlink", 3, 5)
    folder.run(system, max_bytes=1)
    assert folder.names == ["r0.ts.rk-deleted"]
    assert "the next pass tries again" in caplog.text
    folder.run(max_bytes=1)
    assert list(tmp_path.iterdir()) == []
