"""While a recording runs, its folder is kept within bounds by a thread that holds nothing up."""

from __future__ import annotations

import logging
import threading

from ..errors import OutputAccessError, OutputBusyError
from ..keeping.passing import Fate, Judged, Passes
from ..model import EventKind, Sample
from ..onlooker import Onlooker
from ..settings import RecordingSettings
from ..threads import begin
from .telling import Tell

log = logging.getLogger("recordkit")

LOOK_INTERVAL_S = 1.0
"""So often at least what is free, and how old the oldest is, is looked at."""
_REST = 9.0
"""A pass over a large folder is followed by a rest of so many times its length: a tenth of one core at most."""
_LONGEST_JOIN_S = 5.0
_AHEAD_PART = 10


class Keeper:
    """Makes a pass over the folder whenever a flush, a commit, another recording or time may have passed a bound.

    Before a flush can pass a bound there is room for it. ``tell`` is called with an event for each recording that
    goes. The thread ``recordkit-keep:NAME`` belongs to this object; it ends after ``end``, with a last pass.
    Recordings that go into one folder may share their ``passes``.
    """

    def __init__(self, name: str, settings: RecordingSettings, passes: Passes, tell: Tell) -> None:
        self._name = name
        self._clock = settings.clock
        self._passes = passes
        self._tell = tell
        most = passes.keep.max_bytes
        threshold = settings.flush_threshold
        self._ahead_bytes = threshold if most is None else min(threshold, most // _AHEAD_PART)
        self._changed = threading.Condition()
        self._is_wanted = True
        self._is_over = False
        self._not_before_s = 0.0
        self._told: set[tuple[str, str | None]] = set()
        self._onlooker = Onlooker(f"{name}: keeping its folder within bounds")
        self._stuck: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"recordkit-keep:{name}", daemon=True)

    def start(self) -> None:
        """Start the thread. Raises AdmissionError if there is none."""
        begin(self._thread, self._name)

    def wake(self) -> None:
        """Something was flushed or committed: look whether a bound is passed. Waits for nothing."""
        with self._changed:
            self._is_wanted = True
            self._changed.notify_all()

    def end(self) -> None:
        """Make a last pass, and end; waits for nothing."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def join(self) -> None:
        """Wait for the thread's end, though not for ever: a disk may hang."""
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(_LONGEST_JOIN_S)
            if self._thread.is_alive():
                log.warning("%s has not ended after %.0f s", self._thread.name, _LONGEST_JOIN_S)

    def nothing_to_delete(self, _: Sample) -> str | None:
        """The rule of the alert: a bound is passed, and there is nothing that may be deleted."""
        return self._stuck

    def _run(self) -> None:
        is_last = False
        while not is_last:
            with self._changed:
                if not (self._is_wanted or self._is_over):
                    self._clock.wait(self._changed, LOOK_INTERVAL_S)
                self._is_wanted, is_last = False, self._is_over
            self._onlooker.tell(self._look, is_last=is_last)

    def _look(self, *, is_last: bool) -> None:
        began_s = self._clock.monotonic()
        if not is_last and (began_s < self._not_before_s or not self._is_due()):
            return
        try:
            # The last one makes room for nothing more.
            passed = self._passes.run(self._clock.time_ns(), ahead_bytes=0 if is_last else self._ahead_bytes)
        except OutputBusyError:
            return  # somebody does it at this moment
        except OutputAccessError as error:
            self._say(("folder", str(error)), "%s", error)
            return
        ended_s = self._clock.monotonic()
        self._not_before_s = ended_s + _REST * (ended_s - began_s)
        for one in passed.judged:
            self._judged(one)
        self._stand(passed.beyond)

    def _is_due(self) -> bool:
        return self._passes.is_due(self._clock.time_ns(), self._ahead_bytes)

    def _judged(self, one: Judged) -> None:
        if one.fate is Fate.DELETED:
            log.info("%s was deleted: %s", one.path, one.because)
            self._tell(EventKind.DELETED, path=str(one.path), bytes=one.bytes, because=one.because)
        else:
            self._say((one.path.name, one.problem), "%s stays, though %s: %s", one.path, one.because, one.problem)

    def _stand(self, beyond: str | None) -> None:
        stuck = None if beyond is None else f"{beyond}, and there is nothing that may be deleted"
        if stuck is not None and stuck != self._stuck:
            log.warning("%s: in its folder %s", self._name, stuck)
        self._stuck = stuck

    def _say(self, what: tuple[str, str | None], words: str, *values: object) -> None:
        if what not in self._told:  # once
            self._told.add(what)
            log.warning(words, *values)
