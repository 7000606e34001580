"""recordkit: records live audio and video straight to disk.

Memory stays flat, the file grows every couple of seconds, and a crash costs nothing that was
already encoded. The names below are loaded when they are first used, so that ``import recordkit``
costs next to nothing.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING

from .printable import PrintableFilter as _PrintableFilter
from .version import __version__ as __version__

if TYPE_CHECKING:
    # isort: off
    from .background.account import SessionState as SessionState
    from .background.session import Session as Session
    from .background.sessions import attach as attach, sessions as sessions, start as start, stop_all as stop_all
    from .endpoint.serve import serve as serve
    from .endpoint.whep import Whep as Whep
    from .endpoint.whip import Whip as Whip
    from .errors import (
        AdmissionError as AdmissionError,
        DiskSpaceError as DiskSpaceError,
        FleetError as FleetError,
        LogError as LogError,
        MediaError as MediaError,
        OutputAccessError as OutputAccessError,
        OutputBusyError as OutputBusyError,
        OutputError as OutputError,
        OutputExistsError as OutputExistsError,
        OutputNameError as OutputNameError,
        PartialExistsError as PartialExistsError,
        RecordkitError as RecordkitError,
        RecoveryError as RecoveryError,
        SettingsError as SettingsError,
        SourceError as SourceError,
        StateError as StateError,
        StillRecordingError as StillRecordingError,
        TapError as TapError,
        WorkerError as WorkerError,
        WriteError as WriteError,
    )
    from .fleet.many import (
        export_all as export_all,
        frames_all as frames_all,
        recover_all as recover_all,
        summary as summary,
        verify_all as verify_all,
    )
    from .fleet.recording import Fleet as Fleet, record_all as record_all
    from .fleet.videos import Videos as Videos, open_all as open_all
    from .keeping.keep import keep as keep
    from .keeping.pins import pin as pin, unpin as unpin
    from .model import (
        Captured as Captured,
        CapturedBy as CapturedBy,
        EncodedUnit as EncodedUnit,
        Event as Event,
        EventKind as EventKind,
        FlushReason as FlushReason,
        FlushRecord as FlushRecord,
        Received as Received,
        Sample as Sample,
        StreamFormat as StreamFormat,
    )
    from .panel.camera import Camera as Camera
    from .panel.panel import RecordingPanel as RecordingPanel
    from .panel.player import Player as Player
    from .plots.charts import (
        plot_file_growth as plot_file_growth,
        plot_flushes as plot_flushes,
        plot_memory as plot_memory,
        plot_overview as plot_overview,
    )
    from .reading.align import align as align
    from .reading.embed import Embedded as Embedded
    from .reading.export import Exported as Exported, export as export
    from .reading.frame import Frame as Frame
    from .reading.opening import open as open  # noqa: A004
    from .reading.video import Frames as Frames, Video as Video
    from .recorder.media_recorder import MediaRecorder as MediaRecorder
    from .recorder.record import record as record
    from .recorder.recorder import Recorder as Recorder
    from .recorder.result import Counters as Counters, Recording as Recording
    from .recorder.shared import Shared as Shared
    from .recorder.state import State as State
    from .recovery.listing import partials as partials
    from .recovery.outcome import Cut as Cut, Outcome as Outcome, Partial as Partial, Recovery as Recovery
    from .recovery.recover import recover as recover
    from .settings import (
        AudioSettings as AudioSettings,
        Keep as Keep,
        Ring as Ring,
        Segments as Segments,
        VideoSettings as VideoSettings,
    )
    from .sources.media_file import MediaFile as MediaFile
    from .sources.reconnect import Reconnect as Reconnect
    from .sources.synthetic import Synthetic as Synthetic
    from .sources.webrtc.clock import Sync as Sync
    from .sources.webrtc.loopback import Loopback as Loopback
    from .telemetry.alerts import Alert as Alert, AlertSettings as AlertSettings, Limit as Limit
    from .telemetry.compare import compare as compare
    from .telemetry.frames import (
        Log as Log,
        plain as plain,
        read_flush_log as read_flush_log,
        read_flush_logs as read_flush_logs,
    )
    from .verification.verify import Verification as Verification, verify as verify
    # isort: on

# Where each public name lives. Type checkers and editors read the imports above; a test holds the two together.
_NAMES = {
    ".background.account": "SessionState",
    ".background.session": "Session",
    ".background.sessions": "attach sessions start stop_all",
    ".endpoint.serve": "serve",
    ".endpoint.whep": "Whep",
    ".endpoint.whip": "Whip",
    ".errors": (
        "AdmissionError DiskSpaceError FleetError LogError MediaError OutputAccessError OutputBusyError "
        "OutputError OutputExistsError OutputNameError PartialExistsError RecordkitError RecoveryError "
        "SettingsError SourceError StateError StillRecordingError TapError WorkerError WriteError"
    ),
    ".fleet.many": "export_all frames_all recover_all summary verify_all",
    ".fleet.recording": "Fleet record_all",
    ".fleet.videos": "Videos open_all",
    ".keeping.keep": "keep",
    ".keeping.pins": "pin unpin",
    ".model": (
        "Captured CapturedBy EncodedUnit Event EventKind FlushReason FlushRecord Received Sample StreamFormat"
    ),
    ".panel.camera": "Camera",
    ".panel.panel": "RecordingPanel",
    ".panel.player": "Player",
    ".plots.charts": "plot_file_growth plot_flushes plot_memory plot_overview",
    ".reading.align": "align",
    ".reading.embed": "Embedded",
    ".reading.export": "Exported export",
    ".reading.frame": "Frame",
    ".reading.opening": "open",
    ".reading.video": "Frames Video",
    ".recorder.media_recorder": "MediaRecorder",
    ".recorder.record": "record",
    ".recorder.recorder": "Recorder",
    ".recorder.result": "Counters Recording",
    ".recorder.shared": "Shared",
    ".recorder.state": "State",
    ".recovery.listing": "partials",
    ".recovery.outcome": "Cut Outcome Partial Recovery",
    ".recovery.recover": "recover",
    ".settings": "AudioSettings Keep Ring Segments VideoSettings",
    ".sources.media_file": "MediaFile",
    ".sources.reconnect": "Reconnect",
    ".sources.synthetic": "Synthetic",
    ".sources.webrtc.clock": "Sync",
    ".sources.webrtc.loopback": "Loopback",
    ".telemetry.alerts": "Alert AlertSettings Limit",
    ".telemetry.compare": "compare",
    ".telemetry.frames": "Log plain read_flush_log read_flush_logs",
    ".verification.verify": "Verification verify",
}
for _logger in (__name__, f"{__name__}.endpoint"):  # a logger's filter does not see what those below it are told
    logging.getLogger(_logger).addFilter(_PrintableFilter())

_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name], __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "import_module", "logging"})
