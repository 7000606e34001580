"""The logs of a recording's files, one after the other: each record goes into that of the file it belongs to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from math import inf

from ..model import Event, EventKind
from .logfile import LogFile
from .schema import Record


class Logs:
    """Passes records on to the log in hand, ``file``, which is None if there is none. From any thread.

    ``zero_s`` is how much of the recording's media lies before the file that is being written: a log tells the
    places of its own file. ``laid_s`` returns how much media has been laid by now: a mark may be ahead of
    that, and waits until it is known which file its place is in.
    """

    def __init__(self) -> None:
        self.file: LogFile | None = None
        self.zero_s = 0.0
        self.laid_s: Callable[[], float] = lambda: inf
        self._ahead: list[Event] = []
        self._lock = threading.RLock()

    def add(self, record: Record) -> None:
        """Keep ``record`` for the next ``write``."""
        with self._lock:
            if self.file is None:
                return
            if isinstance(record, Event) and record.kind is EventKind.MARK and _place(record) > self.laid_s():
                self._ahead.append(record)
            else:
                self._put(self.file, record)

    def go_on_in(self, file: LogFile | None, zero_s: float, known: Iterable[Event] = ()) -> None:
        """Write to ``file``, behind what is ``known``, of which the media begins ``zero_s`` into the recording."""
        with self._lock:
            self.settle(zero_s)
            self.file, self.zero_s = file, zero_s
            for event in known:
                self.add(event)
            self.settle(self.laid_s())

    def settle(self, end_s: float = inf) -> None:
        """The marks before ``end_s`` are in the file in hand."""
        with self._lock:
            ready = [event for event in self._ahead if _place(event) < end_s]
            self._ahead = [event for event in self._ahead if _place(event) >= end_s]
            for event in ready:
                if self.file is not None:
                    self._put(self.file, event)

    def write(self) -> None:
        """Write what is kept."""
        self.settle(self.laid_s())
        if self.file is not None:
            self.file.write()

    def close(self) -> None:
        """Write what is kept and close the log in hand. May be called again."""
        self.settle()
        if self.file is not None:
            self.file.close()

    def _put(self, file: LogFile, record: Record) -> None:
        if self.zero_s and isinstance(record, Event) and "media_s" in record.fields:
            place_s = max(0.0, _place(record) - self.zero_s)
            record = replace(record, fields={**record.fields, "media_s": place_s})
        file.add(record)


def _place(event: Event) -> float:
    """Where in the recording it happened, in seconds; 0 if it does not say."""
    found = event.fields.get("media_s")
    return float(found) if isinstance(found, int | float) else 0.0
