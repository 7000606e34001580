"""``recordkit verify``, as it is used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recordkit.cli import FAULT
from tests.cli.driving import SYNTHETIC, call
from tests.media import make_clip


def test_verify_prints_json_and_fails_for_any_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = make_clip(tmp_path / "good.ts", seconds=1), tmp_path / "bad.ts"
    call(*SYNTHETIC, "--seconds", 1, tmp_path / "ours.ts")
    data = (tmp_path / "ours.ts").read_bytes()
    bad.write_bytes(data[: 188 * 20] + data[188 * 23 : -50])
    assert good.exists()
    code, shown, _ = call("verify", "--json", tmp_path / "ours.ts", bad)
    assert code == FAULT
    first, second = json.loads(shown)
    assert (first["ok"], second["ok"]) == (True, False)
    assert {"continuity", "cut packet"} <= {problem["kind"] for problem in second["problems"]}
    code, shown, _ = call("verify", bad)
    assert code == FAULT
    assert "continuity" in shown
    code, shown, _ = call("verify", tmp_path / "missing.ts", tmp_path / "ours.ts")
    assert code == FAULT
    assert "cannot be read" in shown
    assert "no problems found" in shown
