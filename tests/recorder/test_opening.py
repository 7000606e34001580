"""The first moments of a recording: how long streams are waited for."""

import pytest

from recordkit.intake import Intake
from recordkit.recorder.opening import LONGEST_BUSY_HOLD_S, LONGEST_HOLD_S, Opening

from ..steering import FakeClock


class Rig:
    def __init__(self, *expected):
        self.clock = FakeClock()
        self.intake = Intake(1 << 20, "drop", self.clock)
        self.opening = Opening(set(expected), self.intake, self.clock)


@pytest.mark.parametrize("known", [{0, 1}, {0, 1, 2}])
def test_once_all_expected_streams_are_known_nothing_is_waited_for(known):
    rig = Rig(0, 1)
    assert not rig.opening.lets_go({0})
    assert not rig.opening.is_over
    assert rig.opening.lets_go(known)
    assert rig.opening.is_over


@pytest.mark.parametrize(("queued", "longest_s"), [(0, LONGEST_HOLD_S), (1, LONGEST_BUSY_HOLD_S)])
def test_one_that_does_not_come_is_waited_for_from_the_first_look_on(queued, longest_s):
    rig = Rig(0, 1)
    rig.clock.advance(100)
    for _ in range(queued):
        rig.intake.put("media", 0, None, 1000, entry=True)
    assert not rig.opening.lets_go({0})
    assert rig.opening.left_s == longest_s
    rig.clock.advance(longest_s - 0.01)
    assert not rig.opening.lets_go({0})
    rig.clock.advance(0.02)
    assert rig.opening.lets_go({0})


def test_a_queue_that_is_half_full_is_not_waited_behind():
    rig = Rig(0, 1)
    rig.intake.put("media", 0, None, (1 << 19) + 1, entry=True)
    assert rig.opening.left_s == LONGEST_HOLD_S


def test_it_can_be_cut_short():
    rig = Rig(0, 1)
    rig.opening.cut_short()
    assert rig.opening.lets_go(set())
