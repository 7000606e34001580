"""Pins: made, taken away, and what cannot be pinned."""

from types import SimpleNamespace

import pytest

import recordkit as rk
from recordkit.errors import OutputAccessError, OutputError, SettingsError

from ..steering import FaultySystem
from .lying import Folder


def test_pinned_and_not_pinned_any_more(tmp_path):
    Folder(tmp_path).lay(0)
    path = tmp_path / "r0.ts"
    assert rk.pin(path) == tmp_path / "r0.pinned"
    assert rk.pin(SimpleNamespace(path=path)).exists()
    assert rk.keep(tmp_path, rk.Keep(max_bytes=1))["fate"].tolist() == ["kept"]
    assert rk.unpin(path)
    assert not rk.unpin(path)
    assert rk.keep(tmp_path, rk.Keep(max_bytes=1))["fate"].tolist() == ["deleted"]
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_being_recorded(tmp_path):
    (tmp_path / "talk.recording.ts").touch()
    assert rk.pin(tmp_path / "talk.ts") == tmp_path / "talk.pinned"


def test_what_cannot_be_pinned(tmp_path):
    with pytest.raises(OutputError, match="no such recording"):
        rk.pin(tmp_path / "talk.ts")
    with pytest.raises(OutputError, match="no recording"):
        rk.pin(tmp_path)
    with pytest.raises(SettingsError):
        rk.pin(None)
    Folder(tmp_path).lay(0)
    system = FaultySystem()
    system.fail("open r0.pinned", 1, 30)
    with pytest.raises(OutputAccessError):
        rk.pin(tmp_path / "r0.ts", _system=system)
    (tmp_path / "r0.pinned").mkdir()
    with pytest.raises(OutputAccessError):
        rk.unpin(tmp_path / "r0.ts")
