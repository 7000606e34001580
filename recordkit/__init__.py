"""recordkit: records live audio and video straight to disk.

Memory stays flat, the file grows every couple of seconds, and a crash costs nothing that was
already encoded. The names below are loaded when they are first used, so that ``import recordkit``
costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import (
        DiskSpaceError,
        MediaError,
        OutputAccessError,
        OutputBusyError,
        OutputError,
        OutputExistsError,
        OutputNameError,
        PartialExistsError,
        RecordkitError,
        SettingsError,
        SourceError,
        StateError,
        WriteError,
    )
    from .feed import record
    from .model import FlushReason, FlushRecord, StreamFormat
    from .recorder import Recorder, State
    from .recording import Counters, Recording
    from .settings import AudioSettings, VideoSettings
    from .sources.media_file import MediaFile
    from .sources.synthetic import Synthetic
    from .verification.verify import Verification, verify

__version__ = "0.1.0"

__all__ = [
    "AudioSettings",
    "Counters",
    "DiskSpaceError",
    "FlushReason",
    "FlushRecord",
    "MediaError",
    "MediaFile",
    "OutputAccessError",
    "OutputBusyError",
    "OutputError",
    "OutputExistsError",
    "OutputNameError",
    "PartialExistsError",
    "Recorder",
    "Recording",
    "RecordkitError",
    "SettingsError",
    "SourceError",
    "State",
    "StateError",
    "StreamFormat",
    "Synthetic",
    "Verification",
    "VideoSettings",
    "WriteError",
    "record",
    "verify",
]

_HOMES = {
    "record": ".feed",
    "Recorder": ".recorder",
    "State": ".recorder",
    "Counters": ".recording",
    "Recording": ".recording",
    "AudioSettings": ".settings",
    "VideoSettings": ".settings",
    "MediaFile": ".sources.media_file",
    "Synthetic": ".sources.synthetic",
    "Verification": ".verification.verify",
    "verify": ".verification.verify",
    "FlushReason": ".model",
    "FlushRecord": ".model",
    "StreamFormat": ".model",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES.get(name, ".errors"), __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
