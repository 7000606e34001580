"""``recordkit serve`` and ``recordkit record --source whip``, as they are called."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from recordkit.cli import USAGE
from recordkit.cli.serve import serve
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


@pytest.mark.parametrize("trouble", ["gone", "strange"])
def test_a_dashboard_that_cannot_be_drawn_says_so_and_ends_nothing(
    trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that was renamed, a log of somebody else's: whoever publishes is recorded all the same."""
    folder, after = tmp_path / "recordings", []

    def served(folder: Path, *_: object, on_progress: Callable[[], None], **__: object) -> None:
        if trouble == "strange":
            folder.mkdir()
            monkeypatch.setattr("recordkit.cli.serve.watch_table", lambda *_: 1 / 0)
        on_progress()
        after.append("recorded")

    monkeypatch.setattr("recordkit.endpoint.serve.serve", served)
    monkeypatch.setattr("recordkit.cli.serve.signal.signal", lambda *_: None)
    monkeypatch.setattr("recordkit.cli.serve.give_back_freed_memory", lambda: None)
    console = Console(file=StringIO(), force_terminal=True, width=120)
    context = SimpleNamespace(obj=console)
    serve(context, folder)  # type: ignore[arg-type]
    assert after == ["recorded"]
    assert "What is recorded cannot be shown" in console.file.getvalue()  # type: ignore[attr-defined]
