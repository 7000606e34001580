"""What a machine says of sources that an earlier call may have had recorded there."""

from __future__ import annotations

from pathlib import Path

import pytest

from recordkit.fleet.site import Site, nth_path


def test_each_time_into_another_file() -> None:
    assert [nth_path("/cam/x.ts", attempt) for attempt in (0, 1, 2, 12)] == [
        "/cam/x.ts",
        "/cam/x.ts",
        "/cam/x-2.ts",
        "/cam/x-12.ts",
    ]


@pytest.mark.parametrize(
    ("names", "taken", "attempt", "state"),
    [
        ((), (), 1, "absent"),
        (("x.ts",), (), 1, "done"),
        (("x.recording.ts",), (), 1, "died"),
        (("x.ts", "x-2.recording.ts"), (), 2, "died"),
        (("x.ts", "x-2.recording.ts"), ("x-2.ts",), 1, "done"),
        (("x.ts", "x-2.ts", "x-3.recording.ts"), ("x-2.ts",), 3, "died"),
        (("x.ts", "x-3.ts"), (), 1, "done"),
    ],
)
def test_the_newest_file_of_a_source_is_sought(
    tmp_path: Path, names: tuple[str, ...], taken: tuple[str, ...], attempt: int, state: str
) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"")
    path = str(tmp_path / "x.ts")
    site = Site("finish")
    answer = site.answer({"seek": [path], "taken": [str(tmp_path / name) for name in taken]})
    site.close()
    standing = answer["standings"][path]
    assert (standing["attempt"], standing["state"]) == (attempt, state)
