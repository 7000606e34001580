"""recordkit: records live audio and video straight to disk.

Memory stays flat, the file grows every couple of seconds, and a crash costs nothing that was
already encoded. The names below are loaded when they are first used, so that ``import recordkit``
costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .version import __version__ as __version__

if TYPE_CHECKING:
    from .background.account import SessionState
    from .background.session import Session
    from .background.sessions import attach, sessions, start, stop_all
    from .endpoint.serve import serve
    from .endpoint.whip import Whip
    from .errors import (
        AdmissionError,
        DiskSpaceError,
        LogError,
        MediaError,
        OutputAccessError,
        OutputBusyError,
        OutputError,
        OutputExistsError,
        OutputNameError,
        PartialExistsError,
        RecordkitError,
        RecoveryError,
        SettingsError,
        SourceError,
        StateError,
        StillRecordingError,
        TapError,
        WorkerError,
        WriteError,
    )
    from .model import Event, EventKind, FlushReason, FlushRecord, Received, Sample, StreamFormat
    from .panel.camera import Camera
    from .panel.panel import RecordingPanel
    from .plots.charts import plot_file_growth, plot_flushes, plot_memory, plot_overview
    from .recorder.media_recorder import MediaRecorder
    from .recorder.record import record
    from .recorder.recorder import Recorder
    from .recorder.result import Counters, Recording
    from .recorder.shared import Shared
    from .recorder.state import State
    from .recovery.listing import partials
    from .recovery.outcome import Cut, Outcome, Partial, Recovery
    from .recovery.recover import recover
    from .settings import AudioSettings, VideoSettings
    from .sources.media_file import MediaFile
    from .sources.synthetic import Synthetic
    from .sources.webrtc.clock import Sync
    from .sources.webrtc.loopback import Loopback
    from .telemetry.alerts import Alert, AlertSettings, Limit
    from .telemetry.compare import compare
    from .telemetry.frames import Log, read_flush_log, read_flush_logs
    from .verification.verify import Verification, verify


__all__ = [
    "AdmissionError",
    "Alert",
    "AlertSettings",
    "AudioSettings",
    "Camera",
    "Counters",
    "Cut",
    "DiskSpaceError",
    "Event",
    "EventKind",
    "FlushReason",
    "FlushRecord",
    "Limit",
    "Log",
    "LogError",
    "Loopback",
    "MediaError",
    "MediaFile",
    "MediaRecorder",
    "Outcome",
    "OutputAccessError",
    "OutputBusyError",
    "OutputError",
    "OutputExistsError",
    "OutputNameError",
    "Partial",
    "PartialExistsError",
    "Received",
    "Recorder",
    "Recording",
    "RecordingPanel",
    "RecordkitError",
    "Recovery",
    "RecoveryError",
    "Sample",
    "Session",
    "SessionState",
    "SettingsError",
    "Shared",
    "SourceError",
    "State",
    "StateError",
    "StillRecordingError",
    "StreamFormat",
    "Sync",
    "Synthetic",
    "TapError",
    "Verification",
    "VideoSettings",
    "Whip",
    "WorkerError",
    "WriteError",
    "attach",
    "compare",
    "partials",
    "plot_file_growth",
    "plot_flushes",
    "plot_memory",
    "plot_overview",
    "read_flush_log",
    "read_flush_logs",
    "record",
    "recover",
    "serve",
    "sessions",
    "start",
    "stop_all",
    "verify",
]

_HOMES = {
    "serve": ".endpoint.serve",
    "Whip": ".endpoint.whip",
    "record": ".recorder.record",
    "Camera": ".panel.camera",
    "RecordingPanel": ".panel.panel",
    "plot_file_growth": ".plots.charts",
    "plot_flushes": ".plots.charts",
    "plot_memory": ".plots.charts",
    "plot_overview": ".plots.charts",
    "MediaRecorder": ".recorder.media_recorder",
    "Received": ".model",
    "Sync": ".sources.webrtc.clock",
    "Recorder": ".recorder.recorder",
    "State": ".recorder.state",
    "Counters": ".recorder.result",
    "Recording": ".recorder.result",
    "partials": ".recovery.listing",
    "Cut": ".recovery.outcome",
    "Outcome": ".recovery.outcome",
    "Partial": ".recovery.outcome",
    "Recovery": ".recovery.outcome",
    "recover": ".recovery.recover",
    "Shared": ".recorder.shared",
    "Session": ".background.session",
    "SessionState": ".background.account",
    "attach": ".background.sessions",
    "sessions": ".background.sessions",
    "start": ".background.sessions",
    "stop_all": ".background.sessions",
    "AudioSettings": ".settings",
    "VideoSettings": ".settings",
    "MediaFile": ".sources.media_file",
    "Synthetic": ".sources.synthetic",
    "Loopback": ".sources.webrtc.loopback",
    "Verification": ".verification.verify",
    "verify": ".verification.verify",
    "Alert": ".telemetry.alerts",
    "AlertSettings": ".telemetry.alerts",
    "Limit": ".telemetry.alerts",
    "compare": ".telemetry.compare",
    "Log": ".telemetry.frames",
    "read_flush_log": ".telemetry.frames",
    "read_flush_logs": ".telemetry.frames",
    "Event": ".model",
    "EventKind": ".model",
    "Sample": ".model",
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
