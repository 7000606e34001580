"""What is handed to the prelude, and when that is given up."""

import pytest

from recordkit.intake import Intake
from recordkit.model import EncodedUnit
from recordkit.recorder.early import Early

from ..steering import FakeClock

UNIT = EncodedUnit("opus", b"\x01", 0, is_entry=True)


class Prelude:
    def __init__(self):
        self.has_room, self.added, self.ended = True, [], 0

    def add(self, unit, index):
        self.added.append((unit, index))

    def end(self):
        self.ended += 1


class Rig:
    def __init__(self):
        self.clock, self.made = FakeClock(), []
        self.intake = Intake(1 << 20, "block", self.clock)
        self.early = Early(self._make, self.intake, self.clock)

    def _make(self):
        self.made.append(Prelude())
        return self.made[-1]


def test_a_prelude_is_made_with_the_first_unit_only():
    rig = Rig()
    rig.early.lay()
    assert rig.made == []
    for index in (1, 2):
        rig.early.put(UNIT, index)
    assert rig.early.is_waiting
    rig.early.lay()
    assert [one.added for one in rig.made] == [[(UNIT, 1), (UNIT, 2)]]
    assert not rig.early.is_waiting


def test_a_prelude_without_room_takes_nothing_more():
    rig = Rig()
    rig.early.put(UNIT, 1)
    rig.early.lay()
    rig.made[0].has_room = False
    assert not rig.early.has_room
    rig.early.put(UNIT, 1)
    assert not rig.early.is_waiting


@pytest.mark.parametrize(
    ("waits_s", "all_laid", "ended"), [(0, True, 0), (0, False, 0), (5, True, 1), (5, False, 0)]
)
def test_it_is_given_up_once_all_is_laid_or_after_five_seconds(waits_s, all_laid, ended):
    """The queue holds something: what has come since."""
    rig = Rig()
    rig.early.put(UNIT, 1)
    rig.early.lay()
    rig.intake.put(UNIT, 1, 0, 1, entry=True)
    rig.early.look(all_laid=all_laid)
    assert rig.made[0].ended == 0
    rig.early.placed()
    rig.clock.advance(waits_s)
    rig.early.look(all_laid=all_laid)
    assert rig.made[0].ended == ended
    rig.intake.take()
    rig.early.look(all_laid=True)
    assert rig.made[0].ended == 1
    assert not rig.early.has_room
