"""What the README shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recordkit.verification.verify import verify
from tests.media import make_clip

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    make_clip(tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    exec(example, {})  # noqa: S102 - our own README
    for name in ("talk.ts", "test.ts"):
        assert verify(tmp_path / name, decode=True).ok


def test_the_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (Path(__file__).parents[1] / target).exists(), target
