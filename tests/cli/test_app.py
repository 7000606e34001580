"""What all commands share: options, exit codes, the entry point."""

from __future__ import annotations

import pytest

from recordkit.cli import USAGE
from tests.cli.driving import call


def test_unknown_options_and_missing_arguments_exit_with_2(capfd: pytest.CaptureFixture[str]) -> None:
    assert call("record", "--warp", "a.ts")[0] == USAGE
    assert call("verify")[0] == USAGE
    capfd.readouterr()


def test_a_shell_is_told_how_to_complete(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_RECORDKIT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "recordkit ma")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert call()[0] == 0
    assert capfd.readouterr().out.split() == ["marks"]


def test_the_version_is_printed() -> None:
    assert call("--version") == (0, "recordkit 0.1.0\n", "")
