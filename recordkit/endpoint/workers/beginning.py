"""What a worker is told at its beginning."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ...background.description import describe
from ...background.protocol import encode
from ...budget import LEAST_BYTES
from ...errors import SettingsError
from ...recorder.media_recorder import OnGap
from ...recorder.shared import Shared
from ...settings import PortableOptions, RecordingOptions
from ...version import __version__
from ..settings import WhipSettings
from .messages import Word

_LONGEST_END_S = 30.0
_LONGEST_HOOK_S = 600.0
_STEERED = ("_clock", "_system")


def beginning(
    folder: Path, whip: WhipSettings, settings: RecordingOptions, on_gap: OnGap, shared: Shared | None, workers: int
) -> Callable[[int], bytes]:
    """What gives the line to begin with for each worker's number; arguments are those of ``serve``.

    What may wait in all recordings together is divided among them. Raises SettingsError for settings that cannot
    be sent to another process.
    """
    described = {}
    for name, value in settings.items():
        is_portable = name in PortableOptions.__annotations__
        if name in _STEERED or (value is None and not is_portable):
            continue
        if not is_portable or callable(value):
            raise SettingsError(name, value, "a function cannot be sent to workers: leave out one of the two")
        described[name] = describe(name, value)
    queue_bytes = max(LEAST_BYTES, (shared or Shared()).budget.limit // workers)
    # Who may come in is the endpoint's business: no secret goes further than it must.
    bare = replace(whip, token=None, certificate=None, key=None)
    loggers = ("recordkit", "recordkit.endpoint")

    def line(worker: int) -> bytes:
        return encode(
            Word.BEGIN,
            recordkit=__version__,
            worker=worker,
            workers=workers,
            folder=str(folder),
            whip=describe("whip", bare),
            settings=described,
            on_gap=on_gap,
            queue_bytes=queue_bytes,
            log_levels={name: logging.getLogger(name).getEffectiveLevel() for name in loggers},
        )

    return line


def longest_end_s(settings: RecordingOptions) -> float:
    """How long a worker may take to end: a command that follows a commit is waited for."""
    if settings.get("on_commit") is None:
        return _LONGEST_END_S
    return _LONGEST_END_S + float(settings.get("on_commit_timeout", _LONGEST_HOOK_S))
