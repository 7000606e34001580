"""``recordkit serve`` and ``recordkit record --source whip``, as they are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from recordkit.cli import USAGE
from recordkit.endpoint.settings import TOKEN_VARIABLE
from tests.cli.driving import call


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "out", "--host", "0.0.0.0"], TOKEN_VARIABLE),  # noqa: S104
        (["serve", "out", "--port", "70000"], "0 to 65,535"),
        (["serve", "out", "--name", "{stream}.ts"], "needs {counter}"),
        (["serve", "out", "--certificate", "x.pem"], "go together"),
        (["serve", "out", "--ice-server", "http://x"], "stun:HOST:PORT"),
        (["serve", "out", "--max-publishers", "0"], "1 to 1,000"),
        (["serve", "out", "--media-ports", "many"], "FIRST-LAST"),
        (["serve", "out", "--media-ports", "6000-5000"], "first and the last"),
        (["serve", "out", "--announce", "my.example"], "IP address"),
        (["record", "--source", "whip", "--media-ports", "0-9", "a.ts"], "first and the last"),
        (["serve", "out", "--max-silence", "0"], "max_silence"),
        (["record", "--source", "whip", "--max-silence", "long", "a.ts"], "max_silence"),
        (["serve", "out", "--min-free", "lots"], "as a whole number"),
        (["serve", "out", "--size", "big"], "WIDTHxHEIGHT"),
        (["record", "--source", "whip", "a.ts", "b.ts"], "give OUTPUT"),
        (["record", "--source", "whip", "--host", "192.0.2.1", "a.ts"], TOKEN_VARIABLE),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_made(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    code, _, errors = call(*arguments)
    assert code == USAGE, errors
    assert words in errors
    assert list(tmp_path.iterdir()) == []
