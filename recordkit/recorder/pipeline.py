"""The encoding thread: takes items from the intake, codes them, lays the units into the writer."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from itertools import repeat

from ..encode.coded import Coded
from ..encode.routing import VIDEO
from ..encode.streams import Media, Streams
from ..errors import MediaError, RecordkitError
from ..intake import Intake, Item
from ..model import AccessUnit, EncodedUnit, EventKind, StreamFormat
from ..system import Clock
from ..threads import begin
from ..writer.buffer import NotLaid
from .cutting import CutHere, Cutting
from .files import Files
from .lack import Lack
from .opening import Opening
from .pausing import Break
from .prelude import AllPlaced, Prelude
from .segment import Segment, told
from .state import StateTable
from .tally import Tally

log = logging.getLogger("recordkit")

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
    EventKind and its fields by name, ``on_laid`` with each unit and the file that it was laid into. ``on_cut`` is
    called with the next file, and the unit that is about to be laid into it as the first one.

    At the very start units wait for the first of each ``expected`` stream (see ``Opening``). ``prelude`` makes what
    lays those that wait for their places. ``tally`` has what
    was laid.
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
        self.tally = Tally(clock, on_event)
        self.refused_units = 0
        self.abandoned_items = 0
        self._intake = intake
        self._streams = streams
        self._files = files
        self._states = states
        self._clock = clock
        self._on_end = on_end
        self._on_event = on_event
        self._on_laid = on_laid
        self._on_cut = on_cut
        self._cutting = cutting
        self._make_prelude = prelude
        self._prelude: Prelude | None = None
        self._early: deque[tuple[EncodedUnit, int]] = deque()
        self._prelude_over_s: float | None = None
        self._is_prelude_over = False
        self._opening = Opening(expected, intake, clock)
        self._lack = Lack(clock, on_event)
        self._in_doubt_s: float | None = None
        self._in_hand: Item[Media | threading.Event | AllPlaced | CutHere] | None = None
        self._pending: deque[tuple[Coded, int, Segment | None]] = deque()
        self._full_s: float | None = None
        self._deferred_s: float | None = None
        self._name = name
        self._thread = threading.Thread(target=self._run, name=f"recordkit-encode:{name}", daemon=True)

    @property
    def file(self) -> Segment:
        """The file in hand."""
        return self._files.in_hand

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
                self.file.writer.check()
            self._add(self._streams.settle())
            filled_s = self._streams.ways.filled_s
            self._add(self._streams.flush())
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
        if self._cutting is not None:
            self._cutting.close()
        writer = self.file.writer
        writer.close(commit=self._states.commits)
        for file in self._files.open:
            file.writer.join()
        if writer.error is not None:
            self._states.fail(writer.error)

    def _step(self) -> bool:
        """Encode one item, or wait for one; False once there will be none any more, or no room for it."""
        self._defer()
        self._lay_early()
        self._drain()
        self._make_safe()
        if self._has_caught_up():
            self._end_prelude()
        if self.file.writer.ended_because is not None:
            return False
        with self._intake.changed:
            item = self._intake.take()
            if item is None:
                if self._early:
                    return True
                if self._intake.is_closed:
                    return False
                if self.file.writer.error is not None:
                    return True
                waits_s = None
                if self._pending and not self.file.writer.is_full:
                    if self._opening.is_over:
                        return True
                    waits_s = self._opening.left_s
                doubt_s = self._doubt_left_s()
                if doubt_s is None or doubt_s > 0:
                    waits_s = min((one for one in (waits_s, doubt_s) if one is not None), default=None)
                    self._clock.wait(self._intake.changed, waits_s)
                    return True
        if item is None:
            self._add(self._streams.settle())
            return True
        self._in_hand = item
        if isinstance(item.payload, threading.Event):
            self._lay_early()
            if isinstance(item.payload, Break):
                self._add(self._streams.break_off(item.payload.closed))
            self._add(self._streams.settle())
            self._drain_all()
            item.payload.set()
            self._in_hand = None
            return True
        if isinstance(item.payload, AllPlaced):
            self._prelude_over_s = self._clock.monotonic()
            self._opening.hurry()
            self._in_hand = None
            return True
        if isinstance(item.payload, CutHere):
            if self._cutting is not None:
                self._cutting.ask()
            self._in_hand = None
            return True
        if item.dropped:
            self._on_event(EventKind.DROP, stream=item.index, items=item.dropped)
        if self._cutting is not None:
            self._cutting.look(item)
        coded = self._streams.code(
            item.payload,
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
        self._add(coded, sizes)
        if item.index == VIDEO:
            self._lack.look(None if coded else self._streams.ways.lacking)
        # From here on the coded bytes count in place of the raw ones.
        self._in_hand = None
        self._intake.release(item.size - sum(sizes))
        return True

    def _add(self, coded: list[Coded], sizes: Iterable[int] = repeat(0)) -> None:
        """Let units wait to be laid, each in the file in hand or in one that begins with it."""
        for one, size in zip(coded, sizes, strict=False):
            file = None if self._cutting is None else self._cutting.begun_by(one.unit)
            self._pending.append((one, size, file))

    def _defer(self) -> None:
        """Of coded units that have come together, or faster than they can be laid, make several safe at once."""
        if self._deferred_s is None and (self._pending or self._early) and isinstance(self._intake.next, _CODED):
            self.file.writer.defer(on=True)
            self._deferred_s = self._clock.monotonic()

    def _make_safe(self) -> None:
        """What was deferred is made safe with the last unit that has come; it waits for no other to come."""
        if self._deferred_s is None:
            return
        if not isinstance(self._intake.next, _CODED):
            self.file.writer.defer(on=False)
            self._deferred_s = None
            return
        now_s = self._clock.monotonic()
        if now_s - self._deferred_s >= _LONGEST_DEFERRED_S:
            self.file.writer.defer(on=True)
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
                if self.file.writer.is_full:
                    self._clock.wait(self._intake.changed, None)

    def _drain(self) -> bool:
        """Lay what is pending; False where the writer's buffer is full before all is done."""
        if not self._may_begin():
            return True
        while self._pending:
            (stream_format, unit, is_filler), size, file = self._pending[0]
            if file is not None and file is not self.file:
                self._go_on_in(file, unit)
            if not self.file.knows(unit.stream, stream_format):
                self._declare(stream_format, unit)
            try:
                laid = self.file.writer.lay(unit)
                if laid is NotLaid.FULL:
                    self._full_s = self._clock.monotonic()
                    return False
                if laid is NotLaid.ENDED:
                    self._abandon_pending()
                    return True
                self.tally.add(unit, laid.offset, is_filler=is_filler)
                self.file.laid(unit, laid)
                self._on_laid(self.file, unit)
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
        first = {coded.unit.stream: coded for coded, _, _ in reversed(self._pending)}
        if not first or not self._opening.lets_go(first):
            return False
        for index in sorted(first):
            self._declare(first[index].format, first[index].unit)
        return True

    def _declare(self, stream_format: StreamFormat, unit: AccessUnit) -> None:
        """Make the format of the stream known that begins, or goes on otherwise, with ``unit``."""
        is_new = unit.stream not in self.file.formats
        self.file.declare(unit.stream, stream_format)
        kind = EventKind.STREAM if is_new else EventKind.SIZE_CHANGE
        self._on_event(kind, stream=unit.stream, **told(stream_format))
        if is_new:
            self.tally.tell_late(unit, stream_format)

    def _go_on_in(self, file: Segment, unit: AccessUnit) -> None:
        """The recording goes on in ``file``, from ``unit`` on; the one before comes to its end by itself."""
        before = self.file
        before.writer.defer(on=False)
        file.go_on_from(before, unit)
        file.writer.begin()
        if self._deferred_s is not None:
            file.writer.defer(on=True)
        self._on_cut(file, unit)
        before.writer.close(commit=True)

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
        left = sum(size for _, size, _ in self._pending)
        for _, _, file in self._pending:
            if file is not None and file is not self.file:
                file.drop()
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
                elif not isinstance(item.payload, AllPlaced | CutHere):
                    self.abandoned_items += 1
                item = None
        self._intake.release(left)
