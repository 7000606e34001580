"""Progress in a notebook cell."""

import sys
import types

import pytest

import recordkit as rk
from recordkit.recorder.progress import cell_progress

SMALL = rk.Synthetic(64, 48, fps=10, seconds=0.6)


class Handle:
    """IPython's, of one output."""

    def __init__(self, shown):
        self._shown = shown

    def update(self, data, *, raw):
        assert raw
        self._shown.append(data["text/plain"])


@pytest.fixture
def cell(monkeypatch):
    """A kernel's shell; gives what is shown, by each display and update."""
    shown = []

    def display(data, *, raw, display_id):
        assert (raw, display_id, data["text/html"]) == (True, True, f"<code>{data['text/plain']}</code>")
        shown.append(data["text/plain"])
        return Handle(shown)

    shell = types.SimpleNamespace(kernel=object())
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return shell, shown


def test_a_cell_shows_how_the_recording_goes_on(tmp_path, cell):
    rk.record(SMALL, tmp_path / "talk.ts")
    _, shown = cell
    assert len(shown) >= 2
    assert shown[0].startswith("● recording talk.ts   0:0")
    assert shown[-1].startswith("✔ stopped talk.ts   0:01   ")


def test_who_looks_already_is_shown_nothing_twice(tmp_path, cell):
    seen = []
    rk.record(SMALL, tmp_path / "talk.ts", on_progress=seen.append)
    assert seen
    assert cell[1] == []


def test_no_cell_no_line(monkeypatch, cell):
    shell, _ = cell
    del shell.kernel
    assert cell_progress() is None  # IPython in a terminal
    monkeypatch.delitem(sys.modules, "IPython")
    assert cell_progress() is None
    assert "IPython" not in sys.modules
