"""A worker's process: never started where there is no Python to run it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recordkit.background.sessions import start
from recordkit.errors import WorkerError
from recordkit.sources.synthetic import Synthetic


@pytest.mark.parametrize(("name", "value"), [("executable", ""), ("executable", None), ("frozen", True)])
def test_a_program_without_a_python_is_refused_in_words(
    name: str, value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, name, value, raising=False)
    with pytest.raises(WorkerError, match="no Python interpreter"):
        start(Synthetic(width=160, height=90), tmp_path / "talk.ts")
    assert list(tmp_path.iterdir()) == []
