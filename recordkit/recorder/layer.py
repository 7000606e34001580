"""Lays coded units into the files of one recording, in their order, as far as the writer has room."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any

from ..encode.coded import Coded
from ..errors import MediaError
from ..intake import Intake
from ..model import AccessUnit, EncodedUnit, EventKind, StreamFormat
from ..system import Clock
from ..writer.buffer import Laid, NotLaid
from ..writer.writer import Writer
from .cutting import Cutting
from .files import Files
from .opening import Opening
from .prelude import AllPlaced
from .segment import Segment, told
from .tally import Tally

log = logging.getLogger("recordkit")

_CODED = (EncodedUnit, AllPlaced)
LONGEST_DEFERRED_S = 0.02
"""So long what is laid may wait for the next units, which are in the queue already, to be made safe with them."""


class Layer:
    """Units wait here until they are laid, and count in the intake's bound meanwhile; for one thread.

    At the very start they wait for the first of each stream (see ``Opening``). ``on_event`` is called with an
    EventKind and its fields by name, ``on_laid`` with each unit and the file that it was laid into. ``on_cut`` is
    called with the next file, and the unit that is about to be laid into it as the first one. ``tally`` has what
    was laid, ``refused_units`` counts what has no place in the file, ``abandoned_units`` what an end left over.
    """

    def __init__(
        self,
        intake: Intake[Any],
        files: Files,
        opening: Opening,
        clock: Clock,
        *,
        on_event: Callable[..., object],
        on_laid: Callable[[Segment, AccessUnit], object],
        on_cut: Callable[[Segment, AccessUnit], object],
        cutting: Cutting | None,
    ) -> None:
        self.tally = Tally(clock, on_event)
        self.refused_units = 0
        self.abandoned_units = 0
        self._intake = intake
        self._files = files
        self._opening = opening
        self._clock = clock
        self._on_event = on_event
        self._on_laid = on_laid
        self._on_cut = on_cut
        self._cutting = cutting
        self._pending: deque[tuple[Coded, int, Segment | None]] = deque()
        self._full_s: float | None = None
        self._deferred_s: float | None = None

    @property
    def writer(self) -> Writer:
        """What writes the file in hand."""
        return self._files.in_hand.writer

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be laid."""
        return not self._pending

    @property
    def since_full_s(self) -> float | None:
        """Seconds since the writer last had no room for a unit, its disk being behind; None where it always had."""
        full_s = self._full_s
        return None if full_s is None else self._clock.monotonic() - full_s

    def add(self, coded: list[Coded], sizes: Iterable[int] = repeat(0)) -> None:
        """Let units wait to be laid, each in the file in hand or in one that begins with it."""
        for one, size in zip(coded, sizes, strict=False):
            file = None if self._cutting is None else self._cutting.begun_by(one.unit)
            self._pending.append((one, size, file))

    def defer(self, *, has_early: bool, came_together: bool) -> None:
        """Of coded units that have come together, or faster than they can be laid, make several safe at once."""
        if self._deferred_s is not None or not (self._pending or has_early):
            return
        if came_together or self._has_next():
            self.writer.defer(on=True)
            self._deferred_s = self._clock.monotonic()

    def make_safe(self) -> None:
        """What was deferred is made safe with the last unit that has come; it waits for no other to come."""
        if self._deferred_s is None:
            return
        if not self._has_next():
            self.writer.defer(on=False)
            self._deferred_s = None
            return
        now_s = self._clock.monotonic()
        if now_s - self._deferred_s >= LONGEST_DEFERRED_S:
            self.writer.defer(on=True)
            self._deferred_s = now_s

    def drain_all(self) -> None:
        """Lay all that is pending, waiting for room; no stream is waited for any longer."""
        self._opening.cut_short()
        while not self.drain():
            with self._intake.changed:
                if self.writer.is_full:
                    self._clock.wait(self._intake.changed, None)

    def drain(self) -> bool:
        """Lay what is pending; False where the writer's buffer is full before all is done."""
        if not self._may_begin():
            return True
        freed = 0
        try:
            while self._pending:
                (stream_format, unit, is_filler), size, begun = self._pending[0]
                if begun is not None and begun is not self._files.in_hand:
                    self._go_on_in(begun, unit)
                file = self._files.in_hand
                if not file.knows(unit.stream, stream_format):
                    self._declare(stream_format, unit)
                laid = self._lay(file, unit)
                if laid is NotLaid.FULL:
                    self._full_s = self._clock.monotonic()
                    return False
                if laid is NotLaid.ENDED:
                    self.abandon()
                    return True
                if laid is not None:
                    packager = file.packager
                    self.tally.add(
                        unit, laid.offset, heard=packager.heard, until=packager.until, is_filler=is_filler
                    )
                    file.laid(unit, laid)
                    self._on_laid(file, unit)
                self._pending.popleft()
                freed += size
        finally:
            self._intake.release(freed)
        return True

    def _lay(self, file: Segment, unit: AccessUnit) -> Laid | NotLaid | None:
        """As ``Writer.lay``; None for a unit that has no place in the file."""
        try:
            return file.writer.lay(unit)
        except MediaError as error:
            # One unit is no reason to lose all that follow.
            self.refused_units += 1
            if self.refused_units == 1:
                log.warning("%s; it was left out", error)
            return None

    def abandon(self) -> None:
        """Lay nothing of what is pending."""
        self.abandoned_units += len(self._pending)
        left = sum(size for _, size, _ in self._pending)
        for _, _, file in self._pending:
            if file is not None and file is not self._files.in_hand:
                file.drop()
        self._pending.clear()
        self._intake.release(left)

    def _has_next(self) -> bool:
        """Whether the next one in the queue is coded already."""
        return isinstance(self._intake.next, _CODED)

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
        packager, units = self._files.in_hand.packager, [coded.unit for coded in first.values()]
        begins = min(map(packager.heard, units))
        self.tally.begin(begins)
        if self._opening.has_all(first):
            packager.begin_at(begins)
            packager.decode_from(min(unit.dts for unit in units))
        return True

    def _declare(self, stream_format: StreamFormat, unit: AccessUnit) -> None:
        """Make the format of the stream known that begins, or goes on otherwise, with ``unit``."""
        is_new = unit.stream not in self._files.in_hand.formats
        self._files.in_hand.declare(unit.stream, stream_format)
        kind = EventKind.STREAM if is_new else EventKind.SIZE_CHANGE
        self._on_event(kind, stream=unit.stream, **told(stream_format))
        if is_new:
            self.tally.tell_late(unit, stream_format)

    def _go_on_in(self, file: Segment, unit: AccessUnit) -> None:
        """The recording goes on in ``file``, from ``unit`` on; the one before comes to its end by itself."""
        before = self._files.in_hand
        before.writer.defer(on=False)
        file.go_on_from(before, unit)
        file.writer.begin()
        if self._deferred_s is not None:
            file.writer.defer(on=True)
        self._on_cut(file, unit)
        before.close(commit=True)
