"""What follows a flush or a commit beside the recording: its folder is kept small, ``on_commit`` is called."""

from __future__ import annotations

from pathlib import Path

from ..settings import RecordingSettings
from ..telemetry.alerts import OwnRule
from .hooks import Hooks
from .keeper import Keeper
from .result import Recording
from .shared import Shared
from .telling import Tell


class Aftermath:
    """The ``keep`` and the ``on_commit`` of one recording, as far as it has them. Nothing here is waited for.

    ``rules`` are for its alerts.
    """

    def __init__(self, path: Path, settings: RecordingSettings, shared: Shared, tell: Tell) -> None:
        self._keeper: Keeper | None = None
        self._hooks: Hooks | None = None
        if settings.keep is not None:
            passes = shared.passes(path.parent, settings.keep, settings.system)
            self._keeper = Keeper(path.name, settings, passes, tell)
        if settings.on_commit is not None:
            self._hooks = Hooks(path.name, settings.on_commit, settings.on_commit_timeout, tell)

    @property
    def rules(self) -> tuple[OwnRule, ...]:
        """Rules for alerts of its own."""
        return () if self._keeper is None else (self._keeper.nothing_to_delete,)

    def start(self) -> None:
        """Begin. Raises AdmissionError if there is no thread."""
        if self._keeper is not None:
            self._keeper.start()

    def look(self) -> None:
        """Something was flushed or committed, so that a bound may be passed."""
        if self._keeper is not None:
            self._keeper.wake()

    def committed(self, recording: Recording) -> None:
        """Hand on a recording, or one of its files."""
        if self._hooks is not None:
            self._hooks.committed(recording)

    def end(self) -> None:
        """All is closed, and handed on."""
        if self._keeper is not None:
            self._keeper.end()
        if self._hooks is not None:
            self._hooks.end()

    def join(self) -> None:
        """Wait for the last look at the folder, though not for ever."""
        if self._keeper is not None:
            self._keeper.join()

    def wait_for_hooks(self) -> bool:
        """Wait until ``on_commit`` is done, as long as it may take; whether it is."""
        return self._hooks is None or self._hooks.join()
