"""The state table: the changes that exist, the endings, and troubles told and taken back."""

import gc

import pytest

from recordkit.errors import MediaError, StateError
from recordkit.recorder.state import Ending, State, StateTable

ERROR = MediaError("broken")


def table(state):
    """One that has come to ``state``."""
    made = StateTable()
    if state is not State.NEW:
        made.start()
    if state is State.DEGRADED:
        made.degrade("disk", "waiting for room")
    if state in (State.STOPPING, State.STOPPED):
        made.end(Ending.STOP)
    if state is State.FAILED:
        made.fail(ERROR)
    if state in (State.STOPPED, State.FAILED):
        made.over()
    assert made.state is state
    return made


@pytest.mark.parametrize("ending", Ending)
@pytest.mark.parametrize("state", [State.RECORDING, State.DEGRADED])
def test_each_ending_ends_what_records_and_says_what_becomes_of_the_file(state, ending):
    one = table(state)
    assert (one.ending, one.commits) == (None, False)
    assert one.end(ending)
    assert (one.state, one.ending) == (State.STOPPING, ending)
    assert one.commits is (ending in (Ending.STOP, Ending.UNSTOPPED, Ending.DISK_FULL))
    assert not one.state.is_recording
    one.over()
    assert one.state is State.STOPPED


@pytest.mark.parametrize("first", [Ending.STOP, Ending.LEAVE, Ending.UNSTOPPED, Ending.DISK_FULL])
@pytest.mark.parametrize("second", [Ending.STOP, Ending.LEAVE, Ending.UNSTOPPED, Ending.DISK_FULL])
def test_the_first_ending_counts(first, second):
    one = table(State.RECORDING)
    assert one.end(first)
    assert not one.end(second)
    assert one.ending is first


@pytest.mark.parametrize("state", [State.RECORDING, State.DEGRADED, State.STOPPING])
def test_a_fault_takes_the_place_of_any_ending_and_the_first_one_is_told(state):
    one = table(state)
    one.fail(ERROR)
    one.fail(MediaError("another"))
    assert (one.state, one.ending, one.commits, one.error) == (State.STOPPING, Ending.FAULT, False, ERROR)
    assert not one.end(Ending.STOP)
    one.over()
    assert (one.state, one.error) == (State.FAILED, ERROR)


@pytest.mark.parametrize(
    ("state", "step"),
    [
        *[(state, "start") for state in State if state is not State.NEW],
        *[(state, "over") for state in State if state is not State.STOPPING],
    ],
)
def test_changes_that_do_not_exist(state, step):
    one = table(state)
    with pytest.raises(StateError) as caught:
        getattr(one, step)()
    assert caught.value.state == state
    assert caught.value.wanted.startswith(step)
    assert one.state is state


@pytest.mark.parametrize("state", [State.NEW, State.STOPPED, State.FAILED])
def test_what_does_not_record_cannot_end(state):
    one = table(state)
    before = one.ending
    assert not one.end(Ending.LEAVE)
    assert (one.state, one.ending) == (state, before)


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
    assert not one.state.is_recording
    assert (one.state, one.degraded_because) == (state, None)


def test_a_degraded_recording_stops_once_and_keeps_its_reason():
    one = table(State.DEGRADED)
    assert one.end(Ending.STOP)
    assert not one.end(Ending.STOP)
    assert one.degraded_because == "waiting for room"
    assert not one.restore("disk")
    one.over()


def test_the_garbage_collector_may_end_it_in_the_middle_of_another_call():
    one = table(State.RECORDING)

    class Owner:
        def __del__(self):
            one.end(Ending.UNSTOPPED)

    with one._lock:
        owner = Owner()
        owner.itself = owner
        del owner
        gc.collect()
    assert (one.state, one.ending) == (State.STOPPING, Ending.UNSTOPPED)
