"""How a recording stands and how it ends: whatever decides about either of the two is in this module.

::

    NEW ──start──▶ RECORDING ◀──trouble, cure──▶ DEGRADED
                       └───────────┬────────────────┘
                               an ending
                                   ▼
                               STOPPING ──over──▶ STOPPED, or FAILED after a fault

An *ending* (``Ending``) is why no more media is taken, and what becomes of the file:

=========  ============================================  ====================  ===================
ending     comes from                                    what is queued        the file
=========  ============================================  ====================  ===================
STOP       ``stop()``                                    is encoded, written   is committed
LEAVE      ``stop(commit=False)``, an exception          is encoded, written   stays a partial
UNSTOPPED  the recorder was collected                    is encoded, written   is committed
DISK_FULL  the writer                                    is abandoned          is committed
FAULT      a failed write or encoder, a fault of ours    is abandoned          stays a partial
=========  ============================================  ====================  ===================

The first ending decides. Only a FAULT takes the place of another one, until all is over. A full disk while a
stopped recording is being written abandons what is queued, too, and leaves the decision about the file as it was.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from enum import Enum, StrEnum

from ..errors import RecordkitError, StateError


class State(StrEnum):
    """Where a recorder stands."""

    NEW = "new"
    RECORDING = "recording"
    DEGRADED = "degraded"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"

    is_recording: bool
    """Whether media is taken: all is well, or a part does not work and the rest goes on."""

    def __init__(self, name: str) -> None:
        # No property: it is asked for with each frame.
        self.is_recording = name in ("recording", "degraded")


class Ending(Enum):
    """What brings a recording to its end; the table above says what each means."""

    STOP = "stopped"
    LEAVE = "stopped without a commit"
    UNSTOPPED = "nobody stopped it"
    DISK_FULL = "the disk is full"
    FAULT = "it failed"

    @property
    def commits(self) -> bool:
        """Whether the file gets its final name."""
        return self not in (Ending.LEAVE, Ending.FAULT)


class Step(Enum):
    """What changes the state beside an ending."""

    START = "start"
    TROUBLE = "trouble"
    CURE = "cure"
    OVER = "over"
    OVER_AFTER_FAULT = "over after a fault"


_ENDS: Mapping[Step | Ending, State] = dict.fromkeys(Ending, State.STOPPING)

_NEXT: Mapping[State, Mapping[Step | Ending, State]] = {
    State.NEW: {Step.START: State.RECORDING},
    State.RECORDING: {Step.TROUBLE: State.DEGRADED, **_ENDS},
    State.DEGRADED: {Step.TROUBLE: State.DEGRADED, Step.CURE: State.RECORDING, **_ENDS},
    State.STOPPING: {
        Ending.FAULT: State.STOPPING,
        Step.OVER: State.STOPPED,
        Step.OVER_AFTER_FAULT: State.FAILED,
    },
    State.STOPPED: {},
    State.FAILED: {},
}


class StateTable:
    """The state of one recording, and its ending. May be used from any thread, and by the garbage collector.

    A recording is degraded while at least one part of it has a trouble that was told by ``degrade``
    and not taken back by ``restore``; ``degraded_because`` says them all, None if there is none.
    """

    def __init__(self) -> None:
        self._state = State.NEW
        self._ending: Ending | None = None
        self._error: RecordkitError | None = None
        self._troubles: dict[str, str] = {}
        # One that a thread can take again: the collector may come to ``end`` in the middle of any other call.
        self._lock = threading.RLock()

    @property
    def state(self) -> State:
        """Where the recorder stands."""
        return self._state

    @property
    def ending(self) -> Ending | None:
        """How it ends, or ended; None while nothing has decided that."""
        return self._ending

    @property
    def commits(self) -> bool:
        """Whether the file is to be committed, as far as that is decided."""
        return self._ending is not None and self._ending.commits

    @property
    def error(self) -> RecordkitError | None:
        """The fault that it ends with, or None."""
        return self._error

    @property
    def degraded_because(self) -> str | None:
        """What does not work, or None; what it was at the end, after that."""
        return "; ".join(tuple(self._troubles.values())) or None

    def start(self) -> None:
        """It records from now on. Raises StateError unless it is new."""
        with self._lock:
            self._go(Step.START)

    def end(self, ending: Ending) -> bool:
        """Take nothing more; False if it does not record, and ends otherwise or has ended."""
        with self._lock:
            if ending not in _NEXT[self._state]:
                return False
            self._go(ending)
            self._ending = ending
            return True

    def fail(self, error: RecordkitError) -> None:
        """End with a fault; the first one is the one to tell."""
        with self._lock:
            if self._error is None:
                # Before the state: whoever finds that nothing is taken any more asks why.
                self._error = error
                self.end(Ending.FAULT)

    def over(self) -> None:
        """All is written and closed. Raises StateError unless it was ending."""
        with self._lock:
            self._go(Step.OVER if self._error is None else Step.OVER_AFTER_FAULT)

    def degrade(self, part: str, because: str) -> bool:
        """Note the trouble of a part; False if it was known, or nothing is being recorded."""
        with self._lock:
            if not self._state.is_recording or self._troubles.get(part) == because:
                return False
            self._troubles[part] = because
            self._go(Step.TROUBLE)
            return True

    def restore(self, part: str) -> bool:
        """The part works again; False if it had no trouble, or nothing is being recorded."""
        with self._lock:
            if not self._state.is_recording or self._troubles.pop(part, None) is None:
                return False
            if not self._troubles:
                self._go(Step.CURE)
            return True

    def _go(self, step: Step | Ending) -> None:
        following = _NEXT[self._state].get(step)
        if following is None:
            raise StateError(self._state, step.value, "this change of state does not exist")
        self._state = following
