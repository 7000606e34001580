"""The encoding thread: takes items from the intake, codes them, lays the units into the writer."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict

from ..container import Packager
from ..encode.coded import Coded
from ..encode.routing import VIDEO
from ..encode.streams import Media, Streams
from ..errors import MediaError, RecordkitError
from ..intake import Intake, Item
from ..model import AccessUnit, EncodedUnit, EventKind, StreamFormat
from ..system import Clock
from ..threads import begin
from ..writer.buffer import Laid, NotLaid
from ..writer.writer import Writer
from .lack import Lack
from .opening import Opening
from .prelude import AllPlaced, Prelude
from .state import StateTable
from .tally import Tally

log = logging.getLogger("recordkit")

_UNTOLD = frozenset({"config", "priming"})

LONGEST_DOUBT_S = 2.0
"""So long an item waits for the next one to tell whether its time is true, if nothing comes."""
JOIN_SLICE_S = 0.1
_CODED = (EncodedUnit, AllPlaced)
_LONGEST_PRELUDE_S = 5.0
"""So long what has waited for its place may take to be laid there, before flushes go on without."""
_LONGEST_DEFERRED_S = 0.02
"""So long what is laid may wait for the next units, which are in the queue already, to be made safe with them."""


class Pipeline:
    """One recording's way from item to transport packets, in a thread of its own.

    Units for which the writer has no room wait here, and count in the intake's bound until they
    are laid; encoding goes on meanwhile. It ends when the intake is closed and empty, when the writer has
    ended by itself, or with a fault; ``states`` says how. ``abandoned_items`` counts what was taken and is not in
    the file. ``on_end`` is called once from the thread, when the writer is over. ``on_event`` is called with an
    EventKind and its fields by name, ``on_laid`` with each unit and where it lies.

    At the very start units wait for the first of each ``expected`` stream (see ``Opening``). ``prelude`` makes what
    lays those that wait for their places. ``tally`` has what
    was laid.
    """

    def __init__(
        self,
        name: str,
        intake: Intake[Media | threading.Event | AllPlaced],
        streams: Streams,
        packager: Packager,
        writer: Writer,
        states: StateTable,
        clock: Clock,
        *,
        expected: set[int],
        prelude: Callable[[], Prelude],
        on_end: Callable[[], None],
        on_event: Callable[..., object],
        on_laid: Callable[[AccessUnit, Laid], object] = lambda unit, laid: None,
    ) -> None:
        self.tally = Tally(clock, on_event)
        self.refused_units = 0
        self.abandoned_items = 0
        self._intake = intake
        self._streams = streams
        self._packager = packager
        self._writer = writer
        self._states = states
        self._clock = clock
        self._on_end = on_end
        self._on_event = on_event
        self._on_laid = on_laid
        self._make_prelude = prelude
        self._prelude: Prelude | None = None
        self._early: deque[tuple[EncodedUnit, int]] = deque()
        self._prelude_over_s: float | None = None
        self._is_prelude_over = False
        self._opening = Opening(expected, intake, clock)
        self._lack = Lack(clock, on_event)
        self._in_doubt_s: float | None = None
        self._in_hand: Item[Media | threading.Event | AllPlaced] | None = None
        self._pending: deque[tuple[Coded, int]] = deque()
        self._full_s: float | None = None
        self._deferred_s: float | None = None
        self._name = name
        self._thread = threading.Thread(target=self._run, name=f"recordkit-encode:{name}", daemon=True)

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
                self._writer.check()
            self._pending.extend((coded, 0) for coded in self._streams.settle())
            filled_s = self._streams.ways.filled_s
            self._pending.extend((coded, 0) for coded in self._streams.flush())
            self._drain_all()
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
            self._end_prelude()

    def _end_writer(self, error: RecordkitError | None) -> None:
        """Close the writer as the states say, and wait for it: the recording is over when its last file is."""
        self._intake.close()
        if error is not None:
            self._states.fail(error)
        self._writer.close(commit=self._states.commits)
        self._writer.join()
        if self._writer.error is not None:
            self._states.fail(self._writer.error)

    def _step(self) -> bool:
        """Encode one item, or wait for one; False once there will be none any more, or no room for it."""
        self._defer()
        self._lay_early()
        self._drain()
        self._make_safe()
        if self._has_caught_up():
            self._end_prelude()
        if self._writer.ended_because is not None:
            return False
        with self._intake.changed:
            item = self._intake.take()
            if item is None:
                if self._early:
                    return True
                if self._intake.is_closed:
                    return False
                if self._writer.error is not None:
                    return True
                waits_s = None
                if self._pending and not self._writer.is_full:
                    if self._opening.is_over:
                        return True
                    waits_s = self._opening.left_s
                doubt_s = self._doubt_left_s()
                if doubt_s is None or doubt_s > 0:
                    waits_s = min((one for one in (waits_s, doubt_s) if one is not None), default=None)
                    self._clock.wait(self._intake.changed, waits_s)
                    return True
        if item is None:
            self._pending.extend((coded, 0) for coded in self._streams.settle())
            return True
        self._in_hand = item
        if isinstance(item.payload, threading.Event):
            self._lay_early()
            self._pending.extend((coded, 0) for coded in self._streams.settle())
            self._drain_all()
            item.payload.set()
            self._in_hand = None
            return True
        if isinstance(item.payload, AllPlaced):
            self._prelude_over_s = self._clock.monotonic()
            self._opening.hurry()
            self._in_hand = None
            return True
        if item.dropped:
            self._on_event(EventKind.DROP, stream=item.index, items=item.dropped)
        coded = self._streams.code(
            item.payload,
            item.index,
            item.ticks,
            discontinuity=item.dropped > 0,
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
        self._pending.extend(zip(coded, sizes, strict=True))
        if item.index == VIDEO:
            self._lack.look(None if coded else self._streams.ways.lacking)
        # From here on the coded bytes count in place of the raw ones.
        self._in_hand = None
        self._intake.release(item.size - sum(sizes))
        return True

    def _defer(self) -> None:
        """Of coded units that have come together, or faster than they can be laid, make several safe at once."""
        if self._deferred_s is None and (self._pending or self._early) and isinstance(self._intake.next, _CODED):
            self._writer.defer(on=True)
            self._deferred_s = self._clock.monotonic()

    def _make_safe(self) -> None:
        """What was deferred is made safe with the last unit that has come; it waits for no other to come."""
        if self._deferred_s is None:
            return
        if not isinstance(self._intake.next, _CODED):
            self._writer.defer(on=False)
            self._deferred_s = None
            return
        now_s = self._clock.monotonic()
        if now_s - self._deferred_s >= _LONGEST_DEFERRED_S:
            self._writer.defer(on=True)
            self._deferred_s = now_s

    @property
    def has_early_room(self) -> bool:
        """Whether there is room for more that waits for its place; may be read from any thread."""
        prelude = self._prelude
        return not self._is_prelude_over and (prelude is None or prelude.has_room)

    def put_early(self, unit: EncodedUnit, index: int) -> None:
        """Lay ``unit`` of stream ``index``, by its arrival, into the prelude; from any thread."""
        if self.has_early_room:
            with self._intake.changed:
                self._early.append((unit, index))
                self._intake.changed.notify_all()

    def _lay_early(self) -> None:
        """What is not safe yet comes before what is coded and laid in its place."""
        while self._early:
            unit, index = self._early.popleft()
            if not self._is_prelude_over:
                self._prelude = self._prelude or self._make_prelude()
                self._prelude.add(unit, index)

    def _has_caught_up(self) -> bool:
        """Whether all that the prelude has is laid in its place; or that takes so long that the slot is needed."""
        over_s = self._prelude_over_s
        if self._is_prelude_over or over_s is None or self._pending or not self._opening.is_over:
            return False
        return self._intake.next is None or self._clock.monotonic() - over_s >= _LONGEST_PRELUDE_S

    def _end_prelude(self) -> None:
        self._is_prelude_over = True
        self._early.clear()
        if self._prelude is not None:
            self._prelude.end()

    def _drain_all(self) -> None:
        self._opening.cut_short()
        while not self._drain():
            with self._intake.changed:
                if self._writer.is_full:
                    self._clock.wait(self._intake.changed, None)

    def _drain(self) -> bool:
        """Lay what is pending; False where the writer's buffer is full before all is done."""
        if not self._may_begin():
            return True
        while self._pending:
            (stream_format, unit, is_filler), size = self._pending[0]
            known = self._packager.format(unit.stream)
            if known is not stream_format and (known != stream_format or known.config != stream_format.config):
                self._declare(stream_format, unit)
            try:
                laid = self._writer.lay(unit)
                if laid is NotLaid.FULL:
                    self._full_s = self._clock.monotonic()
                    return False
                if laid is NotLaid.ENDED:
                    self._abandon_pending()
                    return True
                self.tally.add(unit, laid.offset, is_filler=is_filler)
                self._on_laid(unit, laid)
            except MediaError as error:
                # One unit that has no place in the file is no reason to lose all that follow.
                self.refused_units += 1
                if self.refused_units == 1:
                    log.warning("%s; it was left out", error)
            self._pending.popleft()
            if size:
                self._intake.release(size)
        return True

    def _may_begin(self) -> bool:
        """Whether the first PMT can be written, or is; the first time, all streams that are known are declared."""
        if self._opening.is_over:
            return True
        # Each stream's first one: what comes after it is told as a change.
        first = {coded.unit.stream: coded for coded, _ in reversed(self._pending)}
        if not first or not self._opening.lets_go(first):
            return False
        for index in sorted(first):
            self._declare(first[index].format, first[index].unit)
        return True

    def _declare(self, stream_format: StreamFormat, unit: AccessUnit) -> None:
        """Make the format of the stream known that begins, or goes on otherwise, with ``unit``."""
        known = self._packager.format(unit.stream)
        self._packager.declare(unit.stream, stream_format)
        kind = EventKind.STREAM if known is None else EventKind.SIZE_CHANGE
        facts = {name: value for name, value in asdict(stream_format).items() if value and name not in _UNTOLD}
        self._on_event(kind, stream=unit.stream, **facts)
        if known is None:
            self.tally.tell_late(unit, stream_format)

    @property
    def since_full_s(self) -> float | None:
        """Seconds since the writer last had no room for a unit, its disk being behind; None where it always had."""
        full_s = self._full_s
        return None if full_s is None else self._clock.monotonic() - full_s

    def _doubt_left_s(self) -> float | None:
        """How long the next item may be waited for before those in doubt are placed; None if there are none."""
        if self._in_doubt_s is None or not self._streams.holds:
            return None
        return self._in_doubt_s + LONGEST_DOUBT_S - self._clock.monotonic()

    def _abandon_pending(self) -> None:
        self.abandoned_items += len(self._pending)
        left = sum(size for _, size in self._pending)
        self._pending.clear()
        self._intake.release(left)

    def _let_go(self) -> None:
        """Throw away what an early end has left over, and let go everybody who waits in ``flush``."""
        self._abandon_pending()
        left = 0
        item, self._in_hand = self._in_hand, None
        with self._intake.changed:
            while item is not None or (item := self._intake.take()) is not None:
                left += item.size
                if isinstance(item.payload, threading.Event):
                    item.payload.set()
                elif not isinstance(item.payload, AllPlaced):
                    self.abandoned_items += 1
                item = None
        self._intake.release(left)
