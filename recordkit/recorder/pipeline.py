"""The encoding thread: takes items from the intake, codes them, lays the units into the writer."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from ..encode.routing import VIDEO
from ..encode.streams import Media, Streams
from ..errors import MediaError, RecordkitError
from ..intake import Intake, Item
from ..model import AccessUnit, EncodedUnit, EventKind
from ..system import Clock
from ..threads import begin
from .cutting import CutHere, Cutting
from .early import Early
from .files import Files
from .lack import Lack
from .layer import LONGEST_DEFERRED_S, Layer
from .opening import Opening
from .pausing import Break
from .prelude import AllPlaced, Prelude
from .segment import Segment
from .state import StateTable
from .tally import Tally

log = logging.getLogger("recordkit")

LONGEST_DOUBT_S = 2.0
"""So long an item waits for the next one to tell whether its time is true, if nothing comes."""
JOIN_SLICE_S = 0.1
_MOST_TOGETHER = 32
"""So many units that have come coded are made ready before the first of them is laid, if that is quickly done."""


class Pipeline:
    """One recording's way from item to transport packets, in a thread of its own.

    What the writer has no room for waits in ``layer``, to which ``on_laid`` and ``on_cut`` go; encoding goes on
    meanwhile. It ends when the intake is closed and empty, when the writer has ended by itself, or with a fault;
    ``states`` says how. ``on_end`` is called once from the thread, when the writer is over; ``on_event`` with an
    EventKind and its fields by name.

    At the very start units wait for the first of each ``expected`` stream (see ``Opening``). ``prelude`` makes what
    lays those that wait for their places, which ``early`` takes.
    """

    def __init__(
        self,
        name: str,
        intake: Intake[Media | threading.Event | AllPlaced | CutHere],
        streams: Streams,
        files: Files,
        states: StateTable,
        clock: Clock,
        *,
        expected: set[int],
        prelude: Callable[[], Prelude],
        on_end: Callable[[], None],
        on_event: Callable[..., object],
        on_laid: Callable[[Segment, AccessUnit], object] = lambda file, unit: None,
        on_cut: Callable[[Segment, AccessUnit], object] = lambda file, unit: None,
        cutting: Cutting | None = None,
    ) -> None:
        self._intake = intake
        self._streams = streams
        self._files = files
        self._states = states
        self._clock = clock
        self._on_end = on_end
        self._on_event = on_event
        self._cutting = cutting
        self._opening = Opening(expected, intake, clock)
        self.early = Early(prelude, intake, clock)
        self.layer = Layer(
            intake,
            files,
            self._opening,
            clock,
            on_event=on_event,
            on_laid=on_laid,
            on_cut=on_cut,
            cutting=cutting,
        )
        self._lack = Lack(clock, on_event)
        self._abandoned_items = 0
        self._in_doubt_s: float | None = None
        self._came_together = False
        self._in_hand: deque[Item[Media | threading.Event | AllPlaced | CutHere]] = deque()
        self._name = name
        self._thread = threading.Thread(target=self._run, name=f"recordkit-encode:{name}", daemon=True)

    @property
    def tally(self) -> Tally:
        """What was laid."""
        return self.layer.tally

    @property
    def abandoned_items(self) -> int:
        """What was taken and is not in the file."""
        return self._abandoned_items + self.layer.abandoned_units

    def start(self) -> None:
        """Start the thread. Raises AdmissionError if there is none."""
        begin(self._thread, self._name)

    def join(self, timeout: float | None) -> bool:
        """Wait for the thread's end; False where it did not come within ``timeout`` seconds."""
        # In slices: a signal that comes just before the main thread begins to wait is not seen
        # before the wait ends, and an interrupt must not be lost while a disk hangs.
        left = float("inf") if timeout is None else timeout
        while self._thread.is_alive() and left > 0:
            self._thread.join(min(left, JOIN_SLICE_S))
            left -= JOIN_SLICE_S
        return not self._thread.is_alive()

    def wake(self) -> None:
        """The writer has room, has ended or has failed: look again."""
        with self._intake.changed:
            self._intake.changed.notify_all()

    def _run(self) -> None:
        error: RecordkitError | None = MediaError("the encoding thread ended by a fault of its own; see the log")
        try:
            while self._step():
                self.layer.writer.check()
            self.layer.add(self._streams.settle())
            filled_s = self._streams.ways.filled_s
            self.layer.add(self._streams.flush())
            self.layer.drain_all()
            self.tally.tell_early_ends(filled_s)
            error = None
        except RecordkitError as failure:
            error = failure
        finally:
            self._end_writer(error)
            self._on_end()
            # Not before: who is let go asks how the recording ended.
            self._let_go()
            self._streams.close()
            self.early.end()

    def _end_writer(self, error: RecordkitError | None) -> None:
        """Close the writer as the states say, and wait for it: the recording is over when its last file is."""
        self._intake.close()
        if error is not None:
            self._states.fail(error)
        if self._cutting is not None:
            self._cutting.close()
        writer = self.layer.writer
        self._files.in_hand.close(commit=self._states.commits)
        for file in self._files.open:
            file.writer.join()
        if writer.error is not None:
            self._states.fail(writer.error)

    def _step(self) -> bool:
        """Encode one item, or wait for one; False once there will be none any more, or no room for it."""
        self.layer.defer(has_early=self.early.is_waiting, came_together=self._came_together)
        self.early.lay()
        self.layer.drain()
        self.layer.make_safe()
        self.early.look(all_laid=self.layer.is_empty and not self._in_hand and self._opening.is_over)
        if self.layer.writer.ended_because is not None:
            return False
        with self._intake.changed:
            if not self._take():
                if self.early.is_waiting:
                    return True
                if self._intake.is_closed:
                    return False
                if self.layer.writer.error is not None:
                    return True
                waits_s = None
                if not self.layer.is_empty and not self.layer.writer.is_full:
                    if self._opening.is_over:
                        return True
                    waits_s = self._opening.left_s
                doubt_s = self._doubt_left_s()
                if doubt_s is None or doubt_s > 0:
                    waits_s = min((one for one in (waits_s, doubt_s) if one is not None), default=None)
                    self._intake.wait(waits_s)
                    return True
        if not self._in_hand:
            self.layer.add(self._streams.settle())
        until_s = self._clock.monotonic() + LONGEST_DEFERRED_S
        freed = 0
        try:
            while self._in_hand:
                item = self._in_hand[0]
                if isinstance(item.payload, threading.Event | AllPlaced | CutHere):
                    self._obey(item.payload)
                    self._in_hand.popleft()
                else:
                    freed += self._code(item, item.payload)
                if self._clock.monotonic() >= until_s:
                    break  # what is coded anew takes its time, and is not to wait for what comes behind it
        finally:
            self._intake.release(freed)
        return True

    def _take(self) -> bool:
        """Take what has come; what is coded already, as it comes live, together. The caller holds ``changed``."""
        if not self._in_hand:
            self._in_hand.extend(self._intake.take_run(EncodedUnit, _MOST_TOGETHER))
        self._came_together = len(self._in_hand) > 1
        return bool(self._in_hand)

    def _code(self, item: Item[Any], media: Media) -> int:
        """Code an item, the first of those in hand, and let what comes of it wait to be laid.

        Returns how many bytes less are held by that: from here on the coded bytes count in place of the raw ones.
        """
        if item.dropped:
            self._on_event(EventKind.DROP, stream=item.index, items=item.dropped)
        if self._cutting is not None:
            self._cutting.look(item)
        coded = self._streams.code(
            media,
            item.index,
            item.ticks,
            discontinuity=item.dropped > 0 or item.discontinuity,
            arrival=item.arrival,
            size=item.size,
            captured=item.captured,
        )
        if not self._streams.holds:
            self._in_doubt_s = None
        elif coded or self._in_doubt_s is None:
            self._in_doubt_s = self._clock.monotonic()
        elif (self._doubt_left_s() or 0) <= 0:
            coded += self._streams.settle()
            self._in_doubt_s = None
        sizes = [len(one.unit.data) for one in coded]
        self.layer.add(coded, sizes)
        if item.index == VIDEO:
            self._lack.look(None if coded else self._streams.ways.lacking)
        self._in_hand.popleft()
        return item.size - sum(sizes)

    def _obey(self, marker: threading.Event | AllPlaced | CutHere) -> None:
        """What stands in the queue between items says what is to be done there."""
        if isinstance(marker, AllPlaced):
            self.early.placed()
            self._opening.hurry()
        elif isinstance(marker, CutHere):
            if self._cutting is not None:
                self._cutting.ask()
        else:
            self.early.lay()
            if isinstance(marker, Break):
                self.layer.add(self._streams.break_off(marker.closed))
            self.layer.add(self._streams.settle())
            self.layer.drain_all()
            marker.set()

    def _doubt_left_s(self) -> float | None:
        """How long the next item may be waited for before those in doubt are placed; None if there are none."""
        if self._in_doubt_s is None or not self._streams.holds:
            return None
        return self._in_doubt_s + LONGEST_DOUBT_S - self._clock.monotonic()

    def _let_go(self) -> None:
        """Throw away what an early end has left over, and let go everybody who waits in ``flush``."""
        self.layer.abandon()
        with self._intake.changed:
            while (item := self._intake.take()) is not None:
                self._in_hand.append(item)
        for item in self._in_hand:
            if isinstance(item.payload, threading.Event):
                item.payload.set()
            elif not isinstance(item.payload, AllPlaced | CutHere):
                self._abandoned_items += 1
        self._intake.release(sum(item.size for item in self._in_hand))
        self._in_hand.clear()
