"""``recordkit export``: what was made is told, and what cannot be made."""

from __future__ import annotations

from pathlib import Path

from tests.media import make_clip

from .driving import call


def test_a_copy_a_clip_and_what_cannot_be(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", seconds=2, options={"g": "15"})
    code, shown, _ = call("export", film, tmp_path / "film.ts")
    assert code == 0
    assert "film.ts: 2.0" in shown
    assert "units" in shown
    code, shown, _ = call("export", film, tmp_path / "clip.mp4", "--start", "0.7", "--end", "1.5", "--exact")
    assert code == 0
    assert "frames were encoded anew" in shown
    assert "It begins at 0.7" in shown
    code, _, errors = call("export", film, tmp_path / "late.mp4", "--start", "9")
    assert (code, "ends at 2.0" in errors) == (2, True)
    code, _, errors = call("export", film, tmp_path / "film.ts")
    assert (code, "exists already" in errors) == (1, True)
