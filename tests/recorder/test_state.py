"""The state table: the changes that exist, and troubles told and taken back."""

from itertools import pairwise

import pytest

from recordkit.errors import StateError
from recordkit.recorder.state import State, StateTable

WAYS = {
    State.NEW: [],
    State.RECORDING: [State.RECORDING],
    State.STOPPING: [State.RECORDING, State.STOPPING],
    State.STOPPED: [State.RECORDING, State.STOPPING, State.STOPPED],
    State.FAILED: [State.RECORDING, State.FAILED],
}


def table(state):
    made = StateTable()
    for one in WAYS[state]:
        made.go(one)
    return made


@pytest.mark.parametrize(
    "states",
    [
        [State.RECORDING, State.STOPPING, State.STOPPED],
        [State.RECORDING, State.DEGRADED, State.RECORDING, State.STOPPING, State.FAILED],
        [State.RECORDING, State.DEGRADED, State.STOPPING, State.STOPPED],
        [State.RECORDING, State.DEGRADED, State.FAILED],
        [State.RECORDING, State.FAILED],
    ],
)
def test_changes_that_exist(states):
    one = StateTable()
    for state in states:
        one.go(state)
        assert one.state is state


@pytest.mark.parametrize(
    "pair",
    [
        (State.NEW, State.DEGRADED),
        (State.NEW, State.STOPPED),
        (State.STOPPING, State.RECORDING),
        (State.STOPPED, State.FAILED),
        (State.FAILED, State.STOPPED),
    ],
)
def test_changes_that_do_not_exist(pair):
    for before, after in pairwise(pair):
        one = table(before)
        with pytest.raises(StateError) as caught:
            one.go(after)
        assert (caught.value.state, caught.value.wanted) == (before, after)
        assert one.state is before


def test_it_is_degraded_until_the_last_trouble_is_over():
    one = table(State.RECORDING)
    assert one.degrade("disk", "waiting for room")
    assert not one.degrade("disk", "waiting for room")
    assert one.degrade("stream 0", "the track ended")
    assert one.state is State.DEGRADED
    assert one.state.is_recording
    assert one.degraded_because == "waiting for room; the track ended"
    assert one.restore("disk")
    assert not one.restore("disk")
    assert (one.state, one.degraded_because) == (State.DEGRADED, "the track ended")
    assert one.restore("stream 0")
    assert (one.state, one.degraded_because) == (State.RECORDING, None)


@pytest.mark.parametrize("state", [State.NEW, State.STOPPING, State.STOPPED, State.FAILED])
def test_what_does_not_record_is_not_degraded(state):
    one = table(state)
    assert not one.degrade("disk", "waiting for room")
    assert not one.restore("disk")
    assert not one.begin_to_stop()
    assert not one.state.is_recording
    assert (one.state, one.degraded_because) == (state, None)


def test_a_degraded_recording_stops_once_and_keeps_its_reason():
    one = table(State.RECORDING)
    one.degrade("disk", "waiting for room")
    assert one.begin_to_stop()
    assert not one.begin_to_stop()
    assert one.degraded_because == "waiting for room"
    assert not one.restore("disk")
    one.go(State.STOPPED)
