"""Small messages between a source in the worker and whoever started the session."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

log = logging.getLogger("recordkit")

Message = dict[str, Any]
MOST_MESSAGES = 1000
"""Kept for somebody who does not listen yet; the oldest are dropped then, and counted."""


class Mailbox:
    """Hands messages on to one listener, in order; keeps them until there is one. ``dropped`` counts."""

    def __init__(self) -> None:
        self.dropped = 0
        self._lock = threading.RLock()
        self._kept: deque[Message] = deque(maxlen=MOST_MESSAGES)
        self._listener: Callable[[Message], None] | None = None

    @property
    def listener(self) -> Callable[[Message], None] | None:
        """Who listens."""
        return self._listener

    def listen(self, listener: Callable[[Message], None] | None) -> None:
        """Call ``listener`` with each message from now on, at once with those that have been kept."""
        with self._lock:
            self._listener = listener
            while self._listener is not None and self._kept:
                self._call(self._listener, self._kept.popleft())

    def deliver(self, message: Message) -> None:
        """A message has come."""
        with self._lock:
            if self._listener is not None:
                self._call(self._listener, message)
                return
            if len(self._kept) == MOST_MESSAGES:
                self.dropped += 1
            self._kept.append(message)

    def _call(self, listener: Callable[[Message], None], message: Message) -> None:
        try:
            listener(message)
        except Exception:
            # What one message does to its listener must not keep the next from coming.
            log.exception("A listener to signals failed")
