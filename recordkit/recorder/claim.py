"""What one recording takes of the machine, beside those that run in its process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..budget import Share
from ..intake import Intake
from ..settings import RecordingSettings
from .admission import Load, Needs, memory_bytes
from .shared import Shared


class Claim:
    """Tells the others of a process what a recording needs, and how it bears up while it runs.

    ``share`` is its part of what may wait in all of them, ``path`` returns where its file is to be, and
    ``since_full_s`` how long ago its disk was behind, in seconds, or None.
    """

    def __init__(
        self,
        settings: RecordingSettings,
        shared: Shared,
        share: Share,
        intake: Intake[Any],
        path: Callable[[], Path],
        since_full_s: Callable[[], float | None],
        tail_bytes: int,
    ) -> None:
        self._shared = shared
        self._share = share
        self._intake = intake
        self._path = path
        self._since_full_s = since_full_s
        queue_bytes = min(settings.queue_bytes, shared.budget.limit)
        self._needs = Needs(
            path().name,
            memory_bytes=memory_bytes(tail_bytes, queue_bytes, settings.video),
            encodes=settings.video is not None,
        )

    def admit(self) -> None:
        """Raises AdmissionError where the machine cannot carry this recording beside those that run."""
        self._shared.admit(replace(self._needs, device=self._device))

    def join(self) -> None:
        """The recording runs."""
        self._needs = replace(self._needs, device=self._device)
        self._share.join()
        self._shared.join(self._load)

    def leave(self) -> None:
        """It is over."""
        self._shared.leave(self._load)
        self._share.leave()

    @property
    def _device(self) -> int | None:
        """The number of the disk that the recording goes to: that of the nearest folder that exists."""
        for folder in self._path().absolute().parents:
            try:
                return folder.stat().st_dev
            except OSError:
                continue
        return None

    def _load(self) -> Load:
        return Load(
            self._needs.name,
            since_drop_s=self._intake.since_drop_s,
            since_full_s=self._since_full_s(),
            device=self._needs.device,
        )
