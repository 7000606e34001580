"""What in a worker speaks to the session: a source on its channel, and whatever is logged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from ..sources.source import Channel, OpenSource, SignalledSource
from .mailbox import Mailbox
from .protocol import Type, encode, signal_line


class Signals:
    """The worker's end of a source's channel: ``tell`` brings a line to the session."""

    def __init__(self, tell: Callable[[bytes], None], mailbox: Mailbox) -> None:
        self._tell = tell
        self._mailbox = mailbox

    def send(self, message: dict[str, Any]) -> None:
        """As Channel says."""
        self._tell(signal_line(message))

    def listen(self, listener: Callable[[dict[str, Any]], None]) -> None:
        """As Channel says."""
        self._mailbox.listen(listener)


@dataclass(frozen=True)
class OnChannel:
    """A source that needs a channel, as a source like any other."""

    source: SignalledSource
    channel: Channel

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return self.source.name

    def open(self) -> AbstractContextManager[OpenSource]:
        """Begin to give media."""
        return self.source.open_on(self.channel)


class Teller(logging.Handler):
    """Brings what is logged to the session, whose process has its own idea of where logs go."""

    def __init__(self, tell: Callable[..., None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one; it is dropped first where nobody listens."""
        self._tell(
            encode(Type.LOG, name=record.name, level=record.levelno, words=self.format(record)), sheddable=True
        )
