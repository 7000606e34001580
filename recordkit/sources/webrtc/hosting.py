"""An event loop in a thread of its own, for sources that are recorded from ordinary blocking code."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from ...errors import RecordkitError, SourceError
from ...intake import Intake
from ...model import EncodedUnit, EventKind, Field, Received
from ...system import Clock
from ...threads import begin
from ..source import SourceItem

log = logging.getLogger("recordkit")

QUEUE_BYTES = 32 * 1024 * 1024
_ITEM_BYTES = 512
"""What a unit holds besides its coded bytes, rounded up."""
_MOST_NOTES = 100
_LONGEST_CLOSE_S = 10.0
_LONGEST_HAND_ON_S = 1.0
"""An event loop that does not come to hand on what it holds within this time is not waited for."""
_VIDEO = -1


class Outlet:
    """Where a hosted source puts what it receives for the thread that records; bounded in bytes.

    Once more than ``bound`` bytes wait, units of a stream are dropped until half of that is left and
    a unit comes that a decoder can start from. ``dropped`` counts them. It is the Sink of a Listener
    on the one side, and on the other the Live part of an OpenSource.
    """

    def __init__(self, name: str, bound: int, clock: Clock) -> None:
        self.received_by: Callable[[], Received] = Received
        """Who receives puts here what tells of it."""
        self.hands_on: Callable[[], None] = lambda: None
        """Who receives puts here what hands on all that it still holds; called in its event loop."""
        self._name = name
        self._clock = clock
        self._intake: Intake[SourceItem] = Intake(bound, "drop", clock)
        self._settled = threading.Event()
        self._opened = self._ended = False
        self._interrupted_s: float | None = None
        self._in_loop: Callable[[Callable[[], None]], bool] = lambda call: False
        self._error: RecordkitError | None = None
        self._wanted: set[tuple[bool, int]] = set()
        self._notes: deque[tuple[EventKind, dict[str, Field]]] = deque(maxlen=_MOST_NOTES)
        self._note: Callable[..., None] | None = None
        self._telling = threading.Lock()

    # For the source, in its event loop; nothing here waits.

    def ready(self) -> None:
        """Say that the source is open: whoever waits for that goes on."""
        self._opened = True
        self._settled.set()

    def put(self, unit: EncodedUnit, stream: int = 0) -> bool:
        """Hand on a unit; ``stream`` numbers the audio stream.

        Gives False where the sender is to be asked for one that a decoder can start from: this one
        was dropped, or the recorder could not decode one before it.
        """
        key = (unit.is_video, stream)
        taken = self._put(SourceItem(unit, stream), key, len(unit.data), entry=unit.is_entry)
        if unit.is_entry:
            self._wanted.discard(key)
        return taken and key not in self._wanted

    def put_frame(self, frame: VideoFrame | AudioFrame, ticks: int, stream: int = 0) -> bool:
        """Hand on a frame for the time ``ticks``; False where it was dropped."""
        size = sum(plane.buffer_size for plane in frame.planes)
        key = (isinstance(frame, VideoFrame), stream)
        return self._put(SourceItem(frame, stream, ticks=ticks), key, size, entry=True)

    def note(self, kind: EventKind, **fields: Field) -> None:
        """Hand on an event, now or once there is a recorder to be told."""
        with self._telling:
            if self._note is None:
                self._notes.append((kind, fields))
                return
        self._note(kind, **fields)

    # For the recording, in any thread.

    @property
    def dropped(self) -> int:
        """How many units found no room."""
        return self._intake.dropped

    @property
    def waiting_bytes(self) -> int:
        """What waits to be recorded."""
        return self._intake.bytes

    @property
    def received(self) -> Received:
        """What has come over the network so far."""
        return self.received_by()

    def wait_until_open(self) -> None:
        """Wait for ``ready``; raises SourceError where the source ends before."""
        self._settled.wait()
        if not self._opened:
            raise self._error or SourceError(self._name, "ended before it was open")

    def request_entry(self, *, is_video: bool, stream: int) -> None:
        """Let ``put`` give False for that stream until an entry comes."""
        self._wanted.add((is_video, stream))

    def tell(self, note: Callable[..., None]) -> None:
        """Call ``note`` for each event from now on, first for those that there have been."""
        with self._telling:
            while self._notes:
                kind, fields = self._notes.popleft()
                note(kind, **fields)
            self._note = note

    def interrupt(self) -> None:
        """Let ``items`` end with what has been received by now, all of it; more is not taken."""
        with self._intake.changed:
            if self._interrupted_s is not None:
                return
            self._interrupted_s = self._clock.monotonic()
            self._intake.changed.notify_all()
        if not self._in_loop(self._hand_on):
            self._seal()

    def run_in(self, in_loop: Callable[[Callable[[], None]], bool]) -> None:
        """Take what calls something in the event loop of who receives, and returns False if that has ended."""
        self._in_loop = in_loop

    def end(self, error: RecordkitError | None) -> None:
        """Take nothing more; ``items`` ends, with ``error``, once what waits has been taken out."""
        self._error = error
        self._seal()
        self._settled.set()

    def items(self) -> Iterator[SourceItem]:
        """What was put, in order; raises the source's error at its end."""
        while True:
            with self._intake.changed:
                while (queued := self._intake.take()) is None and not self._ended:
                    if self._interrupted_s is None:
                        self._clock.wait(self._intake.changed, None)
                        continue
                    left_s = self._interrupted_s + _LONGEST_HAND_ON_S - self._clock.monotonic()
                    if left_s <= 0:
                        log.warning(
                            "%s: what it held when it was stopped did not come within %g s",
                            self._name,
                            _LONGEST_HAND_ON_S,
                        )
                        return
                    self._clock.wait(self._intake.changed, left_s)
            if queued is None:
                break
            self._intake.release(queued.size)
            item = queued.payload
            if queued.dropped and isinstance(item.media, EncodedUnit):
                item = item._replace(media=replace(item.media, discontinuity=True))
            yield item
        if self._error is not None and self._interrupted_s is None:
            raise self._error

    def _hand_on(self) -> None:
        try:
            self.hands_on()
        finally:
            self._seal()

    def _seal(self) -> None:
        self._intake.close()
        with self._intake.changed:
            self._ended = True
            self._intake.changed.notify_all()

    def _put(self, item: SourceItem, key: tuple[bool, int], size: int, *, entry: bool) -> bool:
        is_video, stream = key
        taken = self._intake.put(item, _VIDEO if is_video else stream, None, size + _ITEM_BYTES, entry=entry)
        if not taken and self._intake.dropped == 1:
            log.warning("%s: media comes faster than it is recorded; some is dropped", self._name)
        return taken


@contextmanager
def hosted(
    name: str,
    run: Callable[[Outlet], Awaitable[None]],
    *,
    queue_bytes: int = QUEUE_BYTES,
    clock: Clock | None = None,
) -> Iterator[Outlet]:
    """Run ``run(outlet)`` in an event loop in the thread ``recordkit-webrtc``, until it or the context ends.

    The context begins once ``run`` has called ``outlet.ready``. At its end ``run`` is cancelled and waited for.

    Raises AdmissionError if there is no thread for it, SourceError where ``run`` fails
    before; where it fails later ``outlet.items`` raises it.
    """
    outlet = Outlet(name, queue_bytes, clock or Clock())
    thread = _HostThread(name, run, outlet)
    outlet.run_in(thread.call)
    begin(thread, name)
    try:
        outlet.wait_until_open()
        yield outlet
    finally:
        outlet.interrupt()
        thread.finish()


class _HostThread(threading.Thread):
    def __init__(self, name: str, run: Callable[[Outlet], Awaitable[None]], outlet: Outlet) -> None:
        super().__init__(name="recordkit-webrtc", daemon=True)
        self._source = name
        self._run_source = run
        self._outlet = outlet
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False

    def run(self) -> None:
        fault: RecordkitError | None = SourceError(
            self._source, "the source ended by a fault of its own; see the log"
        )
        try:
            asyncio.run(self._main())
            fault = None
        except asyncio.CancelledError:
            fault = None
        except RecordkitError as error:
            fault = error
        except OSError as error:
            fault = SourceError(self._source, f"the connection failed: {error}")
        finally:
            # Any other error goes on to the thread's hook; the recording ends all the same.
            self._outlet.end(fault)

    async def _main(self) -> None:
        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            if self._cancelled:
                return
        await self._run_source(self._outlet)

    def call(self, what: Callable[[], object]) -> bool:
        """Let the loop call ``what`` soon; False if there is no loop, or none any more."""
        with self._lock:
            loop = self._loop
        if loop is None or not self.is_alive():
            return False
        try:
            loop.call_soon_threadsafe(what)
        except RuntimeError:
            # The loop has come to its end in this very moment.
            log.debug("%s: had ended by itself", self._source)
            return False
        return True

    def finish(self) -> None:
        with self._lock:
            self._cancelled = True
            task = self._task
        if task is not None:
            self.call(task.cancel)
        self.join(_LONGEST_CLOSE_S)
        if self.is_alive():
            log.error("%s: does not come to an end within %g s; it is left alone", self._source, _LONGEST_CLOSE_S)
