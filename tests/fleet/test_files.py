"""Which files are meant by a path, a pattern and a folder."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import pytest

from recordkit.errors import SettingsError
from recordkit.fleet.files import Wanted, find, given


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    names = (
        "a.ts",
        "b.mp4",
        "a.frames",
        "notes.txt",
        "day/c.TS",
        "day/deep/d.wav",
        "talk.recording.ts",
        ".hid/e.ts",
    )
    for name in (
        *names,
        "talk.recording.tail",
        "f.mp4.exporting",
        "f.repairing.ts",
        "day/.g.ts",
        "day/lone.recording.mp4",
    ):
        path = tmp_path / "archive" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "archive" / "round").symlink_to(tmp_path / "archive")
    return tmp_path / "archive"


def found(what: object, **wanted: object) -> list[str]:
    return sorted(one.path for one in find(given("files", what), Wanted(**wanted)))


def under(folder: Path, *names: str) -> list[str]:
    return sorted(str(folder / name) for name in names)


def test_a_folder_means_all_media_below_it(archive: Path) -> None:
    assert found(archive) == under(archive, "a.ts", "b.mp4", "day/c.TS", "day/deep/d.wav")
    assert found(archive, suffixes=(".mp4",)) == under(archive, "b.mp4")


def test_unfinished_recordings_are_found_once_by_their_final_names(archive: Path) -> None:
    assert found(archive, unfinished=True) == under(archive, "talk.ts", "day/lone.mp4")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.ts", ("a.ts", "talk.recording.ts")),
        ("**/*.ts", ("a.ts", "talk.recording.ts")),
        ("**/*.[tT][sS]", ("a.ts", "talk.recording.ts", "day/c.TS")),
        ("**", ("a.ts", "b.mp4", "day/c.TS", "day/deep/d.wav")),
        ("**/*", ("a.ts", "b.mp4", "day/c.TS", "day/deep/d.wav")),
        ("d*", ("day/c.TS", "day/deep/d.wav")),
        ("*/deep/*", ("day/deep/d.wav",)),
        ("day/**/*.wav", ("day/deep/d.wav",)),
        ("notes.*", ("notes.txt",)),
        (".hid/*", (".hid/e.ts",)),
        ("nothing/*", ()),
    ],
)
def test_a_pattern_means_what_matches(archive: Path, pattern: str, names: tuple[str, ...]) -> None:
    unlisted = [f"{archive}/nothing"] if pattern.startswith("nothing") else []
    assert found(f"{archive}/{pattern}") == under(archive, *names) + unlisted


def test_patterns_are_relative_to_where_one_is(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(archive)
    assert found("*.ts") == ["a.ts", "talk.recording.ts"]
    assert found(["a.ts", "day"]) == ["a.ts", "day/c.TS", "day/deep/d.wav"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(archive: Path) -> None:
    odd = archive / "take [1].ts"
    odd.write_bytes(b"")
    assert found(odd) == [str(odd)]


def test_where_the_copies_go_is_not_looked_into(archive: Path) -> None:
    apart = os.path.realpath(archive / "day")
    assert found(archive, apart=apart) == under(archive, "a.ts", "b.mp4")
    assert found(f"{archive}/**/*", apart=apart) == under(archive, "a.ts", "b.mp4")


def test_the_place_of_a_file_is_told_below_what_was_asked_for(archive: Path) -> None:
    places = {one.below for one in find(given("files", [archive, archive / "day/c.TS"]), Wanted())}
    assert places == {"a.ts", "b.mp4", "day/c.TS", "day/deep/d.wav", "c.TS"}
    assert {one.below for one in find([f"{archive}/*/*.TS"], Wanted())} == {"day/c.TS"}


@pytest.mark.parametrize(
    ("what", "top"),
    [
        *((what, ".") for what in (".", "./", "*", "**/*", "day/../*", "../archive")),
        *((what, "day") for what in ("./day//", "day//*", "day/**")),
        (".hid/*", ".hid"),
    ],
)
def test_the_place_below_is_what_relpath_says(
    archive: Path, monkeypatch: pytest.MonkeyPatch, what: str, top: str
) -> None:
    monkeypatch.chdir(archive)
    places = [(one.below, os.path.relpath(one.path, top)) for one in find([what], Wanted())]
    assert places
    assert [below for below, _ in places] == [there for _, there in places]


def test_a_folder_that_cannot_be_listed_is_told(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def closed(folder: str) -> object:
        if str(folder).endswith("deep"):
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "scandir", closed)
    (problem,) = [one for one in find([str(archive)], Wanted()) if one.problem]
    assert (problem.path, problem.problem) == (f"{archive}/day/deep", "cannot be listed: Permission denied")


def test_of_a_large_folder_the_first_is_had_before_the_last_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        (tmp_path / f"{number}.ts").write_bytes(b"")
    listed = []

    class Counted:
        def __init__(self, folder: str) -> None:
            self._entries = real(folder)

        def __enter__(self) -> Counted:
            return self

        def __exit__(self, *_: object) -> None:
            self._entries.close()

        def __iter__(self) -> object:
            for entry in self._entries:
                listed.append(entry.name)
                yield entry

    real = os.scandir
    monkeypatch.setattr(os, "scandir", Counted)
    assert len(list(islice(find([str(tmp_path)], Wanted()), 3))) == 3
    assert len(listed) == 3


@pytest.mark.parametrize("what", [None, 3, b"bytes", [b"bytes"], [None], "nul\0"])
def test_what_is_no_path_is_told(what: object) -> None:
    with pytest.raises(SettingsError, match=r"files=.*give a path, a folder, a pattern"):
        given("files", what)


def test_a_home_folder_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert given("files", ["~/a.ts", "s3://bucket/a.ts"]) == ["/home/somebody/a.ts", "s3://bucket/a.ts"]
