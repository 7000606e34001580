"""What a session asks a worker's ring to keep, and the worker's answers, matched by a number."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RecordkitError
from ..recorder.asked import Kept, span_asked
from ..recorder.result import Recording
from ..telemetry.frames import Log
from ..values import NumberLike
from .description import describe, restore
from .faults import describe_error, restore_error
from .protocol import Type, encode

if TYPE_CHECKING:
    from ..recorder.recorder import Recorder

_FIGURES = ("begins_s", "ends_s", "lacks_s")


class Asking:
    """The session's side. May be used from any thread; ``log`` is what is known of the recording."""

    def __init__(self, log: Callable[[], Log]) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._numbers = count()
        self._waiting: dict[int, Kept] = {}

    def ask(self, before: NumberLike | None, after: NumberLike) -> tuple[Kept, bytes]:
        """What will be kept, and the line that asks for it. Raises SettingsError."""
        before_s, after_s = span_asked(before, after)
        kept, number = Kept(), next(self._numbers)
        with self._lock:
            self._waiting[number] = kept
        return kept, encode(Type.KEEP, number=number, before=before_s, after=after_s)

    def hear(self, message: dict[str, Any]) -> None:
        """The worker's answer."""
        with self._lock:
            kept = self._waiting.get(message.get("number", -1))
            is_over = "recording" in message or "error" in message
            if is_over:
                self._waiting.pop(message.get("number", -1), None)
        if kept is None:
            return
        if isinstance(message.get("path"), str):
            kept.path = Path(message["path"])
        for name in _FIGURES:
            if isinstance(message.get(name), int | float):
                setattr(kept, name, float(message[name]))
        if "recording" in message:
            recording = restore("recording", message["recording"], flush_log=self._log())
            kept.settle(recording if isinstance(recording, Recording) else None, None)
        elif "error" in message:
            kept.settle(None, restore_error(message["error"]))

    def end(self, error: RecordkitError | None) -> None:
        """No answer comes any more."""
        with self._lock:
            left, self._waiting = self._waiting, {}
        for kept in left.values():
            kept.settle(None, error)


def answer(recorder: Recorder, message: dict[str, Any], put: Callable[[bytes], object]) -> None:
    """The worker's side: keep what a message asks for, and ``put`` answers at once and when it is over."""
    number = message.get("number")
    try:
        kept = recorder.keep(message.get("before"), message.get("after", 0))
    except RecordkitError as error:
        put(encode(Type.KEPT, number=number, error=describe_error(error)))
        return

    def fields() -> dict[str, object]:
        return {"number": number, "path": str(kept.path), **{name: getattr(kept, name) for name in _FIGURES}}

    def over(kept: Kept) -> None:
        try:
            outcome: dict[str, object] = {"recording": describe("recording", kept.wait(0))}
        except RecordkitError as error:
            outcome = {"error": describe_error(error)}
        put(encode(Type.KEPT, **fields(), **outcome))

    put(encode(Type.KEPT, **fields()))
    kept.then(over)
