"""Where a recorder stands, and what of it does not work."""

from __future__ import annotations

import threading
from enum import StrEnum

from ..errors import StateError


class State(StrEnum):
    """Where a recorder stands."""

    NEW = "new"
    RECORDING = "recording"
    DEGRADED = "degraded"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_recording(self) -> bool:
        """Whether media is taken: all is well, or a part does not work and the rest goes on."""
        return self in (State.RECORDING, State.DEGRADED)


_NEXT = {
    State.NEW: {State.RECORDING},
    State.RECORDING: {State.DEGRADED, State.STOPPING, State.FAILED},
    State.DEGRADED: {State.RECORDING, State.STOPPING, State.FAILED},
    State.STOPPING: {State.STOPPED, State.FAILED},
    State.STOPPED: set[State](),
    State.FAILED: set[State](),
}


class StateTable:
    """The state, and the changes of it that exist. May be used from any thread.

    A recording is degraded while at least one part of it has a trouble that was told by ``degrade``
    and not taken back by ``restore``; ``degraded_because`` says them all, None where there is none.
    """

    def __init__(self) -> None:
        self._state = State.NEW
        self._troubles: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def state(self) -> State:
        """Where the recorder stands."""
        return self._state

    @property
    def degraded_because(self) -> str | None:
        """What does not work, or None; what it was at the end, after that."""
        return "; ".join(tuple(self._troubles.values())) or None

    def go(self, state: State) -> None:
        """Change the state; raises StateError for a change that does not exist."""
        with self._lock:
            if state not in _NEXT[self._state]:
                raise StateError(self._state, state, "this change of state does not exist")
            self._state = state

    def begin_to_stop(self) -> bool:
        """From recording to stopping; False where it did not record."""
        with self._lock:
            if not self._state.is_recording:
                return False
            self._state = State.STOPPING
            return True

    def degrade(self, part: str, because: str) -> bool:
        """Note the trouble of a part; False where it was known, or nothing is being recorded."""
        with self._lock:
            if not self._state.is_recording or self._troubles.get(part) == because:
                return False
            self._troubles[part] = because
            self._state = State.DEGRADED
            return True

    def restore(self, part: str) -> bool:
        """The part works again; False where it had no trouble, or nothing is being recorded."""
        with self._lock:
            if not self._state.is_recording or self._troubles.pop(part, None) is None:
                return False
            if not self._troubles:
                self._state = State.RECORDING
            return True
