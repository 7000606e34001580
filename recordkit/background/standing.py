"""How a background recording stands: its path, its state and its newest figures."""

from __future__ import annotations

import threading
from pathlib import Path

from ..errors import RecordkitError
from ..model import FlushRecord
from ..plots.cards import Tone, card
from ..recorder.result import Recording
from ..telemetry.frames import Log, Logged
from ..telemetry.words import count_text, size_text, time_text
from .account import Account, SessionState
from .figures import Figures

_TONES = {
    SessionState.STARTING: Tone.PLAIN,
    SessionState.STOPPING: Tone.PLAIN,
    SessionState.DEGRADED: Tone.WARN,
    SessionState.FAILED: Tone.BAD,
}


class Standing(Logged):
    """What a session says of itself, as far as its worker has told it."""

    _path: Path
    _account: Account
    _ended: threading.Event

    @property
    def path(self) -> Path:
        """Where the finished recording will be."""
        return self._path

    @property
    def state(self) -> SessionState:
        """Where it stands."""
        return self._account.state

    @property
    def error(self) -> RecordkitError | None:
        """Why it failed, or None."""
        return self._account.error

    @property
    def has_ended(self) -> bool:
        """Whether it has, and its process is gone."""
        return self._ended.is_set()

    @property
    def recording(self) -> Recording | None:
        """What was recorded, once it has stopped."""
        return self._account.recording

    @property
    def figures(self) -> Figures:
        """The newest figures; ``elapsed_s`` goes on by itself while it records."""
        return self._account.figures

    @property
    def worker_pid(self) -> int | None:
        """The number of the process that records, None before it does."""
        return self._account.process

    @property
    def flush_records(self) -> tuple[FlushRecord, ...]:
        """The newest flush records, oldest first."""
        return self._account.flush_records

    @property
    def log(self) -> Log:
        """All that has been told so far."""
        return self._account.log

    def __repr__(self) -> str:
        figures = self.figures
        words = [str(self._path), str(self.state), time_text(figures.elapsed_s), size_text(figures.file_bytes)]
        return f"<Session {', '.join(words)}{f', {self.error}' if self.error is not None else ''}>"

    def _repr_html_(self) -> str:
        figures, state = self.figures, self.state
        rows = [
            ("path", str(self._path)),
            ("elapsed", time_text(figures.elapsed_s)),
            ("file", f"{size_text(figures.file_bytes)}, {count_text(figures.flush_count, 'flush', 'flushes')}"),
            ("dropped", count_text(figures.dropped_units, "unit")),
            ("memory of the worker", "unknown" if figures.rss_bytes is None else size_text(figures.rss_bytes)),
            ("error", "" if self.error is None else str(self.error)),
        ]
        return card(self._path.name, str(state), _TONES.get(state, Tone.GOOD), rows)
