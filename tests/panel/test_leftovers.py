"""The list of what crashed recordings left, with real leftovers of a killed worker."""

import os
import shutil
import signal

import pytest
from ipywidgets.widgets.widget import _instances

import recordkit as rk
from recordkit.panel.leftovers import MOST_LISTED, Leftovers
from tests.steering import GUARD_S


@pytest.fixture
def folder(tmp_path):
    """A folder with one unfinished recording."""
    session = rk.start(rk.Synthetic(width=160, height=90, fps=30), tmp_path / "talk.ts")
    while session.figures.duration_s < 1:
        session.wait(0.1)
    os.kill(session.worker_pid, signal.SIGKILL)
    assert session.wait(GUARD_S)
    return tmp_path


def words(leftovers):
    return [row.children[0].value for row in leftovers.box.children[:-1] if hasattr(row, "children")]


def test_one_is_listed_and_brought_back_by_its_button(folder):
    leftovers = Leftovers(folder, lambda action: action())
    leftovers.look()
    (line,) = words(leftovers)
    assert "talk.recording.ts" in line
    assert "can be brought back" in line
    leftovers.box.children[0].children[1].click()
    assert "Recovered talk.ts" in leftovers._told.value
    assert rk.verify(folder / "talk.ts", decode=True).ok
    assert words(leftovers) == []


def test_what_stands_in_its_way_is_said(folder):
    leftovers = Leftovers(folder, lambda action: action())
    leftovers.look()
    (folder / "talk.ts").write_bytes(b"of somebody else")
    leftovers.box.children[0].children[1].click()
    assert "Recovered talk (recovered).ts" in leftovers._told.value
    assert rk.verify(folder / "talk (recovered).ts", decode=True).ok
    assert (folder / "talk.ts").read_bytes() == b"of somebody else"


def test_many_are_counted_and_old_rows_leave_no_widget(folder):
    for number in range(MOST_LISTED + 2):
        for one in list(folder.glob("talk.recording.*")):
            shutil.copy(one, one.with_name(one.name.replace("talk", f"more-{number}")))
    leftovers = Leftovers(folder, lambda action: action())
    leftovers.look()
    assert len(words(leftovers)) == MOST_LISTED
    assert leftovers.box.children[-2].value == "and 3 more"
    count = len(_instances)
    for _ in range(3):
        leftovers.look()
    assert len(_instances) == count


def test_one_that_is_recorded_right_now_is_not_offered(tmp_path):
    with rk.start(rk.Synthetic(width=160, height=90, fps=30), tmp_path / "talk.ts"):
        leftovers = Leftovers(tmp_path, lambda action: action())
        leftovers.look()
        assert words(leftovers) == []


def test_a_folder_that_is_not_there_or_is_none(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "missing", tmp_path / "file", tmp_path / ("x" * 300)):
        leftovers = Leftovers(path, lambda action: action())
        leftovers.look()
        assert words(leftovers) == []


def test_after_its_end_it_makes_no_widgets(folder):
    leftovers = Leftovers(folder, lambda action: action())
    leftovers.close()
    leftovers.look()
    assert leftovers.box.children == ()
