"""What a caller gives where a source is wanted."""

from __future__ import annotations

import os
from typing import TypeAlias, cast

from ..errors import SettingsError
from ..values import PathLike
from .media_file import MediaFile
from .source import SignalledSource, Source

SourceLike: TypeAlias = Source | PathLike
"""A source, or the path or URL of a file that PyAV can open."""

WHAT = (
    "give a path or URL, rk.MediaFile(...), rk.Synthetic(), rk.Loopback(), rk.Whip(), rk.Whep(url), or any "
    "object with a name and an open() as theirs"
)


def source_of(name: str, given: object) -> Source:
    """The source that ``given`` is, or MediaFile for a path or URL. Raises SettingsError with ``name``."""
    if isinstance(given, str | os.PathLike):
        return MediaFile(given)
    if isinstance(given, type):
        raise SettingsError(name, given, f"that is a class: call it, as in rk.{given.__name__}(); or {WHAT}")
    if isinstance(given, SignalledSource) or hasattr(given, "in_worker"):
        raise SettingsError(
            name, given, "it is recorded in a process of its own: use rk.start() or rk.RecordingPanel()"
        )
    if not callable(getattr(given, "open", None)) or not isinstance(getattr(given, "name", None), str):
        raise SettingsError(name, given, WHAT)
    return cast("Source", given)
