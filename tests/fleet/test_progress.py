"""How far many files are, as it is shown."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient
from rich.console import Console

from recordkit.fleet import progress
from recordkit.fleet.progress import Counting, Progress, showing, words
from tests.fleet.driving import lay_archive


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_files_are_counted_a_little_at_a_time() -> None:
    clock = Clock()

    def files() -> object:
        for number in range(1000):
            clock.now += 0.001
            yield number

    counting = Counting(files(), clock)
    counting.advance()
    assert counting.total is None
    for _ in range(4):
        counting.advance()
    assert counting.total == 1000


def test_it_is_shown_ten_times_a_second_and_at_the_end() -> None:
    clock, shown = Clock(), []
    one = Progress(lambda *state: shown.append(state), Counting(iter(range(40)), clock), clock)
    for number in range(40):
        clock.now = number / 64
        one.add(ok=number % 20 > 0)
    one.end()
    assert shown == [(1, 1, 40), (8, 1, 40), (15, 1, 40), (22, 2, 40), (29, 2, 40), (36, 2, 40), (40, 2, 40)]


def test_nothing_is_counted_if_nothing_is_shown() -> None:
    files = iter(range(10))
    one = Progress(None, Counting(files))
    one.add(ok=True)
    one.tick()
    one.end()
    assert next(files) == 0


def test_words() -> None:
    assert words(0, 0, None) == "no files"
    assert words(1200, 0, None) == "1,200 files"
    assert words(1200, 3, 2000) == "1,200 of 2,000 files, 3 with problems"


def test_a_terminal_shows_a_bar() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100)
    with showing("Verify", console) as show:
        assert show is not None
        show(3, 1, 10)
    assert "Verify" in text.getvalue()
    assert "3 of 10 files, 1 with problems" in text.getvalue()


def test_a_notebook_shows_one_line_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    class Handle:
        def update(self, data: object, raw: bool) -> None:
            shown.append(data)

    def display(data: object, raw: bool, display_id: bool) -> Handle:
        shown.append(data)
        return Handle()

    shell = SimpleNamespace(kernel=object())
    ipython = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(progress.sys.modules, "IPython", ipython)
    monkeypatch.setitem(progress.sys.modules, "IPython.display", SimpleNamespace(display=display))
    with showing("<Verify>") as show:
        assert show is not None
        show(1, 0, None)
        show(2, 0, 4)
    assert [one["text/plain"].split(",")[0] for one in shown] == ["<Verify>  1 file", "<Verify>  2 of 4 files"]
    assert '<progress max="4" value="2">' in shown[1]["text/html"]
    assert "&lt;Verify&gt;" in shown[1]["text/html"]


def test_a_notebook_that_is_run_keeps_one_line_and_the_table(tmp_path: Path) -> None:
    archive = lay_archive(tmp_path / "archive")
    code = f"import recordkit as rk\nrk.verify_all({str(archive)!r}, jobs=1)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    # The kernel of this environment, whatever other ones are installed.
    client = NotebookClient(notebook, timeout=120)
    client.create_kernel_manager()
    client.km.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    client.execute(cwd=str(Path(progress.__file__).parents[2]))
    line, table = notebook.cells[0].outputs
    assert line.data["text/plain"].startswith("Verify  4 of 4 files, 3 with problems, ")
    assert '<progress max="4" value="4"></progress>' in line.data["text/html"]
    assert 'class="dataframe"' in table.data["text/html"]


def test_elsewhere_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with showing("Verify") as show:
        assert show is None
    assert capsys.readouterr().err == ""
