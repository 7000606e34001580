"""What lies in a folder: each file is looked at once, however often the folder is."""

from recordkit.keeping.folder import Folder as Looked

from .lying import BYTES, NOW_NS, WHOLE_BYTES, Folder


def test_what_was_there_before_is_known_by_its_name(tmp_path, monkeypatch):
    folder = Folder(tmp_path)
    folder.lay(0, 1)
    looked = Looked(tmp_path, sizes=True)
    first = looked.look(NOW_NS)
    assert {name: one.bytes for name, one in first.finished.items()} == {"r0.ts": WHOLE_BYTES, "r1.ts": WHOLE_BYTES}
    # Bytes that nobody sees: the file is not looked at again.
    with (tmp_path / "r0.ts").open("ab") as file:
        file.write(b"x")
    folder.lay(2)
    again = looked.look(NOW_NS)
    assert again.finished_bytes == 3 * WHOLE_BYTES
    looked.forget()
    assert looked.look(NOW_NS).finished_bytes == 3 * WHOLE_BYTES + 1


def test_a_recording_that_was_recorded_over_is_another_one(tmp_path):
    folder = Folder(tmp_path)
    folder.lay(0)
    looked = Looked(tmp_path, sizes=False)
    first = looked.look(NOW_NS).finished["r0.ts"]
    (tmp_path / "r0.recording.ts").write_bytes(bytes(7))
    assert looked.look(NOW_NS).unfinished == {"r0"}
    (tmp_path / "r0.recording.ts").replace(tmp_path / "r0.ts")
    second = looked.look(NOW_NS)
    assert (first.bytes, second.finished["r0.ts"].bytes, second.count) == (BYTES, 7, 1)


def test_what_is_gone_is_gone(tmp_path):
    folder = Folder(tmp_path)
    folder.lay(0, 1)
    (tmp_path / "r2.ts.rk-deleted").touch()
    looked = Looked(tmp_path, sizes=False)
    assert looked.look(NOW_NS).deleted == ("r2.ts.rk-deleted",)
    for one in tmp_path.iterdir():
        one.unlink()
    found = looked.look(NOW_NS)
    assert (found.finished, found.unfinished, found.deleted, found.count) == ({}, set(), (), 0)


def test_what_is_live(tmp_path):
    for name, size in (
        ("a.recording.ts", 10),
        ("a.recording.tail", 20),
        ("a.flushes.jsonl", 3),
        ("b.recording.tail", 1),
    ):
        (tmp_path / name).write_bytes(bytes(size))
    found = Looked(tmp_path, sizes=True).look(NOW_NS)
    assert (found.unfinished, found.count, found.live_bytes) == ({"a", "b"}, 2, 34)


def test_when_the_folder_changed_is_only_believed_if_the_next_change_shows(tmp_path):
    looked = Looked(tmp_path, sizes=False)
    changed_ns = tmp_path.stat().st_mtime_ns
    assert looked.look(changed_ns + 10**9).changed_ns == changed_ns
    assert looked.look(changed_ns + 10**6).changed_ns == 0
