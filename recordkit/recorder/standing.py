"""How a recorder stands: its paths, its state and its figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import RecordkitError
from ..model import FlushRecord, Received
from ..settings import RecordingSettings
from ..telemetry.frames import Log, Logged
from ..telemetry.words import size_text, time_text
from .result import Counters
from .running import RunningRecording
from .state import State


class Standing(Logged):
    """What a recorder says of itself; each figure is as its part has it at this moment."""

    _settings: RecordingSettings
    _parts: RunningRecording

    @property
    def final_output_path(self) -> Path:
        """Where the finished recording will be; of several files the one that is being written."""
        return self._parts.final_output_path

    @property
    def temp_output_path(self) -> Path:
        """Where the recording grows until it is committed."""
        return self._parts.writer.temp_output_path

    @property
    def flush_threshold(self) -> int:
        """Bytes in the buffer that make a flush."""
        return self._settings.flush_threshold

    @property
    def flush_interval(self) -> float:
        """Seconds after which a flush comes without the threshold."""
        return self._settings.flush_interval

    @property
    def bytes_since_last_flush(self) -> int:
        """Bytes in the buffer that no flush has taken yet."""
        return self._parts.writer.bytes_since_last_flush

    @property
    def file_bytes(self) -> int:
        """Bytes that flushes have written so far."""
        return self._parts.files.bytes

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
        """Why the recording ended by itself without having failed, or why nothing was recorded; else None."""
        return self._parts.ended_because

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
        return self._parts.ledger.duration_s

    @property
    def counters(self) -> Counters:
        """What has happened to the media so far."""
        return self._parts.ledger.counters

    @property
    def received(self) -> Callable[[], Received | None]:
        """Tells of what came over a network: put here by who feeds the recorder from one, for the counters."""
        return self._parts.ledger.received

    @received.setter
    def received(self, tells: Callable[[], Received | None]) -> None:
        self._parts.ledger.received = tells

    @property
    def flush_records(self) -> tuple[FlushRecord, ...]:
        """The newest flush records, oldest first."""
        return self._parts.instruments.flush_records

    @property
    def log(self) -> Log:
        """All that is known of the recording so far."""
        return self._parts.instruments.log

    def __repr__(self) -> str:
        words = [
            str(self.final_output_path),
            str(self.state),
            time_text(self.duration_s),
            size_text(self.file_bytes),
        ]
        if dropped := self._parts.intake.dropped:
            words.append(f"{dropped:,} dropped")
        if (because := self.error or self.ended_because or self.degraded_because) is not None:
            words.append(str(because))
        return f"<{type(self).__name__} {', '.join(words)}>"
