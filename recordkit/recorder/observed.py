"""What can be seen of a recorder, at any moment and from any thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import RecordkitError
from ..model import FlushRecord, Received
from ..telemetry.frames import Log, Logged
from .machinery import Machinery
from .result import Counters
from .state import State


class Observed(Logged):
    """The figures of one recording; each is as its part has it at this moment."""

    def __init__(self, parts: Machinery) -> None:
        self._parts = parts

    @property
    def final_output_path(self) -> Path:
        """Where the finished recording will be."""
        return self._parts.writer.final_output_path

    @property
    def temp_output_path(self) -> Path:
        """Where the recording grows until it is committed."""
        return self._parts.writer.temp_output_path

    @property
    def flush_threshold(self) -> int:
        """Bytes in the buffer that make a flush."""
        return self._parts.writer.flush_threshold

    @property
    def flush_interval(self) -> float:
        """Seconds after which a flush comes without the threshold."""
        return self._parts.writer.flush_interval

    @property
    def bytes_since_last_flush(self) -> int:
        """Bytes in the buffer that no flush has taken yet."""
        return self._parts.writer.bytes_since_last_flush

    @property
    def file_bytes(self) -> int:
        """Bytes that flushes have written so far."""
        return self._parts.writer.file_bytes

    @property
    def bytes_at_risk(self) -> int:
        """Bytes packetised that a power cut at this moment would cost; all of them with durability="process"."""
        return self._parts.writer.bytes_at_risk

    @property
    def queue_bytes(self) -> int:
        """Bytes that wait to be encoded or written."""
        return self._parts.intake.bytes

    @property
    def state(self) -> State:
        """Where the recorder stands."""
        return self._parts.states.state

    @property
    def degraded_because(self) -> str | None:
        """What does not work while the rest is recorded, or None."""
        return self._parts.states.degraded_because

    @property
    def ended_because(self) -> str | None:
        """Why the recording ended by itself without having failed, or None."""
        return self._parts.writer.ended_because

    @property
    def error(self) -> RecordkitError | None:
        """Why the recording failed, or None."""
        return self._parts.error

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start, by the clock."""
        return self._parts.instruments.elapsed_s

    @property
    def duration_s(self) -> float:
        """Seconds of media packetised so far, from the first unit's beginning to the last one's end."""
        return self._parts.duration_s

    @property
    def counters(self) -> Counters:
        """What has happened to the media so far."""
        return self._parts.counters

    @property
    def received(self) -> Callable[[], Received | None]:
        """Tells of what came over a network: put here by who feeds the recorder from one, for the counters."""
        return self._parts.received

    @received.setter
    def received(self, tells: Callable[[], Received | None]) -> None:
        self._parts.received = tells

    @property
    def flush_records(self) -> tuple[FlushRecord, ...]:
        """The newest flush records, oldest first."""
        return self._parts.instruments.flush_records

    @property
    def log(self) -> Log:
        """All that is known of the recording so far."""
        return self._parts.instruments.log
