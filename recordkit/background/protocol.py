"""The messages between a session and its worker: one JSON object a line, told apart by ``"type"``.

Session to worker: START once, then STOP, MARK, CUT, KEEP and SIGNAL as they come. Worker to session: STARTED, or
ENDED at once where nothing could be started; then records (lines as in the log of flushes), PROGRESS, LOG and
SIGNAL, KEPT for each KEEP (once it is asked for, and once it is over), and ENDED last. What is not understood is
passed over, so that either side may learn new words.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, Literal

from ..errors import SettingsError
from ..telemetry.logfile import LONGEST_LINE_BYTES

PROTOCOL = 1
"""Goes up where a side of yesterday would misunderstand one of today."""
OnParentExit = Literal["finish", "continue", "wait"]


class Type(StrEnum):
    """What a message is about; records have their own types."""

    START = "start"
    STOP = "stop"
    MARK = "mark"
    CUT = "cut"
    KEEP = "keep"
    KEPT = "kept"
    PAUSE = "pause"
    RESUME = "resume"
    SIGNAL = "signal"
    STARTED = "started"
    PROGRESS = "progress"
    LOG = "log"
    ENDED = "ended"


def encode(kind: StrEnum, **fields: object) -> bytes:
    """A message as a line. Raises TypeError or ValueError for what JSON has no form for."""
    text = json.dumps({"type": kind, **fields}, separators=(",", ":"))
    return text.encode("ascii") + b"\n"


def signal_line(message: dict[str, Any]) -> bytes:
    """The line for a signal. Raises SettingsError where JSON has no form for it."""
    try:
        return encode(Type.SIGNAL, message=dict(message))
    except (TypeError, ValueError) as error:
        raise SettingsError(
            "message", message, "give a dict of what JSON has: text, numbers, lists, dicts"
        ) from error


def decode(line: bytes) -> dict[str, Any] | None:
    """A line as a message, or None where it is none."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not isinstance(document.get("type"), str):
        return None
    return document


class Lines:
    """Bytes as they come into whole lines; one that is too long is left out and counted in ``overlong``."""

    def __init__(self) -> None:
        self.overlong = 0
        self._rest = b""
        self._skips = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` completes."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        if whole and self._skips:
            del whole[0]
            self._skips = False
        if len(self._rest) > LONGEST_LINE_BYTES:
            self._rest = b""
            self.overlong += not self._skips
            self._skips = True
        return whole
