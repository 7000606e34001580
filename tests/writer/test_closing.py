"""How one file comes to its end: what decides first, and what is asked."""

import threading

import pytest

from recordkit.writer.closing import DISK_FULL, Closing
from recordkit.writer.observer import Observer


class Asked(Observer):
    """Says whether to commit, and notes how the end stood when it was asked and when it was told."""

    def __init__(self, *, commits):
        self.commits = commits
        self.seen = []

    def full(self):
        self.seen.append(("full", self.closing.is_open, self.closing.because))
        return self.commits

    def room(self):
        self.seen.append(("room", self.closing.is_open, self.closing.because))


def closing(*, commits=True):
    observer = Asked(commits=commits)
    observer.closing = Closing(threading.Condition(), observer)
    return observer.closing, observer


@pytest.mark.parametrize("commit", [True, False])
def test_the_first_word_counts(commit):
    one, _ = closing()
    assert one.is_open
    one.close(commit=commit)
    one.close(commit=not commit)
    assert (one.is_open, one.commits, one.because) == (False, commit, None)


@pytest.mark.parametrize("commits", [True, False])
def test_on_a_full_disk_the_observer_is_asked_before_and_told_after_and_once(commits):
    one, observer = closing(commits=commits)
    one.disk_full()
    one.disk_full()
    assert (one.is_open, one.commits, one.because) == (False, commits, DISK_FULL)
    assert observer.seen == [("full", True, None), ("room", False, DISK_FULL)]


@pytest.mark.parametrize("commit", [True, False])
def test_a_full_disk_says_why_and_not_how_when_it_was_closed_before(commit):
    one, _ = closing(commits=not commit)
    one.close(commit=commit)
    one.disk_full()
    assert (one.commits, one.because) == (commit, DISK_FULL)
