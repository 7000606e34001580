"""A cell that runs again: which panel stood there before."""

import gc
import types

import pytest

from recordkit.panel import cells


class Panel:
    """Anything that can be remembered."""


@pytest.fixture
def shell(monkeypatch):
    """A shell that runs the cell named in ``.cell``, for the ``.execution``-th time."""
    one = types.SimpleNamespace(cell="a", execution=1)
    one.get_parent = lambda: {"metadata": {"cellId": one.cell}, "header": {"msg_id": str(one.execution)}}
    monkeypatch.setattr(cells, "_shell", lambda: one)
    return one


def test_the_panel_of_the_run_before_is_found_once(shell):
    first = Panel()
    assert cells.predecessor(first) is None
    shell.execution = 2
    second = Panel()
    assert cells.predecessor(second) is first
    assert cells.predecessor(Panel()) is None
    shell.execution = 3
    assert cells.predecessor(Panel()) is second


def test_several_panels_of_one_cell_are_told_apart(shell):
    before = [Panel() for _ in range(10)]
    assert [cells.predecessor(one) for one in before] == [None] * 10
    shell.execution = 2
    after = [Panel() for _ in range(10)]
    assert [cells.predecessor(one) for one in after] == before


def test_other_cells_have_panels_of_their_own(shell):
    kept = [Panel(), Panel()]
    cells.predecessor(kept[0])
    shell.cell = "b"
    assert cells.predecessor(kept[1]) is None


def test_nothing_is_kept_alive(shell):
    gone = Panel()
    cells.predecessor(gone)
    del gone
    gc.collect()
    shell.execution = 2
    assert cells.predecessor(Panel()) is None


@pytest.mark.parametrize("parent", [None, {}, {"metadata": {}}, {"metadata": None, "header": None}])
def test_a_front_end_that_does_not_name_its_cells(parent, shell):
    shell.get_parent = lambda: parent
    assert cells.predecessor(Panel()) is None


def test_outside_a_notebook(monkeypatch):
    monkeypatch.setattr(cells, "_shell", lambda: None)
    assert cells.predecessor(Panel()) is None
