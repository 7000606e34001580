"""Events of one recording: into its log, and its state."""

from pathlib import Path

import pytest

from recordkit.model import EventKind
from recordkit.recorder.state import State, StateTable
from recordkit.recorder.telling import Telling


class Noted:
    def __init__(self):
        self.events = []

    def event(self, kind, **fields):
        self.events.append((kind, fields))


@pytest.fixture
def rig():
    noted, states = Noted(), StateTable()
    states.start()
    return Telling(lambda: Path("talk.ts"), states, lambda: noted), states, noted.events


def test_a_trouble_is_an_event_and_a_state_and_so_is_its_end(rig, caplog):
    tell, states, events = rig
    tell(EventKind.DEGRADED, part="disk", because="it is full")
    tell.stands("disk", "it is full")
    assert states.state is State.DEGRADED
    assert tell.degraded(None) == "it is full"
    tell.stands("disk", None)
    tell(EventKind.RESTORED, part="disk")
    assert states.state is State.RECORDING
    assert tell.degraded(None) is None
    assert events == [
        (EventKind.DEGRADED, {"part": "disk", "because": "it is full"}),
        (EventKind.RESTORED, {"part": "disk"}),
    ]
    assert caplog.text.count("it is full") == 1


def test_what_a_stream_lacks_is_told_with_its_number(rig, caplog):
    tell, states, events = rig
    tell.gap(1, 0.5, True)
    tell.altered(0, "its colours are not known")
    tell.given_up(2, "nothing of it can be decoded")
    assert [kind for kind, _ in events] == [EventKind.GAP, EventKind.ALTERED, EventKind.DEGRADED]
    assert events[0][1] == {"stream": 1, "seconds": 0.5, "filled": True}
    assert states.degraded_because == "nothing of it can be decoded"
    assert "stream 0: its colours are not known" in caplog.text
