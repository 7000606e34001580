"""Memory that files are read into, one after the other."""

from __future__ import annotations

from pathlib import Path

from recordkit.verification.room import Room
from recordkit.verification.verify import verify, verify_in
from tests.recovery.material import media


def test_it_is_kept_and_grows() -> None:
    room = Room()
    large = room(1000)
    large[:3] = b"abc"
    assert room(3) == b"abc"
    assert (len(room(10)), len(room(2000))) == (10, 2000)


def test_a_file_is_judged_by_its_own_bytes(tmp_path: Path) -> None:
    """A larger one was read into the same memory before, whose end is there still."""
    room, data = Room(), media()
    sizes = (len(data), len(data) // 2, 188 * 5, 0, len(data))
    for number, size in enumerate(sizes):
        path = tmp_path / f"{number}.ts"
        path.write_bytes(data[:size])
        assert verify_in(room, path) == verify(path)
