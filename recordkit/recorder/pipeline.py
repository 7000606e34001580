"""The encoding thread: takes items from the intake, codes them, lays the units into the writer."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict

from ..encode.coded import Coded
from ..encode.routing import VIDEO
from ..encode.streams import Media, Streams
from ..errors import MediaError, RecordkitError
from ..intake import Intake, Item
from ..model import AccessUnit, EventKind, StreamFormat
from ..mpegts.clock import TICKS_PER_SECOND
from ..mpegts.packetiser import Packetiser
from ..system import Clock
from ..writer.buffer import NotLaid
from ..writer.writer import Writer
from .state import StateTable

log = logging.getLogger("recordkit")

LONGEST_HOLD_S = 0.5
LONGEST_BUSY_HOLD_S = 5.0
"""What is looked for may be in the queue."""
EARLY_END_S = 2.0
JOIN_SLICE_S = 0.1
LACK_S = 2.0
"""So long frames are given and none comes out before that is told."""


class Pipeline:
    """One recording's way from item to transport packets, in a thread of its own.

    Units for which the writer has no room wait here, and count in the intake's bound until they
    are laid; encoding goes on meanwhile. It ends when the intake is closed and empty, when the writer has
    ended by itself, or with a fault; ``states`` says how. ``abandoned_items`` counts what was taken and is not in
    the file. ``on_end`` is called once from the thread, when the writer is over. ``on_event`` is called with an
    EventKind and its fields by name.

    At the very start units wait for the first of each ``expected`` stream, so that the first PMT names them all:
    half a second at the most, or five while the queue, not half full, may hold it. A stream that begins later, or
    ends well before the others, is told.
    """

    def __init__(
        self,
        name: str,
        intake: Intake[Media | threading.Event],
        streams: Streams,
        packetiser: Packetiser,
        writer: Writer,
        states: StateTable,
        clock: Clock,
        *,
        expected: set[int],
        on_end: Callable[[], None],
        on_event: Callable[..., object],
    ) -> None:
        self.video_units = 0
        self.audio_units = 0
        self.refused_units = 0
        self.abandoned_items = 0
        self.first_pts: int | None = None
        self.end_pts = 0
        self._intake = intake
        self._streams = streams
        self._packetiser = packetiser
        self._writer = writer
        self._states = states
        self._clock = clock
        self._on_end = on_end
        self._on_event = on_event
        self._laid_s: dict[int, float] = {}
        self._expected: set[int] | None = expected
        self._ends: dict[int, int] = {}
        self._lacking_s: float | None = None
        self._is_lack_told = False
        self._first_coded_s: float | None = None
        self._in_hand: Item[Media | threading.Event] | None = None
        self._pending: deque[tuple[Coded, int]] = deque()
        self._full_s: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"recordkit-encode:{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

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
            self._pending.extend((coded, 0) for coded in self._streams.flush())
            self._drain_all()
            self._tell_early_ends()
            error = None
        except RecordkitError as failure:
            error = failure
        finally:
            self._end_writer(error)
            self._on_end()
            # Not before: who is let go asks how the recording ended.
            self._let_go()
            self._streams.close()

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
        self._drain()
        if self._writer.ended_because is not None:
            return False
        with self._intake.changed:
            item = self._intake.take()
            if item is None:
                if self._intake.is_closed:
                    return False
                if self._writer.error is not None:
                    return True
                if not self._pending or self._writer.is_full:
                    self._clock.wait(self._intake.changed, None)
                elif self._expected is not None:
                    self._clock.wait(self._intake.changed, self._hold_left_s())
                return True
        self._in_hand = item
        if isinstance(item.payload, threading.Event):
            self._drain_all()
            item.payload.set()
            self._in_hand = None
            return True
        if item.dropped:
            self._on_event(EventKind.DROP, stream=item.index, items=item.dropped)
        coded = self._streams.code(item.payload, item.index, item.ticks, discontinuity=item.dropped > 0)
        sizes = [len(one.unit.data) for one in coded]
        self._pending.extend(zip(coded, sizes, strict=True))
        if item.index == VIDEO:
            self._look_for_lack(has_come=bool(coded))
        # From here on the coded bytes count in place of the raw ones.
        self._in_hand = None
        self._intake.release(item.size - sum(sizes))
        return True

    def _look_for_lack(self, *, has_come: bool) -> None:
        """Tell when frames have been given for a while and none has come out, and why."""
        because = None if has_come else self._streams.lacking
        if because is None:
            if self._is_lack_told:
                self._on_event(EventKind.RESTORED, part=f"stream {VIDEO}")
            self._lacking_s, self._is_lack_told = None, False
            return
        now_s = self._clock.monotonic()
        self._lacking_s = now_s if self._lacking_s is None else self._lacking_s
        if not self._is_lack_told and now_s - self._lacking_s >= LACK_S:
            self._is_lack_told = True
            self._on_event(EventKind.DEGRADED, part=f"stream {VIDEO}", because=because)

    def _drain_all(self) -> None:
        self._expected = set() if self._expected is not None else None
        while not self._drain():
            with self._intake.changed:
                if self._writer.is_full:
                    self._clock.wait(self._intake.changed, None)

    def _drain(self) -> bool:
        """Lay what is pending; False where the writer's buffer is full before all is done."""
        if not self._may_begin():
            return True
        while self._pending:
            (stream_format, unit), size = self._pending[0]
            if self._packetiser.format(unit.stream) != stream_format:
                self._declare(unit.stream, stream_format)
            try:
                laid = self._writer.lay(unit)
                if laid is NotLaid.FULL:
                    self._full_s = self._clock.monotonic()
                    return False
                if laid is NotLaid.ENDED:
                    self._abandon_pending()
                    return True
                self._note(unit, laid.offset)
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
        """Whether the first PMT can be written: all streams are known, or have been waited for."""
        if self._expected is None or not self._pending:
            return self._expected is None
        # Each stream's first one: what comes after it is told as a change.
        formats = {coded.unit.stream: coded.format for coded, _ in reversed(self._pending)}
        if not self._expected <= formats.keys() and self._hold_left_s() > 0:
            return False
        self._expected = None
        for index in sorted(formats):
            self._declare(index, formats[index])
        return True

    def _declare(self, index: int, stream_format: StreamFormat) -> None:
        known = self._packetiser.format(index)
        self._packetiser.declare(index, stream_format)
        kind = EventKind.STREAM if known is None else EventKind.SIZE_CHANGE
        facts = {name: value for name, value in asdict(stream_format).items() if value}
        self._on_event(kind, stream=index, **facts)
        if known is None and self.first_pts is not None:
            self._tell_late(index, stream_format)

    def _tell_late(self, index: int, stream_format: StreamFormat) -> None:
        after_s = (self._pending[0][0].unit.pts - self.first_pts) / TICKS_PER_SECOND if self.first_pts else 0.0
        log.warning(
            "Stream %d (%s) begins late, %.1f s after the others: players that go by the first tables do not "
            "find it, and ffmpeg finds it with -analyzeduration 100M -probesize 100M before -i",
            index,
            stream_format.codec,
            after_s,
        )
        self._on_event(EventKind.LATE_STREAM, stream=index, media_s=after_s)

    def _tell_early_ends(self) -> None:
        """Say which streams end well before the others."""
        for index, end in self._ends.items():
            missing_s = (self.end_pts - end) / TICKS_PER_SECOND
            if missing_s > EARLY_END_S:
                log.warning("Stream %d ends before the others, by %.1f s", index, missing_s)
                self._on_event(EventKind.EARLY_END, stream=index, missing_s=missing_s)

    def _note(self, unit: AccessUnit, offset: int) -> None:
        """Count a unit that was laid at byte ``offset``, and tell of what is worth telling."""
        self._laid_s[unit.stream] = self._clock.monotonic()
        if self.first_pts is None or unit.pts < self.first_pts:
            self.first_pts = unit.pts
        self._ends[unit.stream] = unit.pts + unit.duration
        self.end_pts = max(self.end_pts, unit.pts + unit.duration)
        if unit.stream == VIDEO:
            self.video_units += 1
        else:
            self.audio_units += 1
        media_s = (unit.pts - self.first_pts) / TICKS_PER_SECOND
        if unit.discontinuity:
            self._on_event(EventKind.DISCONTINUITY, stream=unit.stream, media_s=media_s)
        if unit.random_access:
            self._on_event(
                EventKind.KEYFRAME, stream=unit.stream, media_s=media_s, offset=offset, bytes=len(unit.data)
            )

    @property
    def since_full_s(self) -> float | None:
        """Seconds since the writer last had no room for a unit, its disk being behind; None where it always had."""
        full_s = self._full_s
        return None if full_s is None else self._clock.monotonic() - full_s

    @property
    def silent_s(self) -> float:
        """How long the stream that has been silent longest has given no unit; 0 before the first."""
        laid = tuple(self._laid_s.values())
        return self._clock.monotonic() - min(laid) if laid else 0.0

    def _hold_left_s(self) -> float:
        now = self._clock.monotonic()
        if self._first_coded_s is None:
            self._first_coded_s = now
        longest_s = LONGEST_BUSY_HOLD_S if self._intake.holds_more else LONGEST_HOLD_S
        return self._first_coded_s + longest_s - now

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
                else:
                    self.abandoned_items += 1
                item = None
        self._intake.release(left)
