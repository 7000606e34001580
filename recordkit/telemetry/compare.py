"""Several recordings beside each other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SettingsError
from .frames import Log, Logged, read_flush_log
from .summary import framed

if TYPE_CHECKING:
    import pandas as pd

Described = Log | Logged | str | os.PathLike[str]


def log_of(recording: Described) -> Log:
    """The log of a recording, of a recorder, or of the path of a recording or log.

    Raises LogError if there is no log at the path, SettingsError for anything else.
    """
    if isinstance(recording, Log):
        return recording
    if isinstance(recording, Logged):
        return recording.log
    if isinstance(recording, str | os.PathLike):
        return read_flush_log(Path(recording))
    raise SettingsError("recording", recording, "give a Recorder, a Recording, a Log or a path")


def compare(recordings: Sequence[Described]) -> pd.DataFrame:
    """A row of figures for each of ``recordings``, in their order; columns as in ``summary()``.

    Recordings of the same name are told apart by their paths. Raises as ``log_of`` does.
    """
    import pandas as pd

    logs = [log_of(one) for one in recordings]
    if not logs:
        return framed([])
    frames = [log.summary() for log in logs]
    for frame in frames:
        frame.attrs = {}
    together = pd.concat(frames)
    if not together.index.is_unique:
        names = [str(log.header.get("path", name)) for log, name in zip(logs, together.index, strict=True)]
        together.index = pd.Index(names, name=together.index.name)
    together.attrs["schema_version"] = logs[0].attrs["schema_version"]
    return together
