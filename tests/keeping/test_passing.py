"""Which recordings go, in what order, and which stay whatever the bounds."""

import errno
import fcntl
import os

import pytest

from recordkit.errors import OutputAccessError, OutputBusyError, SettingsError
from recordkit.keeping.passing import Fate, Passes, Room, age_text
from recordkit.settings import Keep
from recordkit.system import System

from ..steering import FaultySystem
from .lying import NOW_NS, WHOLE_BYTES, Folder, whole


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path)
    made.lay(*range(10))
    return made


def fates(passed):
    return [(one.path.name, one.fate, one.because, one.problem) for one in passed.judged]


def test_by_age(folder):
    passed = folder.run(max_age="7d")
    assert fates(passed) == [(f"r{number}.ts", Fate.DELETED, "older than 7 d", None) for number in range(3)]
    assert folder.names == whole(*(f"r{number}" for number in range(3, 10)))
    assert passed.beyond is None


def test_by_bytes_with_all_that_lies_beside_them(folder):
    passed = folder.run(max_bytes=4 * WHOLE_BYTES)
    assert folder.recordings == ["r6", "r7", "r8", "r9"]
    assert {one.because for one in passed.judged} == {"more than 4.60 kB"}
    assert {one.bytes for one in passed.judged} == {WHOLE_BYTES}
    assert folder.run(max_bytes=4 * WHOLE_BYTES).judged == ()
    folder.run(max_bytes=4 * WHOLE_BYTES - 1)
    assert folder.recordings == ["r7", "r8", "r9"]


def test_by_count(folder):
    folder.run(max_count=2)
    assert folder.names == whole("r8", "r9")


def test_by_what_is_free(folder):
    free = 10_000_000
    passed = folder.run(FaultySystem(free=free), min_free=free + 2 * WHOLE_BYTES)
    assert folder.recordings == [f"r{number}" for number in range(2, 10)]
    assert {one.because for one in passed.judged} == {"less than 10.0 MB free"}


def test_the_strictest_bound_counts(folder):
    folder.run(max_age="9d", max_count=3)
    assert folder.recordings == ["r7", "r8", "r9"]


def test_what_would_be_beyond_a_bound_goes_ahead_of_time(folder):
    Passes(folder.path, Keep(max_bytes=10 * WHOLE_BYTES), System(), lambda path: None).run(NOW_NS, ahead_bytes=1)
    assert folder.recordings == [f"r{number}" for number in range(1, 10)]


def test_a_dry_run_names_them_and_touches_nothing(folder):
    before = folder.names
    passed = folder.run(max_count=8, dry_run=True)
    assert [(one.path.name, one.fate) for one in passed.judged] == [("r0.ts", Fate.DUE), ("r1.ts", Fate.DUE)]
    assert folder.names == before
    assert passed.beyond is None


@pytest.mark.parametrize("name", ["r0.pinned", "r0.recording.ts", "r0.recording.mp4", "r0.recording.tail"])
def test_one_that_is_pinned_or_unfinished_stays_with_all_it_has(folder, name):
    (folder.path / name).write_bytes(b"")
    passed = folder.run(max_age="8d")
    assert [(one.path.name, one.fate) for one in passed.judged] == [("r0.ts", Fate.KEPT), ("r1.ts", Fate.DELETED)]
    assert passed.judged[0].problem
    assert set(whole("r0")) < set(folder.names)


def test_one_that_is_being_read_stays_until_it_is_not(folder):
    with (folder.path / "r0.ts").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert fates(folder.run(max_age="8d"))[0][3] == "is being read"
        assert folder.recordings[0] == "r0"
    folder.run(max_age="8d")
    assert folder.recordings[0] == "r2"


def test_what_is_not_recordkits_stays(folder):
    (folder.path / "holiday.mp4").write_bytes(bytes(5000))
    (folder.path / "below").mkdir()
    Folder(folder.path / "below").lay(0, 1)
    elsewhere = folder.path.parent / "elsewhere"
    elsewhere.mkdir()
    target = Folder(elsewhere).one("target", 0)
    (folder.path / "a.ts").symlink_to(target)
    (folder.path / "a.flushes.jsonl").write_bytes(b"")
    (folder.path / "x.ts").mkdir()
    (folder.path / "x.frames").write_bytes(b"")
    (folder.path / "gone.flushes.jsonl").write_bytes(b"")
    folder.run(max_count=1)
    assert [name for name in folder.names if name not in whole("r9")] == [
        "a.flushes.jsonl",
        "a.ts",
        "below",
        "gone.flushes.jsonl",
        "holiday.mp4",
        "x.frames",
        "x.ts",
    ]
    assert Folder(folder.path / "below").names == whole("r0", "r1")
    assert target.exists()


def test_a_link_as_the_log_is_removed_and_not_followed(tmp_path):
    folder = Folder(tmp_path / "folder")
    folder.path.mkdir()
    folder.lay(0, 9)
    target = tmp_path / "precious"
    target.write_text("kept")
    (folder.path / "r0.flushes.jsonl").unlink()
    (folder.path / "r0.flushes.jsonl").symlink_to(target)
    folder.run(max_count=1)
    assert folder.names == whole("r9")
    assert target.read_text() == "kept"


def test_what_was_recovered_under_another_name_goes_too(folder):
    main = folder.path / "r3 (recovered).ts"
    main.write_bytes(b"x")
    os.utime(main, ns=(1, 1))
    folder.run(max_count=10)
    assert folder.names == whole(*(f"r{number}" for number in range(10)))


def test_two_of_one_stem_share_what_lies_beside_them_until_the_last_goes(tmp_path):
    folder = Folder(tmp_path)
    folder.lay(0)
    folder.one("r0", NOW_NS, ".mp4")
    folder.run(max_count=1)
    assert folder.names == ["r0.flushes.jsonl", "r0.frames", "r0.mp4"]
    folder.run(max_bytes=1)
    assert folder.names == []


def test_only_what_is_sound_if_that_is_asked_for(folder):
    asked = []

    def sound(path):
        asked.append(path.name)
        return "continuity" if path.name == "r0.ts" else None

    passes = Passes(folder.path, Keep(max_age="8d", verified_only=True), System(), sound)
    assert fates(passes.run(NOW_NS))[0][3] == "is not sound: continuity"
    assert folder.recordings[:2] == ["r0", "r2"]
    passes.run(NOW_NS)
    assert asked == ["r0.ts", "r1.ts"]  # what is wrong is looked for once


def test_what_cannot_be_deleted_is_told_and_skipped(folder):
    system = FaultySystem()
    system.fail("rename", 1, errno.EACCES)
    passed = folder.run(system, max_age="8d")
    assert fates(passed)[0] == ("r0.ts", Fate.KEPT, "older than 8 d", "cannot be deleted: Permission denied")
    assert folder.recordings[:2] == ["r0", "r2"]
    system = FaultySystem()
    system.fail("open r0.ts", 1, errno.EIO)
    assert folder.run(system, max_age="8d").judged[0].problem == "cannot be opened: Input/output error"


def test_a_file_that_has_changed_since_it_was_listed_stays(folder):
    passes = Passes(folder.path, Keep(max_age="9d"), System(), lambda path: None)
    assert [one.path.name for one in passes.run(NOW_NS, dry_run=True).judged] == ["r0.ts"]
    os.utime(folder.path / "r0.ts", ns=(2, 2))
    assert fates(passes.run(NOW_NS))[0][3] == "has changed since it was listed"


def test_a_second_name_frees_nothing(folder):
    os.link(folder.path / "r0.ts", folder.path.parent / f"{folder.path.name}-other")
    passed = folder.run(FaultySystem(free=1000), min_free=1001)
    assert [one.path.name for one in passed.judged] == ["r0.ts", "r1.ts"]
    assert "hard link" in passed.judged[0].problem
    assert folder.recordings[0] == "r0"


def test_one_that_went_by_itself_is_no_loss(folder):
    system = FaultySystem()
    system.do("open r0.ts", 1, (folder.path / "r0.ts").unlink)
    passed = folder.run(system, max_count=9)
    assert passed.judged == ()
    assert folder.recordings == [f"r{number}" for number in range(1, 10)]


def test_nothing_to_delete_and_no_room_is_told(folder):
    for number in range(10):
        (folder.path / f"r{number}.pinned").touch()
    passed = folder.run(max_bytes=5000)
    assert passed.beyond == "more than 5.00 kB"
    assert [one.problem for one in passed.judged] == ["is pinned"] * 10


def test_what_is_live_counts_and_stays(folder):
    (folder.path / "now.recording.ts").write_bytes(bytes(5 * WHOLE_BYTES))
    (folder.path / "now.flushes.jsonl").write_bytes(bytes(100))
    folder.run(max_bytes=6 * WHOLE_BYTES + 100, max_count=100)
    assert folder.recordings == ["now.recording", "r9"]


def test_one_pass_at_a_time(folder):
    other = os.open(folder.path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(OutputBusyError):
        folder.run(max_count=1)
    os.close(other)
    folder.run(max_count=1)
    assert folder.recordings == ["r9"]


def test_a_folder_that_is_none(tmp_path):
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(OutputAccessError):
            Folder(path).run(max_count=1)


def test_bounds_that_are_none():
    for bounds in ({}, {"max_age": "soon"}, {"max_bytes": -1}, {"max_count": 0}, {"verified_only": True}):
        with pytest.raises(SettingsError):
            Keep(**bounds)
    assert Keep(max_age="7d", max_bytes="200GB", min_free="1.5T") == Keep(
        max_age=604_800, max_bytes=200_000_000_000, min_free=1_500_000_000_000
    )


def test_ages_in_words():
    assert [age_text(one) for one in (604_800, 5400, 36_000, 90)] == ["7 d", "90 min", "10 h", "90 s"]


def test_a_disk_that_tells_nothing_is_not_short_of_room():
    assert Room(1, 1, None).beyond(Keep(min_free=1)) is None
