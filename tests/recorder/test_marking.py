"""Marks that are made before it is known where the media stands."""

import pytest

from recordkit.intake import Newest
from recordkit.recorder.marking import Marks


class Known:
    """What marks ask for, and the events they note."""

    def __init__(self, *, is_live=True):
        self.now = (0, 0.0)
        self.newest, self.newest_s, self.has_begun = None, 0.0, False
        self.noted = []
        self.marks = Marks(lambda: self, lambda: self, lambda: is_live)

    def given_s(self, newest):
        return newest.ticks / 90_000 + 0.021

    def event(self, kind, **fields):
        self.noted.append((self.now[1], fields["name"], fields["media_s"]))

    def event_at(self, time_ns, elapsed_s, kind, **fields):
        assert time_ns == elapsed_s * 1e9
        self.noted.append((elapsed_s, fields["name"], fields["media_s"]))

    def at(self, elapsed_s, name=None):
        self.now = (round(elapsed_s * 1e9), elapsed_s)
        if name is not None:
            self.marks.add(name)


def test_marks_of_live_media_wait_until_it_is_known_where_it_stands():
    known = Known()
    for elapsed_s in (0.25, 1.0, 1.5):
        known.at(elapsed_s, str(elapsed_s))
    assert known.noted == []
    known.at(2.0)
    known.newest, known.newest_s, known.has_begun = Newest(0, 0, 112_500), 1.25, True
    known.marks.settle()
    assert known.noted == [(0.25, "0.25", 0.0), (1.0, "1.0", 0.25), (1.5, "1.5", 0.75)]
    known.at(3.0, "later")
    known.marks.settle()
    assert known.noted[3:] == [(3.0, "later", 1.25)]


@pytest.mark.parametrize("number", [1000])
def test_not_more_than_so_many_wait(number):
    known = Known()
    for _ in range(number + 1):
        known.at(0.0, "early")
    assert len(known.noted) == 1
    known.marks.settle()
    assert len(known.noted) == number + 1


def test_media_that_does_not_go_by_the_clock_is_waited_for_by_nobody():
    known = Known(is_live=False)
    known.at(0.5, "early")
    assert known.noted == [(0.5, "early", 0.0)]


def test_a_mark_at_media_that_is_not_laid_yet_waits_until_it_is_known_with_what_the_recording_begins():
    known = Known(is_live=False)
    for number, ticks in enumerate((0, 3_600)):
        known.newest = Newest(0, 0, ticks)
        known.at(0.1 * number, f"frame {number}")
    assert known.noted == []
    known.newest, known.newest_s, known.has_begun = Newest(0, 0, 90_000), 1.021, True
    known.marks.settle()
    assert known.noted == [(0.0, "frame 0", 0.021), (0.1, "frame 1", pytest.approx(0.061))]
    known.at(1.0, "later")
    assert known.noted[2:] == [(1.0, "later", 1.021)]
